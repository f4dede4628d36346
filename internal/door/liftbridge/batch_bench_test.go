package liftbridge

import (
	"slices"
	"testing"

	"github.com/weirmq/weir/api/weirfb"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
)

// How the benchmarks load the door: values of benchSize bytes, benchBatch in a batch,
// benchWindow in flight. Client and server share the process; the storage is memory.
const (
	benchSize   = 256
	benchBatch  = 100
	benchWindow = 1000
)

// BenchmarkPublish is a message published without waiting, and its answer.
func BenchmarkPublish(b *testing.B) {
	req := &pb.PublishRequest{Stream: "s", Value: make([]byte, benchSize), CorrelationId: "123456", ExpectedOffset: -1}
	b.Run("protobuf", func(b *testing.B) {
		r := newRig(b)
		r.create("s", 1)
		call, err := r.PublishAsync(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		published(b, 1, func(int) error { return call.Send(req) }, func() (int, error) {
			resp, err := call.Recv()
			if err == nil && resp.AsyncError != nil {
				b.Fatal(resp)
			}
			return 1, err
		})
	})
	b.Run("flatbuffers", func(b *testing.B) {
		r := newRig(b)
		r.create("s", 1)
		call, err := r.inBatches().Publish(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		full := batchOf(slices.Repeat([]*pb.PublishRequest{req}, benchBatch)...)
		b.ReportAllocs()
		published(b, benchBatch, func(n int) error {
			if n == benchBatch {
				return call.Send(full)
			}
			return call.Send(batchOf(slices.Repeat([]*pb.PublishRequest{req}, n)...))
		}, func() (int, error) {
			batch, err := call.Recv()
			if err != nil {
				return 0, err
			}
			for i := range batch.AnswersLength() {
				var a weirfb.Answer
				if batch.Answers(&a, i); a.Refusal(nil) != nil {
					b.Fatal(string(a.Refusal(nil).Message()))
				}
			}
			return batch.AnswersLength(), nil
		})
	})
}

// published sends b.N messages, so many at once, with a window's answers outstanding.
func published(b *testing.B, batch int, send func(n int) error, answered func() (int, error)) {
	slots := make(chan struct{}, benchWindow/batch)
	sent := make(chan error, 1)
	b.ResetTimer()
	go func() {
		for n := 0; n < b.N; n += batch {
			slots <- struct{}{}
			if err := send(min(batch, b.N-n)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for n, freed := 0, 0; n < b.N; {
		more, err := answered()
		if err != nil {
			b.Fatal(err)
		}
		for n += more; n/batch > freed; freed++ {
			<-slots
		}
	}
	b.StopTimer()
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSubscribe is a message delivered from the log.
func BenchmarkSubscribe(b *testing.B) {
	const stored = 20_000
	r := newRig(b)
	r.create("s", 1)
	call := r.publishing()
	req := &pb.PublishRequest{Stream: "s", Value: make([]byte, benchSize), ExpectedOffset: -1}
	for range stored / benchWindow {
		if err := call.Send(batchOf(slices.Repeat([]*pb.PublishRequest{req}, benchWindow)...)); err != nil {
			b.Fatal(err)
		}
		answers(b, call, benchWindow)
	}
	from := &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST}
	b.Run("protobuf", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; n < b.N; {
			sub, err := r.Subscribe(b.Context(), from)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := sub.Recv(); err != nil {
				b.Fatal(err)
			}
			for i := 0; i < stored && n < b.N; i++ {
				m, err := sub.Recv()
				if err != nil || len(m.Value) != benchSize {
					b.Fatal(err)
				}
				n++
			}
		}
	})
	b.Run("flatbuffers", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; n < b.N; {
			sub, err := r.inBatches().Subscribe(b.Context(), requestOf(from, 0, 0))
			if err != nil {
				b.Fatal(err)
			}
			for i := 0; i < stored && n < b.N; {
				batch, err := sub.Recv()
				if err != nil {
					b.Fatal(err)
				}
				for k := range batch.MessagesLength() {
					var m weirfb.Message
					if batch.Messages(&m, k); m.ValueLength() != benchSize {
						b.Fatal(m.ValueLength())
					}
				}
				i, n = i+batch.MessagesLength(), n+batch.MessagesLength()
			}
		}
	})
}
