package streams_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// snapshot takes a snapshot of S as management tools do: chunks that are answered,
// up to an empty message.
func (b *bench) snapshot() (config json.RawMessage, chunks [][]byte) {
	b.t.Helper()
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	m, err := b.nc.Request("$JS.API.STREAM.SNAPSHOT.S", fmt.Appendf(nil, `{"deliver_subject":%q,"chunk_size":4096,"jsck":true}`, inbox), 5*time.Second)
	if err != nil {
		b.t.Fatal(err)
	}
	var resp struct {
		Error  *jetstream.APIError
		Config json.RawMessage
		State  jetstream.StreamState
	}
	if err := json.Unmarshal(m.Data, &resp); err != nil || resp.Error != nil {
		b.t.Fatalf("%v: %s", err, m.Data)
	}
	for {
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			b.t.Fatalf("after %d chunks: %v", len(chunks), err)
		}
		if len(m.Data) == 0 {
			if s := m.Header.Get("Status"); s != "204" {
				b.t.Fatalf("it ended with %q %q", s, m.Header.Get("Description"))
			}
			return resp.Config, chunks
		}
		chunks = append(chunks, m.Data)
		if m.Reply != "" {
			if err := b.nc.Publish(m.Reply, nil); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// restore uploads a snapshot, each chunk as a request, and returns the last answer.
func (b *bench) restore(config json.RawMessage, chunks [][]byte) *nats.Msg {
	b.t.Helper()
	request := func(subject string, body []byte) *nats.Msg {
		m, err := b.nc.Request(subject, body, 10*time.Second)
		if err != nil {
			b.t.Fatal(err)
		}
		return m
	}
	m := request("$JS.API.STREAM.RESTORE.S", fmt.Appendf(nil, `{"config":%s,"state":{"messages":0}}`, config))
	var resp struct {
		DeliverSubject string `json:"deliver_subject"`
	}
	if err := json.Unmarshal(m.Data, &resp); err != nil || resp.DeliverSubject == "" {
		b.t.Fatalf("%v: %s", err, m.Data)
	}
	for i, c := range chunks {
		if m := request(resp.DeliverSubject, c); len(m.Data) > 0 {
			b.t.Fatalf("chunk %d was answered with %s", i, m.Data)
		}
	}
	return request(resp.DeliverSubject, nil)
}

func TestASnapshotRestoresStreamAndConsumers(t *testing.T) {
	b := start(t)
	b.fill(1000)
	for _, seq := range []uint64{1, 2, 500, 1000} {
		if err := b.stream.DeleteMsg(b.ctx, seq); err != nil {
			t.Fatal(err)
		}
	}
	c := b.consumer(jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour})
	for i, m := range b.fetch(c, 10) {
		if i != 4 {
			if err := m.DoubleAck(b.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	before, err := b.stream.Info(b.ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		t.Fatal(err)
	}
	config, chunks := b.snapshot()
	b.fill(5) // these are not in it
	if err := b.js.DeleteStream(b.ctx, "S"); err != nil {
		t.Fatal(err)
	}
	last := b.restore(config, chunks)
	var created struct {
		Type  string
		Error *jetstream.APIError
		State jetstream.StreamState
	}
	if err := json.Unmarshal(last.Data, &created); err != nil || created.Error != nil || created.Type != "io.nats.jetstream.api.v1.stream_create_response" {
		t.Fatalf("%v: %s", err, last.Data)
	}
	b.reconnect()
	after, err := b.stream.Info(b.ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(after.State), fmt.Sprint(before.State); got != want {
		t.Errorf("restored as %s, want %s", got, want)
	}
	if c, err = b.stream.Consumer(b.ctx, "c"); err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(b.ctx)
	if err != nil || info.NumAckPending != 1 || info.AckFloor.Stream != 6 || info.Delivered.Stream != 12 || info.NumPending != 986 {
		t.Errorf("the consumer is %+v, %v", info, err)
	}
	b.expectSequences(c, 13, 14)
	if seq := b.publish("s.new", ""); seq != 1001 {
		t.Errorf("the next sequence is %d", seq)
	}
}

func TestASnapshotSurvivesTheEndOfItsServer(t *testing.T) {
	b := start(t)
	b.fill(300)
	config, chunks := b.snapshot()
	other := start(t)
	if err := other.js.DeleteStream(other.ctx, "S"); err != nil {
		t.Fatal(err)
	}
	if last := other.restore(config, chunks); json.Valid(last.Data) && len(last.Data) < 200 {
		t.Fatalf("%s", last.Data)
	}
	other.server.Kill()
	other.server.Run()
	other.reconnect()
	other.expectState(300, 1, 300)
	bad := append([][]byte(nil), chunks...)
	bad[1] = append([]byte(nil), bad[1]...)
	bad[1][17] ^= 1
	if err := other.js.DeleteStream(other.ctx, "S"); err != nil {
		t.Fatal(err)
	}
	where, err := other.nc.Request("$JS.API.STREAM.RESTORE.S", fmt.Appendf(nil, `{"config":%s,"state":{}}`, config), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var resp struct {
		DeliverSubject string `json:"deliver_subject"`
	}
	if err := json.Unmarshal(where.Data, &resp); err != nil {
		t.Fatal(err)
	}
	refused := false
	for _, c := range append(bad, nil) {
		m, err := other.nc.Request(resp.DeliverSubject, c, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Data) > 0 {
			var r struct{ Error *jetstream.APIError }
			refused = json.Unmarshal(m.Data, &r) == nil && r.Error != nil && r.Error.ErrorCode == 10062
			break
		}
	}
	if _, err := other.js.Stream(other.ctx, "S"); !refused || code(err) != jetstream.JSErrCodeStreamNotFound {
		t.Errorf("a damaged snapshot: refused %v, %v", refused, err)
	}
}
