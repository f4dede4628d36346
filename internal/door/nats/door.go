package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/poller"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// Options build a door.
type Options struct {
	// Info is what every INFO says. The door fills in what differs between
	// connections, MaxPayload and AuthRequired.
	Info   wire.Info
	Limits Limits
	Auth   Authenticator
	Log    *slog.Logger   // nil: slog.Default
	Budget *broker.Budget // bound of all connections' routing caches; nil: 256 MiB
	Events Events         // may be nil
	// Poller reads for TCP connections and must outlive the door; nil: each has a
	// goroutine of its own.
	Poller *poller.Poller
	TLS    *TLS // nil: clients are not secured
}

// Events is told about connections. Its methods are called on the connection's
// reader and must not block for long.
type Events interface {
	Connected(c ConnInfo)
	Disconnected(c ConnInfo)
	// AuthFailed is told of a client that was not let in.
	AuthFailed(c ConnInfo)
}

// Door accepts clients. Its methods may be called by any goroutine.
type Door struct {
	// Set at construction.
	log    *slog.Logger
	budget *broker.Budget
	events Events
	start  time.Time
	poller *poller.Poller // nil: each connection has a goroutine of its own

	info   atomic.Pointer[wire.Info]
	limits atomic.Pointer[Limits]
	auth   atomic.Pointer[Authenticator]
	tls    atomic.Pointer[TLS]
	lastID atomic.Uint64
	totals totals

	wg sync.WaitGroup // readers

	mu        sync.Mutex
	listeners map[net.Listener]struct{} // guarded by mu
	conns     map[uint64]*Conn          // guarded by mu
	stopped   bool                      // guarded by mu
	lameDuck  bool                      // guarded by mu
	closed    ring                      // guarded by mu
	total     uint64                    // guarded by mu: connections ever accepted
}

// totals are the door's counters, added to once for each buffer.
type totals struct {
	inMsgs, inBytes, outMsgs, outBytes atomic.Uint64
	slowPending, slowDeadline          atomic.Uint64
	stale, ingestStalls, ingestDropped atomic.Uint64
}

// New gives a door. Serve lets clients in.
func New(o Options) *Door {
	d := &Door{
		log: o.Log, budget: o.Budget, events: o.Events, poller: o.Poller, start: time.Now(),
		listeners: make(map[net.Listener]struct{}), conns: make(map[uint64]*Conn),
	}
	if d.log == nil {
		d.log = slog.Default()
	}
	if d.budget == nil {
		d.budget = broker.NewBudget(256 << 20)
	}
	limits := o.Limits.withDefaults()
	d.limits.Store(&limits)
	d.closed.limit = limits.MaxClosed
	info := o.Info
	info.Proto = 1
	d.info.Store(&info)
	d.auth.Store(&o.Auth)
	d.tls.Store(o.TLS)
	return d
}

// Serve accepts connections until the listener is closed, by the door or by
// others, and returns nil then.
func (d *Door) Serve(ln net.Listener) error {
	d.mu.Lock()
	if d.stopped || d.lameDuck {
		d.mu.Unlock()
		return ln.Close()
	}
	d.listeners[ln] = struct{}{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.listeners, ln)
		d.mu.Unlock()
	}()
	pause := time.Millisecond
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = time.Millisecond
			d.ServeConn(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			// Such as too many open files: it passes when clients leave.
			d.log.Warn("accept client", "error", err, "retry_in", pause)
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
		}
	}
}

// ServeConn serves one connection, on goroutines of the door or of its poller.
func (d *Door) ServeConn(conn net.Conn) {
	c := d.newConn(conn)
	d.mu.Lock()
	if d.stopped {
		d.mu.Unlock()
		_ = c.link.Close()
		return
	}
	full := len(d.conns) >= d.limits.Load().MaxConnections
	d.total++
	d.conns[c.id] = c
	d.wg.Add(1)
	d.mu.Unlock()
	if full {
		c.close(wire.ErrMaxConns)
	}
	c.serve()
}

// forget moves a connection to those that were closed.
func (d *Door) forget(c *Conn, info ConnInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c.id)
	d.closed.add(info)
}

// all gives the open connections.
func (d *Door) all() []*Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	conns := make([]*Conn, 0, len(d.conns))
	for _, c := range d.conns {
		conns = append(conns, c)
	}
	return conns
}

// StopListening closes the listeners. Open connections stay.
func (d *Door) StopListening() {
	d.mu.Lock()
	listeners := make([]net.Listener, 0, len(d.listeners))
	for ln := range d.listeners {
		listeners = append(listeners, ln)
	}
	d.mu.Unlock()
	for _, ln := range listeners {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			d.log.Warn("close listener", "address", ln.Addr(), "error", err)
		}
	}
}

// Shutdown lets nobody in any more, writes out what waits for the clients,
// closes their connections and waits for the goroutines, until ctx ends.
func (d *Door) Shutdown(ctx context.Context) error {
	d.mu.Lock()
	d.stopped = true
	d.mu.Unlock()
	d.StopListening()
	for _, c := range d.all() {
		c.close(errShutdown)
	}
	done := make(chan struct{})
	go func() {
		d.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range d.all() {
		c.link.Abort()
	}
	<-done
	return fmt.Errorf("close client connections: %w", ctx.Err())
}

// Kick closes a connection silently and says whether it was there.
func (d *Door) Kick(id uint64) bool {
	d.mu.Lock()
	c := d.conns[id]
	d.mu.Unlock()
	if c == nil {
		return false
	}
	c.close(errKicked)
	return true
}
