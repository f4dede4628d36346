package monitor

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
)

// health is /healthz's answer.
type health struct {
	Status string        `json:"status"`
	Error  string        `json:"error,omitempty"`
	Errors []healthError `json:"errors,omitempty"`
}

type healthError struct {
	Type  string `json:"type"`
	Error string `json:"error"`
}

var (
	errStarting = errors.New("starting: the data directory is being recovered")
	errStopping = errors.New("stopping")
)

// state is what the probes answer from.
func (s *Server) state() error {
	switch {
	case s.stopping.Load():
		return errStopping
	case !s.ready.Load():
		return errStarting
	}
	return (*s.source.Load()).Health()
}

// healthz answers as NATS's tools expect. The switches that narrow it to parts of
// JetStream find the same here: there is one storage, and it works or not.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("stream") != "" && r.URL.Query().Get("account") == "" {
		s.reply(w, http.StatusBadRequest, health{Status: "error", Error: `"account" must not be empty when checking stream health`})
		return
	}
	err := s.state()
	if err == nil {
		s.reply(w, http.StatusOK, health{Status: "ok"})
		return
	}
	h := health{Status: "unavailable", Error: err.Error()}
	if yes(r, "details") {
		h = health{Status: "error", Errors: []healthError{{Type: "JETSTREAM", Error: err.Error()}}}
	}
	s.reply(w, http.StatusServiceUnavailable, h)
}

// readyz says whether clients are served as promised.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) { s.probe(w, s.state()) }

// startupz says whether the server has ever been ready.
func (s *Server) startupz(w http.ResponseWriter, _ *http.Request) {
	if s.ready.Load() {
		s.probe(w, nil)
		return
	}
	s.probe(w, errStarting)
}

// livez says that the process answers: a restart would not help.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) { s.probe(w, nil) }

func (s *Server) probe(w http.ResponseWriter, err error) {
	if err != nil {
		s.reply(w, http.StatusServiceUnavailable, health{Status: "unavailable", Error: err.Error()})
		return
	}
	s.reply(w, http.StatusOK, health{Status: "ok"})
}

func (s *Server) reply(w http.ResponseWriter, status int, h health) {
	b, err := json.Marshal(&h)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.write(w, status, b)
}

// requestCounts counts requests by path.
type requestCounts struct {
	mu sync.Mutex
	by map[string]uint64 // guarded by mu
}

func (s *Server) counted(path string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &s.requests
		c.mu.Lock()
		if c.by == nil {
			c.by = map[string]uint64{}
		}
		c.by[path]++
		c.mu.Unlock()
		h(w, r)
	}
}

func (c *requestCounts) snapshot() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]uint64{}
	for k, v := range c.by {
		out[k] = v
	}
	return out
}
