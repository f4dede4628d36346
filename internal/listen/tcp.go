package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Keep-alive probes find clients whose machine is gone, where the protocol above
// does not: a first one after keepIdle of silence, and the end after keepCount
// unanswered ones.
const (
	keepIdle     = 30 * time.Second
	keepInterval = 10 * time.Second
	keepCount    = 3
)

// Pauses after an accept that failed, such as for want of file descriptors: it
// passes when clients leave. The pause doubles from one failure to the next.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// Listener gives the connections that come in at one TCP address. Its methods
// may be called by any goroutine.
type Listener struct {
	ln     net.Listener
	report func(err error, pause time.Duration)
	closed chan struct{}
	once   sync.Once
	err    error // of closing; set before closed is closed
}

// TCP binds an address, "host:port" with port 0 for a free one. Connections have
// Nagle's delay off and keep-alive on. report, which may be nil, is told of each
// accept that failed and of the pause before the next try.
func TCP(addr string, report func(err error, pause time.Duration)) (*Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepIdle, Interval: keepInterval, Count: keepCount}}
	ln, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", addr, err)
	}
	return wrap(ln, report), nil
}

func wrap(ln net.Listener, report func(error, time.Duration)) *Listener {
	if report == nil {
		report = func(error, time.Duration) {}
	}
	return &Listener{ln: ln, report: report, closed: make(chan struct{})}
}

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Accept waits for a connection. Failures that may pass are reported and tried
// again; the only error is net.ErrClosed, after Close.
func (l *Listener) Accept() (net.Conn, error) {
	pause := firstPause
	for {
		conn, err := l.ln.Accept()
		if err == nil {
			return conn, nil
		}
		if l.isClosed() || errors.Is(err, net.ErrClosed) {
			return nil, net.ErrClosed
		}
		l.report(err, pause)
		if !l.wait(pause) {
			return nil, net.ErrClosed
		}
		pause = min(2*pause, lastPause)
	}
}

// Run serves connections, each on a goroutine of its own, until Close or the end
// of ctx. It returns when all of them are served.
func (l *Listener) Run(ctx context.Context, serve func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil
		}
		wg.Go(func() { serve(conn) })
	}
}

// Close gives the address back. Connections that were accepted stay open. It may
// be called twice.
func (l *Listener) Close() error {
	l.once.Do(func() {
		l.err = l.ln.Close()
		close(l.closed)
	})
	return l.err
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// wait lets time pass and says whether the listener is still open.
func (l *Listener) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closed:
		return false
	}
}
