package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadLocker is an FS that takes a lock on a file that exists without opening it
// for writing. The lock excludes those of FS.Lock.
type ReadLocker interface {
	LockRead(name string) (io.Closer, error)
}

var _ ReadLocker = OS{}

// LockRead implements ReadLocker.
func (OS) LockRead(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return f, nil
}
