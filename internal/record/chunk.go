package record

import "encoding/binary"

// Small frames of one log are laid into chunks, one after the other: in an area of its
// own, which has room for what might have come, each would keep several times its
// length in memory until it is written.
const (
	// SmallArea is the longest area that is copied into a chunk.
	SmallArea = 4 << 10

	minChunk = 256
	maxChunk = 16 << 10
	// frameBytes guesses how long the frames of a chunk are.
	frameBytes = 256
)

// Packer seals the frames of one log. The zero value is ready. It is not safe for
// concurrent use.
type Packer struct {
	buf    []byte
	frames []Frame
	size   int // of the last chunk
}

// Forget lets the memory go that is kept for the frames to come. The first of them get
// little.
func (p *Packer) Forget() { *p = Packer{} }

// Seal is the function Seal, which takes the area over, or not: packed says that the
// frame has a copy of it, and that the area is the caller's still.
func (p *Packer) Seal(h Header, area []byte, slots []Slot) (f *Frame, packed bool) {
	if len(area) > SmallArea {
		return Seal(h, area, slots), false
	}
	head := HeaderLen + slotLen*len(slots)
	b := p.take(head + len(area))
	f = p.frame()
	h.Count, h.AreaLen = uint32(len(slots)), uint32(len(area))
	f.Header, f.Head, f.Area, f.packed = h, b[:head:head], b[head:], true
	copy(f.Area, area)
	f.seal(slots)
	return f, true
}

// take gives n bytes of a chunk.
func (p *Packer) take(n int) []byte {
	if len(p.buf) < n {
		// A log that has filled one chunk will fill a larger one.
		p.size = max(n, min(max(2*p.size, minChunk), maxChunk))
		p.buf = make([]byte, p.size)
	}
	b := p.buf[:n:n]
	p.buf = p.buf[n:]
	return b
}

func (p *Packer) frame() *Frame {
	if len(p.frames) == 0 {
		p.frames = make([]Frame, max(1, p.size/frameBytes/2))
	}
	f := &p.frames[0]
	p.frames = p.frames[1:]
	return f
}

// seal writes the head of a frame with dense sequences; there is room for it.
func (f *Frame) seal(slots []Slot) {
	for i, s := range slots {
		d := f.Head[HeaderLen+i*slotLen:]
		binary.LittleEndian.PutUint32(d, s.Off)
		binary.LittleEndian.PutUint32(d[4:], s.Len)
		binary.LittleEndian.PutUint32(d[8:], s.Sum)
		binary.LittleEndian.PutUint32(d[12:], 0)
	}
	f.writeHeader()
}
