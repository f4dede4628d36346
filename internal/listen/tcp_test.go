package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 10 * time.Second

func bind(t *testing.T) *Listener {
	t.Helper()
	l, err := TCP("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(t *testing.T, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr.String(), soon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	return c
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(soon):
		t.Fatalf("%s does not happen", what)
	}
}

func TestRunServesEachConnectionAndJoinsThem(t *testing.T) {
	l := bind(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var served atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := l.Run(ctx, func(c net.Conn) {
			defer c.Close()
			if _, err := io.Copy(c, c); err == nil {
				served.Add(1)
			}
		}); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	const clients = 5
	var open []net.Conn
	for range clients {
		c := dial(t, l.Addr())
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatalf("no echo: %v", err)
		}
		open = append(open, c)
	}
	cancel() // accepted connections are still served
	if _, err := open[0].Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(open[0], make([]byte, 1)); err != nil {
		t.Fatalf("an accepted connection is cut off: %v", err)
	}
	for _, c := range open {
		_ = c.Close()
	}
	within(t, "the end of Run", ended)
	if served.Load() != clients {
		t.Errorf("%d connections were served to their end", served.Load())
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after the end: %v", err)
	}
}

func TestCloseEndsAccept(t *testing.T) {
	l := bind(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
	}()
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	within(t, "the end of Accept", ended)
}

// flaky fails some times before it gives a connection.
type flaky struct {
	net.Listener
	left   int
	forced error
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.left > 0 {
		f.left--
		return nil, f.forced
	}
	return f.Listener.Accept()
}

func TestAFailedAcceptIsReportedAndTriedAgain(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forced := errors.New("too many open files")
	var pauses []time.Duration
	l := wrap(&flaky{Listener: tcp, left: 3, forced: forced}, func(err error, pause time.Duration) {
		if !errors.Is(err, forced) {
			t.Errorf("reported: %v", err)
		}
		pauses = append(pauses, pause)
	})
	defer l.Close()
	dial(t, l.Addr())
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if len(pauses) != 3 || pauses[1] != 2*pauses[0] || pauses[2] != 2*pauses[1] {
		t.Errorf("pauses %v", pauses)
	}
}

func TestCloseEndsThePauseAfterAFailedAccept(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reported := make(chan struct{}, 1<<10)
	l := wrap(&flaky{Listener: tcp, left: 1 << 30, forced: errors.New("no")}, func(error, time.Duration) { reported <- struct{}{} })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = l.Accept()
	}()
	within(t, "a report", reported)
	_ = l.Close()
	within(t, "the end of Accept", ended)
}

func TestABoundAddressIsRefusedWithItsName(t *testing.T) {
	l := bind(t)
	addr := l.Addr().String()
	second, err := TCP(addr, nil)
	if err == nil {
		_ = second.Close()
		t.Fatal("an address was bound twice")
	}
	if !strings.Contains(err.Error(), addr) {
		t.Errorf("the error names no address: %v", err)
	}
}
