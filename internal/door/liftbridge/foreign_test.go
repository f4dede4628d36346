package liftbridge

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	natswire "github.com/weirmq/weir/internal/wire/nats"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// dealt makes a stream of JetStream with partitions.
func (r *rig) dealt(name string, partitions int, more map[string]any) {
	r.t.Helper()
	c := map[string]any{"metadata": map[string]string{"weir.partitions": fmt.Sprint(partitions)}}
	for k, v := range more {
		c[k] = v
	}
	r.jetstream(name, c)
}

// TestAPublishIsStoredInThePartitionThatItNames has a stream of JetStream with partitions
// take publishes of every kind of call, whatever its own publishers' keys say.
func TestAPublishIsStoredInThePartitionThatItNames(t *testing.T) {
	r := newRig(t)
	r.dealt("O", 3, nil)
	seen := r.listen("O.in")
	batch := r.publishing()
	want := make([][]string, 3)
	for i := range 9 {
		n, value := int32(i%3), fmt.Sprint(i)
		req := &pb.PublishRequest{
			Stream: "O", Partition: n, Key: []byte("the same"), Value: []byte(value), CorrelationId: value, Headers: map[string][]byte{"h": oddKey},
		}
		var ack *pb.Ack
		switch i / 3 {
		case 0:
			resp, err := r.Publish(r.ctx(), req)
			if err != nil {
				t.Fatal(err)
			}
			ack = resp.Ack
		case 1:
			resp := one(t, r, req)
			if resp.AsyncError != nil {
				t.Fatal(resp)
			}
			ack = resp.Ack
		case 2:
			if err := batch.Send(batchOf(req)); err != nil {
				t.Fatal(err)
			}
			a := answers(t, batch, 1)[0]
			if refusal := a.Refusal(nil); refusal != nil {
				t.Fatalf("%s", refusal.Message())
			}
			ack = &pb.Ack{Stream: string(a.Stream()), MsgSubject: string(a.Subject()), Offset: a.Offset(), CorrelationId: string(a.CorrelationId())}
		}
		if ack.Stream != "O" || ack.MsgSubject != "O.in" || ack.Offset != int64(len(want[n])) || ack.CorrelationId != value {
			t.Fatalf("message %d: %v", i, ack)
		}
		want[n] = append(want[n], value)
		if m := seen.next(t); string(m.Data) != value || string(natswire.HeaderValue(m.Header, "Weir-Key")) != "the same" {
			t.Fatalf("NATS clients see %q %q", m.Header, m.Data)
		}
	}
	// A publisher of JetStream's is dealt by key, as ever.
	by := int(crc32.ChecksumIEEE([]byte("k")) % 3)
	acks := r.listen("acks")
	r.space.Publish(&broker.Message{Subject: []byte("O.in"), Reply: []byte("acks"), Header: []byte("NATS/1.0\r\nWeir-Key: k\r\n\r\n"), Data: []byte("nats")})
	acks.next(t)
	want[by] = append(want[by], "nats")
	r = r.crash(1)
	for n := range want {
		r.want("O", int32(n), want[n]...)
		m := r.read("O", int32(n))[0]
		if string(m.Key) != "the same" || !bytes.Equal(m.Headers["h"], oddKey) || m.Subject != "O.in" || m.Partition != int32(n) || m.Stream != "O" {
			t.Errorf("%v", m)
		}
	}
	_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "O", Partition: 3})
	code(t, err, codes.NotFound, "no such partition: 3")
}

// TestAPublishToAPartitionIsUnderItsLimits: what one refuses, another one takes.
func TestAPublishToAPartitionIsUnderItsLimits(t *testing.T) {
	r := newRig(t)
	r.dealt("O", 2, map[string]any{"max_msgs": 1, "discard": "new"})
	r.put("O", 1, "x")
	_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "O", Partition: 1})
	code(t, err, codes.ResourceExhausted, faultSpace.text)
	r.put("O", 0, "y")
	r.request("STREAM.DELETE.O", nil, new(any))
	_, err = r.Publish(r.ctx(), &pb.PublishRequest{Stream: "O", Partition: 1})
	code(t, err, codes.NotFound, "no such stream: O")
	// One that is made anew with fewer partitions has no more of them for a call that goes on.
	a := r.async()
	r.dealt("O", 3, nil)
	exchange(t, a, &pb.PublishRequest{Stream: "O", Partition: 2, CorrelationId: "c"})
	r.request("STREAM.DELETE.O", nil, new(any))
	r.dealt("O", 2, nil)
	if e := exchange(t, a, &pb.PublishRequest{Stream: "O", Partition: 2}).AsyncError; e.GetMessage() != "no such partition: 2" {
		t.Error(e)
	}
	if resp := exchange(t, a, &pb.PublishRequest{Stream: "O", Partition: 1, CorrelationId: "c"}); resp.Ack.GetOffset() != 0 || resp.AsyncError != nil {
		t.Error(resp)
	}
}

// TestAStreamWithoutASubjectOfItsOwnSaysHowItIsPublishedTo: what is a pattern names no
// subject, and a mirror takes none.
func TestAStreamWithoutASubjectOfItsOwnSaysHowItIsPublishedTo(t *testing.T) {
	r := newRig(t)
	r.jetstream("pattern", map[string]any{"subjects": []string{"p.>"}})
	r.jetstream("both", map[string]any{"subjects": []string{"b.*", "b"}})
	r.dealt("parts", 2, map[string]any{"subjects": []string{"q.*.*"}})
	r.request("STREAM.CREATE.copy", map[string]any{"name": "copy", "mirror": map[string]any{"name": "pattern"}}, new(any))
	for name, want := range map[string]*fault{"pattern": faultPattern, "parts": faultPattern, "copy": faultNoSubject} {
		_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: name})
		code(t, err, codes.FailedPrecondition, want.text)
		if e := one(t, r, &pb.PublishRequest{Stream: name}).AsyncError; e.GetCode() != pb.PublishAsyncError_BAD_REQUEST || e.GetMessage() != want.text {
			t.Errorf("%s: %v", name, e)
		}
	}
	if a := r.put("both", 0, "x")[0]; a.MsgSubject != "b" {
		t.Errorf("%v", a)
	}
}

// TestPublishToSubjectIsStoredAsWhatItSaysByStreamsOfJetStream, and acknowledged by them.
// NATS clients who listen there see the envelope.
func TestPublishToSubjectIsStoredAsWhatItSaysByStreamsOfJetStream(t *testing.T) {
	r := newRig(t)
	r.jetstream("pattern", map[string]any{"subjects": []string{"p.>"}, "allow_atomic": true, "allow_batched": true})
	r.dealt("parts", 4, map[string]any{"subjects": []string{"q.>"}})
	seen := r.listen("p.x")
	req := &pb.PublishToSubjectRequest{
		Subject: "p.x", Key: oddKey, Value: []byte("v"), CorrelationId: "c", AckInbox: "acks",
		Headers: map[string][]byte{"h": []byte("1"), "odd": oddKey, "Nats-Batch-Id": []byte("b"), "Nats-Batch-Sequence": []byte("1")},
	}
	resp, err := r.PublishToSubject(r.ctx(), req)
	if err != nil {
		t.Fatal(err)
	}
	if a := resp.Ack; a.Stream != "pattern" || a.Offset != 0 || a.MsgSubject != "p.x" || a.CorrelationId != "c" || a.AckInbox != "acks" || a.AckError != pb.Ack_OK {
		t.Errorf("%v", a)
	}
	m := r.read("pattern", 0)[0]
	if !bytes.Equal(m.Key, oddKey) || string(m.Value) != "v" || string(m.Headers["h"]) != "1" || !bytes.Equal(m.Headers["odd"], oddKey) || m.Subject != "p.x" {
		t.Errorf("%v", m)
	}
	if m.Timestamp != resp.Ack.ReceptionTimestamp {
		t.Error("the ack names another time")
	}
	var msg wire.Message
	if e := seen.next(t); wire.DecodePublish(e.Data, &msg) != nil || !bytes.Equal(msg.Key, oddKey) || string(msg.Value) != "v" {
		t.Errorf("NATS clients see %q", e.Data)
	}
	for _, by := range []string{"", "k1", "k2", "k3", "k4"} {
		req := &pb.PublishToSubjectRequest{Subject: "q.a", Key: []byte(by), Value: []byte(by)}
		if by == "" {
			by = req.Subject
		}
		n := crc32.ChecksumIEEE([]byte(by)) % 4
		resp, err := r.PublishToSubject(r.ctx(), req)
		if err != nil || resp.Ack.Stream != "parts" {
			t.Fatal(by, resp, err)
		}
		if got := values(r.read("parts", int32(n))); !slices.Contains(got, string(req.Value)) {
			t.Errorf("partition %d holds %q", n, got)
		}
	}
}

// TestWhatAStreamOfJetStreamRefusesIsInTheAckOfPublishToSubject, not in the status.
func TestWhatAStreamOfJetStreamRefusesIsInTheAckOfPublishToSubject(t *testing.T) {
	r := newRig(t)
	r.jetstream("small", map[string]any{"max_msg_size": 10})
	resp, err := r.PublishToSubject(r.ctx(), &pb.PublishToSubjectRequest{Subject: "small.in", Value: make([]byte, 11)})
	if err != nil || resp.Ack.AckError != pb.Ack_TOO_LARGE || resp.Ack.Stream != "small" {
		t.Fatal(resp, err)
	}
	if _, err := r.PublishToSubject(r.ctx(), &pb.PublishToSubjectRequest{Subject: "small.in", Value: make([]byte, 10)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.PublishToSubject(ctx, &pb.PublishToSubjectRequest{Subject: "nobody"}); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
}

// TestAStreamOfJetStreamBesideStoresTheMessageAndNotItsEnvelope: a subject may have streams
// of both kinds, and whoever reads either reads the same.
func TestAStreamOfJetStreamBesideStoresTheMessageAndNotItsEnvelope(t *testing.T) {
	r := newRig(t)
	r.jetstream("js", nil)
	r.create("lift", 1, func(req *pb.CreateStreamRequest) { req.Subject = "js.in" })
	seen := r.listen("js.in")
	if ack := one(t, r, &pb.PublishRequest{Stream: "lift", Key: oddKey, Value: []byte("v"), Headers: oddHeaders, CorrelationId: "c"}).Ack; ack.Stream != "lift" {
		t.Fatal(ack)
	}
	for _, name := range []string{"lift", "js"} {
		got := r.read(name, 0)
		if len(got) != 1 {
			t.Fatalf("%s has %d messages", name, len(got))
		}
		if m := got[0]; !bytes.Equal(m.Key, oddKey) || string(m.Value) != "v" || !bytes.Equal(m.Headers["binary"], oddHeaders["binary"]) {
			t.Errorf("%s: %v", name, m)
		}
	}
	var msg wire.Message
	if e := seen.next(t); wire.DecodePublish(e.Data, &msg) != nil || string(msg.Value) != "v" {
		t.Errorf("NATS clients see %q", e.Data)
	}
}

// TestPublishToSubjectIsAckedByStreamsOfTheCallersAccountOnly: those of one that imports the
// subject take the message, and their names are nobody's business.
func TestPublishToSubjectIsAckedByStreamsOfTheCallersAccountOnly(t *testing.T) {
	o, at := testOptions(), new(atomic.Pointer[Door])
	node := nodeOptions(&o, at)
	node.Accounts = []string{"A", "B"}
	r := serve(t, streamtest.Start(t, node), o, at)
	m, err := subject.ParseMapping("x", "x")
	if err != nil {
		t.Fatal(err)
	}
	theirs := r.Space("B")
	theirs.ImportStreams([]broker.StreamImport{{From: r.Space("A"), Mapping: m}})
	p := &newStream{set: settings{Name: "theirs", Subject: "x", Partitions: 1}}
	s, err := r.Streams.CreateFamily(t.Context(), "B", p.configs())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if resp, err := r.PublishToSubject(ctx, &pb.PublishToSubjectRequest{Subject: "x"}); status.Code(err) != codes.DeadlineExceeded {
		t.Error(resp, err)
	}
	if err := s[0].Settle(r.ctx()); err != nil {
		t.Fatal(err)
	}
	if st := s[0].Partition().Status(); st.Records != 1 {
		t.Errorf("%d messages were imported", st.Records)
	}
	r.create("ours", 1, func(req *pb.CreateStreamRequest) { req.Subject = "x" })
	resp, err := r.PublishToSubject(r.ctx(), &pb.PublishToSubjectRequest{Subject: "x"})
	if err != nil || resp.Ack.Stream != "ours" {
		t.Error(resp, err)
	}
}

// TestNATSClientsSeeTheEnvelopeFromWhenTheyListen: it is made for them only.
func TestNATSClientsSeeTheEnvelopeFromWhenTheyListen(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	a := r.async()
	send := func(value string) {
		t.Helper()
		resp := exchange(t, a, &pb.PublishRequest{Stream: "s", Key: oddKey, Value: []byte(value), Headers: oddHeaders, CorrelationId: value})
		if resp.AsyncError != nil {
			t.Fatal(resp)
		}
	}
	send("nobody listens")
	seen := r.listen("s")
	send("somebody listens")
	var msg wire.Message
	if e := seen.next(t); wire.DecodePublish(e.Data, &msg) != nil || string(msg.Value) != "somebody listens" || string(msg.CorrelationID) != "somebody listens" || !bytes.Equal(msg.Key, oddKey) {
		t.Errorf("NATS clients see %q", e.Data)
	}
	for i, m := range r.read("s", 0) {
		if want := []string{"nobody listens", "somebody listens"}[i]; string(m.Value) != want || !bytes.Equal(m.Key, oddKey) || !bytes.Equal(m.Headers["binary"], oddHeaders["binary"]) {
			t.Errorf("message %d is %v", i, m)
		}
	}
}
