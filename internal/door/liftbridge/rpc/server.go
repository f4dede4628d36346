package rpc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"

	"github.com/weirmq/weir/internal/poller"
	"google.golang.org/grpc"
)

// Options for New.
type Options struct {
	// Poller reads plain TCP connections; nil: each has a goroutine.
	Poller *poller.Poller
	// TLS is how connections are encrypted; nil: they are not.
	TLS *tls.Config
	// MaxReceive bounds a message that a client sends, bytes.
	MaxReceive int
	// Unary and Stream are called for each call of their kind, as in grpc-go; nil: none.
	Unary  grpc.UnaryServerInterceptor
	Stream grpc.StreamServerInterceptor
	Log    *slog.Logger
}

// Server serves calls. Register all services before Serve.
type Server struct {
	// Set at construction, and by RegisterService.
	o        Options
	tls      *tls.Config // nil: none
	methods  map[string]*method
	services map[string]grpc.ServiceInfo

	jobs chan *Call // unbuffered: to goroutines that wait for a call
	done chan struct{}

	mu       sync.Mutex
	phase    phase              // guarded by mu
	ln       net.Listener       // guarded by mu
	conns    map[*conn]struct{} // guarded by mu
	idle     int                // guarded by mu: goroutines that wait for a call
	finished sync.Once
	wg       sync.WaitGroup // connections, and calls that are handled
	workers  sync.WaitGroup // goroutines that handle calls, or wait for one
}

type phase uint8

const (
	serving  phase = iota
	draining       // calls that are served end by themselves
	stopped
)

// method is one that can be called. Exactly one of the descriptions is there.
type method struct {
	name   string // with its service
	impl   any
	unary  *grpc.MethodDesc
	stream *grpc.StreamDesc
}

// mostIdle is how many goroutines wait for the next call.
const mostIdle = 64

// New returns a server without services.
func New(o Options) *Server {
	s := &Server{
		o: o, methods: map[string]*method{}, services: map[string]grpc.ServiceInfo{}, conns: map[*conn]struct{}{},
		jobs: make(chan *Call), done: make(chan struct{}),
	}
	if o.TLS != nil {
		s.tls = withHTTP2(o.TLS)
	}
	return s
}

// withHTTP2 gives a configuration that offers HTTP/2, also where it is chosen for each
// client.
func withHTTP2(c *tls.Config) *tls.Config {
	c = c.Clone()
	if !slices.Contains(c.NextProtos, "h2") {
		c.NextProtos = append(slices.Clone(c.NextProtos), "h2")
	}
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if err != nil || chosen == nil {
				return nil, err
			}
			return withHTTP2(chosen), nil
		}
	}
	return c
}

// RegisterService implements grpc.ServiceRegistrar, before Serve.
func (s *Server) RegisterService(d *grpc.ServiceDesc, impl any) {
	info := grpc.ServiceInfo{Metadata: d.Metadata}
	for i := range d.Methods {
		m := &d.Methods[i]
		s.add(d, &method{name: m.MethodName, impl: impl, unary: m})
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
	}
	for i := range d.Streams {
		m := &d.Streams[i]
		s.add(d, &method{name: m.StreamName, impl: impl, stream: m})
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.StreamName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams})
	}
	s.services[d.ServiceName] = info
}

func (s *Server) add(d *grpc.ServiceDesc, m *method) {
	m.name = "/" + d.ServiceName + "/" + m.name
	s.methods[m.name] = m
}

// GetServiceInfo describes the services, for reflection.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo { return s.services }

// Serve answers calls that come in at ln, which it closes, until Stop or GracefulStop has
// ended; then the error is nil.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.phase != serving {
		s.mu.Unlock()
		return ln.Close()
	}
	s.ln = ln
	s.mu.Unlock()
	for {
		c, err := ln.Accept()
		if err == nil {
			s.take(c)
			continue
		}
		s.mu.Lock()
		ended := s.phase != serving
		s.mu.Unlock()
		if ended {
			<-s.done
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept clients of gRPC: %w", err)
		}
		s.o.Log.Warn("client not accepted", "door", "liftbridge", "error", err)
	}
}

// take serves a connection.
func (s *Server) take(c net.Conn) {
	n := newConn(s, c)
	s.mu.Lock()
	ok := s.phase == serving
	if ok {
		s.conns[n] = struct{}{}
		s.wg.Add(1)
	}
	s.mu.Unlock()
	if !ok {
		n.abandon()
		return
	}
	n.serve()
}

func (s *Server) forget(n *conn) {
	s.mu.Lock()
	delete(s.conns, n)
	s.mu.Unlock()
	s.wg.Done()
}

// GracefulStop accepts no more, waits until the calls that are served have ended, and
// closes their connections.
func (s *Server) GracefulStop() { s.end(draining, (*conn).drain) }

// Stop ends all connections, whose calls are cancelled, and waits for their handlers.
func (s *Server) Stop() { s.end(stopped, func(n *conn) { n.close(errStopped) }) }

func (s *Server) end(to phase, each func(*conn)) {
	s.mu.Lock()
	if s.phase < to {
		s.phase = to
	}
	ln := s.ln
	list := make([]*conn, 0, len(s.conns))
	for n := range s.conns {
		list = append(list, n)
	}
	s.mu.Unlock()
	if ln != nil {
		_ = ln.Close() // again where it was closed before
	}
	for _, n := range list {
		each(n)
	}
	s.wg.Wait()
	s.finished.Do(func() { close(s.done) })
	s.workers.Wait()
}

// start has a goroutine handle a call.
func (s *Server) start(c *Call) {
	s.wg.Add(1)
	select {
	case s.jobs <- c:
		return
	default:
	}
	s.workers.Go(func() { s.work(c) })
}

// work handles a call, and others while there are few that wait for one.
func (s *Server) work(c *Call) {
	for {
		c.handle()
		s.mu.Lock()
		stay := s.idle < mostIdle && s.phase == serving
		if stay {
			s.idle++
		}
		s.mu.Unlock()
		s.wg.Done()
		if !stay {
			return
		}
		select {
		case c = <-s.jobs:
		case <-s.done:
			return
		}
		s.mu.Lock()
		s.idle--
		s.mu.Unlock()
	}
}
