package journal

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The operations of futex(2) on memory that one process has for itself.
const (
	futexPrivate = 128
	futexWait    = 0 | futexPrivate
	futexWake    = 1 | futexPrivate
)

// threadBell is a wait of the writer's thread in the system, where who rings wakes it at
// once. The writer is kept on its thread: the runtime would wake another one first, for
// that to wake the writer's.
type threadBell struct {
	rung    atomic.Uint32 // 1: the bell was rung
	waiting atomic.Bool   // the writer is in the system, or about to be
}

func newBell(ownThread bool) bell {
	if ownThread {
		return new(threadBell)
	}
	return newChannelBell()
}

// ring cannot be missed: either it sees that the writer waits, or the writer, which says
// so before it looks, sees that it was rung, if only in the system.
func (b *threadBell) ring() {
	b.rung.Store(1)
	if b.waiting.Load() {
		_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.rung)), futexWake, 1, 0, 0, 0)
	}
}

func (b *threadBell) wait(limit time.Duration) bool {
	if b.rung.Swap(0) != 0 {
		return true
	}
	var most *unix.Timespec
	if limit >= 0 {
		t := unix.NsecToTimespec(int64(limit))
		most = &t
	}
	b.waiting.Store(true)
	// Whatever it returns for: the time is over, a signal came, or it was rung.
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.rung)), futexWait, 0, uintptr(unsafe.Pointer(most)), 0, 0)
	b.waiting.Store(false)
	return b.rung.Swap(0) != 0
}
