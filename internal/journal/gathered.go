package journal

import (
	"hash/crc32"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

// apartFrom is from how many bytes of data on a batch leaves a gap between its
// directory and its data, so that the data need not be moved when the directory's
// length is known. Below, moving costs less than another block to write.
const apartFrom = 64 << 10

// gathered is a batch that is put together. Its entries are copied at once, so
// that only the head is left to write when the disk is free.
type gathered struct {
	apart int  // apartFrom, less for small files
	seals bool // the data is going to be encrypted
	body  atrest.Body
	buf   []byte // aligned: room for the head, whole blocks, then the data
	head  int    // bytes of that room
	data  int    // bytes of data
	dir   []byte // the directory
	runs  []run
	cost  int64 // of all entries in runs
	bound []byte
}

func newGathered(maxBatch int, seals bool) *gathered {
	b := &gathered{apart: min(apartFrom, max(maxBatch/2, 1)), seals: seals}
	b.room(maxBatch)
	return b
}

// room makes a buffer for entries of cost bytes.
func (b *gathered) room(cost int) {
	// Either may take it all: the data of a few large entries, or the directory of
	// many small ones. Memory that is never touched is none. An envelope is shorter
	// than the data that it belongs to, or goes where there is room for as much data.
	b.head = int(padded(int64(headerSize + cost)))
	b.buf = vfs.AlignedBuffer(2 * b.head)
}

// reset empties the batch, and gives back the buffer of one with a huge entry.
func (b *gathered) reset(maxBatch int) {
	clear(b.runs)
	b.runs, b.dir, b.data, b.cost = b.runs[:0], b.dir[:0], 0, 0
	if b.head > int(padded(int64(headerSize+maxBatch))) {
		b.room(maxBatch)
	}
}

// add copies the entries of the runs from index from on.
func (b *gathered) add(from int) {
	if int64(b.head) < b.cost {
		b.room(int(b.cost)) // one huge entry, alone
	}
	for i := from; i < len(b.runs); i++ {
		r := &b.runs[i]
		b.addSpan(r, r.a)
		b.addSpan(r, r.b)
	}
	b.encryptFull()
}

func (b *gathered) addSpan(r *run, span []pending) {
	data := b.buf[b.head:]
	for i := range span {
		p := &span[i]
		start := b.data
		for _, part := range p.parts() {
			b.data += copy(data[b.data:], part)
		}
		// The entry stays as it is: its ring may be copied to a larger one meanwhile.
		sum := p.sum
		switch {
		case b.seals: // it would tell of the data
			sum = 0
		case !p.summed:
			sum = crc32.Checksum(data[start:b.data], castagnoli)
		}
		rec := record{group: r.g.id, term: p.term, index: p.index, length: uint32(p.size), sum: sum, kind: p.kind}
		at := len(b.dir)
		b.dir = append(b.dir, make([]byte, recordSize)...)
		rec.put(b.dir[at:])
		r.last, r.high = p.index, max(r.high, p.index)
	}
}

// shape sets what h says of lengths.
func (b *gathered) shape(h *header) {
	h.count = uint32(len(b.dir) / recordSize)
	h.dataLen = uint32(b.data)
	if b.data >= b.apart {
		h.flags |= flagApart
	}
	if b.seals && b.data > 0 {
		h.flags |= flagEncrypted
	}
}

// seal writes the head, encrypts what is left of the data, and gives the batch's
// bytes.
func (b *gathered) seal(h *header) []byte {
	out := b.lay(h)
	h.put(out)
	copy(out[headerSize:], b.dir)
	if h.flags&flagEncrypted != 0 {
		b.encrypt(h, out)
	}
	h.seal(out[:h.headLen()])
	return out
}

// lay puts the data where it belongs, with zeros before and behind, and gives the
// bytes of the batch.
func (b *gathered) lay(h *header) []byte {
	n := int(h.headLen())
	if h.flags&flagApart == 0 {
		// All in the room of the head, and behind it as far as the data reached.
		copy(b.buf[n:], b.buf[b.head:b.head+b.data])
		out := b.buf[:h.len()]
		clear(out[n+b.data:])
		return out
	}
	out := b.buf[b.head-int(h.dataOff()):][:h.len()]
	clear(out[n:h.dataOff()])
	clear(out[int(h.dataOff())+b.data:])
	return out
}
