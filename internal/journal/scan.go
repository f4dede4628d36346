package journal

import (
	"fmt"
	"io"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

// window is the part of a file that was read last; readers share one.
type window struct {
	owner *reader
	off   int64
	n     int64
	buf   []byte

	opener *atrest.Opener // nil: one without keys
	plain  []byte         // the data of the encrypted batch that was read last
	bound  []byte
}

// reader reads one file through a window, so that small batches do not cost a
// call each.
type reader struct {
	f    vfs.File
	name string
	size int64 // whole blocks
	win  *window
}

// at gives n bytes from an offset; they must lie in the file. They are valid
// until the next call on any reader of the window.
func (r *reader) at(off, n int64) ([]byte, error) {
	w := r.win
	if w.owner == r && off >= w.off && off+n <= w.off+w.n {
		return w.buf[off-w.off:][:n], nil
	}
	want := min(max(n, MaxBatch), r.size-off)
	if int64(len(w.buf)) < want {
		w.buf = make([]byte, want)
	}
	w.owner = nil
	got, err := r.f.ReadAt(w.buf[:want], off)
	if err != nil && (err != io.EOF || int64(got) < n) {
		return nil, fmt.Errorf("read journal file %s at %d: %w", r.name, off, err)
	}
	w.owner, w.off, w.n = r, off, int64(got)
	return w.buf[:n], nil
}

// head reads header and directory at an offset. A batch that is not valid gives
// bad; err is for the disk.
func (r *reader) head(off int64) (b batch, bad, err error) {
	if off+blockSize > r.size {
		return batch{}, errNoBatch, nil
	}
	block, err := r.at(off, blockSize)
	if err != nil {
		return batch{}, nil, err
	}
	h, bad := parseHeader(block, r.size-off)
	if bad != nil {
		return batch{}, bad, nil
	}
	bytes, err := r.at(off, max(blockSize, h.headLen()))
	if err != nil {
		return batch{}, nil, err
	}
	b, bad = parseHead(bytes, r.size-off)
	return b, bad, nil
}

// batch reads a whole batch at an offset, decrypted. One whose data is bad has its
// directory and errChecksum.
func (r *reader) batch(off int64) (b batch, bad, err error) {
	b, bad, err = r.head(off)
	if bad != nil || err != nil {
		return b, bad, err
	}
	bytes, err := r.at(off, b.len())
	if err != nil {
		return batch{}, nil, err
	}
	if b, bad = parseBatch(bytes); bad == nil {
		bad, err = r.decrypt(off, &b)
	}
	if bad == nil && err == nil && !b.intact() {
		bad = errChecksum
	}
	return b, bad, err
}

// found is a batch whose header and directory are valid.
type found struct {
	off int64
	header
}

// scan visits the valid batch heads from an offset on, block by block, not
// looking into a batch that it found. False ends it.
func (r *reader) scan(off int64, visit func(found) bool) error {
	for off+blockSize <= r.size {
		b, bad, err := r.head(off)
		switch {
		case err != nil:
			return err
		case bad != nil:
			off += blockSize
		case !visit(found{off, b.header}):
			return nil
		default:
			off += b.len()
		}
	}
	return nil
}
