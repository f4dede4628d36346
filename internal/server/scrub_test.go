package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs"
)

// lines keeps what is logged, as JSON.
type lines struct {
	mu  sync.Mutex
	all []map[string]any
}

func (l *lines) Write(b []byte) (int, error) {
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, m)
	return len(b), nil
}

// of are the lines of an event.
func (l *lines) of(event string) (out []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.all {
		if m["msg"] == event {
			out = append(out, m)
		}
	}
	return out
}

// openScrubbed opens a server that scrubs all the time.
func openScrubbed(t *testing.T, dir string, log *lines) *node {
	t.Helper()
	c := defaultConfig()
	c.JetStream.StoreDir = dir
	c.JetStream.ScrubInterval = 5 * time.Millisecond
	c.JetStream.ScrubRate = 1 << 40
	c.settle()
	r, err := buildOn(vfs.OS{}, c, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.start(context.Background())
	return &node{t, r, r.spaces.Get("$G")}
}

// flipIn changes a bit of the file where a text lies.
func flipIn(t *testing.T, pattern, text string) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(b, []byte(text)); i >= 0 {
			b[i] ^= 4
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%q is in none of %v", text, names)
}

// A record that has rotten is found in the background and told of once, with its
// place; whoever reads it gets an error, and everything around it.
func TestDamageCostsItsOwnSequencesOnly(t *testing.T) {
	const records, bad = 30, 17
	dir := t.TempDir()
	n := open(t, dir)
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.>"],"allow_direct":true}`)
	n.request("$JS.API.CONSUMER.DURABLE.CREATE.S.c", `{"stream_name":"S","config":{"durable_name":"c","ack_policy":"none"}}`)
	for i := 1; i <= records; i++ {
		n.request(fmt.Sprintf("s.%d", i), fmt.Sprintf("record %d.", i))
	}
	n.shut()
	flipIn(t, filepath.Join(dir, "streams", "*", "*.seg"), fmt.Sprintf("record %d.", bad))

	log := &lines{}
	n = openScrubbed(t, dir, log)
	defer n.shut()
	until(t, "two passes are complete", func() bool {
		return n.storage.scrub.passed.Load() != 0 && len(log.of("damage found")) > 0
	})
	for i := 1; i <= records; i++ {
		m := n.try("$JS.API.STREAM.MSG.GET.S", fmt.Sprintf(`{"seq":%d}`, i))
		e, _ := m["error"].(map[string]any)
		if i != bad {
			if e != nil {
				t.Errorf("record %d: %v", i, e)
			}
			continue
		}
		if e == nil || e["code"] == float64(404) {
			t.Errorf("the damaged record: %v", m)
		}
	}
	if got := n.deliveries("c", records-1); got != records-1 {
		t.Errorf("the consumer gets %d records", got)
	}
	passes := n.storage.volume.Scrubbed()
	until(t, "the scrub was there again", func() bool { return n.storage.volume.Scrubbed() > 2*passes })
	told := log.of("damage found")
	if len(told) != 1 || n.storage.scrub.damaged.Load() != 1 {
		t.Fatalf("told %d times of one place: %v", len(told), told)
	}
	d := told[0]
	if d["stream"] != "S" || d["account"] != "$G" || d["first"] != float64(bad) || d["last"] != float64(bad) || d["length"] == float64(0) || d["file"] == "" {
		t.Errorf("told of %v", d)
	}
}

// deliveries pulls up to n messages from a consumer and counts them.
func (n *node) deliveries(consumer string, want int) int {
	n.t.Helper()
	in := &inbox{c: make(chan []byte, want+8)}
	sub := &broker.Subscription{Subject: "_INBOX.pull", Kind: broker.KindClient, Sink: in}
	n.space.Subscribe(sub)
	defer n.space.Unsubscribe(sub)
	n.space.Publish(&broker.Message{Subject: []byte("$JS.API.CONSUMER.MSG.NEXT.S." + consumer), Reply: []byte(sub.Subject), Data: fmt.Appendf(nil, `{"batch":%d,"expires":2000000000}`, want)})
	got := 0
	for got < want {
		select {
		case b := <-in.c:
			if !bytes.HasPrefix(b, []byte("record ")) {
				return got
			}
			got++
		case <-time.After(10 * time.Second):
			return got
		}
	}
	return got
}

func TestTheScrubCanBeConfiguredAndTurnedOff(t *testing.T) {
	c, err := loadText(t, `jetstream { scrub_rate: 2MB, scrub_interval: "7h" }`)
	if err != nil || c.JetStream.ScrubRate != 2_000_000 && c.JetStream.ScrubRate != 2<<20 || c.JetStream.ScrubInterval != 7*time.Hour {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err = loadText(t, `jetstream { store_dir: x }`); err != nil || c.JetStream.ScrubRate != defaultScrubRate || c.JetStream.ScrubInterval != defaultScrubInterval {
		t.Fatalf("defaults: %+v, %v", c, err)
	}
	for _, text := range []string{`scrub_rate: -1`, `scrub_rate: soon`, `scrub_interval: "1ms"`, `scrub_interval: 0`} {
		if _, err := loadText(t, "jetstream { "+text+" }"); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	s := &scrubber{interval: time.Nanosecond}
	if err := s.run(context.Background(), nil); err != nil {
		t.Error(err)
	}
}
