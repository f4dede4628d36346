package partition

import (
	"slices"
)

// entry is one subject. It takes 48 bytes beside the name.
type entry struct {
	name  string
	count uint64
	last  uint64 // 0 if it must be found by reading
	// low is at most the first live sequence: where a search for it starts. Its
	// highest bit says that it is the first.
	low uint64
	// list are all live sequences of three and more, while the limit for each
	// subject is small enough that the oldest must be found at once; else nil.
	list *[]uint64
}

const exact = 1 << 63

// first is at most the first live sequence.
func (e *entry) first() uint64 { return e.low &^ exact }

// seqs are the live sequences if all are known, else nil. buf is used for them.
func (e *entry) seqs(buf []uint64) []uint64 {
	switch {
	case e.list != nil:
		return *e.list
	case e.low&exact == 0 || e.last == 0:
		return nil
	case e.count == 1:
		return append(buf[:0], e.last)
	case e.count == 2:
		return append(buf[:0], e.first(), e.last)
	}
	return nil
}

// setSeqs notes all live sequences, which rise. It keeps the slice.
func (e *entry) setSeqs(seqs []uint64) {
	e.count, e.low, e.last = uint64(len(seqs)), seqs[0]|exact, seqs[len(seqs)-1]
	e.list = nil
	if len(seqs) > 2 {
		e.list = &seqs
	}
}

// add counts in a record, which is the newest.
func (e *entry) add(seq uint64, listed bool) {
	switch {
	case e.count == 0:
		e.low, e.list = seq|exact, nil
	case !listed:
		e.list = nil
	case e.list != nil:
		*e.list = append(*e.list, seq)
	case e.count == 2 && e.low&exact != 0 && e.last != 0:
		l := append(make([]uint64, 0, 4), e.first(), e.last, seq)
		e.list = &l
	}
	e.count++
	e.last = seq
}

// remove counts out a live record.
func (e *entry) remove(seq uint64) {
	if e.list != nil {
		e.unlist(seq)
		return
	}
	two := e.count == 2 && e.low&exact != 0 && e.last != 0
	e.count--
	switch {
	case e.count == 0:
		e.low, e.last = 0, 0
	case two && seq == e.last:
		e.last = e.first()
	case seq == e.last:
		e.last = 0 // found again by reading, see Partition.findLast
	case seq == e.first():
		e.low = seq + 1
	}
	switch {
	case e.count != 1:
	case e.last != 0:
		e.low = e.last | exact
	case e.low&exact != 0:
		e.last = e.first()
	}
}

// unlist counts out one of the listed records.
func (e *entry) unlist(seq uint64) {
	l := *e.list
	i, ok := slices.BinarySearch(l, seq)
	if !ok {
		return
	}
	l = slices.Delete(l, i, i+1)
	e.count, e.low, e.last = uint64(len(l)), l[0]|exact, l[len(l)-1]
	*e.list = l
	if len(l) < 3 {
		e.list = nil
	}
}

func cloneList(l *[]uint64) *[]uint64 {
	if l == nil {
		return nil
	}
	c := slices.Clone(*l)
	return &c
}

// state is the entry as an Index keeps it. buf is used for the sequences.
func (e *entry) state(buf []uint64) SubjectState {
	s := SubjectState{Count: e.count, First: e.first(), Last: e.last, Seqs: e.seqs(buf)}
	if s.Count == 1 || len(s.Seqs) > maxListed {
		s.Seqs = nil // first and last say as much, or it is too long
	}
	return s
}

// entryOf makes an entry of what an Index keeps.
func entryOf(name string, s *SubjectState) *entry {
	e := &entry{name: name, count: s.Count, low: s.First, last: s.Last}
	switch n := uint64(len(s.Seqs)); {
	case n > 0 && n == s.Count:
		e.setSeqs(slices.Clone(s.Seqs))
	case s.Count == 1 && s.First == s.Last:
		e.low |= exact
	}
	return e
}
