package subjects

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/weirmq/weir/internal/record"
)

// The head of a run, little endian. It is written last.
//
//	offset size
//	0      4    magic "WSR1"
//	4      4    checksum of the head from offset 8
//	8      1    version (1)
//	9      7    0
//	16     8    partition id
//	24     4    partition incarnation
//	28     4    0
//	32     8    number of the run
//	40     8    count of entries, tombstones included
//	48     8    offset of the block index, where the blocks end
//	56     8    length of the block index, where the file ends
const (
	headMagic   = "WSR1"
	headVersion = 1
	headLen     = 64
)

// head is what Open reads of a run.
type head struct {
	id       record.Identity
	no       uint64
	entries  uint64
	indexOff int64
	indexLen int64
}

// size is the length of the run's file.
func (h *head) size() int64 { return h.indexOff + h.indexLen }

func (h *head) encode() []byte {
	b := make([]byte, headLen)
	copy(b, headMagic)
	b[8] = headVersion
	binary.LittleEndian.PutUint64(b[16:], h.id.ID)
	binary.LittleEndian.PutUint32(b[24:], h.id.Incarnation)
	binary.LittleEndian.PutUint64(b[32:], h.no)
	binary.LittleEndian.PutUint64(b[40:], h.entries)
	binary.LittleEndian.PutUint64(b[48:], uint64(h.indexOff))
	binary.LittleEndian.PutUint64(b[56:], uint64(h.indexLen))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return b
}

// parseHead reads a head. Its lengths are within the bounds of a run; whether
// the file is as long is the caller's to check.
func parseHead(b []byte) (head, error) {
	if len(b) < headLen || string(b[:4]) != headMagic || b[8] != headVersion {
		return head{}, fmt.Errorf("magic of a run: %w", record.ErrDamaged)
	}
	b = b[:headLen]
	if crc32.Checksum(b[8:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return head{}, fmt.Errorf("checksum of a run's head: %w", record.ErrDamaged)
	}
	h := head{
		id:       record.Identity{ID: binary.LittleEndian.Uint64(b[16:]), Incarnation: binary.LittleEndian.Uint32(b[24:])},
		no:       binary.LittleEndian.Uint64(b[32:]),
		entries:  binary.LittleEndian.Uint64(b[40:]),
		indexOff: int64(binary.LittleEndian.Uint64(b[48:])),
		indexLen: int64(binary.LittleEndian.Uint64(b[56:])),
	}
	if h.indexOff < headLen || h.indexOff > 1<<56 || h.indexLen < indexHeader || h.indexLen > maxIndex {
		return head{}, fmt.Errorf("lengths in a run's head: %w", record.ErrDamaged)
	}
	return h, nil
}
