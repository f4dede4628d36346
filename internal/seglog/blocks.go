package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
)

// Layouts of a segment's file. All offsets of frames, the sparse index and what a
// walker reads count the bytes of header and frames as they are without transforms;
// only who writes the file, and blockReader, know where a block lies in it.
const (
	layoutFrames = 0 // frames as they are
	layoutBlocks = 1 // frames in blocks of package atrest, which follow each other
)

// purposes of encryption keys.
const (
	segmentPurpose  = "segment"
	manifestPurpose = "manifest"
	rosterPurpose   = "segment roster"
)

// blockEntry says where a block is.
type blockEntry struct {
	off int64 // of its first byte, without transforms
	at  int64 // in the file
}

// context is what a block of a segment is bound to.
func (l *Log) context(no uint64) []byte { return l.appendContext(nil, no) }

func (l *Log) appendContext(b []byte, no uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, l.id.ID)
	b = binary.LittleEndian.AppendUint32(b, l.id.Incarnation)
	return binary.LittleEndian.AppendUint64(b, no)
}

// Block table, behind the index in the footer of a sealed segment of blocks, little
// endian. It is a cache: without it the blocks' heads are read.
//
//	offset size
//	0      4    magic "WSB1"
//	4      4    checksum of the context and the table from offset 8
//	8      1    version (1)
//	9      3    0
//	12     4    count of blocks
//	16     16   each block: 0 8 offset of its first byte without transforms · 8 8 its offset in the file
const (
	tableMagic   = "WSB1"
	tableVersion = 1
	tableHeader  = 16
	tableEntry   = 16
)

func appendTable(dst []byte, context []byte, table []blockEntry) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, tableHeader)...)
	for _, e := range table {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.off))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.at))
	}
	b := dst[at:]
	copy(b, tableMagic)
	b[8] = tableVersion
	binary.LittleEndian.PutUint32(b[12:], uint32(len(table)))
	binary.LittleEndian.PutUint32(b[4:], tableSum(context, b))
	return dst
}

func tableSum(context, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(context, castagnoli), castagnoli, b[8:])
}

// parseTable reads the block table of a segment.
func parseTable(b, context []byte, seg *segment) ([]blockEntry, error) {
	if len(b) < tableHeader || string(b[:4]) != tableMagic || b[8] != tableVersion {
		return nil, fmt.Errorf("magic of the block table: %w", record.ErrDamaged)
	}
	n := uint64(binary.LittleEndian.Uint32(b[12:]))
	if tableSum(context, b) != binary.LittleEndian.Uint32(b[4:]) || uint64(len(b)-tableHeader) != n*tableEntry {
		return nil, fmt.Errorf("checksum of the block table: %w", record.ErrDamaged)
	}
	table := make([]blockEntry, n)
	prev := blockEntry{segmentHeader - 1, segmentHeader - 1}
	for i := range table {
		p := b[tableHeader+i*tableEntry:]
		e := blockEntry{int64(binary.LittleEndian.Uint64(p)), int64(binary.LittleEndian.Uint64(p[8:]))}
		if e.off <= prev.off || e.off >= seg.length || e.at <= prev.at || e.at >= seg.stored {
			return nil, fmt.Errorf("order of the block table: %w", record.ErrDamaged)
		}
		table[i], prev = e, e
	}
	return table, nil
}

// parseFooters reads the index of a sealed segment and, if it has blocks, their
// table, from its footer without the roster.
func (l *Log) parseFooters(b []byte, seg *segment) ([]indexEntry, []blockEntry, error) {
	if seg.layout == layoutFrames {
		index, err := parseFooter(b, l.id, seg.no, seg.length)
		return index, nil, err
	}
	n := uint64(footerHeader)
	if len(b) >= footerHeader {
		n += uint64(binary.LittleEndian.Uint32(b[12:])) * entryLen
	}
	if n > uint64(len(b)) {
		return nil, nil, fmt.Errorf("length of the footer: %w", record.ErrDamaged)
	}
	index, err := parseFooter(b[:n], l.id, seg.no, seg.length)
	if err != nil {
		return nil, nil, err
	}
	table, err := parseTable(b[n:], l.context(seg.no), seg)
	return index, table, err
}

// blockTable is a table that a handle keeps.
type blockTable struct {
	stored  int64 // up to where it was read
	entries []blockEntry
}

// table gives the block table of a segment.
func (l *Log) table(h *handle, seg *segment) ([]blockEntry, error) {
	if seg.indexed {
		return seg.blocks, nil
	}
	if t := h.blocks.Load(); t != nil && t.stored >= seg.stored {
		return t.entries, nil
	}
	if seg.footer > 0 {
		if b, _ := readFooter(h.file, seg); b != nil {
			if _, table, err := l.parseFooters(b, seg); err == nil {
				h.blocks.Store(&blockTable{seg.stored, table})
				return table, nil
			}
		}
		l.v.log.Warn("footer is damaged; the heads of blocks are read", "file", l.path(segmentName(seg.no)))
	}
	table, err := scanBlocks(h.file, l.context(seg.no), seg)
	if err != nil {
		return nil, err
	}
	h.blocks.Store(&blockTable{seg.stored, table})
	return table, nil
}

// scanBlocks finds the blocks of a segment by their heads. What is damaged is left
// out.
func scanBlocks(f io.ReaderAt, context []byte, seg *segment) ([]blockEntry, error) {
	var table []blockEntry
	var head [atrest.BlockHead]byte
	for at, off := int64(segmentHeader), int64(segmentHeader); at < seg.stored; {
		n, err := f.ReadAt(head[:], at)
		if n < len(head) {
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return table, nil // what is missing is said where it is read
		}
		h, err := atrest.ParseHead(head[:], context)
		if errors.Is(err, atrest.ErrUnknown) {
			return nil, err
		}
		if err == nil && h.Place >= off && h.Place < seg.length && at+h.Len() <= seg.stored {
			table = append(table, blockEntry{h.Place, at})
			off, at = h.Place+int64(h.Plain), at+h.Len()
			continue
		}
		if at, err = nextMagic(f, at+1, seg.stored); err != nil {
			return nil, err
		}
	}
	return table, nil
}

// nextMagic finds what may be a block's head; end if there is none.
func nextMagic(f io.ReaderAt, at, end int64) (int64, error) {
	buf := make([]byte, firstRead)
	for at < end {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
		if i := bytes.Index(buf[:n], []byte(atrest.BlockMagic)); i >= 0 {
			return at + int64(i), nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return end, nil
			}
			return 0, err
		}
		at += int64(max(1, n-len(atrest.BlockMagic)+1))
	}
	return end, nil
}

// damaged makes damage of package atrest damage of a log.
func damaged(err error) error {
	if errors.Is(err, atrest.ErrDamaged) {
		return fmt.Errorf("%w: %w", record.ErrDamaged, err)
	}
	return err
}
