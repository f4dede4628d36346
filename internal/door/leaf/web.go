package leaf

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"

	"github.com/coder/websocket"
)

// webPath is what makes of a WebSocket one for a leaf node; a path of the address is in
// front of it.
const webPath = "/leafnode"

// webAddress gives the path of a listener for WebSockets.
func webAddress(u *url.URL) string { return path.Join("/", u.Path, webPath) }

// upgrade makes a WebSocket of the connection, which is a TLS one by now if it is to be.
func (h *hello) upgrade(ctx context.Context) error {
	under := h.in.conn
	given := false
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		if given {
			return nil, errors.New("the other side wants another connection")
		}
		given = true
		return under, nil
	}}
	at := url.URL{Scheme: "ws", Host: h.server.host, Path: h.server.path}
	ws, resp, err := websocket.Dial(ctx, at.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		// Nothing is compressed, as with other links.
		CompressionMode: websocket.CompressionDisabled,
	})
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close() // it is of no use
	}
	if err != nil {
		return fmt.Errorf("WebSocket: %w", err)
	}
	ws.SetReadLimit(-1) // what is too long the protocol says
	h.in = newInput(&webConn{Conn: under, ws: ws})
	return nil
}

// webConn is a WebSocket as a stream of bytes. One goroutine may read and one write.
// Deadlines are those of the connection below, and one that passes ends it.
type webConn struct {
	net.Conn
	ws   *websocket.Conn
	from io.Reader // the rest of the message that is being read; nil: there is none
}

// Read implements net.Conn.
func (c *webConn) Read(b []byte) (int, error) {
	for {
		if c.from == nil {
			var err error
			if _, c.from, err = c.ws.Reader(context.Background()); err != nil {
				return 0, ended(err)
			}
		}
		n, err := c.from.Read(b)
		if errors.Is(err, io.EOF) {
			c.from, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// ended says that the other side has ended the connection in an orderly way, if it has.
func ended(err error) error {
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway:
		return io.EOF
	}
	return err
}

// Write implements net.Conn: it sends one message.
func (c *webConn) Write(b []byte) (int, error) {
	if err := c.ws.Write(context.Background(), websocket.MessageBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.Conn. It does not wait for the other side.
func (c *webConn) Close() error { return c.ws.CloseNow() }

// encrypted says whether a connection is a TLS one.
func encrypted(conn net.Conn) bool {
	if c, ok := conn.(*webConn); ok {
		conn = c.Conn
	}
	_, ok := conn.(*tls.Conn)
	return ok
}
