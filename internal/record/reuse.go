package record

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Areas of a stream that is written at full speed live as long as it takes to
// apply, to write and to evict them. Getting memory for them anew costs more than
// all that is done with it: clearing, page faults, a collection every few
// milliseconds. So the area of a frame is used again once nobody can have it:
// when the partition has applied it, the log dropped it, and no reader was ever
// given it. Whoever does not say so keeps it from being used again.

// Areas of 1<<minClass to 1<<maxClass bytes are used again, and those of 1<<minSmall
// to 1<<maxSmall, which frames have copies of: others would take more memory for as
// long as they are kept.
const (
	minSmall = 10
	maxSmall = 12
	minClass = 14
	maxClass = 21
)

// pooled says whether areas of 1<<class bytes are used again.
func pooled(class int) bool {
	return class >= minSmall && class <= maxSmall || class >= minClass && class <= maxClass
}

var areas [maxClass + 1]sync.Pool // of *byte, the start of 1<<class bytes

// NewArea gives an empty buffer for the records of an area, with room for size
// bytes at least. What lies behind its length is not zero.
func NewArea(size int) []byte {
	class := bits.Len(uint(max(size, 1) - 1))
	if !pooled(class) {
		return make([]byte, 0, size)
	}
	if p, ok := areas[class].Get().(*byte); ok {
		return unsafe.Slice(p, 1<<class)[:0]
	}
	return make([]byte, 0, 1<<class)
}

// ReuseArea takes the buffer of an area back that nobody has any more, and of which no
// frame was made.
func ReuseArea(b []byte) { reuseArea(b) }

func reuseArea(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if !pooled(class) || cap(b) != 1<<class {
		return
	}
	b = b[:cap(b)]
	if poison {
		for i := range b {
			b[i] = 0xdb
		}
	}
	areas[class].Put(unsafe.SliceData(b))
}

// What became of a frame's area.
const (
	useApplied = 1 << iota
	useDropped
	useLent
	useAlike // says nothing of what became of it
)

// use is the set of what became of a frame's area, and what is known of it.
type use struct{ state atomic.Uint32 }

// MarkAlike notes that all records of the frame have the same subject.
func (f *Frame) MarkAlike() { f.use.state.Or(useAlike) }

// Alike says that all records of the frame are known to have the same subject.
func (f *Frame) Alike() bool { return f.use.state.Load()&useAlike != 0 }

// Lent says that somebody was given bytes of the area whose life nobody knows. It
// is called before they are given, and before Dropped.
func (f *Frame) Lent() {
	if f.use.state.Load()&useLent == 0 {
		f.use.state.Or(useLent)
	}
}

// Applied says that the partition which sealed the frame does not read it any
// more. It is called once.
func (f *Frame) Applied() { f.done(useApplied) }

// Dropped says that the log in which the frame was has let go of it, and that
// nobody can find it there any more. It is called once; the caller must not read
// the area afterwards.
func (f *Frame) Dropped() { f.done(useDropped) }

func (f *Frame) done(bit uint32) {
	if (f.use.state.Or(bit)|bit)&^useAlike == useApplied|useDropped {
		area := f.Area
		f.Area = nil
		if !f.packed {
			reuseArea(area)
		}
	}
}
