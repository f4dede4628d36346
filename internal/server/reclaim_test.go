package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/vfs"
)

// openReclaiming opens a server that gives back what little there is.
func openReclaiming(t *testing.T, dir string) *node {
	t.Helper()
	c := defaultConfig()
	c.JetStream.StoreDir = dir
	c.JetStream.ReclaimRate, c.JetStream.ReclaimFrom = 1<<40, 4_000
	c.settle()
	r, err := buildOn(vfs.OS{}, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.start(context.Background())
	return &node{t, r, r.spaces.Get("$G")}
}

// segmentText is all that the segments of a data directory hold.
func segmentText(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "streams", "*", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// state is a stream's, as its clients see it.
func (n *node) state(stream string) (messages, first, last float64) {
	n.t.Helper()
	st := n.request("$JS.API.STREAM.INFO."+stream, "")["state"].(map[string]any)
	return st["messages"].(float64), st["first_seq"].(float64), st["last_seq"].(float64)
}

func TestPurgedMessagesLeaveTheDisk(t *testing.T) {
	dir := t.TempDir()
	n := openReclaiming(t, dir)
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.>"]}`)
	for i := range 300 {
		n.request(fmt.Sprintf("s.%d", i%10), fmt.Sprintf("text of %d.", i)+strings.Repeat(".", 100))
	}
	if err := n.storage.checkpointAll(); err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		n.request("$JS.API.STREAM.PURGE.S", fmt.Sprintf(`{"filter":"s.%d"}`, i))
	}
	n.storage.reclaim.round(context.Background(), time.Now())
	if n.storage.reclaim.worked.Load() == 0 {
		t.Error("nothing was read or written")
	}
	check := func() {
		t.Helper()
		text := segmentText(t, dir)
		for i := range 300 {
			if there := strings.Contains(text, fmt.Sprintf("text of %d.", i)); there != (i%10 == 9) {
				t.Fatalf("message %d is on the disk: %v", i, there)
			}
		}
		if messages, first, last := n.state("S"); messages != 30 || first != 10 || last != 300 {
			t.Errorf("%v messages from %v to %v", messages, first, last)
		}
		m := n.request("$JS.API.STREAM.MSG.GET.S", `{"seq":150}`)["message"].(map[string]any)
		if m["subject"] != "s.9" {
			t.Errorf("message 150: %v", m)
		}
	}
	check()
	n.shut()
	n = openReclaiming(t, dir)
	defer n.shut()
	check()
}

func TestStreamsKeepTheNewestOfEachSubjectWhereTheySaySo(t *testing.T) {
	for _, storage := range []string{"file", "memory"} {
		t.Run(storage, func(t *testing.T) {
			dir := t.TempDir()
			n := openReclaiming(t, dir)
			n.request("$JS.API.STREAM.CREATE.S", fmt.Sprintf(`{"name":"S","subjects":["s.>"],"storage":%q,"metadata":{"weir.compact":"subject","weir.compact.dirty":"20"}}`, storage))
			for i := range 200 {
				n.request(fmt.Sprintf("s.%d", i%10), fmt.Sprintf("text of %d.", i)+strings.Repeat(".", 100))
			}
			n.storage.reclaim.round(context.Background(), time.Now())
			if messages, first, last := n.state("S"); messages != 10 || first != 191 || last != 200 {
				t.Errorf("%v messages from %v to %v", messages, first, last)
			}
			if got := n.storage.reclaim.compacted.Load(); got != 190 {
				t.Errorf("%d messages were compacted", got)
			}
			if storage == "file" {
				n.shut()
				n = openReclaiming(t, dir)
				n.storage.reclaim.round(context.Background(), time.Now())
				if messages, first, last := n.state("S"); messages != 10 || first != 191 || last != 200 {
					t.Errorf("after a restart: %v messages from %v to %v", messages, first, last)
				}
			}
			n.shut()
		})
	}
}

func TestStreamsKeepTheNewestOfEachKeyWhereTheySaySo(t *testing.T) {
	n := openReclaiming(t, t.TempDir())
	defer n.shut()
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"],"metadata":{"weir.compact":"key"}}`)
	publish := func(key, data string) {
		head := "NATS/1.0\r\n"
		if key != "" {
			head += "Weir-Key: " + key + "\r\n"
		}
		n.space.Publish(&broker.Message{Subject: []byte("s"), Header: []byte(head + "\r\n"), Data: []byte(data)})
	}
	for i := range 10 {
		publish(fmt.Sprint("k", i%2), fmt.Sprint(i))
	}
	publish("", "keyless")
	n.request("s", "without headers")
	n.storage.reclaim.round(context.Background(), time.Now())
	if messages, first, last := n.state("S"); messages != 4 || first != 9 || last != 12 {
		t.Errorf("%v messages from %v to %v", messages, first, last)
	}
	// It ends when it is configured so.
	n.request("$JS.API.STREAM.UPDATE.S", `{"name":"S","subjects":["s"]}`)
	publish("k0", "again")
	n.request("s", "behind it")
	n.storage.reclaim.round(context.Background(), time.Now())
	if messages, _, _ := n.state("S"); messages != 6 {
		t.Errorf("%v messages", messages)
	}
}

func TestCompactionsThatAreNotUnderstoodAreRefused(t *testing.T) {
	n := openReclaiming(t, t.TempDir())
	defer n.shut()
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	for _, meta := range []string{
		`"weir.compact":"keys"`, `"weir.compact":"subject","weir.compact.dirty":"0"`, `"weir.compact":"subject","weir.compact.dirty":"101"`,
		`"weir.compact":"subject","weir.compact.dirty":"half"`, `"weir.compact":"key","weir.compact.min_age":"old"`, `"weir.compact":"key","weir.compact.min_age":"-1s"`,
	} {
		for _, request := range []string{"CREATE.T", "UPDATE.S"} {
			name := request[len(request)-1:]
			answer := n.try("$JS.API.STREAM."+request, fmt.Sprintf(`{"name":%q,"subjects":[%q],"metadata":{%s}}`, name, strings.ToLower(name), meta))
			e, _ := answer["error"].(map[string]any)
			if e["err_code"] != json.Number("10052") && e["err_code"] != float64(10052) {
				t.Errorf("%s with %s: %v", request, meta, answer)
			}
		}
	}
}

func TestTheReclaimRateCanBeConfigured(t *testing.T) {
	c, err := loadText(t, `jetstream { reclaim_rate: 2MB }`)
	if err != nil || c.JetStream.ReclaimRate != 2_000_000 && c.JetStream.ReclaimRate != 2<<20 {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err = loadText(t, `jetstream { store_dir: x }`); err != nil || c.JetStream.ReclaimRate != defaultReclaimRate {
		t.Fatalf("defaults: %+v, %v", c, err)
	}
	for _, text := range []string{`reclaim_rate: -1`, `reclaim_rate: 0`, `reclaim_rate: soon`} {
		if _, err := loadText(t, "jetstream { "+text+" }"); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// The reclaimer keeps to its rate, and stops when it is told.
func TestTheReclaimerKeepsToItsRate(t *testing.T) {
	r := newReclaimer(nil, 1<<20)
	begun := time.Now()
	for range 200 {
		r.pace(context.Background(), 1<<9)
	}
	if took := time.Since(begun); took < 80*time.Millisecond {
		t.Errorf("100 KiB took %v at 1 MiB a second", took)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	begun = time.Now()
	r.pace(ctx, 1<<40)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it waited for %v", took)
	}
}
