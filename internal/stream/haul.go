package stream

import (
	"bytes"

	"github.com/weirmq/weir/internal/record"
)

// haul is what the step of one consumer has found, in order, for its deliveries. A
// shard steps one consumer after the other, and publishing copies: all of its consumers
// share one.
type haul struct {
	views []record.View
	arena []byte // where their bytes are, which a reader only lends
	given int    // how many of them went out
	// others says that some bytes are not in the arena, and are let go after the step.
	others bool
	got    record.View // what was delivered without having been found in the step
}

// arenaSize is how many bytes of records are gathered in one piece, mostArena how large
// a piece for larger records is kept for the next step.
const (
	arenaSize = 128 << 10
	mostArena = 1 << 20
)

// empty begins a step.
func (h *haul) empty() {
	if h.others {
		clear(h.views)
		h.got, h.others = record.View{}, false
	}
	h.views, h.given = h.views[:0], 0
	if h.arena = h.arena[:0]; cap(h.arena) > mostArena {
		h.arena = nil
	}
}

// keep adds a copy of a record of size bytes.
func (h *haul) keep(v *record.View, size int) {
	if cap(h.arena)-len(h.arena) < size {
		h.arena = make([]byte, 0, max(arenaSize, size))
		h.others = true
	}
	h.views = append(h.views, *v)
	kept := &h.views[len(h.views)-1]
	kept.Subject, kept.Header, kept.Data = h.copy(v.Subject), h.copy(v.Header), h.copy(v.Data)
	kept.Reply, kept.Key, kept.Attrs = nil, nil, nil
	if len(v.Reply) > 0 {
		kept.Reply, h.others = bytes.Clone(v.Reply), true
	}
}

// copy puts bytes into the arena, which has room for them.
func (h *haul) copy(b []byte) []byte {
	from := len(h.arena)
	h.arena = append(h.arena, b...)
	return h.arena[from:len(h.arena):len(h.arena)]
}

// lend adds a record whose bytes stay.
func (h *haul) lend(v *record.View) {
	h.views = append(h.views, *v)
	h.others = true
}

// take gives the record of a sequence; nil: it was not found in this step. Deliveries
// come in the order in which they were found, so that the next one is usually it.
func (h *haul) take(seq uint64) *record.View {
	for i := h.given; i < len(h.views); i++ {
		if h.views[i].Seq == seq {
			h.given = i + 1
			return &h.views[i]
		}
	}
	return nil
}
