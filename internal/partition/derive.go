package partition

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/weirmq/weir/internal/record"
)

// Removals that follow from the entries alone are derived here, at apply, alike
// on every node: limits by count, bytes and subject.

// setLimitsLocked puts limits in force. It says whether sequences are listed from
// now on that were not before.
func (p *Partition) setLimitsLocked(l Limits) (list bool) {
	was := p.subjects.listed()
	if l.Compact != p.limits.Compact {
		p.compacted = 0
	}
	p.limits = l
	if l.DedupWindow <= 0 {
		p.dedup = dedup{}
		p.dedup.init()
	}
	return p.subjects.listed() && !was
}

// listSequences reads the log for the entries' lists. It happens once, when a
// small limit for each subject is set on a log that had none.
func (p *Partition) listSequences() error {
	lists := map[string][]uint64{}
	err := p.eachLive(func(v *record.View) error {
		if err := p.lockKnown(one(v.Subject)); err != nil {
			return err
		}
		defer p.mu.Unlock()
		if e, _ := p.subjects.find(v.Subject); e != nil && e.seqs(nil) == nil {
			lists[string(v.Subject)] = append(lists[string(v.Subject)], v.Seq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name, seqs := range lists {
		if err := p.lockKnown(one([]byte(name))); err != nil {
			return err
		}
		e := p.subjects.own([]byte(name))
		count, _ := p.committedLocked(e)
		flying := e.count - count
		at := len(seqs)
		seqs = append(seqs, make([]uint64, flying)...)
		for seq := e.last; seq > p.done.last; seq = p.undo[seq-p.undo[0].seq].last {
			flying--
			seqs[at+int(flying)] = seq
		}
		if uint64(len(seqs)) == e.count {
			e.setSeqs(seqs)
		}
		p.mu.Unlock()
	}
	return nil
}

// eachLive calls f for the committed records that are live and can be read. What
// it gets is valid during the call. Only the group's goroutine calls it.
func (p *Partition) eachLive(f func(*record.View) error) error {
	if p.done.records == 0 {
		return nil
	}
	c := p.store.Cursor(p.done.first)
	defer c.Close()
	for {
		v, err := c.Next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && v.Seq > p.done.last:
			return nil
		case errors.Is(err, record.ErrDamaged):
			continue // whoever reads it is told
		case err != nil:
			return fmt.Errorf("read partition %d: %w", p.id.ID, err)
		}
		if p.live(v.Seq) {
			if err := f(&v); err != nil {
				return err
			}
		}
	}
}

// enforceFrame applies the limits after a frame. It says whether records went.
func (p *Partition) enforceFrame(f *record.Frame) bool {
	before := p.done.records
	if p.limits.MaxPerSubject > 0 {
		for i := range int(f.Count) {
			if v, err := f.Record(i); err == nil {
				p.enforceSubject(v.Subject)
			}
		}
	}
	p.enforceTotals()
	return p.done.records != before
}

// enforce applies all limits to all there is, after a change of them.
func (p *Partition) enforce() error {
	before := p.done.records
	if err := p.enforceSubjects(); err != nil {
		return err
	}
	p.enforceTotals()
	if p.done.records != before {
		p.observer.Applied(p.done.last, true)
	}
	return nil
}

// enforceSubjects removes the oldest records of all subjects that have too many,
// in one reading of the log.
func (p *Partition) enforceSubjects() error {
	limit := uint64(max(p.limits.MaxPerSubject, 0))
	if limit == 0 {
		return nil
	}
	over := map[string]uint64{} // how many are to go
	_, _, err := p.visit([]string{""}, func(f found) bool {
		if f.count > limit {
			over[f.name()] = f.count - limit
		}
		return true
	})
	if err != nil {
		if err := p.remake(err); err != nil {
			return err
		}
		return p.enforceSubjects()
	}
	if len(over) == 0 {
		return nil
	}
	err = p.eachLive(func(v *record.View) error {
		n := over[string(v.Subject)]
		switch n {
		case 0:
			return nil
		case 1:
			delete(over, string(v.Subject))
		default:
			over[string(v.Subject)] = n - 1
		}
		p.remove(v)
		if len(over) == 0 || p.unread != nil {
			return io.EOF
		}
		return nil
	})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// enforceTotals removes the oldest records while there are too many or they are
// too large.
func (p *Partition) enforceTotals() {
	mostRecords, mostBytes := uint64(math.MaxUint64), uint64(math.MaxUint64)
	if n := p.limits.MaxRecords; n > 0 {
		mostRecords = uint64(n)
	}
	if n := p.limits.MaxBytes; n > 0 {
		mostBytes = uint64(n)
	}
	over := func(_, records, bytes uint64) bool {
		return p.done.records-records > mostRecords || p.done.bytes-bytes > mostBytes
	}
	before := p.done.first
	for over(0, 0, 0) && p.removeOldest(over) {
	}
	if p.done.first != before {
		p.trim()
	}
}

// enforceSubject removes the oldest records of a subject that has too many. The
// subject is one of the frame that was applied last: it is in memory.
func (p *Partition) enforceSubject(name []byte) {
	for {
		p.mu.RLock()
		e, _ := p.subjects.find(name)
		var seq, count uint64
		if e != nil {
			seq = e.first()
			count, _ = p.committedLocked(e)
		}
		p.mu.RUnlock()
		if count <= uint64(p.limits.MaxPerSubject) {
			return
		}
		v, ok := p.nextOf(name, seq, p.done.last)
		if !ok || !p.remove(&v) {
			return
		}
	}
}

// removeSubjectBelow removes the live records of a subject below seq, which is
// one of its own.
func (p *Partition) removeSubjectBelow(name []byte, seq uint64) {
	for {
		p.mu.RLock()
		from := seq
		if e, _ := p.subjects.find(name); e != nil {
			from = e.first()
		}
		p.mu.RUnlock()
		if from >= seq {
			return
		}
		v, ok := p.nextOf(name, from, seq-1)
		if !ok || !p.remove(&v) {
			return
		}
	}
}

// nextOf finds the first live record of a subject from one sequence to another,
// both included. The view's bytes stay valid.
func (p *Partition) nextOf(name []byte, from, to uint64) (record.View, bool) {
	from = max(from, p.done.first)
	if p.live(from) && from <= to {
		if v, err := p.store.Get(from); err == nil && string(v.Subject) == string(name) {
			return v, true
		}
	}
	c := p.store.Cursor(from)
	defer c.Close()
	for {
		v, err := c.Next()
		if err != nil || v.Seq > to {
			return record.View{}, false
		}
		if string(v.Subject) == string(name) && p.live(v.Seq) {
			v, err = p.store.Get(v.Seq)
			return v, err == nil
		}
	}
}
