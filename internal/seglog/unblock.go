package seglog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"

	"github.com/weirmq/weir/internal/atrest"
)

// blockReaders are those that nobody uses.
var blockReaders = sync.Pool{New: func() any { return new(blockReader) }}

// blockReader reads a segment of blocks as if they were not transformed. The bytes
// of a block that cannot be had are zeros: the frames there do not verify, and a
// walker goes on behind them.
type blockReader struct {
	// set by the one who uses it
	file    io.ReaderAt
	seg     *segment
	table   []blockEntry
	context []byte
	bads    []badBlock // that were met

	keys   *atrest.Keyring
	opener *atrest.Opener

	ahead []byte // what was read of the file and is not used yet
	at    int64  // of ahead, in the file
	raw   []byte // what ahead is of
	buf   []byte // the block that was read last
	off   int64  // of buf
	past  int64  // where that block ends in the file
}

// badBlock is a block that was found damaged: where it begins and ends, without
// transforms.
type badBlock struct {
	blockEntry
	end int64
	err error
}

// readBlocks gives a reader for a segment, which rest takes back.
func (l *Log) readBlocks(h *handle, seg *segment) (*blockReader, error) {
	table, err := l.table(h, seg)
	if err != nil {
		return nil, err
	}
	r := blockReaders.Get().(*blockReader)
	if r.opener == nil || r.keys != l.v.keys {
		r.keys, r.opener = l.v.keys, l.v.keys.Opener(segmentPurpose)
	}
	r.file, r.seg, r.table = h.file, seg, table
	r.context = l.appendContext(r.context[:0], seg.no)
	return r, nil
}

// rest gives the reader's memory back.
func (r *blockReader) rest() {
	r.file, r.seg, r.table, r.ahead = nil, nil, nil, nil
	r.buf, r.bads = r.buf[:0], nil
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
			if err := r.load(off, off+int64(len(p)-n)); err != nil {
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

// place is the block around off, and the one behind it. What is before the first
// block belongs to one at the file's header; the last one ends with the segment.
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

// whole says how much to read from off, where n bytes are needed and more are
// wanted, so that it ends with a block: none is read twice then.
func (r *blockReader) whole(off int64, n, want int) int {
	e, next := r.place(off + int64(max(n, want)) - 1)
	if next.off-off > blockLen && e.off >= off+int64(n) {
		next = e
	}
	return int(min(next.off-off, int64(max(n, blockLen)), r.seg.length-off))
}

// load reads the block around off, or at least one byte of zeros for what is not
// in any block that can be read. What lies behind, up to end, is read with it.
func (r *blockReader) load(off, end int64) error {
	e, next := r.place(off)
	err := r.read(e, next, end)
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
	r.bads = append(r.bads, bad)
	n := min(next.off-off, atrest.MaxBlock)
	r.buf = slices.Grow(r.buf[:0], int(n))[:n]
	clear(r.buf)
	r.off = off
	return nil
}

// read reads the block at e.
func (r *blockReader) read(e, next blockEntry, end int64) error {
	r.buf, r.off = r.buf[:0], e.off
	size := min(next.at-e.at, mostStored)
	if err := r.fetch(e.at, size, end); err != nil {
		return err
	}
	raw := r.ahead[:min(size, int64(len(r.ahead)))]
	r.ahead, r.at = r.ahead[len(raw):], r.at+int64(len(raw)) // opening overwrites it
	buf, h, err := r.opener.Block(r.buf, raw, atrest.MaxBlock, r.context)
	if err == nil && (h.Place != e.off || int64(len(buf)) > next.off-e.off) {
		err = fmt.Errorf("block of %d bytes for %d: %w", h.Plain, h.Place, atrest.ErrDamaged)
	}
	if err == nil {
		r.buf, r.past = buf, e.at+h.Len()
	}
	return err
}

// mostStored is the longest block in a file.
const mostStored = atrest.BlockHead + atrest.MaxBlock + atrest.Overhead

// fetch makes ahead begin at a place of the file, with size bytes or what there is
// of them. It reads small blocks many at a time.
func (r *blockReader) fetch(at, size, end int64) error {
	if at == r.at && size <= int64(len(r.ahead)) {
		return nil
	}
	_, last := r.place(end - 1)
	size = max(size, min(last.at-at, mostStored))
	r.raw = slices.Grow(r.raw[:0], int(size))[:size]
	n, err := r.file.ReadAt(r.raw, at)
	if err != nil && !errors.Is(err, io.EOF) {
		r.ahead = nil
		return err
	}
	r.ahead, r.at = r.raw[:n], at
	return nil
}

// fillBlocks is window.fill for a segment of blocks.
func (w *walker) fillBlocks(h *handle, off int64, n int) error {
	r, err := w.l.readBlocks(h, w.seg)
	if err != nil {
		return err
	}
	defer r.rest()
	n = r.whole(off, n, w.win.next(off))
	err = w.win.fill(r, off, n, off+int64(n))
	w.win.noteBad(r.bads)
	return err
}

// noteBad remembers damaged blocks, for the frames in them.
func (w *window) noteBad(bads []badBlock) {
	for _, b := range bads {
		if !slices.ContainsFunc(w.bads, func(o badBlock) bool { return o.at == b.at }) {
			w.bads = append(w.bads, b)
		}
	}
}

// blame says where in the file length bytes from off are kept, and what is wrong
// there if a block is.
func (w *walker) blame(off, length int64, cause error) (int64, int64, error) {
	h, err := w.l.v.files.acquire(w.l, w.seg)
	if err != nil {
		return off, length, cause
	}
	defer w.l.v.files.release(h)
	r, err := w.l.readBlocks(h, w.seg)
	if err != nil {
		return off, length, cause
	}
	defer r.rest()
	e, _ := r.place(min(off, w.seg.length-1))
	for _, b := range w.win.bads {
		if off >= b.off && off < b.end {
			e, cause = b.blockEntry, damaged(b.err)
		}
	}
	_, next := r.place(min(off+max(length, 1), w.seg.length) - 1)
	if length > 0 {
		length = next.at - e.at
	}
	return e.at, length, cause
}
