package nats

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// read takes input until the connection ends or is being closed.
func (c *Conn) read() {
	sc, ok := c.net.(syscall.Conn)
	if !ok {
		c.readStream()
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		c.readStream()
		return
	}
	ready := c.ready
	for c.closing.Load() == nil {
		err := raw.Read(ready)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = c.interrupted()
		}
		if err != nil {
			c.readFailed(err)
		}
	}
}

// ready is called when the socket may have input, inside one call of the
// poller's Read: while that lasts no wake-up gets lost. It says whether to stop;
// false waits for more.
func (c *Conn) ready(fd uintptr) bool {
	for c.closing.Load() == nil {
		room := c.in.space()
		n, err := unix.Read(int(fd), room)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			c.in.rest()
			return false
		case err != nil:
			c.readFailed(err)
			return true
		case n == 0:
			c.close(errClientClosed)
			return true
		}
		c.took(n, len(room))
		if n == len(room) {
			c.giveWay()
		} else {
			c.in.rest()
			c.door.sweep.watch(c)
			return c.closing.Load() != nil
		}
	}
	return true
}

// giveWay is called after a read that has not emptied the socket. Such a reader
// may never sleep, and then its thread keeps its processor for whole time slices,
// while threads that wait for one message wait for those slices to end. It gives
// the rest of its slice away where others have published meanwhile.
func (c *Conn) giveWay() {
	if c.crowded {
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}
