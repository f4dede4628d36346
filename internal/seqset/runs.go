package seqset

import "sort"

// run holds every sequence from first to last, both included.
type run struct {
	first, last uint64
}

// chunkMax is how many runs a chunk holds before it is split. At 16 bytes a run
// an insertion moves at most 8 KiB.
const chunkMax = 512

// chunk is a part of the set: sorted runs that neither overlap nor touch, within
// the chunk and across chunks. It is never empty.
type chunk struct {
	runs []run
	// count is the number of sequences of all runs.
	count uint64
}

func (c *chunk) first() uint64 { return c.runs[0].first }
func (c *chunk) last() uint64  { return c.runs[len(c.runs)-1].last }

// search gives the index of the first run that ends at seq or later.
func (c *chunk) search(seq uint64) int {
	return sort.Search(len(c.runs), func(i int) bool { return c.runs[i].last >= seq })
}

// below counts the chunk's sequences before seq.
func (c *chunk) below(seq uint64) uint64 {
	end := c.search(seq)
	var n uint64
	for _, r := range c.runs[:end] {
		n += r.last - r.first + 1
	}
	if end < len(c.runs) && c.runs[end].first < seq {
		n += seq - c.runs[end].first
	}
	return n
}

// place is a run's place in the set: chunk and index within it. A place with
// chunk == len(chunks) is the end.
type place struct {
	chunk, run int
}

// find gives the place of the first run that ends at seq or later.
func (s *Set) find(seq uint64) place {
	// Most sequences are added and looked up near the end.
	n := len(s.chunks)
	if n == 0 || s.chunks[n-1].last() < seq {
		return place{n, 0}
	}
	i := sort.Search(n, func(i int) bool { return s.chunks[i].last() >= seq })
	return place{i, s.chunks[i].search(seq)}
}

func (s *Set) at(p place) *run { return &s.chunks[p.chunk].runs[p.run] }

func (s *Set) end(p place) bool { return p.chunk == len(s.chunks) }

// next gives the place after p.
func (s *Set) next(p place) place {
	if p.run+1 < len(s.chunks[p.chunk].runs) {
		return place{p.chunk, p.run + 1}
	}
	return place{p.chunk + 1, 0}
}

// before gives the place before p and whether there is one.
func (s *Set) before(p place) (place, bool) {
	switch {
	case p.run > 0:
		return place{p.chunk, p.run - 1}, true
	case p.chunk > 0:
		return place{p.chunk - 1, len(s.chunks[p.chunk-1].runs) - 1}, true
	}
	return place{}, false
}

// touched says that the counts from this chunk on differ from the sums.
func (s *Set) touched(chunk int) {
	s.summed = min(s.summed, chunk)
}

// insert puts r before the run at p, which must be where it belongs.
func (s *Set) insert(p place, r run) {
	if p.run == 0 && p.chunk > 0 {
		// The end of the chunk before is the same position; appending there keeps
		// chunks full.
		p = place{p.chunk - 1, len(s.chunks[p.chunk-1].runs)}
	}
	if len(s.chunks) == 0 {
		s.chunks = append(s.chunks, &chunk{})
	}
	c := s.chunks[p.chunk]
	if len(c.runs) >= chunkMax {
		p = s.split(p)
		c = s.chunks[p.chunk]
	}
	c.runs = append(c.runs, run{})
	copy(c.runs[p.run+1:], c.runs[p.run:])
	c.runs[p.run] = r
	c.count += r.last - r.first + 1
	s.count += r.last - r.first + 1
	s.touched(p.chunk)
}

// split makes room in the full chunk of p and gives p's new place. A full last
// chunk that is appended to stays full.
func (s *Set) split(p place) place {
	c := s.chunks[p.chunk]
	at := len(c.runs) / 2
	if p.chunk == len(s.chunks)-1 && p.run == len(c.runs) {
		at = len(c.runs)
	}
	right := &chunk{runs: append(make([]run, 0, max(len(c.runs)-at, 8)), c.runs[at:]...)}
	for _, r := range right.runs {
		right.count += r.last - r.first + 1
	}
	c.runs = c.runs[:at]
	c.count -= right.count
	s.chunks = append(s.chunks, nil)
	copy(s.chunks[p.chunk+2:], s.chunks[p.chunk+1:])
	s.chunks[p.chunk+1] = right
	s.touched(p.chunk)
	if p.run > at || (p.run == at && at == chunkMax) {
		return place{p.chunk + 1, p.run - at}
	}
	return p
}

// removeRuns takes the runs from from up to, but not including, to out of the set.
func (s *Set) removeRuns(from, to place) {
	if from == to {
		return
	}
	s.touched(from.chunk)
	if from.chunk == to.chunk {
		s.cut(s.chunks[from.chunk], from.run, to.run)
	} else {
		s.cut(s.chunks[from.chunk], from.run, len(s.chunks[from.chunk].runs))
		for i := from.chunk + 1; i < to.chunk; i++ {
			s.count -= s.chunks[i].count
		}
		if !s.end(to) {
			s.cut(s.chunks[to.chunk], 0, to.run)
		}
		s.chunks = append(s.chunks[:from.chunk+1], s.chunks[to.chunk:]...)
	}
	if len(s.chunks[from.chunk].runs) == 0 {
		s.chunks = append(s.chunks[:from.chunk], s.chunks[from.chunk+1:]...)
	}
}

// cut removes the runs [from, to) of c and keeps the counts.
func (s *Set) cut(c *chunk, from, to int) {
	for _, r := range c.runs[from:to] {
		c.count -= r.last - r.first + 1
		s.count -= r.last - r.first + 1
	}
	c.runs = append(c.runs[:from], c.runs[to:]...)
}

// resize gives the run at p other borders. It must stay between its neighbours.
func (s *Set) resize(p place, r run) {
	old := s.at(p)
	c := s.chunks[p.chunk]
	c.count += (r.last - r.first) - (old.last - old.first)
	s.count += (r.last - r.first) - (old.last - old.first)
	*old = r
	s.touched(p.chunk)
}
