package seglog

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// gatherMost is the largest buffer that frames are gathered in.
const gatherMost = 2 << 20

// output is what the writer of a log knows of its files.
type output struct {
	born    bool   // the directory and a manifest are durable
	next    uint64 // number of the next segment
	pending uint64 // number of a segment that has a file but no frame yet; 0: none
	// files are those with writes that are not synced, by segment number. They
	// stay open until they are, so that no error of writing them back is missed.
	files     map[uint64]*outFile
	names     bool // files were made whose names are not durable
	collector collector
	garbage   []string // files that no manifest will name again
	failed    error    // a sync failed: nothing becomes durable any more
}

func (o *output) add(no uint64, f vfs.File) {
	if o.files == nil {
		o.files = make(map[uint64]*outFile)
	}
	o.files[no] = &outFile{File: f}
}

// closeFiles closes what was written.
func (o *output) closeFiles() {
	for _, f := range o.files {
		f.close()
	}
	o.files = nil
}

// outFile is a segment's file that is written to.
type outFile struct {
	vfs.File          // through the page cache
	direct   vfs.File // past it; nil while no write was large
	refused  bool     // the file system has no direct writes
	// tail is the beginning of the block in which the last direct write ended, up
	// to its end; nil before the first one.
	tail []byte
	// sealer encrypts the blocks of this file as long as it is open; nil before the
	// first one, and without a key.
	sealer *atrest.Sealer
}

// close closes the file. Whatever counts has been synced before.
func (f *outFile) close() {
	files := []vfs.File{f.File}
	if f.direct != nil {
		files = append(files, f.direct)
	}
	closeAll(files)
}

// place gives the offset at which frames of size bytes go on behind length, and
// opens the file for direct writes where this is to be one: copying much into the
// page cache and writing it back costs more of the processor than all else that is
// done for large records. A file that was once written so stays so, for it should
// not have both kinds in flight. The first direct write begins a block of its own:
// the block before it may be durable, and is not to be written again.
func (f *outFile) place(v *Volume, length, size int64) (int64, error) {
	if f.direct == nil {
		if err := f.openDirect(v, length, size); err != nil {
			return 0, err
		}
	}
	if f.direct == nil || f.tail != nil {
		return length, nil
	}
	return (length + vfs.DirectAlign - 1) &^ (vfs.DirectAlign - 1), nil
}

func (f *outFile) openDirect(v *Volume, length, size int64) error {
	if f.refused || v.directFrom < 0 || size < v.directFrom {
		return nil
	}
	d, can := v.fs.(vfs.DirectOpener)
	if !can {
		f.refused = true
		return nil
	}
	// What a failed write left would be in the gap before the first block.
	if size, err := f.Size(); err == nil && size > length {
		if err := f.Truncate(length); err != nil {
			return fmt.Errorf("cut segment before large writes: %w", err)
		}
	}
	h, err := d.OpenDirect(f.Name(), false)
	if errors.Is(err, vfs.ErrNoDirect) {
		f.refused = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("open segment for large writes: %w", err)
	}
	f.direct = h
	return nil
}

// writeFrames writes head, if there is one, and frames at the offset that place
// gave, size bytes in all. The segment's file may be longer after it, by zeros up to
// a block.
func (f *outFile) writeFrames(b *batch, off, size int64, head []byte, frames []*record.Frame) error {
	g := f.gather(b, off, size)
	if err := g.add(head); err != nil {
		return err
	}
	for _, fr := range frames {
		if err := g.add(fr.Head); err != nil {
			return err
		}
		if err := g.add(fr.Area); err != nil {
			return err
		}
	}
	return g.finish()
}

// gatherer collects bytes that follow each other in a file into large writes.
type gatherer struct {
	f   *outFile
	buf []byte
	n   int   // bytes in buf
	off int64 // where buf goes
}

// gather begins a write of size bytes at off.
func (f *outFile) gather(b *batch, off, size int64) *gatherer {
	g := &b.gather
	*g = gatherer{f: f, off: off}
	if f.direct == nil {
		g.buf = b.buffer(size)
		return g
	}
	lead := off % vfs.DirectAlign
	g.off = off - lead
	g.buf = b.buffer(lead + size)
	g.n = copy(g.buf, f.tail)
	return g
}

// add takes p, which does not change until finish. It writes where the buffer is
// full.
func (g *gatherer) add(p []byte) error {
	if len(p) >= copyBelow && g.f.direct == nil {
		if err := g.flush(); err != nil {
			return err
		}
		return g.write(g.f.File, p)
	}
	for len(p) > 0 {
		n := copy(g.buf[g.n:], p)
		g.n += n
		p = p[n:]
		if g.n == len(g.buf) {
			if err := g.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes what the buffer holds. For a direct write it is full.
func (g *gatherer) flush() error {
	f := g.f.direct
	if f == nil {
		f = g.f.File
	}
	n := g.n
	g.n = 0
	return g.write(f, g.buf[:n])
}

func (g *gatherer) write(f vfs.File, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := f.WriteAt(p, g.off); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	g.off += int64(len(p))
	return nil
}

// finish writes the rest.
func (g *gatherer) finish() error {
	if g.f.direct == nil {
		return g.flush()
	}
	rest := g.n % vfs.DirectAlign
	from := g.n - rest
	tail := append([]byte{}, g.buf[from:g.n]...)
	if rest > 0 {
		pad := g.buf[g.n : from+vfs.DirectAlign]
		clear(pad)
		g.n += len(pad)
	}
	if err := g.flush(); err != nil {
		return err
	}
	g.f.tail = tail
	return nil
}

// batch is what one write needs; it is kept from one to the next.
type batch struct {
	frames []*record.Frame
	buf    []byte // aligned, whole blocks
	head   []byte
	gather gatherer
	plain  []byte // a block that is put together
	stored []byte // blocks that wait to be written
	places []place
}

// buffer gives a buffer of whole blocks for size bytes, or as much as is gathered.
func (b *batch) buffer(size int64) []byte {
	size = min((size+vfs.DirectAlign-1)&^(vfs.DirectAlign-1), gatherMost)
	if int64(len(b.buf)) < size {
		b.buf = vfs.AlignedBuffer(int(size))
	}
	return b.buf
}
