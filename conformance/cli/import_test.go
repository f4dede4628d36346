package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

// origin is a server with something of everything: the one at WEIR_IMPORT_FROM, which
// must have no streams, or one of weir's own, which is asked in the same way.
func origin(t *testing.T) (url string, js jetstream.JetStream) {
	t.Helper()
	url = os.Getenv("WEIR_IMPORT_FROM")
	if url == "" {
		url = harness.Start(t, "").URL
	}
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}, Duplicates: time.Hour, Metadata: map[string]string{"team": "sales"}})
	must(err)
	for i := range 3000 {
		m := nats.NewMsg(fmt.Sprintf("orders.%d", i%5))
		m.Data = fmt.Appendf(nil, "order %d", i)
		if i%3 == 0 {
			m.Header = nats.Header{"Nats-Msg-Id": {fmt.Sprint(i)}, "b": {"2", "3"}, "A": {"1"}}
		}
		_, err := js.PublishMsgAsync(m)
		must(err)
	}
	<-js.PublishAsyncComplete()
	orders, err := js.Stream(ctx, "ORDERS")
	must(err)
	must(orders.Purge(ctx, jetstream.WithPurgeSequence(101)))
	for _, seq := range []uint64{150, 151, 2000, 2999, 3000} {
		must(orders.DeleteMsg(ctx, seq))
	}
	consume(t, orders, jetstream.ConsumerConfig{Durable: "clean", FilterSubject: "orders.1"}, 20, func(int) bool { return true })
	consume(t, orders, jetstream.ConsumerConfig{Durable: "holes", Metadata: map[string]string{"k": "v"}}, 50, func(i int) bool { return i%2 == 0 })
	_, err = orders.CreateConsumer(ctx, jetstream.ConsumerConfig{Name: "passing", InactiveThreshold: time.Hour})
	must(err)
	jobs, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs"}, Retention: jetstream.WorkQueuePolicy})
	must(err)
	for i := range 700 {
		_, err := js.PublishAsync("jobs", fmt.Appendf(nil, "job %d", i))
		must(err)
	}
	<-js.PublishAsyncComplete()
	consume(t, jobs, jetstream.ConsumerConfig{Durable: "workers", AckWait: time.Hour}, 600, func(i int) bool { return i%100 != 7 })
	kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "CONFIG", History: 3})
	must(err)
	for i := range 5 {
		_, err := kv.PutString(ctx, "k", fmt.Sprint(i))
		must(err)
	}
	obs, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: "FILES"})
	must(err)
	_, err = obs.PutString(ctx, "o", strings.Repeat("x", 300_000))
	must(err)
	return url, js
}

// consume makes a consumer, takes n messages and acknowledges those that ack says.
func consume(t *testing.T, s jetstream.Stream, c jetstream.ConsumerConfig, n int, ack func(int) bool) {
	t.Helper()
	c.AckPolicy = jetstream.AckExplicitPolicy
	cons, err := s.CreateConsumer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := cons.Fetch(n)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for m := range batch.Messages() {
		if ack(i) {
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		i++
	}
	if i != n {
		t.Fatalf("%d of %d messages came", i, n)
	}
}

// result is what `weir import jetstream --json` says of a stream.
type result struct {
	Stream    string
	Messages  uint64
	LastSeq   uint64 `json:"last_seq"`
	Resumed   uint64
	Verified  bool
	Consumers []string
	Notes     []string
	Error     string
}

func results(t *testing.T, out string) map[string]result {
	t.Helper()
	var all []result
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	by := map[string]result{}
	for _, r := range all {
		by[r.Stream] = r
	}
	return by
}

func TestStreamsAreImportedFromANATSServer(t *testing.T) {
	src, there := origin(t)
	s := harness.Start(t, "")
	from := []string{"import", "jetstream", "--from", src}
	plan := results(t, ok(t, s, "", append(from, "--dry-run", "--json")...))
	if len(plan) != 4 || plan["ORDERS"].Messages != 2895 || plan["ORDERS"].Verified {
		t.Errorf("the plan is %+v", plan)
	}
	fails(t, s, 1, "no such streams", append(from, "--stream", "NONE*")...)
	fails(t, s, 2, "--from nats://", "import", "jetstream")
	fails(t, s, 1, "cannot connect", "import", "jetstream", "--from", "nats://127.0.0.1:1")

	// A stream in the way ends the import of one stream after it was gathered.
	ok(t, s, "", "stream", "add", "OTHER", "orders.other")
	status, out, errOut := s.CLI(strings.NewReader(""), append(from, "--json")...)
	first := results(t, out)
	if status != 1 || !strings.Contains(errOut, "import stream ORDERS") || first["ORDERS"].Verified || !first["JOBS"].Verified || !first["KV_CONFIG"].Verified || !first["OBJ_FILES"].Verified {
		t.Fatalf("status %d, %+v\n%s", status, first, errOut)
	}
	ok(t, s, "", "stream", "rm", "OTHER", "--force")
	// It goes on with what was gathered, although the source deletes some of that.
	orders, err := there.Stream(t.Context(), "ORDERS")
	if err == nil {
		err = orders.DeleteMsg(t.Context(), 2500)
	}
	if err == nil {
		_, err = there.Publish(t.Context(), "orders.late", []byte("late"))
	}
	if err != nil {
		t.Fatal(err)
	}
	second := results(t, ok(t, s, "", append(from, "--stream", "ORDERS", "--json")...))
	got := second["ORDERS"]
	if !got.Verified || got.Resumed != 2895 || got.Messages != 2895 || got.LastSeq != 3001 || strings.Join(got.Consumers, " ") != "clean holes" {
		t.Errorf("the second run says %+v", got)
	}
	// NATS servers tell by their snapshots which messages wait.
	exact := os.Getenv("WEIR_IMPORT_FROM") != ""
	notes := strings.Join(got.Notes, "\n")
	if !strings.Contains(notes, "consumer passing is left out") || exact == strings.Contains(notes, "consumer holes: 24 of 49 delivered messages are acknowledged") {
		t.Errorf("the notes are\n%s", notes)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "weir-import")); !os.IsNotExist(err) {
		t.Errorf("what was gathered is left: %v", err)
	}
	fails(t, s, 1, "weir stream rm ORDERS", append(from, "--stream", "ORDERS")...)
	sameStreams(t, there, s)
	if exact {
		samePositions(t, there, s, "ORDERS", "holes")
	}
}

// sameStreams compares what both servers say, message by message.
func sameStreams(t *testing.T, there jetstream.JetStream, s *harness.Server) {
	t.Helper()
	here, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, name := range []string{"ORDERS", "JOBS", "KV_CONFIG", "OBJ_FILES"} {
		a, errA := there.Stream(ctx, name)
		b, errB := here.Stream(ctx, name)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		x, y := a.CachedInfo().State, b.CachedInfo().State
		if x.Msgs != y.Msgs || x.FirstSeq != y.FirstSeq || x.LastSeq != y.LastSeq || x.NumDeleted != y.NumDeleted || x.NumSubjects != y.NumSubjects || x.Bytes != y.Bytes || !x.FirstTime.Equal(y.FirstTime) {
			t.Errorf("%s is %+v there and %+v here", name, x, y)
		}
		for seq := x.FirstSeq; seq <= x.LastSeq; seq += 7 {
			m, errA := a.GetMsg(ctx, seq)
			n, errB := b.GetMsg(ctx, seq)
			if (errA == nil) != (errB == nil) {
				t.Fatalf("%s %d: %v there, %v here", name, seq, errA, errB)
			}
			if errA == nil && (m.Subject != n.Subject || string(m.Data) != string(n.Data) || !m.Time.Equal(n.Time) || fmt.Sprint(m.Header) != fmt.Sprint(n.Header)) {
				t.Fatalf("%s %d is %+v there and %+v here", name, seq, m, n)
			}
		}
	}
	samePositions(t, there, s, "ORDERS", "clean")
	samePositions(t, there, s, "JOBS", "workers")
	duplicate(ctx, t, here)
}

// samePositions compares what both servers say of a consumer.
func samePositions(t *testing.T, there jetstream.JetStream, s *harness.Server, stream, name string) {
	t.Helper()
	here, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	a, errA := there.Consumer(t.Context(), stream, name)
	b, errB := here.Consumer(t.Context(), stream, name)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	x, y := a.CachedInfo(), b.CachedInfo()
	if x.Delivered.Stream != y.Delivered.Stream || x.Delivered.Consumer != y.Delivered.Consumer || x.AckFloor.Stream != y.AckFloor.Stream ||
		x.AckFloor.Consumer != y.AckFloor.Consumer || x.NumPending != y.NumPending || x.NumAckPending != y.NumAckPending {
		t.Errorf("consumer %s is %+v there and %+v here", name, x, y)
	}
}

// duplicate holds that message ids of the source still count.
func duplicate(ctx context.Context, t *testing.T, js jetstream.JetStream) {
	t.Helper()
	ack, err := js.Publish(ctx, "orders.4", []byte("again"), jetstream.WithMsgID("2994"))
	if err != nil || !ack.Duplicate {
		t.Errorf("an id of the source gives %+v, %v", ack, err)
	}
}
