package monitor

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/metrics"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a Source that tells what a test put into it.
type fake struct {
	conns   []ConnInfo
	subs    map[uint64][]SubDetail
	leafs   []LeafInfo
	jsz     Jsz
	asked   *JszQuery
	problem []HealthProblem
	queried HealthQuery
	set     metrics.Set
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func (f *fake) Varz() *Varz {
	return &Varz{ServerID: "ID", ServerName: "N", Start: epoch.Add(-90061 * time.Second), Now: epoch, SlowConsumers: 3}
}

func (f *fake) Connz() *Connz {
	conns := append([]ConnInfo{}, f.conns...)
	return &Connz{ServerID: "ID", Now: epoch, Conns: conns, Subs: func(cid uint64) []SubDetail { return append([]SubDetail{}, f.subs[cid]...) }}
}

func (f *fake) Accountz() *Accountz {
	return &Accountz{ServerID: "ID", Now: epoch, Accounts: []string{"$G", "A"}, Details: map[string]AccountDetail{"A": {Name: "A", Clients: 2, Updated: epoch}}}
}

func (f *fake) Jsz(q *JszQuery) *Jsz {
	f.asked = q
	j := f.jsz
	return &j
}

func (f *fake) Leafz() []LeafInfo { return append([]LeafInfo{}, f.leafs...) }

func (f *fake) Health(q HealthQuery) []HealthProblem {
	f.queried = q
	return f.problem
}

func (f *fake) Metrics() *metrics.Set { return &f.set }

// start gives a server that is ready where f is given, and starts otherwise.
func start(t *testing.T, base string, f *fake) *Server {
	t.Helper()
	s, err := Listen("127.0.0.1:0", base, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if f != nil {
		s.Attach(f)
		s.Ready()
	}
	return s
}

// get asks for a path and gives status, header and body.
func get(t *testing.T, s *Server, path string) (int, http.Header, string) {
	t.Helper()
	r, err := http.Get("http://" + s.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(b)
}

// ask decodes the answer of a path that must succeed.
func ask(t *testing.T, s *Server, path string, into any) {
	t.Helper()
	status, _, body := get(t, s, path)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%s: %v in %s", path, err, body)
	}
}
