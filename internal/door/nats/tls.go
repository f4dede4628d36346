package nats

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

// TLS says how clients are secured. It is immutable.
type TLS struct {
	Config  *tls.Config
	Timeout time.Duration // of the handshake; 0: 2 s
	// First has the handshake come before the INFO. Where Fallback is not 0, a client
	// that has not begun it after that long gets the INFO all the same.
	First    bool
	Fallback time.Duration
	// Optional lets clients in that do not want TLS.
	Optional bool
}

const (
	handshakeTimeout = 2 * time.Second
	// recordHandshake is the first byte of a TLS handshake.
	recordHandshake = 0x16
)

var errTLS = &wire.Error{Reason: wire.ReasonTLS}

// UpdateTLS puts other settings in place, for clients that come from now on; nil:
// they are not secured.
func (d *Door) UpdateTLS(t *TLS) {
	d.tls.Store(t)
}

// secured is a connection that becomes a TLS one after its INFO. Until then only its
// reader's goroutine uses it, but for Wake.
type secured struct {
	net.Conn
	settings *TLS
	first    []byte                   // read and not yet taken
	tls      atomic.Pointer[tls.Conn] // nil: it is plain
}

// Read implements net.Conn.
func (s *secured) Read(b []byte) (int, error) {
	if c := s.tls.Load(); c != nil {
		return c.Read(b)
	}
	return s.readPlain(b)
}

func (s *secured) readPlain(b []byte) (int, error) {
	if len(s.first) > 0 {
		n := copy(b, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	return s.Conn.Read(b)
}

// Write implements net.Conn.
func (s *secured) Write(b []byte) (int, error) {
	if c := s.tls.Load(); c != nil {
		return c.Write(b)
	}
	return s.Conn.Write(b)
}

// CloseWrite ends our side of the stream.
func (s *secured) CloseWrite() error {
	if c := s.tls.Load(); c != nil {
		return c.CloseWrite()
	}
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// underTLS is the connection as a TLS server sees it.
type underTLS struct{ *secured }

func (u underTLS) Read(b []byte) (int, error)  { return u.readPlain(b) }
func (u underTLS) Write(b []byte) (int, error) { return u.Conn.Write(b) }

// state is the TLS connection's, nil where there is none.
func (s *secured) state() *tls.ConnectionState {
	if s == nil {
		return nil
	}
	if c := s.tls.Load(); c != nil {
		state := c.ConnectionState()
		return &state
	}
	return nil
}

// secure sends the INFO and makes the connection a secure one, in the order that the
// settings say. nil: it is done, or the client wants none and needs none.
func (c *Conn) secure() *wire.Error {
	s := c.secured
	t := s.settings
	first := t.First
	if first && t.Fallback > 0 {
		b, err := s.peek(c, t.Fallback)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return errReadError
		}
		first = err == nil && b == recordHandshake
	}
	if !first {
		if err := s.greet(c); err != nil {
			return errWriteError
		}
	}
	if t.Optional && !first {
		switch b, err := s.peek(c, 0); {
		case err != nil:
			return errClientClosed
		case b != recordHandshake:
			return nil
		}
	}
	if why := s.handshake(c); why != nil {
		return why
	}
	if first {
		if err := s.greet(c); err != nil {
			return errWriteError
		}
	}
	return nil
}

// greet sends the INFO past the outbox, which is not to be used before the handshake.
func (s *secured) greet(c *Conn) error {
	if err := s.SetWriteDeadline(time.Now().Add(c.door.limits.Load().WriteDeadline)); err != nil {
		return err
	}
	_, err := s.Write(wire.AppendInfo(nil, c.firstInfo()))
	return errors.Join(err, s.SetWriteDeadline(time.Time{}))
}

// peek waits for the first byte of input, at most for patience if that is not 0.
func (s *secured) peek(c *Conn, patience time.Duration) (byte, error) {
	for len(s.first) == 0 {
		deadline := time.Time{}
		if patience > 0 {
			deadline = time.Now().Add(patience)
		}
		if err := s.SetReadDeadline(deadline); err != nil {
			return 0, err
		}
		if c.closing.Load() != nil {
			return 0, net.ErrClosed
		}
		b := make([]byte, 1)
		n, err := s.Conn.Read(b)
		s.first = b[:n]
		if err != nil && (patience > 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return 0, err
		}
	}
	return s.first[0], s.SetReadDeadline(time.Time{})
}

func (s *secured) handshake(c *Conn) *wire.Error {
	timeout := s.settings.Timeout
	if timeout <= 0 {
		timeout = handshakeTimeout
	}
	conn := tls.Server(underTLS{s}, s.settings.Config)
	if s.SetDeadline(time.Now().Add(timeout)) != nil || c.closing.Load() != nil {
		return errTLS
	}
	if err := conn.Handshake(); err != nil {
		c.logger().Warn("TLS handshake failed", "error", err)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return wire.ErrTLSRequired
		}
		return errTLS
	}
	if s.SetDeadline(time.Time{}) != nil {
		return errReadError
	}
	s.tls.Store(conn)
	return nil
}

// certificate is what the client has shown and the handshake has verified, or nil.
func (s *secured) certificate() *x509.Certificate {
	if state := s.state(); state != nil && len(state.PeerCertificates) > 0 {
		return state.PeerCertificates[0]
	}
	return nil
}
