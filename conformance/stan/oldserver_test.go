package stan_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/weirmq/weir/conformance/harness"
)

// oldVersion is that of the server that imports are tried with.
const oldVersion = "v0.25.6"

// oldBinary is nats-streaming-server, built from its module when a test first asks for
// it; NATS_STREAMING_SERVER names one that is there.
var oldBinary = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("NATS_STREAMING_SERVER"); bin != "" {
		return bin, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "weir-conformance", oldVersion)
	bin := filepath.Join(dir, "nats-streaming-server")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	cmd := exec.Command("go", "install", "github.com/nats-io/nats-streaming-server@"+oldVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
	cmd.Dir = os.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-streaming-server: %w\n%s", err, out)
	}
	return bin, nil
})

// oldServer is a running nats-streaming-server of the cluster tc.
type oldServer struct {
	t            *testing.T
	url, monitor string
	cmd          *exec.Cmd
}

// startOld starts one, with more flags.
func startOld(t *testing.T, flags ...string) *oldServer {
	t.Helper()
	bin, err := oldBinary()
	if err != nil {
		t.Fatal(err)
	}
	port, monitor := freePort(t), freePort(t)
	s := &oldServer{t: t, url: "nats://127.0.0.1:" + port, monitor: "http://127.0.0.1:" + monitor}
	s.cmd = exec.Command(bin, append([]string{"-a", "127.0.0.1", "-p", port, "-m", monitor, "-cid", cluster}, flags...)...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended where the test has stopped it
		_ = s.cmd.Wait()
	})
	harness.Eventually(t, "the old server answers", func() bool {
		r, err := http.Get(s.monitor + "/streaming/serverz")
		return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
	})
	return s
}

// stop ends it in order.
func (s *oldServer) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait() // its status is that of a signal
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// pour publishes messages FIRST to LAST, many at a time.
func (c *client) pour(channel string, first, last int, data func(int) []byte) {
	c.t.Helper()
	var failed error
	var mu sync.Mutex
	var done sync.WaitGroup
	for i := first; i <= last; i++ {
		done.Add(1)
		_, err := c.PublishAsync(channel, data(i), func(_ string, err error) {
			defer done.Done()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			}
		})
		if err != nil {
			c.t.Fatalf("publish %d: %v", i, err)
		}
	}
	done.Wait()
	if failed != nil {
		c.t.Fatal(failed)
	}
}

func number(i int) []byte { return fmt.Append(nil, i) }

// leave ends a client's session, in order.
func (c *client) leave() {
	c.t.Helper()
	if err := c.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// TestChannelsComeFromARunningServer imports from a server whose store nobody else can
// read, with limits that have removed messages, and durables that have not acknowledged
// some of theirs.
func TestChannelsComeFromARunningServer(t *testing.T) {
	old := startOld(t, "-st", "MEMORY", "-mm", "4000")
	p := connect(t, old.url, "publisher")
	p.pour("or.ders", 1, 5000, number)
	p.put("small", 1, 3)
	odd := func(i int) bool { return i%2 == 1 }
	app, workers := connect(t, old.url, "app"), connect(t, old.url, "workers")
	app.subscribe("or.ders", "", stan.DurableName("d"), stan.StartAtSequence(2000), stan.MaxInflight(50)).want(2000, 2049, odd)
	workers.subscribe("or.ders", "q", stan.DurableName("qd"), stan.StartAtSequence(4998), stan.MaxInflight(2)).want(4998, 4999, none)
	app.subscribe("small", "", stan.DurableName("d"), stan.DeliverAllAvailable()).want(1, 3, all)
	app.subscribe("empty", "", stan.DurableName("d"))
	app.settled()

	s := start(t, "")
	work := filepath.Join(t.TempDir(), "work")
	args := []string{"--from", old.url, "--monitor", old.monitor, "--work", work, "--timeout", "20s"}
	if f := importStan(t, s, 1, args...)["or.ders"]; f.Verified || f.Messages != 0 {
		t.Errorf("durables in use: %+v", f)
	}
	app.leave()
	workers.leave()
	p.put("or.ders", 5001, 5001)
	if f := importStan(t, s, 0, append(args, "--dry-run")...)["or.ders"]; f.Messages != 4000 || f.LastSeq != 5001 || len(f.Durables) != 2 {
		t.Errorf("what would be copied: %+v", f)
	}
	for range 2 { // the second time all is there
		got := importStan(t, s, 0, args...)
		if f := got["or.ders"]; !f.Verified || f.Messages != 4000 || f.LastSeq != 5001 || len(f.Durables) != 2 {
			t.Errorf("%+v", f)
		}
		if f := got["empty"]; !f.Verified || f.Messages != 0 || len(f.Durables) != 1 {
			t.Errorf("%+v", f)
		}
		if f := got["small"]; !f.Verified || f.Messages != 3 {
			t.Errorf("%+v", f)
		}
	}
	if _, err := os.Stat(work); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was gathered is left: %v", err)
	}
	// There, and where it was, a durable goes on alike.
	for _, url := range []string{s.URL, old.url} {
		app := connect(t, url, "app")
		d := app.subscribe("or.ders", "", stan.DurableName("d"), stan.MaxInflight(2000))
		for i := 2000; i <= 2048; i += 2 {
			if m := d.next(); m.Sequence != uint64(i) || !m.Redelivered || m.Ack() != nil {
				t.Fatalf("%s: message %d, redelivered %v; want %d", url, m.Sequence, m.Redelivered, i)
			}
		}
		d.want(2050, 2100, all)
		workers := connect(t, url, "others")
		q := workers.subscribe("or.ders", "q", stan.DurableName("qd"))
		q.want(4998, 5001, all)
	}
}

// TestGapsOfARunningServerStay imports without monitoring, from a channel of which some
// messages are gone: what is missing is not taken for lost on its way.
func TestGapsOfARunningServerStay(t *testing.T) {
	old, s := start(t, ""), start(t, "")
	p := connect(t, old.URL, "publisher")
	p.put("foo", 1, 3000)
	js, err := jetstream.New(old.Connect())
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(t.Context(), "foo")
	for _, seq := range []uint64{1, 10, 11, 2000} {
		if err == nil {
			err = st.DeleteMsg(t.Context(), seq)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--from", old.URL, "--from-cluster", cluster, "--work", filepath.Join(t.TempDir(), "work")}
	got := importStan(t, s, 0, append(args, "--channel", "foo", "--keep")...)
	if f := got["foo"]; !f.Verified || f.Messages != 2996 || f.LastSeq != 3000 || len(f.Notes) != 1 {
		t.Errorf("%+v", f)
	}
	c := connect(t, s.URL, "c")
	sub := c.subscribe("foo", "", stan.DeliverAllAvailable(), stan.MaxInflight(5000))
	sub.want(2, 9, all)
	sub.want(12, 1999, all)
	sub.want(2001, 3000, all)
	// What was kept is of another channel when the old server has begun anew.
	if err := js.DeleteStream(t.Context(), "foo"); err != nil {
		t.Fatal(err)
	}
	p.put("foo", 1, 3001)
	if f := importStan(t, s, 1, append(args, "--channel", "foo")...)["foo"]; !strings.Contains(f.Error, "message 3000 is another one") {
		t.Errorf("%+v", f)
	}
}
