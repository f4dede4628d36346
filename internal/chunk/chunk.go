package chunk

import (
	"sync"
	"sync/atomic"
)

// Sizes of the classes in bytes: the capacities that Get gives. A request above
// the largest is served by an allocation of its own that no pool keeps.
const (
	Smallest = 1 << 10
	Largest  = 4 << 20
	step     = 4
)

var (
	sizes = [...]int{Smallest, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, Largest}
	pools [len(sizes)]sync.Pool
)

// unpooled is the class of a chunk larger than Largest.
const unpooled = -1

// Chunk is a borrowed buffer. The owner appends to B up to its capacity; more
// than that leaves the chunk behind.
type Chunk struct {
	B []byte // in use; starts at the buffer's first byte

	whole []byte // the buffer itself, whatever the owner did with B
	class int
	refs  atomic.Int32
}

// Get lends an empty chunk with room for at least size bytes, owned once.
func Get(size int) *Chunk {
	class := classOf(size)
	if class == unpooled {
		return fresh(make([]byte, size), unpooled)
	}
	if c, ok := pools[class].Get().(*Chunk); ok {
		c.B = c.whole[:0]
		c.refs.Store(1)
		return c
	}
	return fresh(make([]byte, sizes[class]), class)
}

func fresh(b []byte, class int) *Chunk {
	c := &Chunk{B: b[:0], whole: b, class: class}
	c.refs.Store(1)
	return c
}

func classOf(size int) int {
	for i, s := range sizes {
		if size <= s {
			return i
		}
	}
	return unpooled
}

// Cap is the number of bytes that the chunk holds in memory.
func (c *Chunk) Cap() int { return len(c.whole) }

// Room is the number of bytes that can still be appended to B.
func (c *Chunk) Room() int { return cap(c.B) - len(c.B) }

// Shared says whether the chunk has more than one owner. An owner that is told
// false stays the only one until it calls Retain itself.
func (c *Chunk) Shared() bool { return c.refs.Load() > 1 }

// Retain adds an owner. Only an owner may call it.
func (c *Chunk) Retain() { c.refs.Add(1) }

// Free ends one ownership; after the last one the bytes may be lent again.
func (c *Chunk) Free() {
	switch n := c.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("chunk: freed more often than retained")
	}
	if c.class != unpooled {
		pools[c.class].Put(c)
	}
}

// Above gives the size of the next class over size, at most limit.
func Above(size, limit int) int { return min(size*step, limit) }

// Below gives the size of the next class under size, at least floor.
func Below(size, floor int) int { return max(size/step, floor) }

// Wrap gives a chunk of memory that is the caller's to give away: no pool takes it.
func Wrap(b []byte) *Chunk {
	c := fresh(b, unpooled)
	c.B = b
	return c
}

// Hold gives the chunk that b lies in, owned once: c, whose owner has appended to it to
// get b, or one of its own if b has grown out of c, which is freed then.
func Hold(c *Chunk, b []byte) *Chunk {
	if len(b) == 0 || &b[0] == &c.whole[0] {
		c.B = b
		return c
	}
	c.Free()
	return Wrap(b)
}
