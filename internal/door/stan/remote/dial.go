package remote

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/redial"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// link is one connection to one server.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	info wire.Info
	host string

	unanswered atomic.Int32 // pings
}

// readBuffer also bounds a control line: INFO may name many servers.
const readBuffer = 256 << 10

// errRefused says that a server did not let the client in: trying again does not help.
var errRefused = errors.New("refused")

// dial connects to one server and introduces the client.
func (c *Client) dial(ctx context.Context, s *server) (*link, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", s.host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // what waits for it fails
	defer stop()
	l := &link{conn: conn, in: bufio.NewReaderSize(conn, readBuffer), host: s.host}
	if err := c.hello(l, s); err != nil {
		_ = l.conn.Close() // it is of no use
		return nil, fmt.Errorf("%s: %w", s.host, err)
	}
	return l, nil
}

// hello speaks with a server until the connection may be used.
func (c *Client) hello(l *link, s *server) error {
	if err := l.conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	if err := l.readInfo(); err != nil {
		return err
	}
	if err := c.secure(l, s); err != nil {
		return err
	}
	_, secured := l.conn.(*tls.Conn)
	hello := wire.Connect{
		Name: c.o.Name, Lang: "go", Version: "weir", Protocol: 1, Headers: true, NoResponders: l.info.Headers, TLSRequired: secured,
	}
	if !l.info.Headers {
		hello.Headers = false
	}
	if err := c.o.identify(&hello, s, l.info.Nonce); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if _, err := l.conn.Write(wire.AppendPing(wire.AppendConnect(nil, &hello))); err != nil {
		return err
	}
	for {
		got, err := l.next()
		switch {
		case err != nil:
			return err
		case got.Kind == wire.ServedErr:
			return fmt.Errorf("%w: %s", errRefused, got.Arg)
		case got.Kind == wire.ServedInfo:
			if err := l.take(got.Arg); err != nil {
				return err
			}
		case got.Kind == wire.ServedPong:
			return l.conn.SetDeadline(time.Time{})
		}
	}
}

// next reads a control line; what it gives is valid until the next read.
func (l *link) next() (wire.Served, error) {
	line, err := l.in.ReadSlice('\n')
	if err != nil {
		return wire.Served{}, fmt.Errorf("read from the NATS server: %w", err)
	}
	return wire.ParseServed(line)
}

func (l *link) readInfo() error {
	got, err := l.next()
	if err != nil {
		return err
	}
	if got.Kind != wire.ServedInfo {
		return errors.New("it is no NATS server: it does not begin with INFO")
	}
	return l.take(got.Arg)
}

// take reads an INFO over what is known.
func (l *link) take(document []byte) error {
	if err := json.Unmarshal(document, &l.info); err != nil {
		return fmt.Errorf("read INFO: %w", err)
	}
	return nil
}

// secure begins TLS where either side wants it.
func (c *Client) secure(l *link, s *server) error {
	want := c.o.Secure || !s.insecure || c.o.TLS != nil
	if !l.info.TLSRequired && !(want && l.info.TLSAvailable) {
		if want {
			return fmt.Errorf("%w: TLS is wanted, and the server has none", errRefused)
		}
		return nil
	}
	if l.in.Buffered() > 0 {
		return errors.New("the server speaks before the TLS handshake")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.o.TLS != nil {
		config = c.o.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = strings.Cut(s.host, ":")
		if host, _, err := net.SplitHostPort(s.host); err == nil {
			config.ServerName = host
		}
	}
	conn := tls.Client(l.conn, config)
	if err := conn.Handshake(); err != nil {
		if bad := new(tls.CertificateVerificationError); errors.As(err, &bad) {
			return fmt.Errorf("%w: TLS: %w", errRefused, err)
		}
		return fmt.Errorf("TLS: %w", err)
	}
	l.conn, l.in = conn, bufio.NewReaderSize(conn, readBuffer)
	return nil
}

// connect tries all servers once.
func (c *Client) connect(ctx context.Context) (*link, error) {
	return redial.First(ctx, c.candidates(), c.dial)
}

// candidates are the servers to try: those that were named, then those that the
// system told of.
func (c *Client) candidates() []server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(slices.Clone(c.servers), c.told...)
}

// learn notes the servers that a server tells of.
func (c *Client) learn(info *wire.Info) {
	first := c.servers[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = c.told[:0:0]
	for _, host := range info.ConnectURLs {
		known := slices.ContainsFunc(c.servers, func(s server) bool { return s.host == host })
		if _, _, err := net.SplitHostPort(host); err == nil && !known {
			c.told = append(c.told, server{host: host, user: first.user, insecure: first.insecure})
		}
	}
	c.maxPayload = int(info.MaxPayload)
}
