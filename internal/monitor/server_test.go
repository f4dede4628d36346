package monitor

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEveryEndpointAnswersBelowTheBasePath(t *testing.T) {
	for base, prefix := range map[string]string{"": "", "/": "", "/base": "/base", "base/": "/base"} {
		s := start(t, base, &fake{})
		for _, r := range routes {
			status, h, body := get(t, s, prefix+r.path)
			if r.path == "/streaming/isFTActive" {
				continue // its answer is that there is nothing
			}
			if status != http.StatusOK || body == "" || h.Get("Content-Type") == "" {
				t.Errorf("base %q: %s: %d %q", base, r.path, status, body)
			}
			if r.answer == nil {
				continue
			}
			if h.Get("Content-Type") != "application/json" || h.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(body, "{\n  \"") {
				t.Errorf("base %q: %s: %v %q", base, r.path, h, body)
			}
		}
		if status, _, _ := get(t, s, prefix+"/nothing"); status != http.StatusNotFound {
			t.Errorf("an unknown path: %d", status)
		}
	}
	s := start(t, "/base", &fake{})
	if status, _, _ := get(t, s, "/varz"); status != http.StatusNotFound {
		t.Errorf("outside of the base path: %d", status)
	}
	if status, _, body := get(t, s, "/base"); status != http.StatusOK || !strings.Contains(body, "/base/varz") {
		t.Errorf("the base path itself: %d %q", status, body)
	}
}

func TestOnlyReadingIsAllowed(t *testing.T) {
	s := start(t, "", &fake{})
	r, err := http.Post("http://"+s.Addr()+"/varz", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", r.StatusCode)
	}
}

func TestAServerThatStartsSaysSo(t *testing.T) {
	s := start(t, "", nil)
	check := func(path string, status int, text string) {
		t.Helper()
		if got, _, body := get(t, s, path); got != status || !strings.Contains(body, text) {
			t.Errorf("%s: %d %q, want %d %q", path, got, body, status, text)
		}
	}
	for _, path := range []string{"/healthz", "/healthz?js-server-only=true", "/readyz", "/startupz", "/varz", "/connz"} {
		check(path, http.StatusServiceUnavailable, "starting")
	}
	check("/livez", http.StatusOK, `{"status":"ok"}`)
	check("/metrics", http.StatusOK, "weir_ready 0")
	s.Attach(&fake{})
	check("/readyz", http.StatusServiceUnavailable, "starting")
	check("/varz", http.StatusOK, "server_id")
	s.Ready()
	for _, path := range []string{"/healthz", "/readyz", "/startupz", "/livez"} {
		check(path, http.StatusOK, `{"status":"ok"}`)
	}
	check("/metrics", http.StatusOK, "weir_ready 1")
	s.Stopping()
	check("/readyz", http.StatusServiceUnavailable, "stopping")
	check("/healthz", http.StatusServiceUnavailable, "stopping")
	check("/startupz", http.StatusOK, "ok")
	check("/livez", http.StatusOK, "ok")
}

func TestHealthIsAnsweredFromState(t *testing.T) {
	f := &fake{}
	s := start(t, "", f)
	bad := []HealthProblem{
		{Kind: StreamProblem, Account: "A", Stream: "S", Text: "no"},
		{Kind: JetStreamProblem, Text: "failed"},
	}
	for _, c := range []struct {
		query   string
		found   []HealthProblem
		status  int
		body    string
		queried HealthQuery
	}{
		{"", nil, 200, `{"status":"ok"}`, HealthQuery{}},
		{"?details=true", nil, 200, `{"status":"ok"}`, HealthQuery{}},
		{"", bad, 503, `{"status":"unavailable","error":"no"}`, HealthQuery{}},
		{"?details=1", bad, 503, `{"status":"error","errors":[{"type":"STREAM","account":"A","stream":"S","error":"no"},{"type":"JETSTREAM","error":"failed"}]}`, HealthQuery{}},
		{"?js-enabled-only=true", nil, 200, `{"status":"ok"}`, HealthQuery{Server: true}},
		{"?js-enabled=true", nil, 200, `{"status":"ok"}`, HealthQuery{Server: true}},
		{"?js-server-only=1", nil, 200, `{"status":"ok"}`, HealthQuery{Server: true}},
		{"?js-server-only=false", nil, 200, `{"status":"ok"}`, HealthQuery{}},
		{"?account=A&stream=S&consumer=C", nil, 200, `{"status":"ok"}`, HealthQuery{Account: "A", Stream: "S", Consumer: "C"}},
		{"?account=A&stream=S", []HealthProblem{{Text: "gone", Missing: true}}, 404, `{"status":"error","error":"gone"}`, HealthQuery{Account: "A", Stream: "S"}},
		{"?stream=S", nil, 400, `{"status":"error","error":"\"account\" must not be empty when checking stream health"}`, HealthQuery{}},
		{"?account=A&consumer=C", nil, 400, `{"status":"error","error":"\"stream\" must not be empty when checking consumer health"}`, HealthQuery{}},
		{"?js-enabled-only=maybe&details=1", nil, 400, `{"status":"error","errors":[{"type":"BAD_REQUEST","error":"error decoding js-enabled-only: \"maybe\" is not true or false"}]}`, HealthQuery{}},
	} {
		f.problem, f.queried = c.found, HealthQuery{}
		status, _, body := get(t, s, "/healthz"+c.query)
		if status != c.status || body != c.body || f.queried != c.queried {
			t.Errorf("%s: %d %s asked %+v\nwant %d %s", c.query, status, body, f.queried, c.status, c.body)
		}
	}
	f.problem = bad
	if status, _, _ := get(t, s, "/readyz"); status != 503 || f.queried != (HealthQuery{Server: true}) {
		t.Errorf("a server that cannot store is ready: %d, asked %+v", status, f.queried)
	}
}

func TestVarzHasNumbersEvenWhereTheyAreZero(t *testing.T) {
	s := start(t, "", &fake{})
	_, _, body := get(t, s, "/varz")
	last := -1
	for _, key := range []string{
		"server_id", "server_name", "version", "proto", "go", "host", "port", "max_connections", "ping_interval", "ping_max",
		"http_host", "http_port", "http_base_path", "https_port", "auth_timeout", "max_control_line", "max_payload", "max_pending",
		"cluster", "gateway", "leaf", "mqtt", "websocket", "jetstream", "tls_timeout", "write_deadline", "start", "now", "uptime",
		"mem", "cores", "gomaxprocs", "cpu", "connections", "total_connections", "routes", "remotes", "leafnodes",
		"in_msgs", "in_bytes", "in_client_msgs", "in_client_bytes", "out_msgs", "out_bytes", "out_client_msgs", "out_client_bytes",
		"slow_consumers", "stale_connections", "stalled_clients", "subscriptions", "http_req_stats", "config_load_time", "config_digest",
		"slow_consumer_stats", "stale_connection_stats", "disk_io_wait_stats",
	} {
		at := strings.Index(body, "\n  \""+key+"\":")
		if at < 0 || at < last {
			t.Errorf("%s is missing or not in its place", key)
		}
		last = max(last, at)
	}
	var v struct {
		Uptime string            `json:"uptime"`
		Paths  map[string]uint64 `json:"http_req_stats"`
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil || v.Uptime != "1d1h1m1s" || v.Paths["/varz"] != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestUptimeIsWrittenInDaysHoursMinutesAndSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m0s", time.Hour: "1h0m0s", 25*time.Hour + time.Second: "1d1h0m1s",
	} {
		if got := uptime(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestACallbackMustBeAName(t *testing.T) {
	s := start(t, "", &fake{})
	if _, h, body := get(t, s, "/varz?callback=my.f_1"); !strings.HasPrefix(body, "my.f_1({") || !strings.HasSuffix(body, "})") || h.Get("Content-Type") != "application/javascript" {
		t.Errorf("%v %q", h, body)
	}
	for _, bad := range []string{"", "alert(1)%2F%2F", "a%20b", "%3Cscript%3E"} {
		if _, h, body := get(t, s, "/varz?callback="+bad); !strings.HasPrefix(body, "{") || h.Get("Content-Type") != "application/json" {
			t.Errorf("callback %q: %v %q", bad, h, body)
		}
	}
}

func TestStacksAreText(t *testing.T) {
	if _, h, body := get(t, start(t, "", &fake{}), "/stacksz"); !strings.Contains(body, "goroutine ") || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("%v %.100q", h, body)
	}
}
