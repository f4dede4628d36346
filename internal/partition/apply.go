package partition

import (
	"fmt"
	"iter"

	"github.com/weirmq/weir/internal/record"
)

// Entry is a committed entry of the group. Data is borrowed. Value is the Flight
// where this node proposed the entry, nil in replay and on other nodes.
type Entry struct {
	Index, Term uint64
	Kind        record.Kind
	Data        []byte
	Value       any
}

// Apply makes a committed entry take effect. Entries come in order; those that a
// checkpoint covers already are passed over. An error means that the entry's
// bytes are not what a partition writes.
func (p *Partition) Apply(e Entry) error {
	if e.Index <= p.restore {
		return nil
	}
	fl, _ := e.Value.(*Flight)
	p.applying.Lock()
	err := p.applyKind(e, fl)
	if err == nil {
		err = p.unread
	}
	p.applied = e.Index
	p.applying.Unlock()
	if e.Kind != record.KindFrame {
		p.tellHeld() // those that are gone are held, too
	}
	if fl != nil {
		p.landed(fl)
	}
	return err
}

func (p *Partition) applyKind(e Entry, fl *Flight) error {
	switch e.Kind {
	case record.KindFrame:
		return p.applyFrame(e, fl)
	case record.KindRemove:
		r, err := DecodeRemoval(e.Data)
		if err != nil {
			return fmt.Errorf("apply removal: %w", err)
		}
		return p.applyRemoval(r)
	case record.KindConfig:
		block, _, err := takeBlock(e.Data)
		if err != nil {
			return fmt.Errorf("apply configuration: %w", err)
		}
		l, err := decodeLimits(block)
		if err != nil {
			return fmt.Errorf("apply configuration: %w", err)
		}
		p.mu.Lock()
		list := p.setLimitsLocked(l)
		p.mu.Unlock()
		p.ledger.Apply(e.Kind, e.Data, flightValue(fl))
		if err := p.enforce(); err != nil {
			return fmt.Errorf("apply limits: %w", err)
		}
		if list {
			if err := p.listSequences(); err != nil {
				return fmt.Errorf("list sequences: %w", err)
			}
		}
	default:
		p.ledger.Apply(e.Kind, e.Data, flightValue(fl))
	}
	return nil
}

func flightValue(fl *Flight) any {
	if fl == nil {
		return nil
	}
	return fl.value
}

// landed tells of what waited for the entry.
func (p *Partition) landed(fl *Flight) {
	after, retired := p.land(fl)
	if fl.frame != nil {
		fl.frame.Applied()
	}
	if fl.batch != nil {
		p.observer.Committed(fl.batch, false)
	}
	if done, ok := fl.value.(removalDone); ok && done != nil {
		done(nil)
	}
	for _, b := range after {
		p.observer.Committed(b, false)
	}
	if retired != nil {
		retired()
	}
	p.due(fl)
}

// applyFrame makes a frame visible. A frame that was not admitted for this place
// has no effect, the same on every node: its term is not the entry's, or what
// was to stand before it does not.
func (p *Partition) applyFrame(e Entry, fl *Flight) error {
	var f *record.Frame
	if fl != nil {
		f = fl.frame
	} else {
		var err error
		if f, _, err = record.Parse(append([]byte(nil), e.Data...)); err != nil {
			return fmt.Errorf("apply frame: %w", err)
		}
	}
	if f.Flags&record.FlagExplicit != 0 {
		return p.applyPlaced(e, f)
	}
	if fl == nil && p.lost != nil && f.Term == e.Term && f.Partition == p.id && f.Base > p.done.last+1 {
		p.lose(f.Base - 1)
	}
	if f.Term != e.Term || f.Base != p.done.last+1 || f.Partition != p.id {
		if fl != nil {
			panic("partition: a frame that was admitted here does not follow the log")
		}
		if f.Term == e.Term && f.Partition == p.id && f.Base > p.done.last+1 {
			return fmt.Errorf("apply frame: sequences %d to %d are missing: %w", p.done.last+1, f.Base-1, record.ErrDamaged)
		}
		return nil
	}
	p.store.Append(f)
	if fl != nil {
		p.mu.Lock()
	} else if err := p.indexFrame(f); err != nil {
		return err
	}
	p.showFrameLocked(f, fl)
	return nil
}

// showFrameLocked makes a frame that is in the store and counted into the tip
// visible, removes what it displaces, and tells of it. fl is its flight, or nil. It
// gives the lock back.
func (p *Partition) showFrameLocked(f *record.Frame, fl *Flight) {
	sum := p.countLocked(f, fl)
	p.done.last = f.Last()
	p.done.lastTime = max(p.done.lastTime, lastTime(f))
	p.done.records += uint64(f.Count)
	p.done.bytes += sum.bytes
	p.commitUndoLocked()
	p.publishLocked()
	p.mu.Unlock()
	if sum.attrs {
		p.tellAttrs(f)
	}
	if sum.rollups {
		p.applyRollups(f)
	}
	p.dropUnwanted(f)
	removed := p.enforceFrame(f)
	p.observer.Applied(f.Last(), removed || sum.rollups)
}

// tellAttrs tells the ledger what the frame's records have as attributes.
func (p *Partition) tellAttrs(f *record.Frame) {
	if p.copier == nil {
		return
	}
	for i := range int(f.Count) {
		if v, err := f.Record(i); err == nil && len(v.Attrs) > 0 {
			p.copier.Stored(v.Attrs)
		}
	}
}

// indexFrame counts a frame into the tip that came by replay. It returns with the
// lock held, unless there is an error.
func (p *Partition) indexFrame(f *record.Frame) error {
	views := make([]record.View, f.Count)
	for i := range views {
		err := f.Verify(i)
		if err == nil {
			views[i], err = f.Record(i)
		}
		if err != nil {
			return fmt.Errorf("apply frame: %w", err)
		}
	}
	err := p.lockKnown(func(yield func([]byte) bool) {
		for i := range views {
			if !yield(views[i].Subject) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("apply frame: %w", err)
	}
	p.dedup.evict(f.DedupFloor)
	for i := range views {
		v := &views[i]
		p.budget.Reserve(v.Size())
		p.acceptLocked(v, p.subjects.own(v.Subject), v.Seq, v.Time)
	}
	p.tip.lastTime = max(p.tip.lastTime, f.Time)
	return nil
}

// applyRollups removes what the frame's rollups replace.
func (p *Partition) applyRollups(f *record.Frame) {
	for i := range int(f.Count) {
		v, err := f.Record(i)
		if err != nil {
			continue
		}
		switch v.Rollup {
		case record.RollupAll:
			p.trimBelow(v.Seq)
		case record.RollupSubject:
			p.removeSubjectBelow(v.Subject, v.Seq)
		}
	}
}

// live says whether a sequence holds a record that readers see. Only the group's
// goroutine may call it without the lock.
func (p *Partition) live(seq uint64) bool {
	return seq >= p.done.first && seq <= p.done.last && !p.deleted.Contains(seq)
}

// remove takes one live record out. Only the group's goroutine calls it. Where
// its subject cannot be looked up nothing is removed, and the entry fails.
func (p *Partition) remove(v *record.View) bool {
	if err := p.lockKnown(one(v.Subject)); err != nil {
		p.unread = fmt.Errorf("remove record %d: %w", v.Seq, err)
		return false
	}
	n := p.removeLocked(v)
	watch := p.watch
	p.mu.Unlock()
	if watch {
		p.observer.Removed(v.Seq, v.Subject, n)
	}
	return true
}

// lockKnown is lockWith for the group's goroutine while it applies: where the
// index cannot be read it is made again.
func (p *Partition) lockKnown(names iter.Seq[[]byte]) error {
	err := p.lockWith(names)
	if err == nil {
		return nil
	}
	if err := p.remake(err); err != nil {
		return err
	}
	return p.lockWith(names)
}

// removeLocked returns the number of the removal. It is given before the record
// is seen to be gone.
func (p *Partition) removeLocked(v *record.View) uint64 {
	n := p.removals.Add(1)
	p.subjects.remove(v.Subject, v.Seq)
	p.expiry.remove(v)
	p.countOutLocked(1, v.Size())
	if v.Seq == p.done.first {
		p.done.first++
		p.skipDeletedLocked()
	} else {
		p.deleted.Add(v.Seq)
	}
	p.publishLocked()
	return n
}

// countOutLocked takes so many records, of so many bytes, from the sums.
func (p *Partition) countOutLocked(records, bytes uint64) {
	p.done.records -= records
	p.done.bytes -= bytes
	p.tip.records -= records
	p.tip.bytes -= bytes
	p.budget.Return(bytes)
}

// skipDeletedLocked moves first over what is deleted already, and lets the set of
// interior deletes go below it.
func (p *Partition) skipDeletedLocked() {
	if p.deleted.Count() == 0 {
		return
	}
	p.done.first = min(p.deleted.NextAbsent(p.done.first), p.done.last+1)
	p.deleted.RemoveBelow(p.done.first)
}

// trimBelow removes all live records below first, oldest first. It reads them,
// for the index must know their subjects.
func (p *Partition) trimBelow(first uint64) {
	first = min(first, p.done.last+1)
	if p.clearIfAll(first) {
		return
	}
	below := func(next, _, _ uint64) bool { return next < first }
	for p.done.first < first && p.removeOldest(below) {
	}
	p.trim()
}

// clearIfAll empties the log at once where nothing that is committed would stay.
func (p *Partition) clearIfAll(first uint64) bool {
	p.mu.Lock()
	if first != p.done.last+1 {
		p.mu.Unlock()
		return false
	}
	n := p.removals.Add(1)
	p.subjects.clear()
	p.expiry.clear()
	p.redoLocked()
	p.countOutLocked(p.done.records, p.done.bytes)
	p.done.first = first
	p.deleted.RemoveBelow(first)
	p.publishLocked()
	watch := p.watch
	p.mu.Unlock()
	if watch {
		p.observer.Removed(0, nil, n)
	}
	p.trim()
	return true
}

// trim lets the store forget what is before the first record. What a checkpoint
// that is being taken counts as live, its replay may have to read: that is
// forgotten after it.
func (p *Partition) trim() {
	if !p.untrimmed {
		p.store.Trim(p.keptFrom())
	}
}
