package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Source gives snapshots of the rooms. Its methods are called at the same time.
type Source interface {
	Varz() *Varz
	Connz() *Connz // all connections, open and closed, for Connz.choose
	Subsz() *Subsz
	Accountz() *Accountz
	Jsz() *Jsz
	// Health is nil while all is well.
	Health() error
}

// Server answers HTTP requests.
type Server struct {
	log  *slog.Logger
	base string
	ln   net.Listener
	http *http.Server
	reg  *prometheus.Registry
	done chan error

	source   atomic.Pointer[Source]
	ready    atomic.Bool
	stopping atomic.Bool
	requests requestCounts
}

// shutdownGrace is how long requests have to be finished with.
const shutdownGrace = 2 * time.Second

// Listen binds the address and begins to answer. base is a prefix of all paths.
func Listen(addr, base string, log *slog.Logger) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w: is another server running there? -m chooses another port", err)
	}
	s := &Server{log: log, base: strings.TrimSuffix(base, "/"), ln: ln, reg: prometheus.NewRegistry(), done: make(chan error, 1)}
	s.reg.MustRegister(&collector{s})
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	go func() { s.done <- s.http.Serve(ln) }()
	return s, nil
}

// Addr is where the server is bound.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Attach gives the server what it tells of.
func (s *Server) Attach(src Source) { s.source.Store(&src) }

// Ready says that clients are let in.
func (s *Server) Ready() { s.ready.Store(true) }

// Stopping says that they are let in no more.
func (s *Server) Stopping() { s.stopping.Store(true) }

// Close ends the server.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// route is one endpoint. answer gives what is sent as JSON, or an error with an
// HTTP status.
type route struct {
	path, about string
	answer      func(s *Server, src Source, r *http.Request) (any, error)
}

// routes lists all endpoints that tell of the rooms.
var routes = []route{
	{"/varz", "the server's settings and counters", varz},
	{"/connz", "client connections", connz},
	{"/subsz", "subscriptions", subsz},
	{"/subscriptionsz", "the same", subsz},
	{"/accountz", "accounts", accountz},
	{"/jsz", "streams", jsz},
}

// problem is an error with an HTTP status.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc("GET "+s.base+r.path, s.counted(r.path, func(w http.ResponseWriter, req *http.Request) { s.answer(w, req, &r) }))
	}
	mux.HandleFunc("GET "+s.base+"/healthz", s.counted("/healthz", s.healthz))
	mux.HandleFunc("GET "+s.base+"/readyz", s.counted("/readyz", s.readyz))
	mux.HandleFunc("GET "+s.base+"/startupz", s.counted("/startupz", s.startupz))
	mux.HandleFunc("GET "+s.base+"/livez", s.counted("/livez", s.livez))
	mux.Handle("GET "+s.base+"/metrics", promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET "+s.base+"/{$}", s.counted("/", s.index))
	return mux
}

func (s *Server) answer(w http.ResponseWriter, req *http.Request, r *route) {
	src := s.source.Load()
	if src == nil {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	v, err := r.answer(s, *src, req)
	if err != nil {
		status := http.StatusInternalServerError
		var p *problem
		if errors.As(err, &p) {
			status = p.status
		}
		http.Error(w, err.Error(), status)
		return
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.write(w, http.StatusOK, b)
}

func (s *Server) write(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		s.log.Debug("HTTP answer not sent", "error", err)
	}
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, "<!DOCTYPE html><title>Weir</title><h1>Weir</h1><ul>")
	for _, r := range routes {
		fmt.Fprintf(w, "<li><a href=%q>%s</a> %s</li>", "."+r.path, r.path, r.about)
	}
	for _, p := range []string{"/healthz", "/livez", "/readyz", "/startupz", "/metrics"} {
		fmt.Fprintf(w, "<li><a href=%q>%s</a></li>", "."+p, p)
	}
	fmt.Fprint(w, "</ul>")
}

// number reads a parameter that is a whole number, 0 if it is not given.
func number(r *http.Request, name string) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, &problem{http.StatusBadRequest, fmt.Sprintf("error decoding %s: %q is not a number", name, text)}
	}
	return n, nil
}

// yes reads a parameter that is true or false.
func yes(r *http.Request, name string) bool {
	v := strings.ToLower(r.URL.Query().Get(name))
	return v == "1" || v == "true"
}
