package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
)

// castagnoli is the polynomial of every checksum in this package.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Segment file: a header, whole frames, and in a sealed one a footer (see
// footer.go). A frame begins where the one before it ends, or, with zeros between
// them, at the next multiple of 4 KiB. Header, little endian:
//
//	offset size
//	0      4    magic "WSG1"
//	4      4    checksum of the header from offset 8
//	8      1    version (1)
//	9      1    layout: 0 frames as they are, 1 frames in blocks
//	10     6    0
//	16     8    partition id
//	24     4    partition incarnation
//	28     4    0
//	32     8    segment number
//	40     8    base sequence of the first frame
//	48     8    of a rewritten segment: first sequence of those that it was made from; else 0
//	56     8    last sequence of those; else 0
const (
	segmentMagic   = "WSG1"
	segmentVersion = 1
	segmentHeader  = 64
	gapAlign       = 4096
)

// segment is what a log knows of one of its files. It is immutable: growth and
// sealing replace it, so that readers use it without a lock.
type segment struct {
	no      uint64
	base    uint64 // sequence of the first record
	last    uint64 // sequence of the last record
	maxTime int64  // of all its records
	count   uint64 // records
	length  int64  // of header and frames, all of them written; not counting transforms
	footer  int64  // length of the footer; 0: none
	sealed  bool   // never written again
	layout  uint8
	stored  int64 // of header and blocks in the file, where the layout is of blocks

	index   []indexEntry // of the segment being written, if indexed
	blocks  []blockEntry // as index
	indexed bool
	gone    *atomic.Bool // no longer in the log: its file may not be there
	// past is there if frames were written past the page cache, by this process; true
	// once a reader goes through them so.
	past *atomic.Bool
}

// end is where header and frames end in the file.
func (s *segment) end() int64 {
	if s.layout == layoutFrames {
		return s.length
	}
	return s.stored
}

func segmentName(no uint64) string { return fmt.Sprintf("%d.seg", no) }

func appendSegmentHeader(dst []byte, id record.Identity, no, base uint64, layout uint8) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, segmentHeader)...)
	b := dst[at:]
	copy(b, segmentMagic)
	b[8], b[9] = segmentVersion, layout
	binary.LittleEndian.PutUint64(b[16:], id.ID)
	binary.LittleEndian.PutUint32(b[24:], id.Incarnation)
	binary.LittleEndian.PutUint64(b[32:], no)
	binary.LittleEndian.PutUint64(b[40:], base)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return dst
}

// seqRange is a range of sequences, both included; the zero value is none.
type seqRange struct{ first, last uint64 }

// appendRewrittenHeader is appendSegmentHeader for a segment that is made from others.
func appendRewrittenHeader(dst []byte, id record.Identity, no, base uint64, layout uint8, of seqRange) []byte {
	at := len(dst)
	dst = appendSegmentHeader(dst, id, no, base, layout)
	b := dst[at:]
	binary.LittleEndian.PutUint64(b[48:], of.first)
	binary.LittleEndian.PutUint64(b[56:], of.last)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return dst
}

// rewrittenOf is what a segment was made from, as its header says; none where that is
// damaged.
func rewrittenOf(b []byte) seqRange {
	if _, _, _, err := parseSegmentHeader(b); err != nil {
		return seqRange{}
	}
	return seqRange{binary.LittleEndian.Uint64(b[48:]), binary.LittleEndian.Uint64(b[56:])}
}

// parseSegmentHeader reads a header. Its error wraps record.ErrDamaged.
func parseSegmentHeader(b []byte) (id record.Identity, no, base uint64, err error) {
	switch {
	case len(b) < segmentHeader || string(b[:4]) != segmentMagic:
		err = fmt.Errorf("segment magic: %w", record.ErrDamaged)
	case crc32.Checksum(b[8:segmentHeader], castagnoli) != binary.LittleEndian.Uint32(b[4:]):
		err = fmt.Errorf("checksum of the segment header: %w", record.ErrDamaged)
	case b[8] != segmentVersion:
		err = fmt.Errorf("segment version %d is not known", b[8])
	case b[9] > layoutBlocks:
		err = fmt.Errorf("segment layout %d is not known", b[9])
	}
	if err != nil {
		return id, 0, 0, err
	}
	id = record.Identity{ID: binary.LittleEndian.Uint64(b[16:]), Incarnation: binary.LittleEndian.Uint32(b[24:])}
	return id, binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:]), nil
}
