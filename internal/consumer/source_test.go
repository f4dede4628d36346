package consumer

import "slices"

// stored is a Source over a list of sequences.
type stored struct {
	seqs []uint64
	size map[uint64]int
	// times are when they were stored.
	times map[uint64]int64
	// last is the highest sequence of the stream, whether it matches or not.
	last uint64
	cold map[uint64]bool
}

func (s *stored) add(seq uint64, size int) {
	if s.size == nil {
		s.size = map[uint64]int{}
		s.cold = map[uint64]bool{}
		s.times = map[uint64]int64{}
	}
	s.seqs = append(s.seqs, seq)
	s.size[seq] = size
	s.last = max(s.last, seq)
}

func (s *stored) remove(seq uint64) {
	if i, ok := slices.BinarySearch(s.seqs, seq); ok {
		s.seqs = slices.Delete(s.seqs, i, i+1)
	}
}

func (s *stored) removeBelow(first uint64) {
	i, _ := slices.BinarySearch(s.seqs, first)
	s.seqs = slices.Delete(s.seqs, 0, i)
}

func (s *stored) Peek(from uint64) (Item, Answer) {
	i, _ := slices.BinarySearch(s.seqs, from)
	if i == len(s.seqs) {
		return Item{Seq: s.last + 1}, End
	}
	seq := s.seqs[i]
	if s.cold[seq] {
		return Item{Seq: seq}, Cold
	}
	return Item{Seq: seq, Size: s.size[seq], Time: s.times[seq]}, Found
}

func (s *stored) Get(seq uint64) (Item, Answer) {
	if _, ok := slices.BinarySearch(s.seqs, seq); !ok {
		return Item{}, Gone
	}
	if s.cold[seq] {
		return Item{Seq: seq}, Cold
	}
	return Item{Seq: seq, Size: s.size[seq]}, Found
}

func (s *stored) Count(from uint64) uint64 {
	i, _ := slices.BinarySearch(s.seqs, from)
	return uint64(len(s.seqs) - i)
}

// endless is a Source of every sequence up to last.
type endless struct{ last uint64 }

func (s *endless) Peek(from uint64) (Item, Answer) {
	if from > s.last {
		return Item{Seq: from}, End
	}
	return Item{Seq: from, Size: 128}, Found
}

func (s *endless) Get(seq uint64) (Item, Answer) { return Item{Seq: seq, Size: 128}, Found }

func (s *endless) Count(from uint64) uint64 { return s.last + 1 - min(from, s.last+1) }

func everyone(string) bool { return true }
