package partition

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/record"
)

// publishLocked shows readers what is visible now.
func (p *Partition) publishLocked() {
	p.holes.Store(p.deleted.Count() > 0)
	p.first.Store(p.done.first)
	p.committed.Store(p.done.last)
	p.showExpiryLocked()
}

// Status sums up what readers see.
type Status struct {
	First, Last uint64 // First is Last+1 when there are no records
	Records     uint64
	Bytes       uint64 // by record.Size
	Deleted     uint64 // interior deletes between First and Last
	Subjects    int
	LastTime    int64 // of the last record ever stored; 0 if none
}

// Status returns the sum of what is committed.
func (p *Partition) Status() Status {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return Status{
		First: p.done.first, Last: p.done.last, Records: p.done.records, Bytes: p.done.bytes,
		Deleted: p.deleted.Count(), Subjects: p.liveSubjectsLocked(), LastTime: p.done.lastTime,
	}
}

// Committed is the last visible sequence.
func (p *Partition) Committed() uint64 { return p.committed.Load() }

// First is the first sequence that may be live.
func (p *Partition) First() uint64 { return p.first.Load() }

// Live says whether a sequence holds a visible record.
func (p *Partition) Live(seq uint64) bool {
	if seq < p.first.Load() || seq > p.committed.Load() {
		return false
	}
	if !p.holes.Load() {
		return true
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.live(seq)
}

// Get returns a visible record. Its bytes stay valid. The error is ErrNotFound,
// wraps record.ErrDamaged with the place, or is what the disk said: that a record
// can not be read never counts as its absence.
func (p *Partition) Get(seq uint64) (record.View, error) {
	if !p.Live(seq) {
		return record.View{}, ErrNotFound
	}
	v, err := p.store.Get(seq)
	switch {
	case err == nil || errors.Is(err, record.ErrDamaged):
	case errors.Is(err, record.ErrNotFound):
		return v, ErrNotFound // it went between the look and the reading
	default:
		return v, fmt.Errorf("read record %d: %w", seq, err)
	}
	return v, err
}

// Deleted returns the interior deletes in rising order, at most limit.
func (p *Partition) Deleted(limit int) []uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []uint64
	for seq := range p.deleted.All() {
		if len(out) == limit {
			break
		}
		out = append(out, seq)
	}
	return out
}

// CountLive is the number of visible records from one sequence to another, both
// included.
func (p *Partition) CountLive(from, to uint64) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.countLiveLocked(from, to)
}

func (p *Partition) countLiveLocked(from, to uint64) uint64 {
	from, to = max(from, p.done.first), min(to, p.done.last)
	if from > to {
		return 0
	}
	return to - from + 1 - p.deleted.CountRange(from, to)
}

// SubjectCount is one subject with its number of visible records.
type SubjectCount struct {
	Subject string
	Count   uint64
	Last    uint64 // 0 if it must be read (see LastOf)
}

// Subjects returns the subjects that a pattern matches, sorted by name; an empty
// pattern matches all. Where neither the subject index nor the records can be
// read it returns none.
func (p *Partition) Subjects(pattern string) []SubjectCount {
	out, err := p.subjectsOf(pattern)
	if err != nil {
		return nil
	}
	slices.SortFunc(out, func(a, b SubjectCount) int { return cmp.Compare(a.Subject, b.Subject) })
	return out
}

func (p *Partition) subjectsOf(pattern string) (out []SubjectCount, err error) {
	_, _, err = p.survey([]string{pattern}, func() { out = out[:0] }, func(f found) bool {
		out = append(out, SubjectCount{f.name(), f.count, f.last})
		return true
	})
	return out, err
}

// CountMatching is the number of visible records whose subject a pattern matches.
func (p *Partition) CountMatching(pattern string) uint64 {
	n, _, _ := p.Count([]string{pattern})
	return n
}

// Count is the number of visible records whose subject one of some patterns
// matches, as of one moment: committed was the last sequence then, and removals
// what Removals returned. No subject may match two of the patterns. Where neither
// the subject index nor the records can be read nothing is counted.
func (p *Partition) Count(patterns []string) (n, committed, removals uint64) {
	committed, removals, err := p.survey(patterns, func() { n = 0 }, func(f found) bool { n += f.count; return true })
	if err != nil {
		p.mu.RLock()
		defer p.mu.RUnlock()
		return 0, p.done.last, p.removals.Load()
	}
	return n, committed, removals
}

// Removals is the number of removals so far. A record whose removal has this
// number or a lower one is not live any more.
func (p *Partition) Removals() uint64 { return p.removals.Load() }

// LastOf returns the newest visible record whose subject a pattern matches.
func (p *Partition) LastOf(pattern string) (record.View, error) {
	var last uint64
	var unknown []string
	_, _, err := p.survey([]string{pattern}, func() { last, unknown = 0, nil }, func(f found) bool {
		if f.last == 0 {
			unknown = append(unknown, f.name())
		}
		last = max(last, f.last)
		return true
	})
	if err != nil {
		return record.View{}, err
	}
	for _, name := range unknown {
		seq, err := p.findLast(name)
		if err != nil {
			return record.View{}, err
		}
		last = max(last, seq)
	}
	if last == 0 {
		return record.View{}, ErrNotFound
	}
	return p.Get(last)
}

// SeekTime returns the first visible sequence with a time of t or later; the one
// after the last if there is none.
func (p *Partition) SeekTime(t int64) (uint64, error) {
	seq, err := p.store.SeekTime(t)
	if err != nil {
		return 0, err
	}
	return min(max(seq, p.First()), p.Committed()+1), nil
}

// WatchRemovals turns Observer.Removed on or off.
func (p *Partition) WatchRemovals(on bool) {
	p.mu.Lock()
	p.watch = on
	p.mu.Unlock()
}

// Has says whether the record at a sequence is visible and has this time.
func (p *Partition) Has(seq uint64, time int64) bool {
	v, err := p.Get(seq)
	return err == nil && v.Time == time
}

// MayHold says whether the log may be one that had a record with this time at a
// sequence: it is there, or it is gone.
func (p *Partition) MayHold(seq uint64, time int64) bool {
	if seq > p.Committed() {
		return false
	}
	v, err := p.Get(seq)
	return err != nil || v.Time == time
}
