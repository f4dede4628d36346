package partition

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// LastSequences returns the last visible sequence up to a bound of each subject
// that one of the patterns matches, rising; the lowest limit of them. Where later
// records hide some of them it reads the log, back from the bound as far as it must.
func (p *Partition) LastSequences(patterns []string, upTo uint64, limit int) []uint64 {
	last := map[string]uint64{}
	for _, pattern := range patterns {
		var hidden []string
		here := map[string]uint64{}
		_, _, err := p.survey([]string{pattern}, func() { hidden = nil; clear(here) }, func(f found) bool {
			seq, known := f.lastUpTo(upTo)
			if !known {
				hidden = append(hidden, f.name())
			} else if seq > 0 {
				here[f.name()] = seq
			}
			return true
		})
		if err != nil {
			continue
		}
		p.findHidden(hidden, here, upTo)
		maps.Copy(last, here)
	}
	out := make([]uint64, 0, len(last))
	for _, seq := range last {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out[:min(limit, len(out))]
}

// lastUpTo is the last record up to a bound, 0 if there is none. Else it must be found by
// reading.
func (f *found) lastUpTo(upTo uint64) (seq uint64, known bool) {
	switch {
	case f.first > upTo:
		return 0, true
	case f.last > 0 && f.last <= upTo:
		return f.last, true
	}
	return 0, false
}

// findHidden reads the log, back from a bound, for the last sequences of subjects, which
// it puts into the map.
func (p *Partition) findHidden(names []string, last map[string]uint64, upTo uint64) {
	upTo = min(upTo, p.Committed())
	for len(names) > 0 {
		f := subject.FilterNamed(names...)
		from, to, ok := p.lastPart(f, p.First(), upTo)
		if !ok {
			return
		}
		if err := p.eachOf(f, from, to, func(v *record.View) { last[string(v.Subject)] = v.Seq }); err != nil {
			return
		}
		names = slices.DeleteFunc(names, func(name string) bool { return last[name] > 0 })
		upTo = from - 1
	}
}

// lastPart gives the part of the log, from one sequence up to another, in which the last
// records are that a filter stands for; ok is false if there are none in between.
func (p *Partition) lastPart(f *subject.Filter, from, upTo uint64) (first, last uint64, ok bool) {
	first, last, ok = from, upTo, true
	if s, can := p.store.(Skipper); can {
		first, last, ok = s.SkipBack(f, upTo)
	}
	first, last = max(first, from), min(last, upTo)
	return first, last, ok && first <= last
}

// eachOf calls g for the visible records in a part of the log that a filter stands for.
// The view is borrowed. What is damaged is passed over.
func (p *Partition) eachOf(f *subject.Filter, from, to uint64, g func(*record.View)) error {
	r := p.ReaderOf(f, from)
	defer r.Close()
	for r.Position() <= to {
		v, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && v.Seq > to:
			return nil
		case err == nil && f.Matches(v.Subject):
			g(&v)
		case err != nil && !errors.Is(err, record.ErrDamaged):
			return err
		}
	}
	return nil
}

// findLast reads for a subject's last record, whose number was lost when the one
// that was last was deleted, and notes it. What is damaged is passed over.
func (p *Partition) findLast(name string) (uint64, error) {
	if err := p.lockWith(one([]byte(name))); err != nil {
		return 0, err
	}
	from, upTo, count := p.done.first, p.done.last, uint64(0)
	if e, _ := p.subjects.find([]byte(name)); e != nil {
		from, count = max(from, e.first()), e.count
	}
	p.mu.Unlock()
	last, err := p.lastOf(subject.FilterNamed(name), from, upTo)
	if err != nil {
		return 0, fmt.Errorf("look for the last record of a subject: %w", err)
	}
	if err := p.lockWith(one([]byte(name))); err != nil {
		return 0, err
	}
	defer p.mu.Unlock()
	if e, _ := p.subjects.find([]byte(name)); e != nil && e.last == 0 && e.count == count && p.live(last) {
		p.subjects.own([]byte(name)).last = last
	}
	return last, nil
}

// lastOf finds the last visible record that a filter stands for, from one sequence up to
// another; 0 if there is none.
func (p *Partition) lastOf(f *subject.Filter, from, upTo uint64) (uint64, error) {
	for {
		first, last, ok := p.lastPart(f, from, upTo)
		if !ok {
			return 0, nil
		}
		if v, err := p.Get(last); err == nil && f.Matches(v.Subject) {
			return last, nil
		}
		seq := uint64(0)
		err := p.eachOf(f, first, last, func(v *record.View) { seq = v.Seq })
		if err != nil || seq > 0 {
			return seq, err
		}
		upTo = first - 1
	}
}

// lookedAt is how many subjects are looked at, to know where to begin to read.
const lookedAt = 64

// NextOf returns the first visible record at or after from whose subject a
// pattern matches; an empty pattern matches all.
func (p *Partition) NextOf(pattern string, from uint64) (record.View, error) {
	filter := subject.FilterOf(pattern)
	if pattern != "" {
		var s span
		_, _, err := p.survey([]string{pattern}, func() { s = span{first: math.MaxUint64} }, s.add)
		if err != nil {
			return record.View{}, err
		}
		if s.subjects < lookedAt {
			from = max(from, s.first)
			if from > s.last {
				return record.View{}, ErrNotFound
			}
		}
	}
	r := p.ReaderOf(filter, from)
	defer r.Close()
	for {
		v, err := r.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = ErrNotFound
			}
			return record.View{}, err
		}
		if filter.Matches(v.Subject) {
			return p.Get(v.Seq)
		}
	}
}

// span is where the records of some subjects are.
type span struct {
	first, last uint64
	subjects    int
}

func (s *span) add(f found) bool {
	s.subjects++
	s.first = min(s.first, f.first)
	if s.last = max(s.last, f.last); f.last == 0 {
		s.last = math.MaxUint64 // it is to be found
	}
	return s.subjects < lookedAt
}
