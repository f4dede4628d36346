// Package leaf_test runs the binary as a leaf node of a nats-server: what is published
// on either side, what streams keep of it, and the end and restart of either.
package leaf_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// port finds a free one on loopback.
func port(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	return addr
}

// startHub runs a nats-server that listens for leaf nodes at addr.
func startHub(t *testing.T, addr, more string) *harness.Server {
	t.Helper()
	return harness.StartReference(t, fmt.Sprintf("server_name: hub\nleafnodes { listen: %q }\n%s", addr, more))
}

// startLeaf runs Weir as a leaf node of the one at addr, with further settings of the remote.
func startLeaf(t *testing.T, addr, remote, more string) *harness.Server {
	t.Helper()
	return harness.Start(t, leafConfig("nats://"+addr, remote, more))
}

func leafConfig(url, remote, more string) string {
	return fmt.Sprintf("server_name: edge\nleafnodes { reconnect: \"50ms\", remotes [ { url: %q, %s } ] }\n%s", url, remote, more)
}

// pair is a hub and a leaf node of it, with a client on each.
type pair struct {
	t           *testing.T
	hub, leaf   *harness.Server
	there, here *nats.Conn
}

func newPair(t *testing.T, remote, more string) *pair {
	t.Helper()
	addr := port(t)
	p := &pair{t: t, hub: startHub(t, addr, "")}
	p.leaf = startLeaf(t, addr, remote, more)
	p.there, p.here = p.hub.Connect(), p.leaf.Connect()
	linked(t, p.there, p.here)
	return p
}

// linked waits until what is subscribed on one side is known on the other.
func linked(t *testing.T, a, b *nats.Conn) {
	t.Helper()
	for _, d := range [][2]*nats.Conn{{a, b}, {b, a}} {
		subject := nats.NewInbox()
		sub, err := d[0].Subscribe(subject, func(m *nats.Msg) { _ = m.Respond(nil) })
		if err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, "the servers are linked", func() bool {
			_, err := d[1].Request(subject, nil, 100*time.Millisecond)
			return err == nil
		})
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
}

// subscribe gives what comes to a subscription, once the other side knows of it.
func (p *pair) subscribe(nc, other *nats.Conn, subject, queue string) chan *nats.Msg {
	p.t.Helper()
	c := make(chan *nats.Msg, 10_000)
	if _, err := nc.ChanQueueSubscribe(subject, queue, c); err != nil {
		p.t.Fatal(err)
	}
	p.known(nc, other)
	return c
}

// known waits until the other side knows of all that was subscribed on this one.
func (p *pair) known(nc, other *nats.Conn) {
	p.t.Helper()
	linked(p.t, nc, other)
}

func next(t *testing.T, c <-chan *nats.Msg) *nats.Msg {
	t.Helper()
	select {
	case m := <-c:
		return m
	case <-time.After(patience):
		t.Fatal("no message")
		return nil
	}
}

func streams(t *testing.T, nc *nats.Conn, domain string) jetstream.JetStream {
	t.Helper()
	var js jetstream.JetStream
	var err error
	if domain == "" {
		js, err = jetstream.New(nc)
	} else {
		js, err = jetstream.NewWithDomain(nc, domain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return js
}
