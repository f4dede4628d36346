package streams_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// bench is a server with a client, and a stream S that keeps "s.>" unless a
// test asks for another configuration.
type bench struct {
	t      *testing.T
	ctx    context.Context
	server *harness.Server
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

func start(t *testing.T, change ...func(*jetstream.StreamConfig)) *bench {
	t.Helper()
	b := &bench{t: t, server: harness.Start(t, "")}
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	b.reconnect()
	c := jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true}
	for _, f := range change {
		f(&c)
	}
	var err error
	if b.stream, err = b.js.CreateStream(b.ctx, c); err != nil {
		t.Fatalf("make stream: %v", err)
	}
	return b
}

// reconnect opens a new client, as after a restart of the server.
func (b *bench) reconnect() {
	b.t.Helper()
	b.nc = b.server.Connect()
	var err error
	if b.js, err = jetstream.New(b.nc); err != nil {
		b.t.Fatal(err)
	}
	if b.stream != nil {
		if b.stream, err = b.js.Stream(b.ctx, "S"); err != nil {
			b.t.Fatalf("find the stream again: %v", err)
		}
	}
}

// publish stores a message and returns its sequence.
func (b *bench) publish(subject, body string, opts ...jetstream.PublishOpt) uint64 {
	b.t.Helper()
	ack, err := b.js.Publish(b.ctx, subject, []byte(body), opts...)
	if err != nil {
		b.t.Fatalf("publish to %s: %v", subject, err)
	}
	return ack.Sequence
}

// fill stores n messages on s.0, s.1, s.2, s.0 ...; the body is the sequence.
func (b *bench) fill(n int) {
	b.t.Helper()
	for i := range n {
		b.publish(fmt.Sprintf("s.%d", i%3), fmt.Sprint(i+1))
	}
}

func (b *bench) state() jetstream.StreamState {
	b.t.Helper()
	info, err := b.stream.Info(b.ctx)
	if err != nil {
		b.t.Fatalf("stream info: %v", err)
	}
	return info.State
}

func (b *bench) expectState(messages, first, last uint64) {
	b.t.Helper()
	if st := b.state(); st.Msgs != messages || st.FirstSeq != first || st.LastSeq != last {
		b.t.Errorf("stream holds %d messages, %d to %d; want %d, %d to %d", st.Msgs, st.FirstSeq, st.LastSeq, messages, first, last)
	}
}

func (b *bench) consumer(c jetstream.ConsumerConfig) jetstream.Consumer {
	b.t.Helper()
	consumer, err := b.js.CreateConsumer(b.ctx, "S", c)
	if err != nil {
		b.t.Fatalf("make consumer: %v", err)
	}
	return consumer
}

// fetch takes n messages; it fails when fewer come.
func (b *bench) fetch(c jetstream.Consumer, n int) []jetstream.Msg {
	b.t.Helper()
	batch, err := c.Fetch(n, jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		b.t.Fatalf("fetch: %v", err)
	}
	var list []jetstream.Msg
	for m := range batch.Messages() {
		list = append(list, m)
	}
	if err := batch.Error(); err != nil {
		b.t.Fatalf("fetch: %v", err)
	}
	if len(list) != n {
		b.t.Fatalf("%d of %d messages came", len(list), n)
	}
	return list
}

// none checks that the consumer has nothing to hand out.
func (b *bench) none(c jetstream.Consumer) {
	b.t.Helper()
	batch, err := c.FetchNoWait(1)
	if err != nil {
		b.t.Fatalf("fetch: %v", err)
	}
	for m := range batch.Messages() {
		b.t.Errorf("unexpected message %s %q", m.Subject(), m.Data())
	}
}

func (b *bench) expectSequences(c jetstream.Consumer, want ...uint64) {
	b.t.Helper()
	if len(want) == 0 {
		return
	}
	for i, m := range b.fetch(c, len(want)) {
		if got := sequence(b.t, m); got != want[i] {
			b.t.Errorf("delivery %d has sequence %d, want %d", i, got, want[i])
		}
		if err := m.DoubleAck(b.ctx); err != nil {
			b.t.Fatalf("acknowledge: %v", err)
		}
	}
}

func sequence(t *testing.T, m jetstream.Msg) uint64 {
	t.Helper()
	return meta(t, m).Sequence.Stream
}

func meta(t *testing.T, m jetstream.Msg) *jetstream.MsgMetadata {
	t.Helper()
	md, err := m.Metadata()
	if err != nil {
		t.Fatalf("metadata: %v", err)
	}
	return md
}

// code returns the JetStream error number in err, 0 for none.
func code(err error) jetstream.ErrorCode {
	var refusal jetstream.JetStreamError
	if errors.As(err, &refusal) && refusal.APIError() != nil {
		return refusal.APIError().ErrorCode
	}
	return 0
}
