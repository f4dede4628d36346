package seqset

import (
	"iter"
	"math"
)

// Set is a set of sequences. The zero value is empty and ready for use. A copy of
// the struct shares its contents; use Clone. Looking up and adding costs
// logarithmic time in the number of runs.
//
// The whole range of uint64 may be held, except that Count wraps to 0 for a set
// of all 2^64 sequences.
type Set struct {
	chunks []*chunk
	count  uint64

	// sums[i] is the number of sequences in the chunks before i; valid for
	// i <= summed.
	sums   []uint64
	summed int
}

// Count gives the number of sequences.
func (s *Set) Count() uint64 { return s.count }

// Runs gives the number of unbroken runs, to which the memory is proportional.
func (s *Set) Runs() int {
	n := 0
	for _, c := range s.chunks {
		n += len(c.runs)
	}
	return n
}

// Contains says whether seq is in the set.
func (s *Set) Contains(seq uint64) bool {
	if s.count == 0 && len(s.chunks) == 0 {
		return false
	}
	p := s.find(seq)
	return !s.end(p) && s.at(p).first <= seq
}

// Add adds seq and says whether it was missing.
func (s *Set) Add(seq uint64) bool {
	p := s.find(seq)
	if !s.end(p) && s.at(p).first <= seq {
		return false
	}
	joinsNext := !s.end(p) && s.at(p).first == seq+1 && seq != math.MaxUint64
	prev, ok := s.before(p)
	joinsPrev := ok && s.at(prev).last+1 == seq
	switch {
	case joinsPrev && joinsNext:
		last := s.at(p).last
		s.removeRuns(p, s.next(p))
		s.resize(prev, run{s.at(prev).first, last})
	case joinsPrev:
		s.resize(prev, run{s.at(prev).first, seq})
	case joinsNext:
		s.resize(p, run{seq, s.at(p).last})
	default:
		s.insert(p, run{seq, seq})
	}
	return true
}

// AddRange adds every sequence from first to last, both included. An inverted
// range is empty.
func (s *Set) AddRange(first, last uint64) {
	if first > last {
		return
	}
	// Runs that touch the range are joined with it as well.
	from := s.find(first - min(first, 1))
	to := place{len(s.chunks), 0}
	if last < math.MaxUint64 {
		to = s.find(last + 1)
	}
	if !s.end(to) && s.at(to).first <= last+1 {
		last = s.at(to).last
		to = s.next(to)
	}
	if from != to {
		first = min(first, s.at(from).first)
		if prev, ok := s.before(to); ok {
			last = max(last, s.at(prev).last)
		}
	}
	s.replace(from, to, run{first, last})
}

// replace puts r in the place of the runs [from, to).
func (s *Set) replace(from, to place, r run) {
	if from == to {
		s.insert(from, r)
		return
	}
	s.removeRuns(s.next(from), to)
	s.resize(from, r)
}

// Remove takes seq out and says whether it was in.
func (s *Set) Remove(seq uint64) bool {
	p := s.find(seq)
	if s.end(p) || s.at(p).first > seq {
		return false
	}
	r := *s.at(p)
	switch {
	case r.first == r.last:
		s.removeRuns(p, s.next(p))
	case r.first == seq:
		s.resize(p, run{seq + 1, r.last})
	case r.last == seq:
		s.resize(p, run{r.first, seq - 1})
	default:
		s.resize(p, run{seq + 1, r.last})
		s.insert(p, run{r.first, seq - 1})
	}
	return true
}

// RemoveBelow takes out every sequence before seq.
func (s *Set) RemoveBelow(seq uint64) {
	if len(s.chunks) == 0 || s.chunks[0].first() >= seq {
		return
	}
	p := s.find(seq)
	s.removeRuns(place{}, p)
	if len(s.chunks) == 0 {
		*s = Set{}
		return
	}
	if r := *s.at(place{}); r.first < seq {
		s.resize(place{}, run{seq, r.last})
	}
}

// CountRange gives the number of sequences in the set from from to to, both
// included.
func (s *Set) CountRange(from, to uint64) uint64 {
	if from > to || len(s.chunks) == 0 {
		return 0
	}
	n := s.count
	if to < math.MaxUint64 {
		n = s.countBelow(to + 1)
	}
	return n - s.countBelow(from)
}

func (s *Set) countBelow(seq uint64) uint64 {
	if s.chunks[0].first() >= seq {
		return 0
	}
	p := s.find(seq)
	s.sum()
	if s.end(p) {
		return s.count
	}
	return s.sums[p.chunk] + s.chunks[p.chunk].below(seq)
}

// sum brings the sums up to date, from the first chunk that changed.
func (s *Set) sum() {
	if len(s.sums) != len(s.chunks) {
		s.sums = append(s.sums[:min(len(s.sums), len(s.chunks))],
			make([]uint64, max(0, len(s.chunks)-len(s.sums)))...)
		s.summed = min(s.summed, max(0, len(s.chunks)-1))
	}
	if len(s.sums) == 0 {
		return
	}
	s.sums[0] = 0
	for i := s.summed + 1; i < len(s.sums); i++ {
		s.sums[i] = s.sums[i-1] + s.chunks[i-1].count
	}
	s.summed = len(s.sums) - 1
}

// NextAbsent gives the first sequence at or after seq that is not in the set; 0
// if there is none.
func (s *Set) NextAbsent(seq uint64) uint64 {
	p := s.find(seq)
	if s.end(p) || s.at(p).first > seq {
		return seq
	}
	return s.at(p).last + 1
}

// NextPresent gives the first sequence at or after seq that is in the set and
// whether there is one.
func (s *Set) NextPresent(seq uint64) (uint64, bool) {
	p := s.find(seq)
	if s.end(p) {
		return 0, false
	}
	return max(seq, s.at(p).first), true
}

// First gives the lowest sequence and whether there is one.
func (s *Set) First() (uint64, bool) {
	if len(s.chunks) == 0 {
		return 0, false
	}
	return s.chunks[0].first(), true
}

// Last gives the highest sequence and whether there is one.
func (s *Set) Last() (uint64, bool) {
	if len(s.chunks) == 0 {
		return 0, false
	}
	return s.chunks[len(s.chunks)-1].last(), true
}

// All gives the sequences in ascending order. The set must not change meanwhile.
func (s *Set) All() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for first, last := range s.Ranges() {
			for seq := first; ; seq++ {
				if !yield(seq) {
					return
				}
				if seq == last {
					break
				}
			}
		}
	}
}

// Ranges gives the runs (first and last sequence) in ascending order. The set
// must not change meanwhile.
func (s *Set) Ranges() iter.Seq2[uint64, uint64] {
	return func(yield func(uint64, uint64) bool) {
		for _, c := range s.chunks {
			for _, r := range c.runs {
				if !yield(r.first, r.last) {
					return
				}
			}
		}
	}
}

// Equal says whether both hold the same sequences.
func (s *Set) Equal(o *Set) bool {
	if s.count != o.count {
		return false
	}
	next, stop := iter.Pull2(o.Ranges())
	defer stop()
	for first, last := range s.Ranges() {
		f, l, ok := next()
		if !ok || f != first || l != last {
			return false
		}
	}
	_, _, ok := next()
	return !ok
}

// Clone gives an independent copy.
func (s *Set) Clone() Set {
	c := Set{count: s.count, chunks: make([]*chunk, len(s.chunks))}
	for i, ch := range s.chunks {
		c.chunks[i] = &chunk{runs: append([]run(nil), ch.runs...), count: ch.count}
	}
	if len(c.chunks) == 0 {
		c.chunks = nil
	}
	return c
}
