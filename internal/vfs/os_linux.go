package vfs

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// OpenDirect implements DirectOpener with O_DIRECT and, for durable, O_DSYNC.
func (OS) OpenDirect(name string, durable bool) (File, error) {
	flags := os.O_RDWR | unix.O_DIRECT
	if durable {
		flags |= unix.O_DSYNC
	}
	f, err := openOS(name, flags)
	if errors.Is(err, syscall.EINVAL) {
		return nil, fmt.Errorf("%w: %w", ErrNoDirect, err)
	}
	return f, err
}

func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		// An interrupted call has not run: this is no retry of a failed sync.
		if err != unix.EINTR {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

// allocate falls back to a longer file without reserved blocks where the file
// system knows no fallocate.
func allocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch err {
		case nil:
			return nil
		case unix.EINTR:
		case unix.EOPNOTSUPP, unix.ENOSYS:
			return extend(f, size)
		default:
			return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
	}
}
