package nats

import (
	"net"
	"time"

	"github.com/weirmq/weir/internal/outbox"
	"github.com/weirmq/weir/internal/poller"
)

// link is a client's connection below the protocol.
type link interface {
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

// newLink makes the connection's link, and takes the connection over for the
// poller where that is possible.
func (d *Door) newLink(conn net.Conn, c *Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok && d.poller != nil {
		sock, err := d.poller.Adopt(tcp, c)
		if err == nil {
			c.sock, c.link = sock, sock
			return
		}
		d.log.Debug("connection not polled", "remote", conn.RemoteAddr().String(), "error", err)
	}
	c.stream = conn
	c.link = &streamLink{Socket: outbox.NewSocket(conn), conn: conn}
}

var _ link = (*poller.Socket)(nil)

// streamLink is a connection of any kind, with a reader's goroutine that waits in
// Read.
type streamLink struct {
	outbox.Socket
	conn net.Conn
}

// past is a deadline that wakes a reader at once.
var past = time.Unix(1, 0)

func (l *streamLink) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }
func (l *streamLink) Wake()                { _ = l.conn.SetReadDeadline(past) }
func (l *streamLink) Abort()               { _ = l.conn.Close() }
func (l *streamLink) Close() error         { return l.conn.Close() }

func (l *streamLink) CloseWrite() error {
	half, ok := l.conn.(interface{ CloseWrite() error })
	if !ok {
		return net.ErrClosed
	}
	return half.CloseWrite()
}

func (l *streamLink) Discard(buf []byte, limit int, patience time.Duration) {
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
