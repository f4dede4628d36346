package vfs

import (
	"errors"
	"unsafe"
)

// DirectAlign is what offsets, lengths and buffer addresses of a file opened
// by OpenDirect must be multiples of, in bytes.
const DirectAlign = 4096

// ErrNoDirect says that a file system does not bypass its cache.
var ErrNoDirect = errors.New("direct writes are not supported here")

// DirectOpener is offered by an FS that can write past the page cache.
type DirectOpener interface {
	// OpenDirect opens an existing file for writes past the page cache.
	// Offsets, lengths and buffers are aligned to DirectAlign. Where durable is
	// set, a write is durable when WriteAt returns (data, and length where it
	// grew), so that no Datasync is needed. A file system that refuses gives an
	// error that wraps ErrNoDirect.
	OpenDirect(name string, durable bool) (File, error)
}

// AlignedBuffer gives n zero bytes at an address that direct writes accept.
func AlignedBuffer(n int) []byte {
	b := make([]byte, n+DirectAlign)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (DirectAlign - 1)
	return b[skip : skip+n : skip+n]
}
