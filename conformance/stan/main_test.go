// Package stan_test runs the official client of NATS Streaming against the binary:
// what its own suite does not cover.
package stan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

const cluster = "tc"

// ackWait is how long a client waits for an answer that a server's end may have cost.
const ackWait = 2 * time.Second

// start runs a server whose channels are on disk, with more settings of the stan block.
func start(t *testing.T, settings string) *harness.Server {
	t.Helper()
	return harness.Start(t, block(settings))
}

func block(settings string) string {
	return fmt.Sprintf("stan {\n cluster_id: %s\n store: file\n%s\n}\n", cluster, settings)
}

// client is a connection and what became of it.
type client struct {
	stan.Conn
	t    *testing.T
	nc   *nats.Conn
	lost chan error
}

// connect begins a session over a connection of its own, which comes back when the
// server does. A server that was just started may not listen for sessions yet.
func connect(t *testing.T, url, id string) *client {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	c := &client{t: t, nc: nc, lost: make(chan error, 1)}
	harness.Eventually(t, "the streaming server answers", func() bool {
		c.Conn, err = stan.Connect(cluster, id, stan.NatsConn(nc), stan.PubAckWait(ackWait), stan.ConnectWait(ackWait), stan.SetConnectionLostHandler(func(_ stan.Conn, err error) { c.lost <- err }))
		return err == nil
	})
	t.Cleanup(func() { _ = c.Close() }) // some tests close it before
	return c
}

// back waits until the client is connected to a server that was started again: what is
// sent to it before comes only after its AckWait.
func (c *client) back() {
	c.t.Helper()
	harness.Eventually(c.t, "the client is connected again", func() bool { return c.Publish("back", nil) == nil })
}

// put publishes messages FIRST to LAST with their numbers in them.
func (c *client) put(channel string, first, last int) {
	c.t.Helper()
	for i := first; i <= last; i++ {
		if err := c.Publish(channel, fmt.Append(nil, i)); err != nil {
			c.t.Fatalf("publish %d: %v", i, err)
		}
	}
}

// sub is a subscription with what it got.
type sub struct {
	stan.Subscription
	t *testing.T
	c chan *stan.Msg
}

func (c *client) subscribe(channel, group string, opts ...stan.SubscriptionOption) *sub {
	c.t.Helper()
	s := &sub{t: c.t, c: make(chan *stan.Msg, 10_000)}
	opts = append(opts, stan.SetManualAckMode())
	var err error
	take := func(m *stan.Msg) { s.c <- m }
	if group != "" {
		s.Subscription, err = c.QueueSubscribe(channel, group, take, opts...)
	} else {
		s.Subscription, err = c.Subscribe(channel, take, opts...)
	}
	if err != nil {
		c.t.Fatalf("subscribe to %s: %v", channel, err)
	}
	return s
}

func (s *sub) next() *stan.Msg {
	s.t.Helper()
	select {
	case m := <-s.c:
		return m
	case <-time.After(patience):
		s.t.Fatal("no message")
		return nil
	}
}

// want takes messages FIRST to LAST, in order, and acknowledges those that ack says.
func (s *sub) want(first, last int, ack func(int) bool) {
	s.t.Helper()
	for i := first; i <= last; i++ {
		m := s.next()
		if m.Sequence != uint64(i) || string(m.Data) != fmt.Sprint(i) {
			s.t.Fatalf("message %d (%s), want %d", m.Sequence, m.Data, i)
		}
		if ack(i) {
			if err := m.Ack(); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

func all(int) bool  { return true }
func none(int) bool { return false }

// settled waits until the server has seen all acknowledgements of a client's: requests
// are handled behind them.
func (c *client) settled() {
	c.t.Helper()
	s, err := c.Subscribe("settle", func(*stan.Msg) {})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}
