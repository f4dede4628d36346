package leaf

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/nats-io/nkeys"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// dial connects to one server and introduces this one.
func (r *Remote) dial(ctx context.Context, s *server) (*link, error) {
	dialer := net.Dialer{Timeout: r.o.Dial}
	conn, err := dialer.DialContext(ctx, "tcp", s.host)
	if err != nil {
		return nil, err
	}
	h := &hello{remote: r, server: s, in: newInput(conn)}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // what waits for it fails
	defer stop()
	if err := h.speak(ctx); err != nil {
		_ = h.in.conn.Close() // it is of no use
		return nil, fmt.Errorf("%s: %w", s.host, err)
	}
	filter, err := r.newFilter(&h.info)
	if err != nil {
		_ = h.in.conn.Close()
		return nil, fmt.Errorf("%s: %w", s.host, err)
	}
	return newLink(r, s.host, h.in, h.info, filter), nil
}

// hello is the conversation at the beginning of a connection.
type hello struct {
	remote *Remote
	server *server
	in     *input
	info   wire.Info
	op     wire.Op
}

func (h *hello) speak(ctx context.Context) error {
	o, web := &h.remote.o, h.server.web
	wanted := h.server.secure || o.TLS != nil
	first := o.TLSFirst || web && wanted
	if first {
		if err := h.secure(); err != nil {
			return err
		}
	}
	if web {
		if err := errors.Join(h.until(connectTimeout), h.upgrade(ctx)); err != nil {
			return err
		}
	}
	if err := h.until(o.FirstInfo); err != nil {
		return err
	}
	if err := h.readInfo(); err != nil {
		return err
	}
	if h.info.ClientID == 0 || len(h.info.LeafURLs) == 0 && !web {
		return errors.New("it is no listener for leaf nodes")
	}
	switch {
	case first || web:
	case h.info.TLSRequired:
		if err := h.secure(); err != nil {
			return err
		}
	case wanted:
		return errors.New("TLS is wanted, and the other side has none")
	}
	return h.connect()
}

func (h *hello) until(d time.Duration) error { return h.in.conn.SetDeadline(time.Now().Add(d)) }

// next reads an operation; what it gives is valid until the next read.
func (h *hello) next() (*wire.Op, error) {
	for {
		need, err := h.in.next(&h.op)
		if err != nil || need == 0 {
			return &h.op, err
		}
		if err := h.in.fill(need); err != nil {
			return nil, err
		}
	}
}

func (h *hello) readInfo() error {
	op, err := h.next()
	if err != nil {
		return err
	}
	if op.Kind != wire.OpInfo {
		return errors.New("it does not begin with INFO")
	}
	return h.info.Decode(op.Arg)
}

// secure begins TLS.
func (h *hello) secure() error {
	if h.in.buffered() > 0 {
		return errors.New("the other side speaks before the TLS handshake")
	}
	if err := h.until(h.remote.o.TLSTimeout); err != nil {
		return err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if h.remote.o.TLS != nil {
		config = h.remote.o.TLS.Clone()
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(h.server.host)
		if err != nil {
			return err
		}
		config.ServerName = host
	}
	conn := tls.Client(h.in.conn, config)
	if err := conn.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	h.in = newInput(conn)
	return nil
}

// connect sends CONNECT and waits to be let in.
func (h *hello) connect() error {
	r := h.remote
	d := &r.door.o
	c := wire.Connect{
		Version: d.Version, ID: d.ServerID, Name: d.ServerName, Cluster: d.ServerName, Domain: d.Domain, JetStream: d.JetStream,
		Headers: h.info.Headers, DenyPub: r.o.DenyImports, Isolate: r.o.Isolate, Compression: "off", RemoteAccount: r.o.Account, Proto: 1,
	}
	if err := r.identify(&c, h.server, h.info.Nonce); err != nil {
		return err
	}
	if err := h.until(connectTimeout); err != nil {
		return err
	}
	if _, err := h.in.conn.Write(wire.AppendConnect(nil, &c)); err != nil {
		return fmt.Errorf("write to the other side: %w", err)
	}
	for h.info.InfoOnConnect && !h.info.ConnectInfo {
		op, err := h.next()
		switch {
		case err != nil:
			return err
		case op.Kind == wire.OpErr:
			return &errTold{string(op.Arg)}
		case op.Kind == wire.OpInfo:
			if err := h.info.Decode(op.Arg); err != nil {
				return err
			}
		}
	}
	return h.in.conn.SetDeadline(time.Time{})
}

// identify fills in who this server is. nonce is to be signed.
func (r *Remote) identify(c *wire.Connect, s *server, nonce string) error {
	switch {
	case r.o.Credentials != "":
		b, err := os.ReadFile(r.o.Credentials)
		if err != nil {
			return fmt.Errorf("read the credentials: %w", err)
		}
		if c.JWT, err = nkeys.ParseDecoratedJWT(b); err != nil {
			return fmt.Errorf("read the credentials %s: %w", r.o.Credentials, err)
		}
		key, err := nkeys.ParseDecoratedNKey(b)
		if err != nil {
			return fmt.Errorf("read the credentials %s: %w", r.o.Credentials, err)
		}
		_, err = sign(c, key, nonce)
		return err
	case r.o.Seed != "":
		key, err := nkeys.FromSeed([]byte(r.o.Seed))
		if err != nil {
			return fmt.Errorf("read the seed: %w", err)
		}
		c.NKey, err = sign(c, key, nonce)
		return err
	case s.user != nil:
		c.User = s.user.Username()
		var named bool
		if c.Pass, named = s.user.Password(); !named {
			c.Token = c.User // it is either, and the other side knows which
		}
	}
	return nil
}

// sign signs the nonce and gives the public key.
func sign(c *wire.Connect, key nkeys.KeyPair, nonce string) (public string, err error) {
	defer key.Wipe()
	if public, err = key.PublicKey(); err != nil {
		return "", fmt.Errorf("read the seed: %w", err)
	}
	sig, err := key.Sign([]byte(nonce))
	if err != nil {
		return "", fmt.Errorf("sign the nonce: %w", err)
	}
	c.Sig = base64.RawURLEncoding.EncodeToString(sig)
	return public, nil
}
