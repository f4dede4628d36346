package subjects

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/weirmq/weir/internal/record"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A block, little endian:
//
//	offset size
//	0      4    checksum of the block from offset 4
//	4      4    count of entries, from 1
//	8      8    number of the run
//	16     8    offset of the block in the file
//	24          entries, rising by subject
//
// An entry: how many bytes its subject shares with the one before, how many
// follow, those bytes, then what appendEntry writes.
const (
	blockHeader = 24
	// blockBytes is the length at which a block is ended: a look-up walks through half
	// a block.
	blockBytes = 1 << 10
	// maxBlock is longer than any block: the last entry may pass blockBytes.
	maxBlock = blockBytes + MaxSubject + (MaxInline+8)*binary.MaxVarintLen64
)

// blockWriter gathers a block.
type blockWriter struct {
	b     []byte
	prev  []byte
	first []byte
	count uint32
}

func (w *blockWriter) reset() {
	w.b = append(w.b[:0], make([]byte, blockHeader)...)
	w.prev, w.first, w.count = w.prev[:0], w.first[:0], 0
}

func (w *blockWriter) add(name []byte, e *Entry) {
	if w.count == 0 {
		w.first = append(w.first, name...)
	}
	n := sharedPrefix(w.prev, name)
	w.b = binary.AppendUvarint(w.b, uint64(n))
	w.b = binary.AppendUvarint(w.b, uint64(len(name)-n))
	w.b = append(w.b, name[n:]...)
	w.b = appendEntry(w.b, e)
	w.prev = append(w.prev[:0], name...)
	w.count++
}

// finish gives the block, which lies at off in run no. It is valid until reset.
func (w *blockWriter) finish(no uint64, off int64) []byte {
	binary.LittleEndian.PutUint32(w.b[4:], w.count)
	binary.LittleEndian.PutUint64(w.b[8:], no)
	binary.LittleEndian.PutUint64(w.b[16:], uint64(off))
	binary.LittleEndian.PutUint32(w.b, crc32.Checksum(w.b[4:], castagnoli))
	return w.b
}

func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// verifyBlock checks that b is the block at off of run no.
func verifyBlock(b []byte, no uint64, off int64) error {
	if len(b) < blockHeader || crc32.Checksum(b[4:], castagnoli) != binary.LittleEndian.Uint32(b) {
		return fmt.Errorf("checksum of a block: %w", record.ErrDamaged)
	}
	if binary.LittleEndian.Uint64(b[8:]) != no || binary.LittleEndian.Uint64(b[16:]) != uint64(off) {
		return fmt.Errorf("block of another place: %w", record.ErrDamaged)
	}
	return nil
}

// blockIter walks through the entries of a block.
type blockIter struct {
	rest  []byte
	left  uint32
	name  []byte // of the entry; valid until next
	entry Entry  // its Seqs are valid until next
	err   error
}

// start begins with a block, verified or not. It keeps the buffers.
func (it *blockIter) start(b []byte) {
	it.name, it.err, it.left, it.rest = it.name[:0], nil, 0, nil
	if len(b) < blockHeader {
		it.err = fmt.Errorf("length of a block: %w", record.ErrDamaged)
		return
	}
	it.left, it.rest = binary.LittleEndian.Uint32(b[4:]), b[blockHeader:]
}

// next goes to the next entry; false at the end and after an error.
func (it *blockIter) next() bool {
	if it.err != nil {
		return false
	}
	r := reader{b: it.rest}
	if it.left == 0 {
		if len(it.rest) != 0 {
			r.fail("bytes behind a block's entries")
			it.err = r.err
		}
		return false
	}
	n, more := r.number(), r.number()
	if n > uint64(len(it.name)) || more > MaxSubject || n+more > MaxSubject {
		r.fail("length of a subject")
	}
	tail := r.bytes(more)
	if r.err == nil {
		if old := it.name[n:]; len(it.name) > 0 && bytes.Compare(tail, old) <= 0 {
			r.fail("order of subjects")
		} else {
			it.name = append(it.name[:n], tail...)
			it.rest, r.err = decodeEntry(r.b, &it.entry)
		}
	}
	it.err = r.err
	it.left--
	return it.err == nil
}

// seek goes to the first entry at or behind name. It must stand at the start.
// An entry that shares more bytes with the one before it than that one does with
// name is before name, too: its bytes are not compared.
func (it *blockIter) seek(name []byte) bool {
	same := 0 // how many bytes of name the entry before it begins with
	for first := true; ; first = false {
		n, _ := binary.Uvarint(it.rest)
		if !it.next() {
			return false
		}
		if !first && n > uint64(same) {
			continue
		}
		n = min(n, uint64(same))
		same = int(n) + sharedPrefix(it.name[n:], name[n:])
		if bytes.Compare(it.name[same:], name[same:]) >= 0 {
			return true
		}
	}
}
