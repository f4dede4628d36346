package vfs

import "golang.org/x/sys/unix"

// preferHuge asks for huge pages behind b, which begins and ends at their bounds.
// That it is refused does no harm.
func preferHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
