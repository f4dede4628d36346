package check

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync/atomic"

	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs"
)

// errReadOnly is what a disk says that is only looked at.
var errReadOnly = errors.New("the directory is only looked at")

// disk is a file system on which nothing can be changed. It counts what is read.
type disk struct {
	vfs.FS
	read atomic.Int64
	tell func(read int64) // nil: nobody wants to know
}

func (*disk) Create(string) (vfs.File, error)    { return nil, errReadOnly }
func (*disk) OpenWrite(string) (vfs.File, error) { return nil, errReadOnly }
func (*disk) Rename(string, string) error        { return errReadOnly }
func (*disk) Remove(string) error                { return errReadOnly }
func (*disk) RemoveAll(string) error             { return errReadOnly }
func (*disk) MkdirAll(string) error              { return errReadOnly }
func (*disk) SyncDir(string) error               { return errReadOnly }

func (d *disk) OpenRead(name string) (vfs.File, error) {
	f, err := d.FS.OpenRead(name)
	if err != nil {
		return nil, err
	}
	return &counted{f, d}, nil
}

// counted is a file whose reads are counted and which cannot be changed.
type counted struct {
	vfs.File
	d *disk
}

func (f *counted) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	if read := f.d.read.Add(int64(n)); f.d.tell != nil {
		f.d.tell(read)
	}
	return n, err
}

func (*counted) WriteAt([]byte, int64) (int, error) { return 0, errReadOnly }
func (*counted) Truncate(int64) error               { return errReadOnly }
func (*counted) Allocate(int64) error               { return errReadOnly }

// ErrInUse says that a server holds the directory.
var ErrInUse = errors.New("a server is running on it: stop it first")

// ErrNotOurs says that the directory is none of this program.
var ErrNotOurs = errors.New("it is no data directory of weir")

// claim keeps servers away from a directory. One that never had a lock file is not
// held by any.
func claim(fsys vfs.FS, dir string) (io.Closer, error) {
	name := path.Join(dir, server.LockFile)
	if _, err := fsys.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nothing{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("look for the lock: %w", err)
	}
	lock := fsys.Lock
	if r, ok := fsys.(vfs.ReadLocker); ok {
		lock = r.LockRead
	}
	held, err := lock(name)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("lock the directory: %w", err)
	}
	return held, nil
}

type nothing struct{}

func (nothing) Close() error { return nil }

// recognise says whether a directory is a server's.
func recognise(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	has := map[string]bool{}
	for _, name := range names {
		has[name] = true
	}
	if has[server.IdentityFile] && has[server.LockFile] || has[server.JournalDir] && has[server.StreamsDir] {
		return nil
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: it is empty", ErrNotOurs)
	}
	return ErrNotOurs
}
