package leaf_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

func TestAStreamCapturesWhatIsPublishedThereAndIsQuietAboutIt(t *testing.T) {
	p := newPair(t, "", "")
	ctx := t.Context()
	s, err := streams(t, p.here, "").CreateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}})
	if err != nil {
		t.Fatal(err)
	}
	p.known(p.here, p.there)
	answers := p.subscribe(p.there, p.here, "answers", "")
	for i := range 100 {
		if err := p.there.PublishRequest("orders.new", "answers", []byte(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	harness.Eventually(t, "all are stored", func() bool {
		i, err := s.Info(ctx)
		return err == nil && i.State.Msgs == 100
	})
	m, err := s.GetMsg(ctx, 100)
	if err != nil || string(m.Data) != "99" {
		t.Errorf("%+v, %v", m, err)
	}
	p.known(p.there, p.here)
	if len(answers) > 0 {
		t.Errorf("requests of the other system are answered: %s", next(t, answers).Data)
	}
	// A client here gets its acknowledgement as ever.
	if a, err := streams(t, p.here, "").Publish(ctx, "orders.new", nil); err != nil || a.Sequence != 101 || a.Domain != "edge" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestStreamsAreUsedFromThereByTheirDomain(t *testing.T) {
	p := newPair(t, "", "")
	ctx := t.Context()
	theirs, ours := streams(t, p.there, ""), streams(t, p.there, "edge")
	if _, err := theirs.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"theirs"}}); err != nil {
		t.Fatal(err)
	}
	s, err := ours.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"ours.*"}, Metadata: map[string]string{"weir.leaf.ack": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := streams(t, p.here, "").Stream(ctx, "S"); err != nil {
		t.Errorf("it is not here: %v", err)
	}
	p.known(p.here, p.there)
	for i := range 10 {
		if a, err := ours.Publish(ctx, "ours.x", fmt.Append(nil, i)); err != nil || a.Sequence != uint64(i+1) || a.Domain != "edge" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if a, err := theirs.Publish(ctx, "theirs", nil); err != nil || a.Sequence != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	// Consumers of one name on both sides know their own acknowledgements.
	config := jetstream.ConsumerConfig{Durable: "C", AckPolicy: jetstream.AckExplicitPolicy}
	other, err := theirs.CreateConsumer(ctx, "S", config)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.CreateConsumer(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	p.known(p.here, p.there)
	batch, err := c.Fetch(10, jetstream.FetchMaxWait(patience))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range batch.Messages() {
		n++
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream != uint64(n) || meta.Domain != "edge" || meta.Stream != "S" || m.Subject() != "ours.x" {
			t.Fatalf("%s %+v, %v", m.Subject(), meta, err)
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if i, err := c.Info(ctx); n != 10 || err != nil || i.AckFloor.Stream != 10 || i.NumAckPending != 0 {
		t.Errorf("%d messages, %+v, %v", n, i, err)
	}
	if i, err := other.Info(ctx); err != nil || i.NumPending != 1 || i.AckFloor.Stream != 0 {
		t.Errorf("the consumer there: %+v, %v", i, err)
	}
	// Their streams are used from here by their domain, where they have one; without
	// one, each side's API is its own.
	if _, err := streams(t, p.here, "").Stream(ctx, "NONE"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Error(err)
	}
}

func TestBucketsAreUsedFromThereByTheirDomain(t *testing.T) {
	p := newPair(t, "", "")
	ctx := t.Context()
	kv, err := streams(t, p.there, "edge").CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "B"})
	if err != nil {
		t.Fatal(err)
	}
	if seq, err := kv.Put(ctx, "k", []byte("v")); err != nil || seq != 1 {
		t.Fatalf("%d, %v", seq, err)
	}
	if e, err := kv.Get(ctx, "k"); err != nil || string(e.Value()) != "v" {
		t.Errorf("%v, %v", e, err)
	}
	here, err := streams(t, p.here, "").KeyValue(ctx, "B")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := here.Get(ctx, "k"); err != nil || string(e.Value()) != "v" {
		t.Errorf("%v, %v", e, err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := here.Put(ctx, "k", []byte("ours")); err != nil {
		t.Fatal(err)
	}
	for e := range w.Updates() {
		if e != nil && string(e.Value()) == "ours" {
			break
		}
	}
	if err := w.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := streams(t, p.there, "").KeyValue(ctx, "B"); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("the hub has it: %v", err)
	}
}

func TestEnvelopesOfClientsThereAreAcknowledged(t *testing.T) {
	at := port(t)
	p := newPair(t, "", fmt.Sprintf("liftbridge { listen: %q }", at))
	client, err := lift.Connect([]string{at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.CreateStream(ctx, "events", "events-stream"); err != nil {
		t.Fatal(err)
	}
	p.known(p.here, p.there)
	acks := p.subscribe(p.there, p.here, "acks", "")
	m := lift.NewMessage([]byte("hello"), lift.Key([]byte("k")), lift.AckInbox("acks"), lift.CorrelationID("c1"), lift.AckPolicyAll())
	if err := p.there.Publish("events", m); err != nil {
		t.Fatal(err)
	}
	ack, err := lift.UnmarshalAck(next(t, acks).Data)
	if err != nil || ack.Stream() != "events-stream" || ack.CorrelationID() != "c1" || ack.Offset() != 0 {
		t.Fatalf("%+v, %v", ack, err)
	}
	// A plain message is a value.
	if err := p.there.Publish("events", []byte("plain")); err != nil {
		t.Fatal(err)
	}
	got := make(chan *lift.Message, 10)
	if err := client.Subscribe(ctx, "events-stream", func(m *lift.Message, err error) {
		if err == nil {
			got <- m
		}
	}, lift.StartAtEarliestReceived()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"hello", "plain"} {
		select {
		case m := <-got:
			if string(m.Value()) != want || m.Offset() != int64(i) {
				t.Errorf("%d: %q at %d", i, m.Value(), m.Offset())
			}
		case <-ctx.Done():
			t.Fatal("no message")
		}
	}
}

// TestKillsOfEitherSideLoseNothingAcknowledged has a client there publish while one
// server after the other is killed and started again.
func TestKillsOfEitherSideLoseNothingAcknowledged(t *testing.T) {
	p := newPair(t, "", "")
	ctx := t.Context()
	config := jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Metadata: map[string]string{"weir.leaf.ack": "true"}}
	if _, err := streams(t, p.here, "").CreateStream(ctx, config); err != nil {
		t.Fatal(err)
	}
	nc := p.hub.Connect(nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	stop, done := make(chan struct{}), make(chan []uint64)
	go func() {
		var acked []uint64 // the sequences by the numbers that were sent
		defer func() { done <- acked }()
		js, err := jetstream.New(nc)
		if err != nil {
			return
		}
		for {
			select {
			case <-stop:
				return
			default:
			}
			limited, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			if a, err := js.Publish(limited, "s", fmt.Append(nil, len(acked))); err == nil {
				acked = append(acked, a.Sequence)
			}
			cancel()
		}
	}()
	for i, s := range []*harness.Server{p.leaf, p.hub, p.leaf, p.hub} {
		here := p.leaf.Connect()
		linked(t, nc, here)
		moved(t, here, 50)
		here.Close()
		if i == 3 {
			s.Stop()
		} else {
			s.Kill()
		}
		s.Run()
		harness.Eventually(t, "the client is connected", nc.IsConnected)
	}
	here := p.leaf.Connect()
	linked(t, nc, here)
	moved(t, here, 50)
	close(stop)
	acked := <-done
	s, err := streams(t, here, "").Stream(ctx, "S")
	if err != nil {
		t.Fatal(err)
	}
	if len(acked) < 100 {
		t.Errorf("only %d messages were acknowledged", len(acked))
	}
	for i, seq := range acked {
		if m, err := s.GetMsg(ctx, seq); err != nil || string(m.Data) != strconv.Itoa(i) {
			t.Fatalf("message %d, acknowledged as %d: %v, %v", i, seq, m, err)
		}
	}
}

// moved waits until so many more messages are stored.
func moved(t *testing.T, nc *nats.Conn, n uint64) {
	t.Helper()
	js := streams(t, nc, "")
	last := func() uint64 {
		s, err := js.Stream(t.Context(), "S")
		if err != nil {
			return 0
		}
		return s.CachedInfo().State.LastSeq
	}
	from := last()
	harness.Eventually(t, "more is stored", func() bool { return last() >= from+n })
}
