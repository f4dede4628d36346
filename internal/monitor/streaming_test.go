package monitor

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/metrics"
)

// unstreaming is a server without NATS Streaming.
type unstreaming struct{ fake }

func (*unstreaming) Streaming() *Streaming { return nil }

// Streaming implements Streamer.
func (*fake) Streaming() *Streaming {
	return &Streaming{
		Server:   StreamingServer{ClusterID: "tc", ServerID: "ID", State: "STANDALONE", Now: epoch, Start: epoch.Add(-93784 * time.Second), Clients: 1},
		Store:    StreamingStore{ClusterID: "tc", Type: "FILE", Limits: StreamingLimits{MaxChannels: 100}},
		Clients:  []StreamingClient{{ID: "me", Inbox: "h", SubsCount: 1, Channels: []string{"foo"}}},
		Channels: []StreamingChannel{{Name: "bar"}, {Name: "foo", Msgs: 2, FirstSeq: 1, LastSeq: 2, SubsCount: 2}},
		Subs: func(channel string) []StreamingSub {
			if channel != "foo" {
				return nil
			}
			return []StreamingSub{{ClientID: "me", Inbox: "i", AckInbox: "a", MaxInflight: 5, AckWait: 30, LastSent: 2, Pending: 1}, {ClientID: "me", Durable: "d", IsDurable: true, IsOffline: true}}
		},
	}
}

// fetch asks a server without a listener.
func fetch(t *testing.T, src Source, path string) (int, string) {
	t.Helper()
	s := &Server{log: slog.New(slog.DiscardHandler), requests: make([]metrics.Counter, len(routes))}
	s.Attach(src)
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestStreamingAnswersHaveTheOldFields(t *testing.T) {
	for path, want := range map[string]string{
		"/streaming/serverz":                      `"cluster_id":"tc","server_id":"ID","version":"","go":"","state":"STANDALONE","now":"2026-01-02T03:04:05.000000006Z","start_time":"2026-01-01T01:01:01.000000006Z","uptime":"1d2h3m4s","clients":1,"subscriptions":0,"channels":0,"total_msgs":0,"total_bytes":0,"in_msgs":0,"in_bytes":0,"out_msgs":0,"out_bytes":0}`,
		"/streaming/storez":                       `"type":"FILE","limits":{"max_channels":100,"max_msgs":0,"max_bytes":0,"max_age":0,"max_subscriptions":0,"max_inactivity":0},"total_msgs":0,"total_bytes":0}`,
		"/streaming/clientsz":                     `"offset":0,"limit":1024,"count":1,"total":1,"clients":[{"id":"me","hb_inbox":"h","subs_count":1}]}`,
		"/streaming/clientsz?client=me":           `{"id":"me","hb_inbox":"h","subs_count":1}`,
		"/streaming/clientsz?client=me&subs=1":    `"subs_count":1,"subscriptions":{"foo":[{"client_id":"me","inbox":"i","ack_inbox":"a","is_durable":false,"is_offline":false,"max_inflight":5,"ack_wait":30,"last_sent":2,"pending_count":1,"is_stalled":false}]}}`,
		"/streaming/clientsz?offset=5":            `"offset":5,"limit":1024,"count":0,"total":1,"clients":[]}`,
		"/streaming/channelsz?limit=1&offset=1":   `"offset":1,"limit":1,"count":1,"total":2,"names":["foo"]}`,
		"/streaming/channelsz?limit=-4":           `"limit":1024,"count":2,"total":2,"names":["bar","foo"]}`,
		"/streaming/channelsz?channel=foo":        `{"name":"foo","msgs":2,"bytes":0,"first_seq":1,"last_seq":2,"subs_count":2}`,
		"/streaming/channelsz?subs=1&offset=1":    `"durable_name":"d","is_durable":true,"is_offline":true,`,
		"/streaming/channelsz?channel=foo&subs=1": `"subs_count":2,"subscriptions":[{"client_id":"me"`,
	} {
		code, body := fetch(t, &fake{}, path)
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil || code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		var compact strings.Builder
		for line := range strings.Lines(body) {
			compact.WriteString(strings.Replace(strings.TrimSpace(line), `": `, `":`, 1))
		}
		if !strings.Contains(compact.String(), want) {
			t.Errorf("%s: %s has no %s", path, compact.String(), want)
		}
	}
}

func TestStreamingAnswersWhatIsMissing(t *testing.T) {
	for path, want := range map[string]string{
		"/streaming/clientsz?client=x":   "Client x not found",
		"/streaming/channelsz?channel=x": "Channel x not found",
	} {
		if code, body := fetch(t, &fake{}, path); code != http.StatusNotFound || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for _, src := range []Source{struct{ Source }{&fake{}}, &unstreaming{}} {
		if code, _ := fetch(t, src, "/streaming/serverz"); code != http.StatusNotFound {
			t.Errorf("without streaming: %d", code)
		}
	}
	if code, _ := fetch(t, &fake{}, "/streaming/isFTActive"); code != http.StatusNoContent {
		t.Errorf("isFTActive: %d", code)
	}
	if code, body := fetch(t, &fake{}, "/streaming"); code != http.StatusOK || !strings.Contains(body, "/streaming/channelsz") {
		t.Errorf("index: %d %s", code, body)
	}
}
