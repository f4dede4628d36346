package poller

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket's states: whether its Input is being called, or a goroutine of its own
// waits to call it, and whether it is to be called once more after that.
const (
	idle int32 = iota
	running
	again
	done
)

// Socket is a connection that a loop watches. Reading is for its Input, writing
// for one goroutine at a time; the other methods may be called by any.
type Socket struct {
	fd     int
	remote net.Addr
	input  Input
	loop   *loop
	window uint32 // one more than the loop's window of the last event; only the loop

	state atomic.Int32
	ended atomic.Bool // the peer has said that it sends no more, or the stream broke

	// Only who runs the Input.
	on    *turn // whose loop it runs on; nil: on a goroutine of its own
	apart bool  // the next call is not for the loop

	// single says that the loop is told of nothing but what a writer waits for, and
	// that once: a goroutine of its own waits for input, in the runtime's poller.
	single atomic.Bool

	// For who writes.
	waiting     atomic.Bool   // a writer waits or is about to
	writable    chan struct{} // one token: it may be worth another try
	interrupted chan struct{} // closed by Interrupt
	interrupt   sync.Once

	arrived chan struct{} // one token: something happened while the Input ran

	mu     sync.Mutex
	closed bool     // guarded by mu
	own    net.Conn // guarded by mu; for waiting apart: the same stream; nil: it does not
}

func newSocket(fd int, remote net.Addr, input Input) *Socket {
	s := &Socket{
		fd: fd, remote: remote, input: input,
		writable: make(chan struct{}, 1), interrupted: make(chan struct{}), arrived: make(chan struct{}, 1),
	}
	s.state.Store(running)
	return s
}

// Start begins to handle input.
func (s *Socket) Start() {
	if !s.state.CompareAndSwap(running, idle) {
		s.state.Store(running)
		s.goServe()
	}
}

// Wake has the Input called even without input.
func (s *Socket) Wake() { s.notify(nil) }

// RemoteAddr is the peer's address.
func (s *Socket) RemoteAddr() net.Addr { return s.remote }

// event handles what epoll says. t is the loop's own turn.
func (s *Socket) event(events uint32, t *turn) {
	const end = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if events&end != 0 {
		s.ended.Store(true)
	}
	if events&(unix.EPOLLOUT|end) != 0 && s.waiting.Load() {
		signal(s.writable)
	}
	if events&(unix.EPOLLIN|end) != 0 {
		s.notify(t)
	}
}

// notify has the Input called, here if t is given and that is wanted.
func (s *Socket) notify(t *turn) {
	for {
		switch s.state.Load() {
		case idle:
			if !s.state.CompareAndSwap(idle, running) {
				continue
			}
			if t == nil || s.apart {
				s.goServe()
			} else {
				s.serve(t)
			}
			return
		case running:
			if s.state.CompareAndSwap(running, again) {
				signal(s.arrived)
				s.interruptApart()
				return
			}
		default:
			return
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *Socket) goServe() {
	wg := &s.loop.p.wg
	wg.Add(1)
	go func() {
		defer wg.Done()
		s.serve(nil)
	}()
}

// serve calls the Input until it waits.
func (s *Socket) serve(t *turn) {
	if t == nil && s.apart && s.serveApart() {
		return
	}
	for {
		s.on = t
		next := s.input.Ready(s)
		t, s.on = s.on, nil
		if t != nil {
			t.loop.servedOn(s, next)
			return
		}
		if next == Again || !s.rest(next) {
			continue
		}
		return
	}
}

// rest ends a call of the Input. It says whether the socket may be left to itself.
func (s *Socket) rest(next Next) bool {
	switch next {
	case Done:
		s.state.Store(done)
		return true
	case Again:
		return false
	}
	s.apart = next == Apart
	if s.state.CompareAndSwap(running, idle) {
		return true
	}
	s.state.Store(running)
	return false
}

// always are the events that a socket gets while it is not single. They come when
// something changes, so that there is no need to arm it again.
const always = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff

// arm has the loop told: of every change, or, if it is single, once of what a writer
// waits for.
func (s *Socket) arm() {
	events := uint32(always)
	if s.single.Load() {
		events = unix.EPOLLONESHOT
		if s.waiting.Load() {
			events |= unix.EPOLLOUT
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.loop.modify(s.fd, events)
	}
}

// Round is the round that the Input which calls it takes part in; nil: none.
func (s *Socket) Round() Round {
	if s.on == nil {
		return nil
	}
	return s.on.loop.round
}

// Detach lets the Input that calls it go on without a loop that waits for it. The
// round ends.
func (s *Socket) Detach() {
	if s.on != nil {
		s.on.pass()
		s.on = nil
	}
}

// Read reads what is there. It gives io.EOF at the end of the stream, and no byte
// and no error where there is nothing now.
func (s *Socket) Read(b []byte) (int, error) {
	for {
		n, errno := readFrom(s.fd, b)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, nil
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			if s.on != nil {
				s.on.count(n)
			}
			return n, nil
		}
	}
}

// Yield gives the rest of the thread's time slice to other threads.
func (s *Socket) Yield() { _, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// Ended says that the stream has an end: reading goes on until that is met, as no
// event follows. Before, a read of less than there was room for has emptied it.
func (s *Socket) Ended() bool { return s.ended.Load() || s.single.Load() }

// Discard reads and forgets until the end of the stream, limit bytes or the end
// of patience. It is for an Input that returns Done afterwards.
func (s *Socket) Discard(buf []byte, limit int, patience time.Duration) {
	s.follow()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for limit > 0 {
		s.state.Store(running)
		n, err := s.Read(buf)
		if err != nil {
			return
		}
		limit -= n
		if n > 0 {
			continue
		}
		select {
		case <-s.arrived:
		case <-timer.C:
			return
		}
	}
}

// CloseWrite ends our side of the stream.
func (s *Socket) CloseWrite() error { return s.shutdown(unix.SHUT_WR) }

// Abort ends both sides at once.
func (s *Socket) Abort() { _ = s.shutdown(unix.SHUT_RDWR) }

func (s *Socket) shutdown(how int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	return os.NewSyscallError("shutdown", unix.Shutdown(s.fd, how))
}

// Close gives the descriptor back. Nobody may read or write any more: it is for
// the Input, once the writer has ended.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	s.loop.forget(s)
	return os.NewSyscallError("close", unix.Close(s.fd))
}

// TryWrite writes what the socket takes at once. Fewer bytes than given, without
// an error, say that it is full.
func (s *Socket) TryWrite(bufs [][]byte) (int, error) {
	total, off := 0, 0
	for len(bufs) > 0 {
		n, want, errno := s.writev(bufs, off)
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return total, nil
		default:
			return total, os.NewSyscallError("write", errno)
		}
		total += n
		if n < want {
			return total, nil
		}
		for n > 0 || len(bufs) > 0 && len(bufs[0]) == off {
			left := len(bufs[0]) - off
			if n < left {
				off += n
				break
			}
			n -= left
			bufs, off = bufs[1:], 0
		}
	}
	return total, nil
}

// Writev writes all, waiting for room for at most timeout in all (0: for ever).
// The error is os.ErrDeadlineExceeded then, net.ErrClosed after Interrupt.
func (s *Socket) Writev(bufs [][]byte, timeout time.Duration) (int, error) {
	total := 0
	var late <-chan time.Time
	defer s.waiting.Store(false)
	for {
		s.waiting.Store(true)
		n, err := s.TryWrite(bufs)
		total += n
		if bufs = skip(bufs, n); err != nil || len(bufs) == 0 {
			return total, err
		}
		if late == nil && timeout > 0 {
			timer := time.NewTimer(timeout)
			defer timer.Stop()
			late = timer.C
		}
		if s.single.Load() {
			s.arm()
		}
		select {
		case <-s.writable:
		case <-late:
			return total, os.ErrDeadlineExceeded
		case <-s.interrupted:
			return total, net.ErrClosed
		}
	}
}

// skip takes n bytes off bufs, which it changes.
func skip(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// Interrupt makes a Writev that waits, and every later one that would, fail.
func (s *Socket) Interrupt() { s.interrupt.Do(func() { close(s.interrupted) }) }

// vectorLen is the number of buffers of one system call.
const vectorLen = 64

var vectors = sync.Pool{New: func() any { return new([vectorLen]unix.Iovec) }}

// writev makes one system call for bufs, the first off bytes of which are
// written: n of want bytes were taken.
func (s *Socket) writev(bufs [][]byte, off int) (n, want int, errno syscall.Errno) {
	if len(bufs) == 1 {
		b := bufs[0][off:]
		n, errno = writeTo(s.fd, b)
		return n, len(b), errno
	}
	vec := vectors.Get().(*[vectorLen]unix.Iovec)
	k := 0
	for _, b := range bufs[:min(len(bufs), vectorLen)] {
		b, off = b[off:], 0
		if len(b) == 0 {
			continue
		}
		vec[k].Base = &b[0]
		vec[k].SetLen(len(b))
		want += len(b)
		k++
	}
	n, errno = writeVectorTo(s.fd, vec[:k])
	clear(vec[:k])
	vectors.Put(vec)
	return n, want, errno
}
