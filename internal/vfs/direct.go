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

// DirectOpener is offered by an FS that can read and write past the page cache.
type DirectOpener interface {
	// OpenDirect opens an existing file for reads and writes past the page cache.
	// Offsets, lengths and buffers are aligned to DirectAlign. Where durable is
	// set, a write is durable when WriteAt returns (data, and length where it
	// grew), so that no Datasync is needed. A file system that refuses gives an
	// error that wraps ErrNoDirect.
	OpenDirect(name string, durable bool) (File, error)
}

// hugePage is the size and alignment of a huge page, in bytes. A write past the
// cache is one piece of the device's queue for each page of its buffer: a large one
// takes a fifth less time where the pages are huge.
const hugePage = 2 << 20

// AlignedBuffer gives n zero bytes at an address that direct writes accept. One of
// half a huge page and more is put into huge pages where that is possible; what is
// never written to takes no memory, but for the rest of such a page.
func AlignedBuffer(n int) []byte {
	if n < hugePage/2 {
		return alignedTo(n, DirectAlign)
	}
	b := alignedTo((n+hugePage-1)&^(hugePage-1), hugePage)
	preferHuge(b)
	return b[:n:n]
}

func alignedTo(n, align int) []byte {
	b := make([]byte, n+align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[skip : skip+n : skip+n]
}
