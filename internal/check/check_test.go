package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dir = "data"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// node is a server without doors.
type node struct {
	t testing.TB
	*server.Offline
}

func start(t testing.TB, disk vfs.FS) *node {
	t.Helper()
	s, err := server.OpenOffline(server.OfflineOptions{FS: disk, Dir: dir})
	must(t, err)
	return &node{t, s}
}

func (n *node) stop() {
	n.t.Helper()
	must(n.t, n.Close())
}

// ask sends a message and reads the answer as JSON.
func (n *node) ask(subject, body string) map[string]any {
	n.t.Helper()
	in := &inbox{c: make(chan []byte, 1)}
	sub := &broker.Subscription{Subject: "_INBOX.check", Kind: broker.KindClient, Sink: in}
	n.Space().Subscribe(sub)
	defer n.Space().Unsubscribe(sub)
	n.Space().Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(sub.Subject), Data: []byte(body)})
	select {
	case b := <-in.c:
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			n.t.Fatalf("%s: %s, %v", subject, b, err)
		}
		return m
	case <-time.After(20 * time.Second):
		n.t.Fatalf("%s: no answer", subject)
		return nil
	}
}

// request is ask for what must not fail.
func (n *node) request(subject, body string) map[string]any {
	n.t.Helper()
	m := n.ask(subject, body)
	if m["error"] != nil {
		n.t.Fatalf("%s: %v", subject, m)
	}
	return m
}

type inbox struct{ c chan []byte }

func (i *inbox) OpenStage(*broker.Publisher) broker.Stage { return i }
func (i *inbox) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	select {
	case i.c <- bytes.Clone(m.Data):
	default:
	}
	return broker.Staged
}
func (i *inbox) HandOver() {}

const records = 40

func payload(name string, i int) string {
	return fmt.Sprintf("<%s %d %s>", name, i, bytes.Repeat([]byte{'x'}, 50))
}

// fill makes two streams with records in them.
func fill(t testing.TB, n *node, from, to int) {
	t.Helper()
	if from == 1 {
		n.request("$JS.API.STREAM.CREATE.ORDERS", `{"name":"ORDERS","subjects":["orders.*"]}`)
		n.request("$JS.API.STREAM.CREATE.LOGS", `{"name":"LOGS","subjects":["logs.*"]}`)
		n.request("$JS.API.CONSUMER.DURABLE.CREATE.ORDERS.c", `{"stream_name":"ORDERS","config":{"durable_name":"c","ack_policy":"explicit"}}`)
	}
	for i := from; i <= to; i++ {
		n.request(fmt.Sprintf("orders.%d", i), payload("ORDERS", i))
		n.request(fmt.Sprintf("logs.%d", i), payload("LOGS", i))
	}
}

// stopped is the disk of a server that was stopped.
func stopped(t testing.TB) *faultfs.FS {
	t.Helper()
	disk := faultfs.New()
	disk.SetCapacity(64 << 20) // makes the journal's files small
	n := start(t, disk)
	fill(t, n, 1, records)
	n.stop()
	return disk.CrashClone(faultfs.KeepAll, 0)
}

// killed is the disk of a server that was killed: half of the records are in
// segments, all of them in the journal.
func killed(t testing.TB) *faultfs.FS {
	t.Helper()
	disk := stopped(t)
	n := start(t, disk)
	fill(t, n, records+1, 2*records)
	after := disk.CrashClone(faultfs.KeepAll, 0)
	n.stop()
	return after
}

func look1(t testing.TB, disk vfs.FS) *Report {
	t.Helper()
	r, err := Run(context.Background(), Options{FS: disk, Dir: dir})
	must(t, err)
	return r
}

// tree lists all files with their sizes.
func tree(t testing.TB, disk vfs.FS, at string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	names, err := disk.List(at)
	must(t, err)
	for _, name := range names {
		full := path.Join(at, name)
		info, err := disk.Stat(full)
		must(t, err)
		if !info.Dir {
			out[full] = info.Size
			continue
		}
		for k, v := range tree(t, disk, full) {
			out[k] = v
		}
	}
	return out
}

func TestNothingIsFoundWhereNothingIsDamaged(t *testing.T) {
	for name, disk := range map[string]*faultfs.FS{"stopped": stopped(t), "killed": killed(t)} {
		r := look1(t, disk)
		if !r.Clean() || len(r.Damage) != 0 || r.Streams != 2 || r.Bytes == 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Streams that nothing was ever stored in are no damage, whether the server was stopped or
// killed when they were new, and stopped later.
func TestAStreamWithoutMessagesIsNoDamage(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := start(t, disk)
	n.request("$JS.API.STREAM.CREATE.ORDERS", `{"name":"ORDERS","subjects":["orders.*"]}`)
	n.request("$JS.API.STREAM.CREATE.LOGS", `{"name":"LOGS","subjects":["logs.*"]}`)
	n.request("logs.1", "x")
	killed := disk.CrashClone(faultfs.DropUnsynced, 1)
	n.stop()
	start(t, killed).stop()
	for _, disk := range []*faultfs.FS{disk, killed} {
		if r := look1(t, disk); !r.Clean() || len(r.Damage) != 0 {
			t.Errorf("%+v", r.Damage)
		}
	}
}

func TestADirectoryOfSomethingElseIsRefused(t *testing.T) {
	disk := faultfs.New()
	must(t, disk.MkdirAll("data/jetstream"))
	must(t, disk.MkdirAll("empty"))
	for _, d := range []string{dir, "empty"} {
		if _, err := Run(context.Background(), Options{FS: disk, Dir: d}); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: %v", d, err)
		}
	}
	if _, err := Run(context.Background(), Options{FS: disk, Dir: "nowhere"}); err == nil {
		t.Error("a directory that is not there is checked")
	}
}

func TestADirectoryInUseIsRefused(t *testing.T) {
	disk := faultfs.New()
	n := start(t, disk)
	defer n.stop()
	if _, err := Run(context.Background(), Options{FS: disk, Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Fatal(err)
	}
}

func TestACheckEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Options{FS: stopped(t), Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
