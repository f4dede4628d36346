package outbox

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NewSocket gives the socket of a connection: one that can write without
// blocking where the connection is a plain one of the operating system.
func NewSocket(conn net.Conn) Socket {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return &stream{conn: conn}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return &stream{conn: conn}
	}
	s := &fdSocket{conn: conn, raw: raw}
	s.tryFn, s.writeFn = s.try, s.write
	return s
}

// vectorLen is the number of buffers of one system call.
const vectorLen = 64

var vectors = sync.Pool{New: func() any { return new([vectorLen]unix.Iovec) }}

// fdSocket writes with writev on the descriptor. The runtime's poller waits.
type fdSocket struct {
	conn        net.Conn
	raw         syscall.RawConn
	interrupted atomic.Bool

	// Only the owner: arguments and results of the callbacks, which are made
	// once so that a write allocates nothing.
	tryFn, writeFn func(fd uintptr) bool
	bufs           [][]byte
	off            int // bytes of bufs[0] that are written
	n              int
	err            error
	timeout        time.Duration
	armed          bool
}

func (s *fdSocket) TryWrite(bufs [][]byte) (int, error) {
	return s.do(bufs, s.tryFn)
}

func (s *fdSocket) Writev(bufs [][]byte, timeout time.Duration) (int, error) {
	s.timeout, s.armed = timeout, false
	n, err := s.do(bufs, s.writeFn)
	if s.armed && err == nil {
		err = s.arm(time.Time{})
	}
	return n, err
}

func (s *fdSocket) do(bufs [][]byte, fn func(uintptr) bool) (int, error) {
	s.bufs, s.off, s.n, s.err = bufs, 0, 0, nil
	err := s.raw.Write(fn)
	if s.err != nil {
		err = s.err
	}
	s.bufs = nil
	return s.n, err
}

// try is TryWrite's callback: it never asks to wait.
func (s *fdSocket) try(fd uintptr) bool {
	s.step(int(fd))
	return true
}

// write is Writev's callback. The deadline is set only when it has to wait.
func (s *fdSocket) write(fd uintptr) bool {
	if s.step(int(fd)) {
		return true
	}
	if !s.armed {
		s.armed = true
		if s.err = s.arm(until(s.timeout)); s.err != nil {
			return true
		}
	}
	return false
}

// arm sets the deadline. An interrupt must not be undone by it.
func (s *fdSocket) arm(at time.Time) error {
	if err := s.conn.SetWriteDeadline(at); err != nil {
		return err
	}
	if s.interrupted.Load() {
		return net.ErrClosed
	}
	return nil
}

// step writes until all is written or the socket is full, which a short write
// says. It tells whether the write has ended, with an error in s.err if that is
// why.
func (s *fdSocket) step(fd int) bool {
	for len(s.bufs) > 0 {
		n, want, err := s.writev(fd)
		switch err {
		case nil:
			s.advance(n)
			if n < want {
				return false
			}
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			s.err = err
			return true
		}
	}
	return true
}

// writev makes one system call: n of want bytes were written.
func (s *fdSocket) writev(fd int) (n, want int, err error) {
	if len(s.bufs) == 1 {
		b := s.bufs[0][s.off:]
		n, err = unix.Write(fd, b)
		return n, len(b), err
	}
	vec := vectors.Get().(*[vectorLen]unix.Iovec)
	k := 0
	for i, b := range s.bufs[:min(len(s.bufs), vectorLen)] {
		if i == 0 {
			b = b[s.off:]
		}
		if len(b) == 0 {
			continue
		}
		vec[k].Base = &b[0]
		vec[k].SetLen(len(b))
		want += len(b)
		k++
	}
	r, _, errno := unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(vec)), uintptr(k))
	clear(vec[:k])
	vectors.Put(vec)
	if errno != 0 {
		return 0, want, errno
	}
	return int(r), want, nil
}

func (s *fdSocket) advance(n int) {
	s.n += n
	for len(s.bufs) > 0 {
		left := len(s.bufs[0]) - s.off
		if n < left {
			s.off += n
			return
		}
		n -= left
		s.bufs, s.off = s.bufs[1:], 0
	}
}

func (s *fdSocket) Interrupt() {
	s.interrupted.Store(true)
	_ = s.conn.SetWriteDeadline(past)
}
