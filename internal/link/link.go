package link

import (
	"net"
	"time"

	"github.com/weirmq/weir/internal/outbox"
	"github.com/weirmq/weir/internal/poller"
)

// Link is a client's connection below the protocol.
type Link interface {
	outbox.Socket
	RemoteAddr() net.Addr
	// Wake has the reader look at what was changed from outside.
	Wake()
	// CloseWrite ends our side of the stream.
	CloseWrite() error
	// Discard reads and forgets up to limit bytes, until the end of the stream or
	// of patience. It is the reader's.
	Discard(buf []byte, limit int, patience time.Duration)
	// Abort ends both sides at once.
	Abort()
	// Close gives the connection's resources back.
	Close() error
}

// New makes a connection's link. A TCP connection is taken over for the poller, if there
// is one: then sock is the link, and in is called when sock was started. Without a sock
// the link is conn's, which a goroutine is to read; err says why, where there is a reason.
func New(conn net.Conn, p *poller.Poller, in poller.Input) (l Link, sock *poller.Socket, err error) {
	if tcp, ok := conn.(*net.TCPConn); ok && p != nil {
		if sock, err = p.Adopt(tcp, in); err == nil {
			return sock, sock, nil
		}
	}
	return &stream{Socket: outbox.NewSocket(conn), conn: conn}, nil, err
}

var _ Link = (*poller.Socket)(nil)

// stream is a connection of any kind, with a reader's goroutine that waits in Read. Wake
// ends that with a deadline in the past, which the reader lifts.
type stream struct {
	outbox.Socket
	conn net.Conn
}

// past is a deadline that wakes a reader at once.
var past = time.Unix(1, 0)

func (l *stream) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }
func (l *stream) Wake()                { _ = l.conn.SetReadDeadline(past) }
func (l *stream) Abort()               { _ = l.conn.Close() }
func (l *stream) Close() error         { return l.conn.Close() }

func (l *stream) CloseWrite() error {
	half, ok := l.conn.(interface{ CloseWrite() error })
	if !ok {
		return net.ErrClosed
	}
	return half.CloseWrite()
}

func (l *stream) Discard(buf []byte, limit int, patience time.Duration) {
	if l.conn.SetReadDeadline(time.Now().Add(patience)) != nil {
		return
	}
	for limit > 0 {
		n, err := l.conn.Read(buf)
		if err != nil {
			return
		}
		limit -= n
	}
}
