package poller

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A connection that brings much is read on a goroutine of its own, which waits in
// the runtime's poller: its thread is not kept, and what arrives while it reads wakes
// nobody. For that the stream gets another descriptor, which the net package polls.

// serveApart calls the Input on the caller's goroutine for as long as it says Apart
// or Again. It says whether the socket may be left to itself; false also where there
// is no other descriptor to be had.
func (s *Socket) serveApart() bool {
	own, raw, err := s.second()
	if err != nil {
		return false
	}
	s.setOwn(own)
	s.single.Store(true)
	s.arm()
	var next Next
	ready := func(uintptr) bool {
		next = s.input.Ready(s)
		return next != Apart
	}
	for next = Apart; next == Apart || next == Again; {
		// What was notified up to here is seen by the call that follows; what comes
		// later must find the state running, and sets a deadline that is not lifted.
		s.state.CompareAndSwap(again, running)
		if err := raw.Read(ready); errors.Is(err, os.ErrDeadlineExceeded) {
			_ = own.SetReadDeadline(time.Time{})
		}
	}
	s.setOwn(nil)
	if next != Done {
		s.follow()
	}
	_ = own.Close()
	return s.rest(next)
}

// second gives the stream another descriptor, in the net package.
func (s *Socket) second() (net.Conn, syscall.RawConn, error) {
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "connection")
	conn, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, err
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, nil, errors.Join(ErrUnsupported, conn.Close())
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, raw, nil
}

func (s *Socket) setOwn(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = c
}

// follow has the loop told of every change again.
func (s *Socket) follow() {
	if s.single.Load() {
		s.single.Store(false)
		s.arm()
	}
}

// past is a deadline that wakes a reader at once.
var past = time.Unix(1, 0)

// interruptApart has a goroutine that waits apart call the Input.
func (s *Socket) interruptApart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		_ = s.own.SetReadDeadline(past)
	}
}
