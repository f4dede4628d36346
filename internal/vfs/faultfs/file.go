package faultfs

import (
	"io"
	"io/fs"
	"syscall"
	"unsafe"

	"github.com/weirmq/weir/internal/vfs"
)

// file is a handle. Only Close changes it.
type file struct {
	fs       *FS
	n        *node
	name     string
	writable bool
	direct   bool // writes are aligned
	durable  bool // and synced
	closed   bool // guarded by fs.mu
	told     int  // failures of n that the handle knows of; guarded by fs.mu
}

func (h *file) Name() string { return h.name }

// usableLocked says why a call cannot be done.
func (h *file) usableLocked(op string, writing bool) error {
	if h.closed {
		return pathError(op, h.name, fs.ErrClosed)
	}
	if writing && !h.writable {
		return pathError(op, h.name, syscall.EBADF)
	}
	return nil
}

func (h *file) ReadAt(p []byte, off int64) (int, error) {
	if ft := h.fs.begin(Read, h.name, off, int64(len(p))); ft != nil && ft.Err != nil {
		return 0, pathError("read", h.name, ft.Err)
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("read", false); err != nil {
		return 0, err
	}
	if off < 0 || h.direct && !isAligned(p, off) {
		return 0, pathError("read", h.name, syscall.EINVAL)
	}
	n := h.n.live.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *file) WriteAt(p []byte, off int64) (int, error) {
	ft := h.fs.begin(Write, h.name, off, int64(len(p)))
	if ft != nil && ft.Err == nil {
		return len(p), nil
	}
	if ft != nil && ft.Short == 0 {
		return 0, pathError("write", h.name, ft.Err)
	}
	if ft != nil {
		n, err := h.write(p[:min(len(p), ft.Short)], off)
		if err == nil {
			err = pathError("write", h.name, ft.Err)
		}
		return n, err
	}
	n, err := h.write(p, off)
	if err == nil && h.durable {
		if err = h.Datasync(); err != nil {
			return 0, err
		}
	}
	return n, err
}

func (h *file) write(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("write", true); err != nil {
		return 0, err
	}
	if off < 0 || h.direct && !isAligned(p, off) {
		return 0, pathError("write", h.name, syscall.EINVAL)
	}
	if len(p) == 0 {
		return 0, nil
	}
	fit := h.roomLocked(off, int64(len(p)))
	before := h.n.usage()
	if fit > 0 {
		h.n.write(p[:fit], off)
	}
	h.fs.used += h.n.usage() - before
	if fit < int64(len(p)) {
		return int(fit), pathError("write", h.name, syscall.ENOSPC)
	}
	return len(p), nil
}

// roomLocked is how much of a write of size bytes at off the disk takes.
func (h *file) roomLocked(off, size int64) int64 {
	end := h.n.usage() + max(0, h.fs.capacity-h.fs.used)/pageSize*pageSize
	return max(0, min(size, end-off))
}

func isAligned(p []byte, off int64) bool {
	if off%vfs.DirectAlign != 0 || len(p)%vfs.DirectAlign != 0 {
		return false
	}
	return len(p) == 0 || uintptr(unsafe.Pointer(&p[0]))%vfs.DirectAlign == 0
}

func (h *file) Sync() error { return h.Datasync() }
func (h *file) Datasync() error {
	ft := h.fs.begin(Sync, h.name, 0, 0)
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if ft != nil && ft.Err != nil {
		if ft.Err != ErrStopped {
			h.n.failSync(ft.Err)
			h.told = h.n.failures
		}
		return pathError("sync", h.name, ft.Err)
	}
	if err := h.usableLocked("sync", false); err != nil {
		return err
	}
	if h.fs.lying || ft != nil {
		return nil
	}
	h.n.sync()
	if h.told < h.n.failures { // what this handle wrote may be lost, as Linux says, too
		h.told = h.n.failures
		return pathError("sync", h.name, h.n.failure)
	}
	return nil
}

func (h *file) Truncate(size int64) error {
	return h.resize(Truncate, size)
}

func (h *file) Allocate(size int64) error {
	return h.resize(Allocate, size)
}

func (h *file) resize(kind Kind, size int64) error {
	if ft := h.fs.begin(kind, h.name, 0, size); ft != nil && ft.Err != nil {
		return pathError(kind.String(), h.name, ft.Err)
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked(kind.String(), true); err != nil {
		return err
	}
	if kind == Allocate && size <= h.n.live.size {
		return nil
	}
	if size > h.n.live.size && h.roomLocked(h.n.live.size, size-h.n.live.size) < size-h.n.live.size {
		return pathError(kind.String(), h.name, syscall.ENOSPC)
	}
	before := h.n.usage()
	h.n.resize(size)
	h.fs.used += h.n.usage() - before
	return nil
}

func (h *file) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("size", false); err != nil {
		return 0, err
	}
	return h.n.live.size, nil
}

func (h *file) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("close", false); err != nil {
		return err
	}
	h.closed = true
	return nil
}
