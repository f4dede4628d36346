package partition

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// A log with Limits.Totals keeps a total for each subject: every record says what
// to add, and is stored with the sum of that and the total of its subject's last
// record. As the sum is made at admission, records of many publishers add up
// whatever is in flight.

// Totals is the arithmetic of a log's totals. Its methods are called with the log's
// lock held or not, and must not block. A total must not change once it is given.
type Totals interface {
	// Read gives the total that a stored record says.
	Read(v *record.View) (total any, err error)
	// Add gives what is stored in place of v, which is to be added to a total; nil:
	// there is none yet. refuse, if it is not 0, is why not, in the dialect's numbers.
	Add(total any, v *record.View) (a *Amended, refuse uint32)
	// Unreadable is why nothing is added to a total that Read does not understand.
	Unreadable() uint32
}

// Amended is what is stored in place of a record, and the total that it says.
type Amended struct {
	Header, Data []byte
	Total        any
	Text         string // the total, for the answer
}

// total is what the record at a sequence, the last of its subject, says.
type total struct {
	seq   uint64
	value any
	bad   bool // the record cannot be read as a total
}

// keptTotals is how many totals of committed records are kept at least.
const keptTotals = 4096

// trimTotalsLocked forgets totals of committed records, which can be read again.
func (p *Partition) trimTotalsLocked() {
	p.totalsRoom = max(p.totalsRoom, keptTotals)
	if len(p.totals) <= p.totalsRoom {
		return
	}
	for name, t := range p.totals {
		if t.seq <= p.done.last {
			delete(p.totals, name)
		}
	}
	p.totalsRoom = max(keptTotals, 2*len(p.totals))
}

// unknownTotalsLocked gives the sequences of the records that must be read before
// the batch can be added to totals, by subject.
func (p *Partition) unknownTotalsLocked(b *Batch) map[string]uint64 {
	if !p.limits.Totals || p.dead != nil {
		return nil
	}
	var out map[string]uint64
	for i := range b.Area.Slots {
		v := b.Area.View(i)
		e, _ := p.subjects.find(v.Subject)
		if e == nil || e.last == 0 || p.totals[e.name].seq == e.last {
			continue
		}
		if out == nil {
			out = map[string]uint64{}
		}
		out[e.name] = e.last
	}
	return out
}

// readTotals reads records for their totals. One that has gone in the meantime is
// left out.
func (p *Partition) readTotals(seqs map[string]uint64) error {
	for name, seq := range seqs {
		t := total{seq: seq}
		v, err := p.Get(seq)
		switch {
		case err == nil:
			t.value, err = p.adder.Read(&v)
			t.bad = err != nil
		case errors.Is(err, ErrNotFound):
			continue
		case errors.Is(err, record.ErrDamaged):
			t.bad = true
		default:
			return fmt.Errorf("read a total: %w", err)
		}
		p.mu.Lock()
		if e, _ := p.subjects.find([]byte(name)); e != nil && e.last == seq {
			p.totals[name] = t
		}
		p.mu.Unlock()
	}
	return nil
}

// amend puts what is stored in place of record i, which is v, into the area of the
// frame, and holds it against the limits.
func (d *decision) amend(i int, v *record.View, c *Conditions) Outcome {
	p := d.p
	in := d.b.Area.View(i) // beside v, which is to stay on the stack
	var t total
	if e := d.hint; e != nil {
		if e.last == 0 {
			return Outcome{Refusal: Unreadable} // others delete its records all the time
		}
		t = p.totals[e.name]
		if t.seq != e.last || t.bad {
			return Outcome{Refusal: Dialect, Detail: uint64(p.adder.Unreadable())}
		}
	}
	a, refuse := p.adder.Add(t.value, &in)
	if refuse != 0 {
		return Outcome{Refusal: Dialect, Detail: uint64(refuse)}
	}
	parts := record.Parts{
		Subject: in.Subject, Header: a.Header, Data: a.Data, Reply: in.Reply, Key: in.Key, Attrs: in.Attrs,
		ID: in.ID, HasID: in.HasID, Rollup: in.Rollup, TTL: in.TTL, Marked: in.Marked,
	}
	if !parts.Fits() {
		return Outcome{Refusal: TooLarge}
	}
	if d.area.Buf == nil {
		d.area.Buf = record.NewArea(len(d.b.Area.Buf))
	}
	before := len(d.area.Buf)
	d.area.Append(&parts)
	n := d.area.Len() - 1
	*v = d.area.View(n)
	if o := p.limitsLocked(v, c, d.hint); o.Refusal != Accepted {
		d.area.Buf, d.area.Slots = d.area.Buf[:before], d.area.Slots[:n]
		return o
	}
	d.amended = a
	if c != nil {
		c.Amended = a
	}
	return Outcome{}
}
