package partition

import (
	"errors"
	"fmt"
	"io"

	"github.com/weirmq/weir/internal/record"
)

// Keeper is a Ledger that says what is kept. Its methods are called while a frame
// takes effect and must depend on the entries alone.
type Keeper interface {
	// Selective says whether Keeps is to be asked at all.
	Selective() bool
	// Keeps says whether a record that has just become visible stays. The view is
	// borrowed.
	Keeps(v *record.View) bool
}

// dropUnwanted removes those of a frame's records that the ledger does not keep.
// Their sequences are given, and their ids remembered.
func (p *Partition) dropUnwanted(f *record.Frame) {
	k, ok := p.ledger.(Keeper)
	if !ok || !k.Selective() {
		return
	}
	before := p.done.records
	for i := range int(f.Count) {
		v, err := f.Record(i)
		if err == nil && p.live(v.Seq) && !k.Keeps(&v) && !p.remove(&v) {
			return
		}
	}
	if p.done.records != before {
		p.trim()
	}
}

// Release removes the record at seq if it is live and unwanted says so; the view
// that it gets is borrowed. Released must follow the last one. Only the ledger
// calls it, while it applies an entry. A damaged record stays: whoever reads it is
// told.
func (p *Partition) Release(seq uint64, unwanted func(*record.View) bool) {
	if p.unread != nil || !p.live(seq) {
		return
	}
	v, err := p.store.Get(seq)
	switch {
	case errors.Is(err, record.ErrDamaged):
	case err != nil:
		p.unread = fmt.Errorf("release record %d: %w", seq, err)
	case unwanted(&v):
		p.remove(&v)
	}
}

// ReleaseRange is Release for all from one sequence to another, both included. It
// reads each.
func (p *Partition) ReleaseRange(from, to uint64, unwanted func(*record.View) bool) {
	from, to = max(from, p.done.first), min(to, p.done.last)
	if p.done.records == 0 || from > to {
		return
	}
	c := p.store.Cursor(from)
	defer c.Close()
	for p.unread == nil {
		v, err := c.Next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && v.Seq > to:
			return
		case errors.Is(err, record.ErrDamaged):
		case err != nil:
			p.unread = fmt.Errorf("release records from %d on: %w", from, err)
		case p.live(v.Seq) && unwanted(&v):
			p.remove(&v)
		}
	}
}

// ReleaseAll is Release for all there is. It reads nothing.
func (p *Partition) ReleaseAll() {
	if p.done.records > 0 {
		p.trimBelow(p.done.last + 1)
	}
}

// Released follows what one entry released: readers and consumers are told.
func (p *Partition) Released() {
	p.trim()
	p.observer.Applied(p.done.last, true)
}
