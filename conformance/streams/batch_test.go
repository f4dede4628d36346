package streams_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// receipt is what the client's PubAck does not show.
type receipt struct {
	Type   string
	Seq    uint64
	Batch  string
	Count  int
	Msgs   int
	Val    string
	Stream string
	Error  *struct {
		Code        int `json:"err_code"`
		Description string
	}
}

func message(subject, body string, kv ...string) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	for i := 0; i < len(kv); i += 2 {
		m.Header.Set(kv[i], kv[i+1])
	}
	return m
}

// part sends one message of an atomic batch and returns the answer.
func (b *bench) part(id string, seq int, body string, kv ...string) receipt {
	b.t.Helper()
	m, err := b.nc.RequestMsg(message("s.a", body, append(kv, "Nats-Batch-Id", id, "Nats-Batch-Sequence", fmt.Sprint(seq))...), 10*time.Second)
	if err != nil {
		b.t.Fatal(err)
	}
	return read(b.t, m)
}

func read(t *testing.T, m *nats.Msg) (r receipt) {
	t.Helper()
	if len(m.Data) == 0 {
		return r
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		t.Fatalf("%v in %s", err, m.Data)
	}
	return r
}

func TestCountersCountForManyClients(t *testing.T) {
	b := start(t, func(c *jetstream.StreamConfig) { c.AllowMsgCounter = true })
	const n = 500
	futures := make([]jetstream.PubAckFuture, n)
	for i := range futures {
		var err error
		if futures[i], err = b.js.PublishMsgAsync(message(fmt.Sprint("s.", i%2), "", "Nats-Incr", fmt.Sprint(i%3-1))); err != nil {
			t.Fatal(err)
		}
	}
	total := [2]int{}
	for i, f := range futures {
		total[i%2] += i%3 - 1
		select {
		case ack := <-f.Ok():
			if ack.Value != fmt.Sprint(total[i%2]) {
				t.Fatalf("increment %d: total %s, want %d", i, ack.Value, total[i%2])
			}
		case err := <-f.Err():
			t.Fatalf("increment %d: %v", i, err)
		case <-b.ctx.Done():
			t.Fatal("no acknowledgement")
		}
	}
	b.server.Kill()
	b.server.Run()
	b.reconnect()
	for i, want := range total {
		m, err := b.stream.GetLastMsgForSubject(b.ctx, fmt.Sprint("s.", i))
		if err != nil || string(m.Data) != fmt.Sprintf(`{"val":"%d"}`, want) {
			t.Errorf("after a kill s.%d says %s, %v, want %d", i, m.Data, err, want)
		}
	}
	ack, err := b.js.PublishMsg(b.ctx, message("s.0", "", "Nats-Incr", "1000000000000000000000"))
	if err != nil || !strings.HasPrefix(ack.Value, "100000000000000000") && !strings.HasPrefix(ack.Value, "99999999999999999") {
		t.Errorf("a large increment: %+v, %v", ack, err)
	}
	if _, err := b.js.Publish(b.ctx, "s.0", nil); code(err) != 10169 {
		t.Errorf("without an increment: %v", err)
	}
}

func TestAnAtomicBatchIsStoredWholeOrNotAtAll(t *testing.T) {
	b := start(t, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = true })
	for i := range 9 {
		if r := b.part("one", i+1, fmt.Sprint(i)); r.Error != nil || r.Stream != "" {
			t.Fatalf("message %d: %+v", i, r)
		}
	}
	b.expectState(0, 0, 0)
	if r := b.part("one", 10, "9", "Nats-Batch-Commit", "1"); r.Error != nil || r.Seq != 10 || r.Count != 10 || r.Batch != "one" || r.Stream != "S" {
		t.Fatalf("commit: %+v", r)
	}
	b.expectState(10, 1, 10)
	b.part("two", 1, "x", "Nats-Expected-Last-Sequence", "10")
	if r := b.part("two", 2, "y", "Nats-Batch-Commit", "1", "Nats-Expected-Stream", "T"); r.Error == nil || r.Error.Code != 10060 {
		t.Fatalf("a batch with a fault: %+v", r)
	}
	b.part("three", 1, "never")
	b.server.Kill()
	b.server.Run()
	b.reconnect()
	b.expectState(10, 1, 10)
	if r := b.part("three", 2, "z", "Nats-Batch-Commit", "1"); r.Error == nil || r.Error.Code != 10176 {
		t.Fatalf("a batch that the server has forgotten: %+v", r)
	}
	c := b.consumer(jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	b.expectSequences(c, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
}

func TestAFastBatchFlows(t *testing.T) {
	b := start(t, func(c *jetstream.StreamConfig) { c.AllowBatchPublish = true })
	inbox := nats.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox + ".>")
	if err != nil {
		t.Fatal(err)
	}
	const n, flow = 2000, 100
	send := func(seq, op int) {
		m := message("s.a", fmt.Sprint(seq))
		m.Reply = fmt.Sprintf("%s.b.%d.fail.%d.%d.$FI", inbox, flow, seq, op)
		if err := b.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	next := func() receipt {
		t.Helper()
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, m)
	}
	send(1, 0)
	if r := next(); r.Type != "ack" || r.Seq != 0 || r.Msgs != flow {
		t.Fatalf("start: %+v", r)
	}
	acked := uint64(0)
	for seq := 2; seq <= n; seq++ {
		for uint64(seq) > acked+2*flow {
			r := next()
			if r.Type != "ack" || r.Seq <= acked || r.Msgs != flow {
				t.Fatalf("at %d: %+v", seq, r)
			}
			acked = r.Seq
		}
		if seq < n {
			send(seq, 1)
		} else {
			send(seq, 2)
		}
	}
	r := next()
	for r.Type == "ack" {
		r = next()
	}
	if r.Error != nil || r.Batch != "b" || r.Count != n || r.Seq != n {
		t.Fatalf("end: %+v", r)
	}
	b.expectState(n, 1, n)
}

func TestAnAsynchronousStreamIsReadAsItIsAcknowledged(t *testing.T) {
	b := start(t, func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode })
	for i := range uint64(200) {
		seq := b.publish("s.a", fmt.Sprint(i))
		m, err := b.stream.GetMsg(b.ctx, seq)
		if err != nil || string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d is %+v, %v", seq, m, err)
		}
	}
	b.expectState(200, 1, 200)
	if code := b.server.Stop(); code != 0 {
		t.Fatalf("the server ended with %d", code)
	}
	b.server.Run()
	b.reconnect()
	b.expectState(200, 1, 200)
}
