package liftbridge

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
)

// TestChannelsOfStreamingArePublishedToByName: such a stream has no subject. Another one
// without one of its own is for reading.
func TestChannelsOfStreamingArePublishedToByName(t *testing.T) {
	r := newRig(t)
	r.request("STREAM.CREATE.a%2Eb", map[string]any{
		"name": "a%2Eb", "metadata": map[string]string{"weir.stan.channel": "a.b", "weir.capture": "none"},
	}, new(any))
	r.request("STREAM.CREATE.plain", map[string]any{"name": "plain", "subjects": []string{"plain.>"}}, new(any))
	acks := r.put("a.b", 0, "0", "1")
	if a := acks[1]; a.Offset != 1 || a.Stream != "a.b" || a.MsgSubject != "a.b" || a.AckError != pb.Ack_OK {
		t.Errorf("%+v", a)
	}
	async := r.async()
	for i, v := range []string{"2", "3"} {
		resp := exchange(t, async, &pb.PublishRequest{Stream: "a.b", Key: []byte("k"), Value: []byte(v), CorrelationId: v, Headers: map[string][]byte{"h": []byte("x")}})
		if a := resp.Ack; a == nil || a.Offset != int64(i+2) || a.CorrelationId != v || a.Stream != "a.b" {
			t.Errorf("%+v", resp)
		}
	}
	msgs := r.read("a.b", 0)
	if got := values(msgs); strings.Join(got, " ") != "0 1 2 3" {
		t.Fatalf("%q", got)
	}
	if m := msgs[3]; m.Subject != "a.b" || string(m.Key) != "k" || string(m.Headers["h"]) != "x" {
		t.Errorf("%+v", m)
	}
	large := &pb.PublishRequest{Stream: "a.b", Value: make([]byte, r.o.MaxMessage+1)}
	if resp := exchange(t, async, large); resp.AsyncError == nil || resp.AsyncError.Message != faultLarge.text {
		t.Errorf("a large message: %+v", resp)
	}
	_, err := r.Publish(r.ctx(), large)
	code(t, err, faultLarge.unary, faultLarge.text)
	_, err = r.Publish(r.ctx(), &pb.PublishRequest{Stream: "a.b", Partition: 1})
	code(t, err, codes.NotFound, "no such partition: 1")
	_, err = r.Publish(r.ctx(), &pb.PublishRequest{Stream: "plain", Value: []byte("x")})
	code(t, err, codes.FailedPrecondition, faultPattern.text)
	r.request("STREAM.DELETE.a%2Eb", nil, new(any))
	if resp := exchange(t, async, &pb.PublishRequest{Stream: "a.b"}); resp.AsyncError == nil || resp.AsyncError.Message != "no such stream: a.b" {
		t.Errorf("a channel that is gone: %+v", resp)
	}
}
