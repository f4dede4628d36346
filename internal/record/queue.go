package record

import "sort"

// Queue holds frames in order of sequence: what a log keeps in memory. The zero
// value is empty. It is not safe for concurrent use.
type Queue struct {
	frames []*Frame
	head   int // frames before it are gone and nil
	bytes  int64
}

// Len is the number of frames.
func (q *Queue) Len() int { return len(q.frames) - q.head }

// Bytes is the length of all frames together.
func (q *Queue) Bytes() int64 { return q.bytes }

// At is frame i, from 0.
func (q *Queue) At(i int) *Frame { return q.frames[q.head+i] }

// Push adds a frame. Its last sequence is above those of all others.
func (q *Queue) Push(f *Frame) {
	q.frames = append(q.frames, f)
	q.bytes += int64(f.Len())
}

// Pop removes the first frame.
func (q *Queue) Pop() *Frame {
	f := q.frames[q.head]
	q.frames[q.head] = nil
	q.head++
	q.bytes -= int64(f.Len())
	switch {
	case q.head == len(q.frames):
		if cap(q.frames) > 64 {
			q.frames = nil // an idle log gives its memory back
		}
		q.frames, q.head = q.frames[:0], 0
	case q.head > len(q.frames)/2 && q.head >= 32:
		n := copy(q.frames, q.frames[q.head:])
		clear(q.frames[n:])
		q.frames, q.head = q.frames[:n], 0
	}
	return f
}

// Find is the index of the first frame with a record of sequence seq or more;
// Len if there is none.
func (q *Queue) Find(seq uint64) int {
	all := q.frames[q.head:]
	i := sort.Search(len(all), func(i int) bool { return all[i].Base > seq })
	for i > 0 && all[i-1].Last() >= seq {
		i--
	}
	return i
}

// Copy fills dst with the frames from index i on and returns how many.
func (q *Queue) Copy(dst []*Frame, i int) int { return copy(dst, q.frames[q.head+i:]) }
