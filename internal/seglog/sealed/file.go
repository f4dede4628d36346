package sealed

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

// writePages is how many pages are written at once.
const writePages = 32

// sealedFile is an open file of pages. Offsets and lengths are those without
// encryption. Reads may run at the same time; writes come one at a time.
type sealedFile struct {
	vfs.File
	head    []byte
	keys    *atrest.Keyring
	sealer  *atrest.PageSealer // nil: opened for reading
	readers sync.Pool          // of *pageReader
}

// open gives a file whose head can be read.
func open(file vfs.File, head []byte, keys *atrest.Keyring) (*sealedFile, error) {
	f := &sealedFile{File: file, head: head, keys: keys}
	r, err := f.reader()
	if err != nil {
		return nil, err
	}
	f.readers.Put(r)
	return f, nil
}

// pageReader is what one read needs.
type pageReader struct {
	f      *sealedFile
	opener *atrest.PageOpener
	buf    []byte
	page   []byte
}

func (f *sealedFile) reader() (*pageReader, error) {
	if r, ok := f.readers.Get().(*pageReader); ok {
		return r, nil
	}
	o, err := f.keys.PageOpener(f.head)
	if err != nil {
		return nil, damaged(err)
	}
	return &pageReader{f: f, opener: o, buf: make([]byte, atrest.PageStored)}, nil
}

// Size implements vfs.File.
func (f *sealedFile) Size() (int64, error) {
	n, err := f.File.Size()
	return atrest.PlainSize(n), err
}

// Truncate implements vfs.File.
func (f *sealedFile) Truncate(size int64) error {
	if size != 0 || f.sealer == nil {
		return fmt.Errorf("truncate %s to %d bytes: %w", f.Name(), size, errWrite)
	}
	return f.File.Truncate(atrest.PagesHead)
}

// Allocate implements vfs.File. Nothing is reserved: a length would have to be
// encrypted, too.
func (f *sealedFile) Allocate(int64) error { return nil }

// ReadAt implements vfs.File.
func (f *sealedFile) ReadAt(p []byte, off int64) (int, error) {
	r, err := f.reader()
	if err != nil {
		return 0, err
	}
	defer f.readers.Put(r)
	n := 0
	for n < len(p) {
		index, at := off/atrest.PageSize, int(off%atrest.PageSize)
		page, err := r.read(index)
		if err != nil {
			return n, err
		}
		if at >= len(page) {
			return n, io.EOF
		}
		m := copy(p[n:], page[at:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

// read reads a page, empty behind the end.
func (r *pageReader) read(index int64) ([]byte, error) {
	n, err := r.f.File.ReadAt(r.buf, atrest.PageAt(index))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	r.page, err = r.opener.Page(r.page[:0], r.buf[:n], index)
	if err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", r.f.Name(), atrest.PageAt(index), damaged(err))
	}
	return r.page, nil
}

// WriteAt implements vfs.File.
func (f *sealedFile) WriteAt(p []byte, off int64) (int, error) {
	if f.sealer == nil {
		return 0, fmt.Errorf("write %s: %w", f.Name(), errWrite)
	}
	r, err := f.reader()
	if err != nil {
		return 0, err
	}
	defer f.readers.Put(r)
	if err := f.fillGap(r, off); err != nil {
		return 0, err
	}
	var out []byte
	first := off / atrest.PageSize
	for n, index := 0, first; n < len(p); index++ {
		at := int(off+int64(n)) % atrest.PageSize
		var page []byte
		if at > 0 || len(p)-n < atrest.PageSize {
			if page, err = r.read(index); err != nil {
				return 0, err
			}
		}
		m := min(len(p)-n, atrest.PageSize-at)
		if len(page) < at+m {
			page = append(page, make([]byte, at+m-len(page))...)
		}
		copy(page[at:], p[n:n+m])
		n += m
		out = f.sealer.AppendPage(out, page, index)
		if len(out) < writePages*atrest.PageStored && n < len(p) {
			continue
		}
		if _, err := f.File.WriteAt(out, atrest.PageAt(first)); err != nil {
			return 0, err
		}
		out, first = out[:0], index+1
	}
	return len(p), nil
}

// fillGap makes the page that the file ends in whole, with those behind it
// up to an offset, where a write begins further on.
func (f *sealedFile) fillGap(r *pageReader, off int64) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	for size < off {
		index := size / atrest.PageSize
		page, err := r.read(index)
		if err != nil {
			return err
		}
		end := min(off-index*atrest.PageSize, atrest.PageSize)
		page = append(page, make([]byte, end-int64(len(page)))...)
		if _, err := f.File.WriteAt(f.sealer.AppendPage(nil, page, index), atrest.PageAt(index)); err != nil {
			return err
		}
		size = index*atrest.PageSize + end
	}
	return nil
}
