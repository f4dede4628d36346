package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/metrics"
)

// Source gives snapshots of the rooms. Its methods are called at the same time.
// What they return is the caller's.
type Source interface {
	Varz() *Varz
	Connz() *Connz // all connections, open and closed
	Accountz() *Accountz
	Leafz() []LeafInfo // of all accounts
	Jsz(q *JszQuery) *Jsz
	// Health gives what is wrong, nothing while all is well.
	Health(q HealthQuery) []HealthProblem
	// Metrics are the rooms' own.
	Metrics() *metrics.Set
}

// Server answers HTTP requests.
type Server struct {
	log      *slog.Logger
	base     string // before all paths; empty or "/…" without a slash at the end
	ln       net.Listener
	http     *http.Server
	done     chan error
	requests []metrics.Counter // by the routes

	source   atomic.Pointer[Source]
	ready    atomic.Bool
	stopping atomic.Bool
}

// shutdownGrace is how long requests have to be finished with.
const shutdownGrace = 2 * time.Second

// Listen binds the address and begins to answer. base is a prefix of all paths.
func Listen(addr, base string, log *slog.Logger) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w: is another server running there? -m chooses another port", err)
	}
	s := &Server{log: log, base: basePath(base), ln: ln, done: make(chan error, 1), requests: make([]metrics.Counter, len(routes))}
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { s.done <- s.http.Serve(ln) }()
	return s, nil
}

// basePath makes a prefix of paths out of what was configured.
func basePath(base string) string {
	if base = strings.Trim(base, "/"); base == "" {
		return ""
	}
	return "/" + base
}

// Addr is where the server is bound.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Attach gives the server what it tells of. It may be called again.
func (s *Server) Attach(src Source) { s.source.Store(&src) }

// Ready says that clients are let in.
func (s *Server) Ready() { s.ready.Store(true) }

// Stopping says that they are let in no more.
func (s *Server) Stopping() { s.stopping.Store(true) }

// Close ends the server. Requests that take longer than two seconds are cut off.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
