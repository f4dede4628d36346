package partition

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Before a batch is decided over, everything that the decision needs of the
// subject index is in memory: with the lock held no file is read.

// ready is what was looked up for a batch.
type ready struct {
	need
	lower map[string][]below // by pattern of an expected sequence with wildcards
}

// below is the last sequence of a subject that was not in the active layer.
type below struct {
	name string
	last uint64
}

// readyTries is how often last sequences that are lost are looked for again while
// others delete records. What cannot be read then counts as none.
const readyTries = 3

// totalTries is how often totals are read again for a batch while others remove the
// records that were read, or add to what they say.
const totalTries = 100

var errUnsteady = errors.New("the totals of the subjects never stand still")

// lockFor takes the lock with all known that the batch's decision needs. With an
// error the lock is held, too.
func (p *Partition) lockFor(b *Batch) (*ready, error) {
	p.mu.RLock()
	asks := p.limits.Totals || slices.ContainsFunc(b.Conds, func(c Conditions) bool { return c.HasOfSubj })
	easy := p.subjects.active.whole && !asks
	p.mu.RUnlock()
	reads := 0
	for try := 0; ; try++ {
		r, err := &ready{}, error(nil)
		if !easy {
			r, err = p.ready(b, asks)
		}
		if err != nil && try < readyTries {
			if err = p.mend(err); err == nil {
				continue
			}
		}
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
		known := easy && p.subjects.active.whole ||
			!easy && p.supplyLocked(&r.need) && (!asks || try >= readyTries || !p.lostLocked(b))
		if !known {
			easy = false
			p.mu.Unlock()
			continue
		}
		unknown := p.unknownTotalsLocked(b)
		if len(unknown) == 0 {
			return r, nil
		}
		if reads++; reads > totalTries {
			return nil, errUnsteady
		}
		p.mu.Unlock()
		if err := p.readTotals(unknown); err != nil {
			p.mu.Lock()
			return nil, err
		}
	}
}

// ready looks up what the batch needs; asks says that it expects last sequences
// of subjects.
func (p *Partition) ready(b *Batch, asks bool) (*ready, error) {
	r, err := p.prepare(b)
	if err == nil && asks {
		err = p.findLost(r, b)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// prepare looks up the batch's subjects and those of its conditions.
func (p *Partition) prepare(b *Batch) (*ready, error) {
	r := &ready{}
	p.mu.RLock()
	r.gen = p.subjects.gen
	err := p.gatherBatchLocked(r, b)
	p.mu.RUnlock()
	if err != nil {
		r.close()
		return nil, err
	}
	if err := r.fetch(); err != nil {
		return nil, fmt.Errorf("read the subject index: %w", err)
	}
	for pattern := range r.lower {
		if r.lower[pattern], err = p.lowerOf(pattern); err != nil {
			return nil, fmt.Errorf("read the subject index: %w", err)
		}
	}
	return r, nil
}

func (p *Partition) gatherBatchLocked(r *ready, b *Batch) error {
	var prev []byte
	for i := range b.Area.Slots {
		v := b.Area.View(i)
		if i > 0 && string(v.Subject) == string(prev) {
			continue
		}
		prev = v.Subject
		if err := p.gatherLocked(&r.need, v.Subject); err != nil {
			return err
		}
	}
	for i := range b.Conds {
		switch c := &b.Conds[i]; {
		case !c.HasOfSubj || c.OfSubject == "":
		case literal(c.OfSubject):
			if err := p.gatherLocked(&r.need, []byte(c.OfSubject)); err != nil {
				return err
			}
		case r.lower == nil:
			r.lower = map[string][]below{c.OfSubject: nil}
		default:
			r.lower[c.OfSubject] = nil
		}
	}
	return nil
}

// lowerOf gives the last sequences of the subjects below the active layer that a
// pattern matches, the highest first.
func (p *Partition) lowerOf(pattern string) ([]below, error) {
	p.mu.RLock()
	if p.subjects.active.whole {
		p.mu.RUnlock()
		return nil, nil
	}
	frozen := p.subjects.frozen
	var view IndexView
	var err error
	if !p.subjects.whole() {
		view, err = p.index.View()
	}
	p.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	var out []below
	v := visitor{hide: true, f: func(f found) bool { out = append(out, below{f.name(), f.last}); return true }}
	if err := v.lower([]string{pattern}, frozen, view); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b below) int { return cmp.Compare(b.last, a.last) })
	return out, nil
}

// findLost reads the log for what the batch's conditions need and the index has
// lost: the last sequence of a subject whose last record was deleted.
func (p *Partition) findLost(r *ready, b *Batch) error {
	var lost []string
	for i := range r.found {
		if s := &r.found[i]; s.Count > 0 && s.Last == 0 {
			lost = append(lost, r.names[i])
		}
	}
	for _, l := range r.lower {
		for i := len(l) - 1; i >= 0 && l[i].last == 0; i-- {
			lost = append(lost, l[i].name)
		}
	}
	p.mu.RLock()
	p.eachLostLocked(b, func(e *entry) { lost = append(lost, e.name) })
	p.mu.RUnlock()
	for _, name := range lost {
		if _, err := p.findLast(name); err != nil {
			return err
		}
	}
	return nil
}

// lostLocked says that a last sequence which the batch's conditions need is not
// known.
func (p *Partition) lostLocked(b *Batch) (lost bool) {
	p.eachLostLocked(b, func(*entry) { lost = true })
	return lost
}

// eachLostLocked calls f for the known subjects of the batch's conditions whose
// last sequence is lost.
func (p *Partition) eachLostLocked(b *Batch, f func(*entry)) {
	for i := range b.Conds {
		c := &b.Conds[i]
		if !c.HasOfSubj && !p.limits.Totals {
			continue
		}
		if c.OfSubject != "" && !literal(c.OfSubject) {
			for e := range p.subjects.active.matching(c.OfSubject) {
				if e.count > 0 && e.last == 0 {
					f(e)
				}
			}
			continue
		}
		name := []byte(c.OfSubject)
		if len(name) == 0 {
			v := b.Area.View(i)
			name = v.Subject
		}
		if e, _ := p.subjects.find(name); e != nil && e.last == 0 {
			f(e)
		}
	}
}

// lastMatchingLocked is the last admitted sequence of the subjects that a pattern
// matches, those of a batch since back left out.
func (p *Partition) lastMatchingLocked(pattern string, r *ready, back *savepoint) uint64 {
	var last uint64
	for e := range p.subjects.active.matching(pattern) {
		last = max(last, back.lastOf(e))
	}
	for _, b := range r.lower[pattern] {
		if p.subjects.active.find([]byte(b.name)) == nil {
			return max(last, b.last)
		}
	}
	return last
}
