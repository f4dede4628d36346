package nats

import "github.com/weirmq/weir/internal/chunk"

const (
	inputMin = 4 << 10
	inputMax = 256 << 10
	// quietReads is after how many small reads the buffer shrinks.
	quietReads = 16
)

// input is a connection's read buffer. It holds no memory while nothing is
// unread and the socket is empty.
type input struct {
	c     *chunk.Chunk // nil: nothing is unread
	b     []byte       // c's bytes, whole
	r, w  int          // b[r:w] is unread
	need  int          // bytes that the operation at r needs, as far as known
	size  int          // what the next buffer should have
	quiet int          // small reads in a row
}

// space gives room to read into, at least one byte.
func (in *input) space() []byte {
	if in.size == 0 {
		in.size = inputMin
	}
	unread := in.w - in.r
	want := max(in.size, in.need)
	switch {
	case in.c == nil:
		in.take(want)
	case unread == 0 && len(in.b) == want:
		in.r, in.w = 0, 0
	case len(in.b) < want || unread == 0 || len(in.b) > inputMax && want <= inputMax:
		in.move(want)
	case in.r > 0:
		copy(in.b, in.b[in.r:in.w])
		in.r, in.w = 0, unread
	}
	return in.b[in.w:]
}

func (in *input) take(size int) {
	in.c = chunk.Get(size)
	in.b = in.c.B[:cap(in.c.B)]
	in.r, in.w = 0, 0
}

// move goes on in another buffer with what is unread. There is more room in it
// than that, as the operation at r is not complete.
func (in *input) move(size int) {
	old, unread := in.c, in.b[in.r:in.w]
	in.take(max(size, len(unread)+1))
	in.w = copy(in.b, unread)
	old.Free()
}

// read notes that n of room bytes were read, and adapts.
func (in *input) read(n, room int) {
	in.w += n
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

// rest gives the memory back where nothing is unread.
func (in *input) rest() {
	if in.c != nil && in.r == in.w {
		in.release()
	}
}

func (in *input) release() {
	if in.c != nil {
		in.c.Free()
	}
	in.c, in.b, in.r, in.w, in.need = nil, nil, 0, 0, 0
}

// scratch gives a buffer whose contents do not matter.
func (in *input) scratch() []byte {
	in.release()
	in.take(inputMin)
	return in.b
}
