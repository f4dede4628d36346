package seglog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// Sizes of reads. A reader begins small, for it may want a single record, and
// reads large blocks once it goes on.
const (
	firstRead = 32 << 10
	blockLen  = 256 << 10
)

var blocks = sync.Pool{New: func() any { return new([blockLen]byte) }}

// window is the part of a segment's file that a reader holds in memory.
type window struct {
	buf   []byte
	block *[blockLen]byte // what buf is of, if it came from the pool
	piece *piece          // what buf is of, if it was read ahead
	off   int64           // offset of buf in the file
	n     int             // bytes of buf that are read
	ahead int             // size of the next read
	most  int             // bound of ahead; 0: blockLen
	// bads are the damaged blocks that were met, in a segment of blocks.
	bads []badBlock
}

// held gives the bytes from off on, if n of them are there.
func (w *window) held(off int64, n int) []byte {
	at := off - w.off
	if at < 0 || at+int64(n) > int64(w.n) {
		return nil
	}
	return w.buf[at : at+int64(n)]
}

// rest gives what is there from off on.
func (w *window) rest(off int64) []byte {
	if at := off - w.off; at >= 0 && at < int64(w.n) {
		return w.buf[at:w.n]
	}
	return nil
}

// reset forgets the content and gives the memory back.
func (w *window) reset() {
	w.release()
	*w = window{}
}

// release gives back what buf is of.
func (w *window) release() {
	if w.block != nil {
		blocks.Put(w.block)
		w.block = nil
	}
	if w.piece != nil {
		w.piece.give()
		w.piece = nil
	}
}

// make gives the window a buffer of at least size bytes that begins with keep.
func (w *window) make(size int, keep []byte) {
	fits := size <= len(w.buf) && (len(w.buf) <= blockLen || size > blockLen)
	if fits {
		copy(w.buf, keep)
		return
	}
	old := window{block: w.block, piece: w.piece}
	w.block, w.piece = nil, nil
	switch {
	case size <= firstRead:
		w.buf = make([]byte, firstRead)
	case size <= blockLen:
		w.block = blocks.Get().(*[blockLen]byte)
		w.buf = w.block[:]
	default:
		w.buf = make([]byte, size)
	}
	copy(w.buf, keep)
	old.release()
}

// follows says whether a read from off goes on with what is there.
func (w *window) follows(off int64) bool {
	return off >= w.off && off <= w.off+int64(w.n) && w.n > 0
}

// next is how much the next read, from off, is to be.
func (w *window) next(off int64) int {
	if w.follows(off) {
		return min(max(w.ahead, firstRead)*4, cmp.Or(w.most, blockLen))
	}
	return firstRead
}

// fill reads at least n bytes from off, and more while the reader goes forward,
// but nothing from end on. An error that wraps record.ErrDamaged says that the
// file is shorter.
func (w *window) fill(f io.ReaderAt, off int64, n int, end int64) error {
	var keep []byte
	w.ahead = w.next(off)
	if w.follows(off) {
		keep = w.buf[off-w.off : w.n]
	}
	size := int(min(int64(max(n, w.ahead)), end-off))
	kept := len(keep)
	// What comes next may be read past the page cache.
	if cut := int((off + int64(size)) % vfs.DirectAlign); off+int64(size) < end && size-cut >= max(n, kept) {
		size -= cut
	}
	w.make(size, keep)
	w.off, w.n = off, kept
	m, err := f.ReadAt(w.buf[kept:size], off+int64(kept))
	w.n += m
	switch {
	case w.n >= n:
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("file ends at %d: %w", off+int64(w.n), record.ErrDamaged)
	default:
		return err
	}
}
