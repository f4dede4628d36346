package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

func TestConnectionsOverTheLimitAreTurnedAway(t *testing.T) {
	s := harness.Start(t, "max_connections: 2")
	a := s.Raw(quiet)
	s.Raw(quiet)
	s.Dial().ExpectClosed("-ERR 'maximum connections exceeded'")
	a.Send("FOO\r\n")
	a.ExpectClosed("-ERR 'Unknown Protocol Operation'")
	harness.Eventually(t, "a place is free again", func() bool {
		nc, err := nats.Connect(s.URL)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
}

func TestSubscriptionsOverTheLimitAreRefusedAndTheConnectionStays(t *testing.T) {
	r := harness.Start(t, "max_subscriptions: 3").Raw(quiet)
	r.Send("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nSUB d 4\r\nPING\r\n")
	r.Expect("-ERR 'maximum subscriptions exceeded'", "PONG")
	r.Send("UNSUB 1\r\nSUB d 5\r\nPUB d 1\r\nx\r\n")
	r.Expect("MSG d 5 1", "x")
}

func TestControlLineLimitIsConfigurable(t *testing.T) {
	r := harness.Start(t, "max_control_line: 200").Raw(quiet)
	r.Send("SUB " + strings.Repeat("a", 150) + " 1\r\nPING\r\n")
	r.Expect("PONG")
	r.Send("SUB " + strings.Repeat("a", 250) + " 2\r\n")
	r.ExpectClosed("-ERR 'maximum control line exceeded'")
}

func TestSilentClientGoesStale(t *testing.T) {
	r := harness.Start(t, "ping_interval: \"500ms\"\nping_max: 1").Raw(quiet)
	pings := 0
	for {
		line := r.Line()
		if line == "-ERR 'Stale Connection'" {
			break
		}
		if line != "PING" {
			t.Fatalf("got %q", line)
		}
		pings++
	}
	r.ExpectClosed()
	if pings == 0 {
		t.Error("the connection went stale without a PING")
	}
}

func TestSlowConsumerIsCutAndOthersGetAll(t *testing.T) {
	s := harness.Start(t, "max_pending: 4MB\nwrite_deadline: \"2s\"")
	slow := s.Raw(quiet)
	slow.Send("SUB flood 1\r\nPING\r\n")
	slow.Expect("PONG")
	var got atomic.Int64
	fast := s.Connect()
	sub, err := fast.Subscribe("flood", func(*nats.Msg) { got.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sub.SetPendingLimits(-1, -1), fast.Flush()); err != nil {
		t.Fatal(err)
	}
	const n = 4000
	pub, body := s.Connect(), bytes.Repeat([]byte("x"), 16<<10)
	for i := range n {
		if err := pub.Publish("flood", body); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 { // keeps the fast one within max_pending
			if err := pub.Flush(); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, "the fast subscriber keeps up", func() bool { return got.Load() > int64(i-50) })
		}
	}
	harness.Eventually(t, "the fast subscriber has all", func() bool { return got.Load() == n })
	// What the slow one was sent before it was cut stands in its buffers; the end follows.
	harness.Eventually(t, "the slow subscriber is cut", slow.Closed)
}

func TestLameDuckIsAnnounced(t *testing.T) {
	s := harness.Start(t, "lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"5s\"")
	r := s.Dial()
	r.Send(`CONNECT {"verbose":false,"protocol":1}` + "\r\nPING\r\n")
	r.Expect("PONG")
	r.ReadInfo()
	s.Signal(syscall.SIGUSR2)
	if info := r.ReadInfo(); !info.LameDuck {
		t.Errorf("INFO is %+v", info)
	}
	r.Send("SUB a 1\r\nPUB a 1\r\nx\r\n")
	r.Expect("MSG a 1 1", "x")
}

func TestTermAndInterruptEndTheServerWithZero(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(fmt.Sprint(sig), func(t *testing.T) {
			s := harness.Start(t, "")
			r := s.Raw(quiet)
			s.Signal(sig)
			if status := s.ExitStatus(); status != 0 {
				t.Errorf("exit status %d\n%s", status, s.Log())
			}
			r.ExpectClosed()
		})
	}
}
