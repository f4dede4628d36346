package liftbridge

import (
	"context"
	"sync"

	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
	"github.com/weirmq/weir/internal/wire/liftbridge/fb"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
)

// Bounds of a batch that a subscriber is sent, and what it gets who says nothing.
const (
	mostMessages = 4096
	usualBytes   = 256 << 10
	mostBytes    = 1 << 20
)

// limits are when a batch is full.
type limits struct{ messages, bytes int }

func limitsOf(r *fb.SubscribeRequest) limits {
	l := limits{int(min(r.MaxMessages, mostMessages)), int(min(r.MaxBytes, mostBytes))}
	if l.messages == 0 {
		l.messages = mostMessages
	}
	if l.bytes == 0 {
		l.bytes = usualBytes
	}
	return l
}

// subscription is a request in the words of the other service.
func subscription(r *fb.SubscribeRequest) *pb.SubscribeRequest {
	req := &pb.SubscribeRequest{
		Stream: r.Stream, Partition: r.Partition, Resume: r.Resume, Reverse: r.Reverse,
		StartPosition: pb.StartPosition(r.Start), StartOffset: r.StartOffset, StartTimestamp: r.StartTime,
		StopPosition: pb.StopPosition(r.Stop), StopOffset: r.StopOffset, StopTimestamp: r.StopTime,
	}
	if r.Group != "" {
		req.Consumer = &pb.Consumer{GroupId: r.Group, GroupEpoch: r.GroupEpoch, ConsumerId: r.Consumer}
	}
	return req
}

// batches delivers the messages of a call in batches: what there is, and as much as
// the client takes at once.
type batches struct {
	ctx  context.Context
	call *rpc.Call
	limits
	stream string
	number int32
	// out is the batch that is being written; nil: there is none, so that an idle
	// subscription holds no memory. It lies in piece.
	out   *fb.MessageBatch
	piece *[]byte
	send  rpc.Out
}

// Context implements delivery.
func (b *batches) Context() context.Context { return b.ctx }

// writers are batches that nobody writes.
var writers = sync.Pool{New: func() any { return new(fb.MessageBatch) }}

// begin implements delivery.
func (b *batches) begin(f *family, n int32) error {
	b.stream, b.number = f.name, n
	b.open()
	return b.flush()
}

func (b *batches) open() {
	b.out, b.piece = writers.Get().(*fb.MessageBatch), batchPieces.get()
	b.out.Reset(*b.piece)
}

// deliver implements delivery.
func (b *batches) deliver(m *fb.Message) error {
	if b.out != nil && (b.out.Len() == b.messages || !b.out.Fits(m, b.bytes)) {
		if err := b.flush(); err != nil {
			return err
		}
	}
	if b.out == nil {
		b.open()
	}
	b.out.Add(m)
	return nil
}

// flush implements delivery.
func (b *batches) flush() error {
	if b.out == nil {
		return nil
	}
	to := b.send.Begin(fb.HeadSize(b.out.Len(), b.stream) + b.out.Size())
	head, body := b.out.Finish(to[len(to):], b.stream, b.number)
	b.send.End(append(append(to, head...), body...))
	batchPieces.put(b.piece, body)
	writers.Put(b.out)
	b.out, b.piece = nil, nil
	return b.call.Send(&b.send)
}
