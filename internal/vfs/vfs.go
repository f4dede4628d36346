package vfs

import (
	"errors"
	"io"
)

// ErrLocked says that another process holds a lock.
var ErrLocked = errors.New("locked by another process")

// FS is a directory tree. Names are slash-separated paths, relative to the
// process or absolute. An FS is safe for concurrent use. It never retries and
// never decides: every error reaches the caller with its errno inside, so that
// errors.Is(err, syscall.ENOSPC) works on all implementations.
type FS interface {
	// Create opens a new file for reading and writing; an existing one is an error.
	Create(name string) (File, error)
	// OpenRead opens an existing file for reading.
	OpenRead(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	// Rename replaces newname. It is durable after SyncDir of the directory.
	Rename(oldname, newname string) error
	Remove(name string) error
	RemoveAll(name string) error
	MkdirAll(name string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	Stat(name string) (Info, error)
	// SyncDir makes creations, renames and removals in dir durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock on a file, which it creates. The lock ends
	// with Close and with the process. A held lock gives ErrLocked.
	Lock(name string) (io.Closer, error)
	// Free is the number of bytes that can still be written below dir.
	Free(dir string) (int64, error)
}

// Info describes a file.
type Info struct {
	Size int64
	Dir  bool
}

// File is an open file. Reads and writes at different offsets may run at the
// same time; Close may not run beside anything else.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes content and length durable (fsync).
	Sync() error
	// Datasync makes content durable, and the length where it grew (fdatasync).
	Datasync() error
	Truncate(size int64) error
	// Allocate reserves disk space for size bytes; the length becomes size at least.
	Allocate(size int64) error
	Size() (int64, error)
	Name() string
}

// ReadFile reads all of a small file. What ends before its length says so gives the
// bytes that are there.
func ReadFile(fs FS, name string) ([]byte, error) {
	f, err := fs.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], errors.Join(err, f.Close())
}
