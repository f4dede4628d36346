package liftbridge_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// start runs a server that serves Liftbridge, too, and connects the official client.
func start(t *testing.T, settings string) (s *harness.Server, addr string, c lift.Client) {
	t.Helper()
	addr = harness.Free(t)
	s = harness.Start(t, fmt.Sprintf("liftbridge {\n listen: %q\n%s\n}", addr, settings))
	return s, addr, connect(t, addr)
}

func connect(t *testing.T, addr string) lift.Client {
	t.Helper()
	c, err := lift.Connect([]string{addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // some tests close it before
	return c
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receive subscribes and gives messages as they come.
func receive(t *testing.T, c lift.Client, stream string, opts ...lift.SubscriptionOption) <-chan *lift.Message {
	t.Helper()
	got := make(chan *lift.Message, 10_000)
	err := c.Subscribe(deadline(t), stream, func(m *lift.Message, err error) {
		if err == nil {
			got <- m
		}
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func next(t *testing.T, from <-chan *lift.Message) *lift.Message {
	t.Helper()
	select {
	case m := <-from:
		return m
	case <-time.After(patience):
		t.Fatal("no message")
		return nil
	}
}
