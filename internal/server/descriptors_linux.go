package server

import (
	"os"
	"syscall"
)

// descriptors is how many files and sockets the process has open, and may have; 0 where
// that is not known.
func descriptors() (open, most int) {
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = len(list) - 1 // without the directory that was read
	}
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		most = int(min(l.Cur, 1<<31-1))
	}
	return open, most
}
