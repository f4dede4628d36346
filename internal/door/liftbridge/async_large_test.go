package liftbridge

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/weirmq/weir/api/weirfb"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestALargeMessageIsAnsweredOnce: one that fills what is staged at once is on its way to the
// log, and may be acknowledged, before the call is done with it.
func TestALargeMessageIsAnsweredOnce(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxMessage = 5 << 20 })
	r.create("s", 1)
	a := r.async()
	large := make([]byte, 1<<20)
	for i := range 100 {
		id := fmt.Sprint(i)
		resp := exchange(t, a, &pb.PublishRequest{Stream: "s", Value: large, CorrelationId: id})
		if resp.AsyncError != nil || resp.CorrelationId != id || resp.Ack.GetCorrelationId() != id || resp.Ack.Offset != int64(i) {
			t.Fatalf("message %d: %v %v", i, resp.CorrelationId, resp)
		}
	}
}

// TestALargeMessageIsWholeInAllStreamsOfItsSubject: the first may have acknowledged it before
// the last was given it.
func TestALargeMessageIsWholeInAllStreamsOfItsSubject(t *testing.T) {
	const streams, messages, size = 3, 15, 1 << 20
	r := newRig(t, func(o *Options) { o.MaxMessage = 5 << 20 })
	for i := range streams {
		r.create(fmt.Sprint("s", i), 1, func(req *pb.CreateStreamRequest) { req.Subject = "x" })
	}
	a, b := r.async(), r.publishing()
	fill := func(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, size) }
	sent := make(chan error, 2)
	go func() {
		var err error
		for i := 0; i < messages && err == nil; i++ {
			err = a.Send(&pb.PublishRequest{Stream: "s0", Value: fill(i), CorrelationId: "c"})
		}
		sent <- err
	}()
	go func() {
		var err error
		for i := 0; i < messages && err == nil; i++ {
			err = b.Send(batchOf(&pb.PublishRequest{Stream: "s0", Value: fill(messages + i)}))
		}
		sent <- err
	}()
	for range messages {
		if resp, err := a.Recv(); err != nil || resp.AsyncError != nil {
			t.Fatal(resp, err)
		}
	}
	for _, answer := range answers(t, b, messages) {
		if refusal := answer.Refusal(nil); refusal != nil {
			t.Fatalf("%s", refusal.Message())
		}
	}
	for range cap(sent) {
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	r.whole(streams, 2*messages, size)
}

// TestALargeBatchIsWholeInAllStreamsOfItsSubject: what it came in is let go when all are given
// it, and not for another connection's before.
func TestALargeBatchIsWholeInAllStreamsOfItsSubject(t *testing.T) {
	const streams, messages, size, clients = 3, 10, 1 << 20, 3
	r := newRig(t, func(o *Options) { o.MaxMessage = 5 << 20 })
	for i := range streams {
		r.create(fmt.Sprint("s", i), 1, func(req *pb.CreateStreamRequest) { req.Subject = "x" })
	}
	done := make(chan error, clients)
	for c := range clients {
		conn, err := grpc.NewClient(r.conn.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		call, err := weirfb.NewStreamClient(forced{conn}).Publish(r.ctx())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			var err error
			for i := 0; i < messages && err == nil; i++ {
				if err = call.Send(batchOf(&pb.PublishRequest{Stream: "s0", Value: bytes.Repeat([]byte{byte(c*messages + i + 1)}, size)})); err == nil {
					_, err = call.Recv()
				}
			}
			done <- err
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	r.whole(streams, clients*messages, size)
}

// whole wants so many messages of a size in each stream, each once and all of one byte, by
// which they differ.
func (r *rig) whole(streams, messages, size int) {
	r.t.Helper()
	for i := range streams {
		name := fmt.Sprint("s", i)
		if err := r.Streams.Find("A", name).Settle(r.ctx()); err != nil {
			r.t.Fatal(err)
		}
		seen := map[byte]bool{}
		for _, m := range r.read(name, 0) {
			if len(m.Value) != size || !bytes.Equal(m.Value, bytes.Repeat(m.Value[:1], size)) || seen[m.Value[0]] {
				r.t.Fatalf("%s: message %d has %d bytes, or some of another's", name, m.Offset, len(m.Value))
			}
			seen[m.Value[0]] = true
		}
		if len(seen) != messages {
			r.t.Errorf("%s has %d messages", name, len(seen))
		}
	}
}
