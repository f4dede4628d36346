package partition

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// ErrNoSpace says that the account or the server has no storage left.
var ErrNoSpace = errors.New("the storage of the account or of the server is used up")

// A refill brings records with sequences and times of their own into a log that
// nobody else writes to: what a backup holds. Their frames are explicit. Nothing
// is checked and nothing refused but for want of space; what the limits remove is
// derived as ever. Sequences that are left out count as given and deleted.

// Refill proposes records, behind all that the log has. Places are those of the
// area's records and rise in sequence; the area belongs to the log afterwards. done
// is called once they are visible, or with an error when that will never be known.
func (p *Partition) Refill(area *record.Area, places []record.Place, done func(error)) error {
	var size uint64
	for i := range area.Slots {
		v := area.View(i)
		size += v.Size()
	}
	if !p.budget.Reserve(size) {
		return ErrNoSpace
	}
	p.budget.Return(size) // it is taken when the records are counted
	h := record.Header{Partition: p.id, Term: p.proposer.Term()}
	return p.proposePlaced(record.SealExplicit(h, area.Buf, area.Slots, places), done)
}

// RefillEnd proposes that sequences up to last are given out, and that the last of
// them was at a time.
func (p *Partition) RefillEnd(last uint64, time int64, done func(error)) error {
	h := record.Header{Partition: p.id, Term: p.proposer.Term(), Base: last + 1, Time: time}
	return p.proposePlaced(record.SealGap(h), done)
}

// proposePlaced proposes a frame that is counted when it is applied, as in replay.
func (p *Partition) proposePlaced(f *record.Frame, done func(error)) error {
	p.AdmitGathered()
	p.mu.Lock()
	if p.dead != nil {
		p.mu.Unlock()
		return p.dead
	}
	p.enqueueLocked(item{
		kind: record.KindFrame, urgent: true, flight: &Flight{frame: f, value: removalDone(done)}, parts: [2][]byte{f.Head, f.Area},
	})
	p.mu.Unlock()
	p.drain()
	return nil
}

// applyPlaced makes an explicit frame visible. One that was applied already has no
// effect.
func (p *Partition) applyPlaced(e Entry, f *record.Frame) error {
	if f.Term != e.Term || f.Partition != p.id || f.Base <= p.done.last {
		return nil
	}
	if f.Count > 0 {
		p.store.Append(f)
		if err := p.indexFrame(f); err != nil {
			return fmt.Errorf("refill: %w", err)
		}
	} else {
		p.mu.Lock()
	}
	p.skipLocked(f)
	p.showFrameLocked(f, nil)
	return nil
}

// skipLocked counts what the frame leaves out as deleted, and the tip as the
// frame's end.
func (p *Partition) skipLocked(f *record.Frame) {
	if p.done.records == 0 {
		p.done.first = f.Base
		p.deleted.RemoveBelow(f.Base)
	} else {
		p.deleted.AddRange(p.done.last+1, f.Base-1)
	}
	for i := 1; i < int(f.Count); i++ {
		p.deleted.AddRange(f.Seq(i-1)+1, f.Seq(i)-1)
	}
	p.tip.last, p.tip.lastTime = f.Last(), max(p.tip.lastTime, lastTime(f))
}

// lastTime is the time of the frame's last record.
func lastTime(f *record.Frame) int64 {
	if f.Count == 0 {
		return f.Time
	}
	return f.TimeOf(int(f.Count) - 1)
}
