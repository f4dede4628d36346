package faultfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/weirmq/weir/internal/vfs"
)

// ErrStopped is what every call gives after the operation named by StopAfter.
var ErrStopped = errors.New("faultfs: stopped")

// FS is a file system in memory. Create it with New.
type FS struct {
	mu        sync.Mutex
	root      *node
	ops       uint64
	stopAfter uint64
	capacity  int64
	used      int64
	direct    bool
	lying     bool
	locks     map[string]struct{}
	injectors []Injector
}

var (
	_ vfs.FS           = (*FS)(nil)
	_ vfs.DirectOpener = (*FS)(nil)
)

// New makes an empty file system without limits or faults.
func New() *FS {
	return &FS{root: newDir(), stopAfter: math.MaxUint64, capacity: math.MaxInt64, locks: map[string]struct{}{}}
}

// Inject adds injectors; the first that answers decides.
func (f *FS) Inject(in ...Injector) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.injectors = append(slices.Clone(f.injectors), in...)
}

// Heal removes all injectors and the stop.
func (f *FS) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.injectors = nil
	f.stopAfter = math.MaxUint64
}

// Ops is the number of operations so far.
func (f *FS) Ops() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// StopAfter lets n operations (counted from the start) happen; all later ones
// change nothing and give ErrStopped. CrashClone then gives the disk at n.
func (f *FS) StopAfter(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopAfter = n
}

// SetCapacity bounds the space of all files, in bytes; more gives ENOSPC.
func (f *FS) SetCapacity(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = n
}

// SetDirect says whether OpenDirect works; at first it does not.
func (f *FS) SetDirect(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.direct = on
}

// IgnoreSyncs makes every sync succeed without any effect: the negative control
// of each crash test.
func (f *FS) IgnoreSyncs(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lying = on
}

// Corrupt flips the bits of mask in a byte of a file, on disk and in cache.
func (f *FS) Corrupt(name string, off int64, mask byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.fileLocked("corrupt", name)
	if err != nil {
		return err
	}
	if off >= n.live.size {
		return pathError("corrupt", name, io.EOF)
	}
	flip := func(c *content) {
		var b [1]byte
		c.readAt(b[:], off)
		b[0] ^= mask
		c.writeAt(b[:], off)
	}
	n.sync()
	flip(&n.live)
	n.sync()
	return nil
}

// begin counts an operation and asks the injectors.
func (f *FS) begin(kind Kind, name string, off, size int64) *Fault {
	f.mu.Lock()
	f.ops++
	op := Op{N: f.ops, Kind: kind, Name: name, Off: off, Size: size}
	stopped := f.ops > f.stopAfter
	injectors := f.injectors
	f.mu.Unlock()
	if stopped {
		return &Fault{Err: ErrStopped}
	}
	for _, in := range injectors {
		if ft := in.Inject(op); ft != nil {
			return ft
		}
	}
	return nil
}

func (f *FS) fail(kind Kind, name string) error {
	if ft := f.begin(kind, name, 0, 0); ft != nil && ft.Err != nil {
		return pathError(kind.String(), name, ft.Err)
	}
	return nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func split(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

func (f *FS) nodeLocked(name string) *node {
	n := f.root
	for _, part := range split(name) {
		if n == nil || !n.dir {
			return nil
		}
		n = n.names[part]
	}
	return n
}

// parentLocked gives the directory of name and name's last part.
func (f *FS) parentLocked(name string) (*node, string) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, ""
	}
	d := f.nodeLocked(strings.Join(parts[:len(parts)-1], "/"))
	if d == nil || !d.dir {
		return nil, ""
	}
	return d, parts[len(parts)-1]
}

func (f *FS) fileLocked(op, name string) (*node, error) {
	n := f.nodeLocked(name)
	switch {
	case n == nil:
		return nil, pathError(op, name, syscall.ENOENT)
	case n.dir:
		return nil, pathError(op, name, syscall.EISDIR)
	}
	return n, nil
}

// Create implements vfs.FS.
func (f *FS) Create(name string) (vfs.File, error) {
	if err := f.fail(Create, name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, base := f.parentLocked(name)
	if d == nil {
		return nil, pathError("create", name, syscall.ENOENT)
	}
	if d.names[base] != nil {
		return nil, pathError("create", name, syscall.EEXIST)
	}
	n := &node{}
	d.change(move{base: n})
	return &file{fs: f, n: n, name: name, writable: true, told: n.failures}, nil
}

// OpenRead implements vfs.FS.
func (f *FS) OpenRead(name string) (vfs.File, error) { return f.open(name, false) }

// OpenWrite implements vfs.FS.
func (f *FS) OpenWrite(name string) (vfs.File, error) { return f.open(name, true) }

func (f *FS) open(name string, writable bool) (*file, error) {
	if err := f.fail(Open, name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.fileLocked("open", name)
	if err != nil {
		return nil, err
	}
	return &file{fs: f, n: n, name: name, writable: writable, told: n.failures}, nil
}

// OpenDirect implements vfs.DirectOpener: each durable write of such a file counts
// as a write and a sync. It refuses what is not aligned.
func (f *FS) OpenDirect(name string, durable bool) (vfs.File, error) {
	f.mu.Lock()
	direct := f.direct
	f.mu.Unlock()
	if !direct {
		return nil, pathError("open", name, fmt.Errorf("%w: %w", vfs.ErrNoDirect, syscall.EINVAL))
	}
	h, err := f.open(name, true)
	if err != nil {
		return nil, err
	}
	h.direct, h.durable = true, durable
	return h, nil
}

// Rename implements vfs.FS.
func (f *FS) Rename(oldname, newname string) error {
	if err := f.fail(Rename, oldname); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	from, oldbase := f.parentLocked(oldname)
	to, newbase := f.parentLocked(newname)
	if from == nil || to == nil || from.names[oldbase] == nil {
		return pathError("rename", oldname, syscall.ENOENT)
	}
	n := from.names[oldbase]
	if old := to.names[newbase]; old != nil && old != n {
		if old.dir {
			return pathError("rename", newname, syscall.EEXIST)
		}
		f.used -= old.usage()
	}
	if from == to {
		from.change(move{oldbase: nil, newbase: n})
		return nil
	}
	to.change(move{newbase: n})
	from.change(move{oldbase: nil})
	return nil
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	if err := f.fail(Remove, name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, base := f.parentLocked(name)
	if d == nil || d.names[base] == nil {
		return pathError("remove", name, syscall.ENOENT)
	}
	if n := d.names[base]; n.dir && len(n.names) > 0 {
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	f.unlinkLocked(d, base)
	return nil
}

// RemoveAll implements vfs.FS.
func (f *FS) RemoveAll(name string) error {
	if err := f.fail(Remove, name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d, base := f.parentLocked(name); d != nil && d.names[base] != nil {
		f.unlinkLocked(d, base)
	}
	return nil
}

func (f *FS) unlinkLocked(d *node, base string) {
	n := d.names[base]
	for child := range n.names {
		f.unlinkLocked(n, child)
	}
	if !n.dir {
		f.used -= n.usage()
	}
	d.change(move{base: nil})
}

// MkdirAll implements vfs.FS.
func (f *FS) MkdirAll(name string) error {
	if err := f.fail(Mkdir, name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.root
	for _, part := range split(name) {
		next := n.names[part]
		if next == nil {
			next = newDir()
			n.change(move{part: next})
		}
		if !next.dir {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
		n = next
	}
	return nil
}

// List implements vfs.FS.
func (f *FS) List(dir string) ([]string, error) {
	if err := f.fail(List, dir); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodeLocked(dir)
	if n == nil {
		return nil, pathError("list", dir, syscall.ENOENT)
	}
	if !n.dir {
		return nil, pathError("list", dir, syscall.ENOTDIR)
	}
	names := make([]string, 0, len(n.names))
	for name := range n.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// Stat implements vfs.FS.
func (f *FS) Stat(name string) (vfs.Info, error) {
	if err := f.fail(Open, name); err != nil {
		return vfs.Info{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodeLocked(name)
	if n == nil {
		return vfs.Info{}, pathError("stat", name, syscall.ENOENT)
	}
	return vfs.Info{Size: n.live.size, Dir: n.dir}, nil
}

// SyncDir implements vfs.FS.
func (f *FS) SyncDir(dir string) error {
	ft := f.begin(SyncDir, dir, 0, 0)
	if ft != nil && ft.Err != nil {
		return pathError("syncdir", dir, ft.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.nodeLocked(dir)
	if n == nil || !n.dir {
		return pathError("syncdir", dir, syscall.ENOENT)
	}
	if !f.lying && ft == nil {
		n.syncNames()
	}
	return nil
}

// Lock implements vfs.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.fail(Lock, name); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, base := f.parentLocked(name)
	if d == nil {
		return nil, pathError("lock", name, syscall.ENOENT)
	}
	key := strings.Join(split(name), "/")
	if _, held := f.locks[key]; held {
		return nil, pathError("lock", name, vfs.ErrLocked)
	}
	if d.names[base] == nil {
		d.change(move{base: &node{}})
	}
	f.locks[key] = struct{}{}
	return &lock{f, key}, nil
}

type lock struct {
	fs  *FS
	key string
}

// Close releases the lock.
func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.key)
	return nil
}

// Free implements vfs.FS.
func (f *FS) Free(string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(0, f.capacity-f.used), nil
}
