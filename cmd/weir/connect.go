package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// connect opens a connection with the global flags' server and credentials. It
// does not reconnect unless extra options say so: a command that is cut off says it.
func (a *app) connect(extra ...nats.Option) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name("weir"),
		nats.Timeout(a.timeout),
		nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if isLost(err) {
				return // the command itself says that the connection was lost
			}
			fmt.Fprintf(a.err, "weir: %s\n", strings.TrimPrefix(err.Error(), "nats: "))
		}),
	}
	if a.user != "" {
		opts = append(opts, nats.UserInfo(a.user, a.password()))
	}
	if token := a.accessToken(); token != "" {
		opts = append(opts, nats.Token(token))
	}
	nc, err := nats.Connect(a.server, append(opts, extra...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", redact(a.server), err)
	}
	return nc, nil
}

// connectStreams opens a connection for stream requests.
func (a *app) connectStreams(extra ...nats.Option) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := a.connect(extra...)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(a.timeout))
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("prepare stream requests: %w", err)
	}
	return nc, js, nil
}

// redact takes user and password out of URLs before they are shown.
func redact(urls string) string {
	parts := strings.Split(urls, ",")
	for i, p := range parts {
		scheme, rest, found := strings.Cut(p, "://")
		if !found {
			scheme, rest = "", p
		}
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			rest = rest[at+1:]
		}
		if found {
			rest = scheme + "://" + rest
		}
		parts[i] = rest
	}
	return strings.Join(parts, ",")
}

// flushed waits until the server has taken everything, and returns what it refused meanwhile.
func (a *app) flushed(nc *nats.Conn) error {
	if err := nc.FlushTimeout(a.timeout); err != nil {
		if last := nc.LastError(); last != nil && errors.Is(err, nats.ErrConnectionClosed) {
			err = last
		}
		return fmt.Errorf("send to the server: %w", err)
	}
	if err := nc.LastError(); err != nil {
		return fmt.Errorf("the server refused: %w", err)
	}
	return nil
}
