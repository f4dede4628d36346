package partition

import (
	"errors"
	"fmt"
	"io"

	"github.com/weirmq/weir/internal/record"
)

// lose gives up the sequences behind the last applied one, up to last: the frames
// that they were in are in the journal no more. Only the group's goroutine calls
// it, in replay.
func (p *Partition) lose(last uint64) {
	p.mu.Lock()
	first := p.done.last + 1
	if p.done.records == 0 {
		p.done.first = last + 1
	} else {
		p.deleted.AddRange(first, last)
	}
	p.done.last = last
	p.tip.first, p.tip.last = p.done.first, max(p.tip.last, last)
	p.publishLocked()
	p.mu.Unlock()
	p.lost(first, last)
}

// fromRecords makes a state from the records of a store that has lost it: all of
// them are live, also those that cannot be read, and what else lies between them is
// deleted. Entries of the log may follow that were applied before; those of frames
// have no effect again.
func (p *Partition) fromRecords() error {
	if p.lost == nil {
		return fmt.Errorf("open partition %d: records up to %d and no state: %w", p.id.ID, p.store.Last(), record.ErrDamaged)
	}
	p.done.last = p.store.Last()
	c := p.store.Cursor(1)
	defer c.Close()
	h := holes{p: p}
	for {
		v, err := c.Next()
		switch {
		case errors.Is(err, io.EOF):
			if h.next == 0 && !h.bad {
				p.done.first = p.done.last + 1
			} else {
				h.until(p.done.last + 1)
			}
			if err := p.restoreSubjects(nil); err != nil {
				return fmt.Errorf("open partition %d: %w", p.id.ID, err)
			}
			return nil
		case errors.Is(err, record.ErrDamaged):
			h.bad = true
			continue
		case err != nil:
			return fmt.Errorf("open partition %d: read its records: %w", p.id.ID, err)
		}
		h.until(v.Seq)
		h.next = v.Seq + 1
		p.done.records++
		p.done.bytes += v.Size()
		p.done.lastTime = max(p.done.lastTime, v.Time)
		p.expiry.add(&v)
	}
}

// holes judges the sequences between records.
type holes struct {
	p    *Partition
	next uint64 // behind the last record that can be read; 0: there is none yet
	bad  bool   // since then some could not be read
}

// until judges those below seq.
func (h *holes) until(seq uint64) {
	p := h.p
	switch {
	case h.next == 0 && !h.bad:
		p.done.first = seq
	case h.bad:
		p.done.records += seq - max(h.next, p.done.first)
	case seq > h.next:
		p.deleted.AddRange(h.next, seq-1)
	}
	h.bad = false
}
