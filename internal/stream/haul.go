package stream

import "github.com/weirmq/weir/internal/record"

// find is a record that was read to be delivered.
type find struct {
	seq  uint64
	time int64
	all  []byte // subject, header, data and reply, one after the other
	// Lengths of its parts; the data is the rest.
	subject, header, reply int
}

func recordSize(v *record.View) int { return len(v.Subject) + len(v.Header) + len(v.Data) }

// size is that of subject, header and data together.
func (f *find) size() int { return len(f.all) - f.reply }

// view makes v the record.
func (f *find) view(v *record.View) {
	v.Seq, v.Time = f.seq, f.time
	header, data := f.subject+f.header, f.size()
	v.Subject = f.all[:f.subject:f.subject]
	v.Header = f.all[f.subject:header:header]
	v.Data = f.all[header:data:data]
	v.Reply = f.all[data:]
}

// lot is records in the order in which they were found, with memory for their bytes,
// which a reader only lends.
type lot struct {
	finds []find
	arena []byte
	bytes int // of all of them
	// spread says that not all of the bytes are in the arena.
	spread bool
}

// The memory of a lot begins with arenaSize and grows to mostArena where records need
// it; more of it, for larger records, is not kept for the next time.
const (
	arenaSize = 128 << 10
	mostArena = 1 << 20
)

// empty forgets all that was found.
func (l *lot) empty() {
	if l.spread {
		clear(l.finds)
		l.spread = false
	}
	l.finds, l.bytes = l.finds[:0], 0
	if l.arena = l.arena[:0]; cap(l.arena) > mostArena {
		l.arena = nil
	}
}

// keep adds a copy of a record. What it returns stays as it is until the lot is emptied.
func (l *lot) keep(v *record.View) *find {
	size := recordSize(v) + len(v.Reply)
	if cap(l.arena)-len(l.arena) < size {
		l.spread = l.spread || len(l.arena) > 0
		l.arena = make([]byte, 0, max(min(2*cap(l.arena), mostArena), arenaSize, size))
	}
	from := len(l.arena)
	l.arena = append(append(append(append(l.arena, v.Subject...), v.Header...), v.Data...), v.Reply...)
	l.bytes += size
	if len(l.finds) == cap(l.finds) {
		l.finds = append(l.finds, find{})
	} else {
		l.finds = l.finds[:len(l.finds)+1]
	}
	f := &l.finds[len(l.finds)-1] // made where it stays: to copy one just made stalls
	f.seq, f.time, f.all = v.Seq, v.Time, l.arena[from:len(l.arena):len(l.arena)]
	f.subject, f.header, f.reply = len(v.Subject), len(v.Header), len(v.Reply)
	return f
}

// haul is what the step of one consumer has found, in order, for its deliveries. A
// shard steps one consumer after the other, and publishing copies: all of its consumers
// share one.
type haul struct {
	own   lot     // what the step has read itself
	found []*find // there or in another lot
	given int     // how many of them went out
	bytes int     // of all that was found
	view  record.View
}

// mostHaul is how many bytes one step takes along: the rest waits for the next one.
const mostHaul = 4 << 20

// empty begins a step.
func (h *haul) empty() {
	h.own.empty()
	h.found, h.given, h.bytes = h.found[:0], 0, 0
	h.view = record.View{}
}

// full says that the step has enough to send.
func (h *haul) full() bool { return h.bytes >= mostHaul }

// add takes along what is kept elsewhere until the step is over.
func (h *haul) add(f *find) {
	h.found = append(h.found, f)
	h.bytes += len(f.all)
}

// take gives the record of a sequence, until the next call; nil: it was not found in
// this step. Deliveries come in the order in which they were found, so that the next one
// is usually it.
func (h *haul) take(seq uint64) *record.View {
	for i := h.given; i < len(h.found); i++ {
		if h.found[i].seq == seq {
			h.given = i + 1
			h.found[i].view(&h.view)
			return &h.view
		}
	}
	return nil
}
