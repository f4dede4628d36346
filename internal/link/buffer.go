package link

import "github.com/weirmq/weir/internal/chunk"

const (
	inputMin = 4 << 10
	inputMax = 256 << 10
	// quietReads is after how many small reads the buffer shrinks.
	quietReads = 16
)

// Buffer is a connection's read buffer: what is unread is B[R:W]. It holds no memory while
// nothing is unread and the reader says that it rests. The zero value is ready; it belongs
// to the reader.
type Buffer struct {
	B    []byte // whole
	R, W int    // B[R:W] is unread
	Need int    // bytes that what begins at R needs, as far as known

	c     *chunk.Chunk // that B is; nil: nothing is unread
	size  int          // what the next buffer should have
	quiet int          // small reads in a row
}

// Space gives room to read into, at least one byte.
func (in *Buffer) Space() []byte {
	if in.size == 0 {
		in.size = inputMin
	}
	unread := in.W - in.R
	want := max(in.size, in.Need)
	switch {
	case in.c == nil:
		in.take(want)
	case unread == 0 && len(in.B) == want:
		in.R, in.W = 0, 0
	case len(in.B) < want || unread == 0 || len(in.B) > inputMax && want <= inputMax:
		in.move(want)
	case in.R > 0:
		copy(in.B, in.B[in.R:in.W])
		in.R, in.W = 0, unread
	}
	return in.B[in.W:]
}

func (in *Buffer) take(size int) {
	in.c = chunk.Get(size)
	in.B = in.c.B[:cap(in.c.B)]
	in.R, in.W = 0, 0
}

// move goes on in another buffer with what is unread. There is more room in it
// than that, as the operation at r is not complete.
func (in *Buffer) move(size int) {
	old, unread := in.c, in.B[in.R:in.W]
	in.take(max(size, len(unread)+1))
	in.W = copy(in.B, unread)
	old.Free()
}

// Read notes that n of room bytes were read, and adapts.
func (in *Buffer) Read(n, room int) {
	in.W += n
	switch {
	case n == room:
		in.size, in.quiet = chunk.Above(in.size, inputMax), 0
	case n <= in.size/8:
		if in.quiet++; in.quiet >= quietReads {
			in.size, in.quiet = chunk.Below(in.size, inputMin), 0
		}
	default:
		in.quiet = 0
	}
}

// Rest gives the memory back where nothing is unread.
func (in *Buffer) Rest() {
	if in.c != nil && in.R == in.W {
		in.Release()
	}
}

func (in *Buffer) Release() {
	if in.c != nil {
		in.c.Free()
	}
	in.c, in.B, in.R, in.W, in.Need = nil, nil, 0, 0, 0
}

// Scratch gives a buffer whose contents do not matter.
func (in *Buffer) Scratch() []byte {
	in.Release()
	in.take(inputMin)
	return in.B
}
