package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sort"
	"sync"

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
)

// blockEntry says where a block is.
type blockEntry struct {
	off int64 // of its first byte, without transforms
	at  int64 // in the file
}

// context is what a block of a segment is bound to.
func (l *Log) context(no uint64) []byte {
	b := make([]byte, 0, 20)
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
// table.
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
		b := make([]byte, seg.footer)
		if n, _ := h.file.ReadAt(b, seg.stored); n == len(b) {
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

// blockReaders are those that no walker has.
var blockReaders = sync.Pool{New: func() any { return new(blockReader) }}

// blockReader gives a walker the bytes of a segment of blocks as if they were not
// transformed. Those of a block that cannot be had are zeros: the frames there do
// not verify, and the walker goes on behind them.
type blockReader struct {
	l      *Log
	seg    *segment
	h      *handle // during a call of ReadAt
	keys   *atrest.Keyring
	opener *atrest.Opener
	table  []blockEntry

	raw  []byte // a block as it is stored
	buf  []byte // the block that was read last
	off  int64  // of buf
	past int64  // where that block ends in the file
	bads []badBlock
}

// badBlock is a block that was found damaged.
type badBlock struct {
	blockEntry
	end int64
	err error
}

// of makes the reader one of a segment, during one call of a walker.
func (r *blockReader) of(l *Log, seg *segment, h *handle) error {
	if r.opener == nil || r.keys != l.v.keys {
		r.keys, r.opener = l.v.keys, l.v.keys.Opener(segmentPurpose)
	}
	if r.l != l || r.seg == nil || r.seg.no != seg.no {
		r.buf, r.bads = r.buf[:0], r.bads[:0]
	}
	r.l, r.seg, r.h = l, seg, h
	var err error
	r.table, err = l.table(h, seg)
	return err
}

// rest gives the reader's memory back.
func (r *blockReader) rest() {
	r.l, r.seg, r.h, r.table = nil, nil, nil, nil
	r.buf, r.bads = r.buf[:0], r.bads[:0]
	blockReaders.Put(r)
}

// ReadAt implements io.ReaderAt.
func (r *blockReader) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off >= r.seg.length {
			return n, io.EOF
		}
		if !r.holds(off) {
			if err := r.load(off); err != nil {
				return n, err
			}
		}
		m := copy(p[n:], r.buf[off-r.off:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

func (r *blockReader) holds(off int64) bool {
	return off >= r.off && off < r.off+int64(len(r.buf))
}

// place is the block around off, and where the next one begins, both ways. What is
// before the first block belongs to one at the file's header.
func (r *blockReader) place(off int64) (e, next blockEntry) {
	i := sort.Search(len(r.table), func(i int) bool { return r.table[i].off > off })
	e, next = blockEntry{0, segmentHeader}, blockEntry{r.seg.length, r.seg.stored}
	if i > 0 {
		e = r.table[i-1]
	}
	if i < len(r.table) {
		next = r.table[i]
	}
	return e, next
}

// load reads the block around off, or at least one byte of zeros for what is not
// in any block that can be read.
func (r *blockReader) load(off int64) error {
	e, next := r.place(off)
	err := r.read(e, next)
	if err != nil && !errors.Is(err, atrest.ErrDamaged) {
		r.buf = r.buf[:0]
		return err
	}
	if err == nil && r.holds(off) {
		return nil
	}
	bad := badBlock{e, next.off, err}
	if err == nil { // the block ends before off: the next one is missing
		bad = badBlock{blockEntry{r.off + int64(len(r.buf)), r.past}, next.off, fmt.Errorf("block is missing: %w", atrest.ErrDamaged)}
	}
	r.note(bad)
	n := min(next.off-off, atrest.MaxBlock)
	r.buf = slices.Grow(r.buf[:0], int(n))[:n]
	clear(r.buf)
	r.off = off
	return nil
}

func (r *blockReader) read(e, next blockEntry) error {
	r.buf, r.off = r.buf[:0], e.off
	size := min(next.at-e.at, atrest.BlockHead+atrest.MaxBlock+atrest.Overhead)
	r.raw = slices.Grow(r.raw[:0], int(size))[:size]
	n, err := r.h.file.ReadAt(r.raw, e.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	buf, h, err := r.opener.Block(r.buf, r.raw[:n], atrest.MaxBlock, r.l.context(r.seg.no))
	if err == nil && h.Place != e.off || int64(len(buf)) > next.off-e.off {
		err = fmt.Errorf("block of %d bytes for %d: %w", h.Plain, h.Place, atrest.ErrDamaged)
	}
	if err == nil {
		r.buf, r.past = buf, e.at+h.Len()
	}
	return err
}

func (r *blockReader) note(b badBlock) {
	if !slices.ContainsFunc(r.bads, func(o badBlock) bool { return o.at == b.at }) {
		r.bads = append(r.bads, b)
	}
}

// blame says where in the file the byte at off is kept, and what is wrong there if
// its block is.
func (r *blockReader) blame(off int64, cause error) (int64, error) {
	for _, b := range r.bads {
		if off >= b.off && off < b.end {
			return b.at, damaged(b.err)
		}
	}
	e, _ := r.place(min(off, r.seg.length-1))
	return e.at, cause
}

// damaged makes damage of package atrest damage of a log.
func damaged(err error) error {
	if errors.Is(err, atrest.ErrDamaged) {
		return fmt.Errorf("%w: %w", record.ErrDamaged, err)
	}
	return err
}
