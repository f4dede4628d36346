package outbox

import (
	"net"
	"sync/atomic"
	"time"
)

// Socket is what an outbox writes to. Only its owner writes; Interrupt may be
// called by anyone.
type Socket interface {
	// TryWrite writes what the socket takes at once. It never blocks: fewer bytes
	// than given, without an error, say that it would.
	TryWrite(bufs [][]byte) (int, error)
	// Writev writes all of bufs, waiting at most timeout (0: for ever) for the
	// socket to take it. The error of a timeout is os.ErrDeadlineExceeded.
	Writev(bufs [][]byte, timeout time.Duration) (int, error)
	// Interrupt makes a Writev that waits, and every later one, fail.
	Interrupt()
}

// NewSocket gives the socket of any connection. It cannot write without blocking,
// so that everything goes through the writer.
func NewSocket(conn net.Conn) Socket { return &stream{conn: conn} }

type stream struct {
	conn        net.Conn
	interrupted atomic.Bool
	vec         net.Buffers
}

func (s *stream) TryWrite([][]byte) (int, error) { return 0, nil }

func (s *stream) Writev(bufs [][]byte, timeout time.Duration) (int, error) {
	if err := s.conn.SetWriteDeadline(until(timeout)); err != nil {
		return 0, err
	}
	// An interrupt before the deadline was set would be forgotten.
	if s.interrupted.Load() {
		return 0, net.ErrClosed
	}
	s.vec = append(s.vec[:0], bufs...)
	vec := s.vec
	n, err := vec.WriteTo(s.conn)
	clear(s.vec)
	return int(n), err
}

func (s *stream) Interrupt() {
	s.interrupted.Store(true)
	_ = s.conn.SetWriteDeadline(past)
}

var past = time.Unix(1, 0)

func until(timeout time.Duration) time.Time {
	if timeout <= 0 {
		return time.Time{}
	}
	return time.Now().Add(timeout)
}
