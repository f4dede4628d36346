package partition

import (
	"github.com/weirmq/weir/internal/record"
)

// Removals that follow from the entries alone are derived here, at apply, alike
// on every node: limits by count, bytes and subject.

// setLimitsLocked puts limits in force and fits the index to them.
func (p *Partition) setLimitsLocked(l Limits) {
	was := p.subjects.listed()
	p.limits = l
	if p.subjects.listed() != was {
		for _, e := range p.subjects.by {
			e.seqs = nil
		}
		if p.subjects.listed() {
			p.listSequencesLocked()
		}
	}
	if l.DedupWindow <= 0 {
		p.dedup = dedup{}
		p.dedup.init()
	}
}

// listSequencesLocked fills the entries' lists from the store. It happens once,
// when a small limit for each subject is set on a log that had none.
func (p *Partition) listSequencesLocked() {
	c := p.store.Cursor(p.done.first)
	defer c.Close()
	for {
		v, err := c.Next()
		if err != nil || v.Seq > p.done.last {
			break
		}
		if e := p.subjects.find(v.Subject); e != nil && p.live(v.Seq) {
			e.seqs = append(e.seqs, v.Seq)
		}
	}
	for _, u := range p.undo {
		if u.seq > p.done.last {
			u.entry.seqs = append(u.entry.seqs, u.seq)
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
func (p *Partition) enforce() {
	before := p.done.records
	if p.limits.MaxPerSubject > 0 {
		p.mu.RLock()
		var over [][]byte
		for name, e := range p.subjects.by {
			if e.count > uint64(p.limits.MaxPerSubject) {
				over = append(over, []byte(name))
			}
		}
		p.mu.RUnlock()
		for _, name := range over {
			p.enforceSubject(name)
		}
	}
	p.enforceTotals()
	if p.done.records != before {
		p.observer.Applied(p.done.last, true)
	}
}

// enforceTotals removes the oldest records while there are too many or they are
// too large.
func (p *Partition) enforceTotals() {
	l := &p.limits
	trimmed := false
	for l.MaxRecords > 0 && p.done.records > uint64(l.MaxRecords) && p.removeOldest() {
		trimmed = true
	}
	for l.MaxBytes > 0 && p.done.bytes > uint64(l.MaxBytes) && p.removeOldest() {
		trimmed = true
	}
	if trimmed {
		p.store.Trim(p.done.first)
	}
}

// enforceSubject removes the oldest records of a subject that has too many.
func (p *Partition) enforceSubject(name []byte) {
	for {
		p.mu.RLock()
		e := p.subjects.find(name)
		if e == nil || p.committedCountLocked(e) <= uint64(p.limits.MaxPerSubject) {
			p.mu.RUnlock()
			return
		}
		seq := e.first
		p.mu.RUnlock()
		v, ok := p.nextOf(name, seq, p.done.last)
		if !ok {
			return
		}
		p.remove(&v)
	}
}

// committedCountLocked is how many live records of the entry are committed.
func (p *Partition) committedCountLocked(e *entry) uint64 {
	n := e.count
	if e.last > p.done.last {
		for i := range p.undo {
			if p.undo[i].entry == e && p.undo[i].seq > p.done.last {
				n--
			}
		}
	}
	return n
}

// removeSubjectBelow removes the live records of a subject below seq.
func (p *Partition) removeSubjectBelow(name []byte, seq uint64) {
	for {
		p.mu.RLock()
		e := p.subjects.find(name)
		from := seq
		if e != nil {
			from = e.first
		}
		p.mu.RUnlock()
		if from >= seq {
			return
		}
		v, ok := p.nextOf(name, from, seq-1)
		if !ok {
			return
		}
		p.remove(&v)
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
