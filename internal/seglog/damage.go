package seglog

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// Errors of a log, besides DamageError and those of the file system.
var (
	// ErrNotFound: the log does not hold the record.
	ErrNotFound = record.ErrNotFound
	// ErrClosed: the log was closed or dropped.
	ErrClosed = errors.New("log is closed")
	// ErrOpen: the identity is open already.
	ErrOpen = errors.New("log is open already")
	// ErrForeign: there are files of another log in the directory.
	ErrForeign = errors.New("it is another log's file")

	// errGone: the segment was trimmed, or another one took its place, while it was
	// being read.
	errGone = errors.New("segment is gone")
)

// DamageError names the sequences that a damaged place of a file costs. It wraps
// record.ErrDamaged.
type DamageError struct {
	File        string
	Offset      int64
	Length      int64  // bytes that do not verify; 0: not known, or they are not there
	First, Last uint64 // some of them may never have been used; both 0: none
	Err         error
}

func (e *DamageError) Error() string {
	if e.Last == 0 {
		return fmt.Sprintf("read %s at offset %d, no sequence is lost: %v", e.File, e.Offset, e.Err)
	}
	return fmt.Sprintf("read %s at offset %d, sequences %d to %d: %v", e.File, e.Offset, e.First, e.Last, e.Err)
}

// Unwrap gives the cause.
func (e *DamageError) Unwrap() error { return e.Err }

// damageOf is the damage that an error tells of; nil if it does not.
func damageOf(err error) *DamageError {
	if err == nil {
		return nil
	}
	var d *DamageError
	errors.As(err, &d)
	return d
}
