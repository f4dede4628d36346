package liftbridge

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	natswire "github.com/weirmq/weir/internal/wire/nats"
	"google.golang.org/grpc/codes"
)

// jetstream makes a stream of JetStream on a subject below its name.
func (r *rig) jetstream(name string, more map[string]any) {
	r.t.Helper()
	c := map[string]any{"name": name, "subjects": []string{name + ".in"}, "storage": "file"}
	for k, v := range more {
		c[k] = v
	}
	var made struct{ Error any }
	r.request("STREAM.CREATE."+name, c, &made)
	if made.Error != nil {
		r.t.Fatal(made.Error)
	}
}

// one publishes on a call of its own.
func one(t *testing.T, r *rig, req *pb.PublishRequest) *pb.PublishResponse {
	t.Helper()
	a := r.async()
	defer func() { _ = a.CloseSend() }()
	return exchange(t, a, req)
}

func TestAJetStreamStreamIsPublishedToThroughLiftbridge(t *testing.T) {
	r := newRig(t)
	r.jetstream("js", nil)
	r.create("beside", 1, func(req *pb.CreateStreamRequest) { req.Subject = "js.in" })
	seen := r.listen("js.in")
	key, odd := []byte("k\x00\xff"), []byte("\r\n\x00")
	req := &pb.PublishRequest{
		Stream: "js", Key: key, Value: []byte("hello"), Headers: map[string][]byte{"plain": []byte("v"), "odd": odd}, CorrelationId: "c", ExpectedOffset: 5,
	}
	resp, err := r.Publish(r.ctx(), req)
	if err != nil {
		t.Fatal(err)
	}
	told := one(t, r, req)
	for offset, ack := range []*pb.Ack{resp.Ack, told.Ack} {
		if ack.Offset != int64(offset) || ack.Stream != "js" || ack.MsgSubject != "js.in" || ack.PartitionSubject != "js.in" || ack.CorrelationId != "c" {
			t.Fatal(ack)
		}
	}
	for _, name := range []string{"js", "beside"} {
		got := r.read(name, 0)
		if len(got) != 2 {
			t.Fatalf("%s has %d messages", name, len(got))
		}
		for _, m := range got {
			if !bytes.Equal(m.Key, key) || string(m.Value) != "hello" || !bytes.Equal(m.Headers["odd"], odd) || string(m.Headers["plain"]) != "v" || m.Subject != "js.in" {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
	if got := r.read("js", 0)[0]; got.Timestamp != resp.Ack.ReceptionTimestamp {
		t.Error("the ack names another time")
	}
	if m := seen.next(t); string(m.Data) != "hello" || string(natswire.HeaderValue(m.Header, "plain")) != "v" {
		t.Errorf("NATS clients see %q %q", m.Header, m.Data)
	}
	r = r.crash(1)
	if got := values(r.read("js", 0)); !slices.Equal(got, []string{"hello", "hello"}) {
		t.Fatal(got)
	}
}

func TestWhatJetStreamRefusesLiftbridgesPublishersAreTold(t *testing.T) {
	r := newRig(t)
	r.jetstream("few", map[string]any{"max_msgs": 1, "discard": "new"})
	r.jetstream("small", map[string]any{"max_msg_size": 10})
	r.jetstream("sealed", nil)
	r.dealt("parts", 2, map[string]any{"max_msgs": 1, "discard": "new"})
	var changed struct{ Error any }
	r.request("STREAM.UPDATE.sealed", map[string]any{"name": "sealed", "subjects": []string{"sealed.in"}, "storage": "file", "sealed": true}, &changed)
	if changed.Error != nil {
		t.Fatal(changed.Error)
	}
	r.put("few", 0, "x")
	r.put("parts", 1, "x")
	for _, c := range []struct {
		req   *pb.PublishRequest
		code  codes.Code
		async pb.PublishAsyncError_Code
		text  string
	}{
		{&pb.PublishRequest{Stream: "few"}, codes.ResourceExhausted, pb.PublishAsyncError_INTERNAL, faultSpace.text},
		{&pb.PublishRequest{Stream: "small", Value: make([]byte, 11)}, codes.InvalidArgument, pb.PublishAsyncError_BAD_REQUEST, faultLarge.text},
		{&pb.PublishRequest{Stream: "few", Value: make([]byte, 1<<20)}, codes.InvalidArgument, pb.PublishAsyncError_BAD_REQUEST, faultLarge.text},
		{&pb.PublishRequest{Stream: "sealed"}, codes.FailedPrecondition, pb.PublishAsyncError_READONLY, "readonly partition: 0"},
		{&pb.PublishRequest{Stream: "few", Partition: 1}, codes.NotFound, pb.PublishAsyncError_NOT_FOUND, "no such partition: 1"},
		{&pb.PublishRequest{Stream: "parts", Partition: 1}, codes.ResourceExhausted, pb.PublishAsyncError_INTERNAL, faultSpace.text},
		{&pb.PublishRequest{Stream: "parts", Partition: 2}, codes.NotFound, pb.PublishAsyncError_NOT_FOUND, "no such partition: 2"},
	} {
		_, err := r.Publish(r.ctx(), c.req)
		code(t, err, c.code, c.text)
		if e := one(t, r, c.req).AsyncError; e.GetCode() != c.async || e.GetMessage() != c.text {
			t.Errorf("%s: %v", c.req.Stream, e)
		}
	}
}

// TestHeadersOfJetStreamCountForItsStreams has messages with ids stored once, and what
// would be part of a batch of JetStream's publishers stored by itself.
func TestHeadersOfJetStreamCountForItsStreams(t *testing.T) {
	r := newRig(t)
	r.jetstream("js", map[string]any{"allow_atomic": true, "allow_batched": true})
	for i, header := range []string{"Nats-Msg-Id", "Nats-Msg-Id", "Nats-Batch-Id", "Nats-Fast-Batch-Id"} {
		req := &pb.PublishRequest{
			Stream: "js", Value: fmt.Append(nil, i), CorrelationId: "c",
			Headers: map[string][]byte{header: []byte("id"), "Nats-Batch-Sequence": []byte("1")},
		}
		if resp := one(t, r, req); resp.AsyncError != nil || resp.Ack.CorrelationId != "c" {
			t.Fatal(header, resp)
		}
	}
	if got := values(r.read("js", 0)); !slices.Equal(got, []string{"0", "2", "3"}) {
		t.Fatal(got)
	}
}
