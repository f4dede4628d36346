package listen

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// WebSocketOptions say who may come in over WebSocket.
type WebSocketOptions struct {
	TLS              *tls.Config // nil: connections are not secured
	SameOrigin       bool        // a page must come from the host that it connects to
	AllowedOrigins   []string    // where pages may come from, as "https://host:port"; none: anywhere
	HandshakeTimeout time.Duration
	Headers          map[string]string // of the answer
	MaxMessage       int64             // bytes
	// Cookies that say who a client is, where it does not say so itself; empty: none.
	UserCookie, PassCookie, TokenCookie string
}

// WebSocket is a listener whose connections are WebSockets. It is a net.Listener.
type WebSocket struct {
	o      WebSocketOptions
	ln     net.Listener
	server *http.Server
	conns  chan *WebConn
	closed chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
}

// NewWebSocket serves WebSockets on ln, which it takes over, until Close.
func NewWebSocket(ln net.Listener, o WebSocketOptions) *WebSocket {
	w := &WebSocket{o: o, ln: ln, conns: make(chan *WebConn), closed: make(chan struct{})}
	w.server = &http.Server{
		Handler: http.HandlerFunc(w.serve), ReadHeaderTimeout: o.HandshakeTimeout, TLSConfig: o.TLS,
		ErrorLog: log.New(io.Discard, "", 0), // what strangers send is not worth a line each
	}
	if o.TLS != nil {
		c := o.TLS.Clone()
		c.NextProtos = []string{"http/1.1"}
		ln = tls.NewListener(ln, c)
	}
	w.wg.Go(func() { _ = w.server.Serve(ln) })
	return w
}

// Addr is the bound address.
func (w *WebSocket) Addr() net.Addr { return w.ln.Addr() }

// Accept waits for a connection. The only error is net.ErrClosed, after Close.
func (w *WebSocket) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// Close gives the address back. Connections that were accepted stay open.
func (w *WebSocket) Close() error {
	var err error
	w.once.Do(func() {
		close(w.closed)
		err = w.server.Close()
		w.wg.Wait()
	})
	return err
}

// refuse judges a request to upgrade; status 0: it may.
func (w *WebSocket) refuse(r *http.Request) (status int, text string) {
	switch {
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "request method must be GET"
	case r.Host == "":
		return http.StatusBadRequest, "'Host' missing in request"
	case !hasToken(r.Header, "Upgrade", "websocket"):
		return http.StatusBadRequest, "invalid value for header 'Upgrade'"
	case !hasToken(r.Header, "Connection", "upgrade"):
		return http.StatusBadRequest, "invalid value for header 'Connection'"
	case r.Header.Get("Sec-Websocket-Key") == "":
		return http.StatusBadRequest, "key missing"
	case !validKey(r.Header.Get("Sec-Websocket-Key")):
		return http.StatusBadRequest, "invalid websocket key"
	case !hasToken(r.Header, "Sec-Websocket-Version", "13"):
		return http.StatusBadRequest, "invalid version"
	}
	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case strings.HasSuffix(path, "/mqtt"):
		return http.StatusNotFound, "mqtt websocket endpoint not enabled"
	case strings.HasSuffix(path, "/leafnode"):
		return http.StatusNotFound, "leafnode websocket endpoint not enabled"
	}
	if text := w.originRefused(r); text != "" {
		return http.StatusForbidden, "origin not allowed: " + text
	}
	return 0, ""
}

func validKey(key string) bool {
	b, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(b) == 16
}

func hasToken(h http.Header, key, want string) bool {
	for _, line := range h.Values(key) {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), want) {
				return true
			}
		}
	}
	return false
}

// originRefused says why the page that a client is part of may not connect. A client
// that is no page names no origin.
func (w *WebSocket) originRefused(r *http.Request) string {
	origin := r.Header.Get("Origin")
	if origin == "" {
		origin = r.Header.Get("Sec-Websocket-Origin")
	}
	if origin == "" || !w.o.SameOrigin && len(w.o.AllowedOrigins) == 0 {
		return ""
	}
	from, err := url.ParseRequestURI(origin)
	if err != nil {
		return "not valid"
	}
	if w.o.SameOrigin {
		here := &url.URL{Scheme: "http", Host: r.Host}
		if w.o.TLS != nil {
			here.Scheme = "https"
		}
		if place(from) != place(here) {
			return "not same origin"
		}
	}
	allowed := func(text string) bool {
		u, err := url.ParseRequestURI(text)
		return err == nil && place(u) == place(from)
	}
	if len(w.o.AllowedOrigins) > 0 && !slices.ContainsFunc(w.o.AllowedOrigins, allowed) {
		return "not in the allowed list"
	}
	return ""
}

// place is a URL's scheme, host and port.
func place(u *url.URL) string {
	port := u.Port()
	if port == "" {
		if port = "80"; strings.EqualFold(u.Scheme, "https") {
			port = "443"
		}
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}

// serve makes a WebSocket of a request.
func (w *WebSocket) serve(rw http.ResponseWriter, r *http.Request) {
	if status, text := w.refuse(r); status != 0 {
		http.Error(rw, text, status)
		return
	}
	for key, value := range w.o.Headers {
		rw.Header().Set(key, value)
	}
	// The origin is judged already. Nothing is compressed: the library ends a compressed
	// message with an empty frame, which the Go client of NATS can not read.
	ws, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // it has been told
	}
	ws.SetReadLimit(w.o.MaxMessage)
	c := newWebConn(ws, r, w)
	select {
	case w.conns <- c:
	case <-w.closed:
		c.End(int(websocket.StatusGoingAway), "Server Shutdown")
		_ = c.Close()
	}
}

// WebConn is a client's WebSocket as a stream of bytes. What it reads it gets from a
// goroutine that ends with Close.
type WebConn struct {
	ws     *websocket.Conn
	from   net.Addr
	local  net.Addr
	secure bool
	read   net.Conn // what the client sent
	pumped chan struct{}

	user, pass, token string

	mu       sync.Mutex
	deadline time.Time            // guarded by mu: of writing
	code     websocket.StatusCode // guarded by mu: what Close says
	reason   string               // guarded by mu
}

func newWebConn(ws *websocket.Conn, r *http.Request, w *WebSocket) *WebConn {
	read, fill := net.Pipe()
	c := &WebConn{
		ws: ws, from: clientAddr(r), local: w.Addr(), secure: w.o.TLS != nil, read: read, pumped: make(chan struct{}),
		user: cookie(r, w.o.UserCookie), pass: cookie(r, w.o.PassCookie), token: cookie(r, w.o.TokenCookie),
		code: websocket.StatusNormalClosure,
	}
	go c.pump(fill)
	return c
}

// clientAddr is where the client is, or, behind a proxy, says to be.
func clientAddr(r *http.Request) net.Addr {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if ip := net.ParseIP(strings.TrimSpace(first)); ip != nil {
		return &net.TCPAddr{IP: ip}
	}
	host, port, _ := net.SplitHostPort(r.RemoteAddr)
	a := &net.TCPAddr{IP: net.ParseIP(host)}
	_, _ = fmt.Sscan(port, &a.Port)
	return a
}

func cookie(r *http.Request, name string) string {
	if name == "" {
		return ""
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// pump passes on what the client sends, in frames of any kind.
func (c *WebConn) pump(to net.Conn) {
	defer close(c.pumped)
	defer func() { _ = to.Close() }()
	for {
		_, r, err := c.ws.Reader(context.Background())
		if err != nil {
			return
		}
		if _, err := io.Copy(to, r); err != nil {
			return
		}
	}
}

// Cookies gives what the client's cookies say of who it is.
func (c *WebConn) Cookies() (user, pass, token string) { return c.user, c.pass, c.token }

// Secure says whether the connection is a TLS one.
func (c *WebConn) Secure() bool { return c.secure }

// End sets what the client is told at Close.
func (c *WebConn) End(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code, c.reason = websocket.StatusCode(code), reason
}

// Read implements net.Conn.
func (c *WebConn) Read(b []byte) (int, error) { return c.read.Read(b) }

// Write implements net.Conn: it sends one frame. A deadline that passes ends the
// connection.
func (c *WebConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	ctx := context.Background()
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	if err := c.ws.Write(ctx, websocket.MessageBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends the connection, with a close frame where the client still takes it.
func (c *WebConn) Close() error {
	c.mu.Lock()
	code, reason := c.code, c.reason
	c.mu.Unlock()
	// Nothing is read any more: whoever pumps must not wait for that.
	_ = c.read.Close()
	err := c.ws.Close(code, reason)
	_ = c.ws.CloseNow()
	<-c.pumped
	if err != nil && !errors.Is(err, net.ErrClosed) && websocket.CloseStatus(err) == -1 {
		return fmt.Errorf("close a WebSocket: %w", err)
	}
	return nil
}

// LocalAddr implements net.Conn.
func (c *WebConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *WebConn) RemoteAddr() net.Addr { return c.from }

// SetDeadline implements net.Conn.
func (c *WebConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *WebConn) SetReadDeadline(t time.Time) error { return c.read.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn. It holds for the next Write; one that is past
// ends the connection at once.
func (c *WebConn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && time.Until(t) <= 0 {
		return c.ws.CloseNow()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}
