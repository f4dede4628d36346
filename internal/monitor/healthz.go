package monitor

import (
	"encoding/json"
	"net/http"
)

// HealthQuery says what to look at. Where nothing is named, it is everything.
type HealthQuery struct {
	// Server looks at what the server cannot do without, not at single streams.
	Server                    bool
	Account, Stream, Consumer string // only at this one
}

// HealthProblem is one thing that is wrong.
type HealthProblem struct {
	Kind                      ProblemKind
	Account, Stream, Consumer string // what it is about; empty: the server
	Text                      string
	Missing                   bool // what the query named is not there
}

// ProblemKind says what a problem is about.
type ProblemKind string

// The kinds, as they are written.
const (
	ConnectionProblem ProblemKind = "CONNECTION"
	JetStreamProblem  ProblemKind = "JETSTREAM"
	AccountProblem    ProblemKind = "ACCOUNT"
	StreamProblem     ProblemKind = "STREAM"
	ConsumerProblem   ProblemKind = "CONSUMER"
	badRequest        ProblemKind = "BAD_REQUEST"
)

// health is /healthz's answer.
type health struct {
	Status string        `json:"status"`
	Error  string        `json:"error,omitempty"`
	Errors []healthError `json:"errors,omitempty"`
}

type healthError struct {
	Type     ProblemKind `json:"type"`
	Account  string      `json:"account,omitempty"`
	Stream   string      `json:"stream,omitempty"`
	Consumer string      `json:"consumer,omitempty"`
	Error    string      `json:"error"`
}

var (
	starting = HealthProblem{Kind: ConnectionProblem, Text: "starting: the data directory is being recovered"}
	stopping = HealthProblem{Kind: ConnectionProblem, Text: "stopping: clients are let in no more"}
)

// problems are what the probes answer from.
func (s *Server) problems(q HealthQuery) []HealthProblem {
	src := s.source.Load()
	switch {
	case s.stopping.Load():
		return []HealthProblem{stopping}
	case !s.ready.Load() || src == nil:
		return []HealthProblem{starting}
	}
	return (*src).Health(q)
}

// healthz answers as NATS's tools expect. js-enabled-only and js-server-only leave
// single streams out, so that one damaged stream does not have the whole server
// restarted; js-meta-only asks about a cluster's leader, which a single node is.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	p := paramsOf(r)
	q := HealthQuery{Account: p.text("account"), Stream: p.text("stream"), Consumer: p.text("consumer")}
	for _, name := range []string{"js-enabled", "js-enabled-only", "js-server-only", "js-meta-only"} {
		q.Server = p.yes(name) || q.Server
	}
	details := p.yes("details")
	wrong := ""
	switch {
	case p.err != nil:
		wrong = p.err.Error()
	case q.Stream != "" && q.Account == "":
		wrong = `"account" must not be empty when checking stream health`
	case q.Consumer != "" && q.Stream == "":
		wrong = `"stream" must not be empty when checking consumer health`
	}
	if wrong != "" {
		s.report(w, r, http.StatusBadRequest, []HealthProblem{{Kind: badRequest, Text: wrong}}, details)
		return
	}
	found := s.problems(q)
	status := http.StatusOK
	for _, f := range found {
		if status = http.StatusServiceUnavailable; f.Missing {
			status = http.StatusNotFound
			break
		}
	}
	s.report(w, r, status, found, details)
}

// report writes a verdict: the first problem, or all of them.
func (s *Server) report(w http.ResponseWriter, r *http.Request, status int, found []HealthProblem, details bool) {
	h := health{Status: "ok"}
	if len(found) > 0 {
		h.Status = "error"
		if status == http.StatusServiceUnavailable && !details {
			h.Status = "unavailable"
		}
		if !details {
			h.Error = found[0].Text
		}
	}
	for _, f := range found {
		if details {
			h.Errors = append(h.Errors, healthError{f.Kind, f.Account, f.Stream, f.Consumer, f.Text})
		}
	}
	b, err := json.Marshal(&h)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.write(w, r, status, b)
}

// readyz says whether clients are served as promised.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	s.probe(w, r, s.problems(HealthQuery{Server: true}))
}

// startupz says whether the server has ever been ready.
func (s *Server) startupz(w http.ResponseWriter, r *http.Request) {
	if s.ready.Load() {
		s.probe(w, r, nil)
		return
	}
	s.probe(w, r, []HealthProblem{starting})
}

// livez says that the process answers: a restart would not help.
func (s *Server) livez(w http.ResponseWriter, r *http.Request) { s.probe(w, r, nil) }

func (s *Server) probe(w http.ResponseWriter, r *http.Request, found []HealthProblem) {
	status := http.StatusOK
	if len(found) > 0 {
		status = http.StatusServiceUnavailable
	}
	s.report(w, r, status, found, false)
}
