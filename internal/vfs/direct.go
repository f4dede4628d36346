package vfs

import "errors"

// DirectAlign is what offsets, lengths and buffer addresses of a file opened
// by OpenDirect must be multiples of, in bytes.
const DirectAlign = 4096

// ErrNoDirect says that a file system does not bypass its cache.
var ErrNoDirect = errors.New("direct writes are not supported here")

// DirectOpener is offered by an FS that can write past the page cache.
type DirectOpener interface {
	// OpenDirect opens an existing file for writes that are durable when
	// WriteAt returns (data, and length where it grew), so that no Datasync
	// is needed. Offsets, lengths and buffers are aligned to DirectAlign.
	// A file system that refuses gives an error that wraps ErrNoDirect.
	OpenDirect(name string) (File, error)
}
