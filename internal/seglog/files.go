package seglog

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// fileKey names a segment file of a volume.
type fileKey struct {
	id record.Identity
	no uint64
}

// files keeps segments open for readers, the most recently used ones, so that
// the number of descriptors does not grow with the number of logs.
type files struct {
	fs  vfs.FS
	max int

	mu   sync.Mutex
	open map[fileKey]*handle // guarded by mu
	used list.List           // of *handle, the last used one in front; guarded by mu
}

// handle is a file open for reading. It is closed when it is neither in the
// cache nor in use.
type handle struct {
	key  fileKey
	file vfs.File

	refs  int           // guarded by files.mu
	elem  *list.Element // nil: not in the cache; guarded by files.mu
	index atomic.Pointer[[]indexEntry]
	// blocks is the table of a segment of blocks, as far as it was written then.
	blocks atomic.Pointer[blockTable]
}

func newFiles(fs vfs.FS, most int) *files {
	return &files{fs: fs, max: most, open: make(map[fileKey]*handle)}
}

// acquire opens segment seg of l, or finds it open. The caller releases it. A
// file that is not there is damage, unless the log let go of it.
func (fs *files) acquire(l *Log, seg *segment) (*handle, error) {
	if seg.gone.Load() {
		return nil, errGone
	}
	key := fileKey{l.id, seg.no}
	if h := fs.find(key); h != nil {
		return h, nil
	}
	f, err := l.openSegment(seg)
	if err != nil {
		return nil, err
	}
	h, extra := fs.insert(&handle{key: key, file: f, refs: 1}, seg)
	closeAll(extra)
	return h, nil
}

func (fs *files) find(key fileKey) *handle {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	h := fs.open[key]
	if h != nil {
		h.refs++
		fs.used.MoveToFront(h.elem)
	}
	return h
}

// insert puts h into the cache and gives the handle to use, which is another one
// where two readers opened the file at once, and the files to close.
func (fs *files) insert(h *handle, seg *segment) (*handle, []vfs.File) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if other := fs.open[h.key]; other != nil {
		other.refs++
		return other, []vfs.File{h.file}
	}
	if seg.gone.Load() {
		return h, nil // closed when released
	}
	fs.open[h.key] = h
	h.elem = fs.used.PushFront(h)
	var extra []vfs.File
	for e := fs.used.Back(); e != nil && len(fs.open) > fs.max; {
		old := e.Value.(*handle)
		e = e.Prev()
		if old.refs == 0 {
			fs.removeLocked(old)
			extra = append(extra, old.file)
		}
	}
	return h, extra
}

func (fs *files) removeLocked(h *handle) {
	fs.used.Remove(h.elem)
	h.elem = nil
	delete(fs.open, h.key)
}

// release ends the use of a handle.
func (fs *files) release(h *handle) {
	fs.mu.Lock()
	h.refs--
	unused := h.refs == 0 && h.elem == nil
	fs.mu.Unlock()
	if unused {
		closeAll([]vfs.File{h.file})
	}
}

// forget closes a file, once nobody uses it.
func (fs *files) forget(key fileKey) {
	fs.mu.Lock()
	h := fs.open[key]
	if h == nil {
		fs.mu.Unlock()
		return
	}
	fs.removeLocked(h)
	unused := h.refs == 0
	fs.mu.Unlock()
	if unused {
		closeAll([]vfs.File{h.file})
	}
}

// closeAll closes files that were only read: a failure to do so loses nothing.
func closeAll(files []vfs.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// openSegment opens a segment's file and compares its header with what the log
// knows. A damaged header is only reported: each frame says whose it is.
func (l *Log) openSegment(seg *segment) (vfs.File, error) {
	name := l.path(segmentName(seg.no))
	f, err := l.v.fs.OpenRead(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open segment: %w", err)
		}
		if seg.gone.Load() {
			return nil, errGone
		}
		return nil, fmt.Errorf("open segment: %w: %w", record.ErrDamaged, err)
	}
	var b [segmentHeader]byte
	if _, err := f.ReadAt(b[:], 0); err == nil {
		id, no, _, err := parseSegmentHeader(b[:])
		if err != nil {
			l.v.log.Warn("segment header is damaged", "file", name, "error", err)
		} else if id != l.id || no != seg.no {
			closeAll([]vfs.File{f})
			return nil, fmt.Errorf("%s is segment %d of %d-%d: %w", name, no, id.ID, id.Incarnation, record.ErrDamaged)
		}
	}
	return f, nil
}
