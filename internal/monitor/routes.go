package monitor

import (
	"encoding/json"
	"errors"
	"net/http"
)

// route is one endpoint: answer gives what is sent as JSON, or serve writes the
// whole response.
type route struct {
	path, about string
	answer      answer
	serve       func(s *Server, w http.ResponseWriter, r *http.Request)
}

// answer gives what a Source says, chosen by the request; an error may be a
// *problem.
type answer func(s *Server, src Source, r *http.Request) (any, error)

// routes lists all endpoints. It is set in init, as some of them speak of it.
var routes []route

func init() {
	routes = []route{
		{path: "/", about: "this page", serve: (*Server).index},
		{path: "/varz", about: "settings and counters", answer: varz},
		{path: "/connz", about: "client connections", answer: connz},
		{path: "/subsz", about: "subscriptions", answer: subsz},
		{path: "/subscriptionsz", about: "the same", answer: subsz},
		{path: "/accountz", about: "accounts", answer: accountz},
		{path: "/jsz", about: "streams and consumers", answer: jsz},
		{path: "/routez", about: "links of a cluster: none yet", answer: routez},
		{path: "/gatewayz", about: "links between clusters: none yet", answer: gatewayz},
		{path: "/leafz", about: "leaf node links", answer: leafz},
		{path: "/streaming", about: "NATS Streaming", serve: (*Server).streamingIndex},
		{path: "/streaming/serverz", about: "NATS Streaming: the server", answer: streaming(streamingServerz)},
		{path: "/streaming/storez", about: "NATS Streaming: limits", answer: streaming(streamingStorez)},
		{path: "/streaming/clientsz", about: "NATS Streaming: clients", answer: streaming(streamingClientsz)},
		{path: "/streaming/channelsz", about: "NATS Streaming: channels", answer: streaming(streamingChannelsz)},
		{path: "/streaming/isFTActive", about: "NATS Streaming: never, there are no fault-tolerant groups", serve: (*Server).streamingActive},
		{path: "/healthz", about: "is all well?", serve: (*Server).healthz},
		{path: "/livez", about: "probe: does the process answer?", serve: (*Server).livez},
		{path: "/readyz", about: "probe: are clients served?", serve: (*Server).readyz},
		{path: "/startupz", about: "probe: has it started?", serve: (*Server).startupz},
		{path: "/metrics", about: "for Prometheus", serve: (*Server).metrics},
		{path: "/stacksz", about: "what each goroutine does", serve: (*Server).stacksz},
	}
}

// problem is an error with an HTTP status.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

// handler counts requests and leads them to their routes.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for i := range routes {
		r, count := &routes[i], &s.requests[i]
		path := r.path
		if path == "/" {
			path = "/{$}"
			if s.base != "" {
				mux.HandleFunc("GET "+s.base, func(w http.ResponseWriter, req *http.Request) { s.index(w, req) })
			}
		}
		mux.HandleFunc("GET "+s.base+path, func(w http.ResponseWriter, req *http.Request) {
			count.Add(1)
			if r.serve != nil {
				r.serve(s, w, req)
				return
			}
			s.answer(w, req, r.answer)
		})
	}
	return mux
}

// requestCounts gives the number of requests by path, of paths that had one.
func (s *Server) requestCounts() map[string]uint64 {
	out := map[string]uint64{}
	for i := range routes {
		if n := s.requests[i].Load(); n > 0 {
			out[routes[i].path] = n
		}
	}
	return out
}

// answer writes what the source says.
func (s *Server) answer(w http.ResponseWriter, req *http.Request, f answer) {
	src := s.source.Load()
	if src == nil {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	v, err := f(s, *src, req)
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
	s.write(w, req, http.StatusOK, b)
}

// write sends JSON, as a call of a function where the request names one.
func (s *Server) write(w http.ResponseWriter, req *http.Request, status int, b []byte) {
	kind := "application/json"
	if f := req.URL.Query().Get("callback"); isFunction(f) {
		kind = "application/javascript"
		b = append(append([]byte(f+"("), b...), ')')
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		s.log.Debug("HTTP answer not sent", "error", err)
	}
}

// isFunction says whether a text is the name of a function in a script, and
// nothing else that a script might do.
func isFunction(s string) bool {
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && r != '_' && r != '$' && r != '.' {
			return false
		}
	}
	return s != ""
}
