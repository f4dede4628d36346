package journal

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// writerNice is the nice value of the writer's thread.
const writerNice = -10

// favour runs the calling goroutine on a thread of its own that the system wakes
// before others, where it may: all publishers wait for the writer, which itself
// mostly waits for the disk. Without the right to do so nothing changes.
func favour() {
	runtime.LockOSThread()
	if unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), writerNice) != nil {
		runtime.UnlockOSThread()
	}
}
