package subjects

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"sort"

	"github.com/weirmq/weir/internal/record"
)

// The block index of a run, little endian:
//
//	offset size
//	0      4    checksum of the index from offset 4
//	4      4    count of blocks
//	8      8    number of the run
//	16          for each block: the length of its first subject, the block's
//	            length, both variable-length numbers, and the subject
//
// Blocks follow each other from the end of the head.
const indexHeader = 16

// maxIndex bounds the index of a run, in bytes.
const maxIndex = math.MaxUint32

// indexWriter gathers the index of a run.
type indexWriter struct {
	b     []byte
	count uint32
}

func (w *indexWriter) add(first []byte, length int) {
	if w.count == 0 {
		w.b = append(w.b[:0], make([]byte, indexHeader)...)
	}
	w.b = binary.AppendUvarint(w.b, uint64(len(first)))
	w.b = binary.AppendUvarint(w.b, uint64(length))
	w.b = append(w.b, first...)
	w.count++
}

func (w *indexWriter) finish(no uint64) []byte {
	if w.count == 0 {
		w.b = append(w.b[:0], make([]byte, indexHeader)...)
	}
	binary.LittleEndian.PutUint32(w.b[4:], w.count)
	binary.LittleEndian.PutUint64(w.b[8:], no)
	binary.LittleEndian.PutUint32(w.b, crc32.Checksum(w.b[4:], castagnoli))
	return w.b
}

// blockIndex is the index of a run in memory. It is immutable.
type blockIndex struct {
	raw    []byte
	blocks []place
}

// place is where a block lies and where in raw its first subject does.
type place struct {
	off        int64
	length     uint32
	name, ends uint32
}

func (x *blockIndex) name(i int) []byte { return x.raw[x.blocks[i].name:x.blocks[i].ends] }

// size is the index's memory in bytes.
func (x *blockIndex) size() int64 { return int64(cap(x.raw) + cap(x.blocks)*24 + 64) }

// find is the block in which name lies if the run has it; -1 if none.
func (x *blockIndex) find(name []byte) int {
	return sort.Search(len(x.blocks), func(i int) bool { return bytes.Compare(x.name(i), name) > 0 }) - 1
}

// parseIndex reads the index of run no, whose blocks end at end. It keeps b.
func parseIndex(b []byte, no uint64, end int64) (*blockIndex, error) {
	if len(b) < indexHeader || crc32.Checksum(b[4:], castagnoli) != binary.LittleEndian.Uint32(b) {
		return nil, fmt.Errorf("checksum of the block index: %w", record.ErrDamaged)
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if binary.LittleEndian.Uint64(b[8:]) != no || uint64(n) > uint64(len(b))/3 || uint64(len(b)) > maxIndex {
		return nil, fmt.Errorf("block index of another run: %w", record.ErrDamaged)
	}
	x := &blockIndex{raw: b, blocks: make([]place, 0, n)}
	r := reader{b: b[indexHeader:]}
	off := int64(headLen)
	for i := range int(n) {
		name, length := r.number(), r.number()
		if length < blockHeader || length > maxBlock {
			r.fail("length of a block")
		}
		at := len(b) - len(r.b)
		if r.bytes(name); r.err != nil {
			return nil, r.err
		}
		x.blocks = append(x.blocks, place{off, uint32(length), uint32(at), uint32(at) + uint32(name)})
		off += int64(length)
		if i > 0 && bytes.Compare(x.name(i-1), x.name(i)) >= 0 {
			return nil, fmt.Errorf("order of the block index: %w", record.ErrDamaged)
		}
	}
	if len(r.b) != 0 || off != end {
		return nil, fmt.Errorf("length of the block index: %w", record.ErrDamaged)
	}
	return x, nil
}
