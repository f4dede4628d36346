package partition

import (
	"slices"
	"sort"

	"github.com/weirmq/weir/internal/subject"
)

// subjects is the index of the tip: for each subject how many live records it
// has and which is the last. Guarded by Partition.mu.
type subjects struct {
	by     map[string]*entry
	limits *Limits
}

// entry is one subject. Its key is not kept twice: name shares the map's key.
type entry struct {
	name  string
	count uint64
	last  uint64
	// first is at most the first live sequence: where a search for it starts.
	first uint64
	// seqs are the live sequences while the limit for each subject is small
	// enough that the oldest must be found at once; nil otherwise.
	seqs []uint64
}

// maxListed is the largest limit for each subject at which sequences are listed
// in the entry, as key-value histories are.
const maxListed = 64

func (s *subjects) init(l *Limits) {
	s.by = map[string]*entry{}
	s.limits = l
}

func (s *subjects) listed() bool {
	return s.limits.MaxPerSubject > 0 && s.limits.MaxPerSubject <= maxListed
}

// find returns the subject's entry, nil if it has none.
func (s *subjects) find(name []byte) *entry { return s.by[string(name)] }

// add counts a record in, which is the newest of its subject.
func (s *subjects) add(name []byte, seq uint64) *entry {
	e := s.by[string(name)]
	if e == nil {
		e = &entry{name: string(name), first: seq}
		s.by[e.name] = e
	}
	e.count++
	e.last = seq
	if s.listed() {
		e.seqs = append(e.seqs, seq)
	}
	return e
}

// remove counts a record out.
func (s *subjects) remove(name []byte, seq uint64) {
	e := s.by[string(name)]
	if e == nil || e.count == 0 {
		return
	}
	e.count--
	if e.count == 0 {
		delete(s.by, e.name)
		return
	}
	if i, ok := slices.BinarySearch(e.seqs, seq); ok {
		e.seqs = slices.Delete(e.seqs, i, i+1)
		e.first = e.seqs[0]
		e.last = e.seqs[len(e.seqs)-1]
		return
	}
	if seq <= e.first {
		e.first = seq + 1
	}
	if seq == e.last {
		e.last = 0 // found again by reading, see Partition.lastOf
	}
}

// each calls f for every entry that the pattern matches, in no order.
func (s *subjects) each(pattern string, f func(e *entry)) {
	if pattern == "" || pattern == ">" {
		for _, e := range s.by {
			f(e)
		}
		return
	}
	if !subject.HasWildcard(pattern) {
		if e := s.by[pattern]; e != nil {
			f(e)
		}
		return
	}
	for _, e := range s.by {
		if subject.Match(pattern, e.name) {
			f(e)
		}
	}
}

// undo says what a subject's last record was before the one at seq, which is not
// committed yet.
type undo struct {
	seq   uint64
	entry *entry
	last  uint64
}

// committedLastLocked is the entry's last sequence that is committed; 0 if none.
func (p *Partition) committedLastLocked(e *entry) uint64 {
	if e.last <= p.done.last {
		return e.last
	}
	for i := range p.undo {
		if p.undo[i].entry == e && p.undo[i].seq > p.done.last {
			return p.undo[i].last
		}
	}
	return e.last
}

// commitUndoLocked drops the undo records of what is committed now.
func (p *Partition) commitUndoLocked() {
	n := sort.Search(len(p.undo), func(i int) bool { return p.undo[i].seq > p.done.last })
	rest := copy(p.undo, p.undo[n:])
	clear(p.undo[rest:])
	p.undo = p.undo[:rest]
}
