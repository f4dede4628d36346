package liftbridge

import (
	"fmt"

	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/fb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// publishing carries the messages of a call in batches, and its answers.
type publishing struct {
	grpc.ServerStream
	budget int // what a batch may say, bytes

	// Only the goroutine that receives.
	count uint64 // messages so far
	name  string // of the last message's stream

	// Only the goroutine that sends.
	out fb.AnswerBatch
}

// publishBatch is what came in one gRPC message, to which its messages point until all
// of them are answered. So long it weighs what it weighed at first, however few are
// left.
type publishBatch struct {
	buf    mem.Buffer
	weight int64
	left   int // not answered yet; only the goroutine that sends, once it is published
}

// release lets go of one message. It returns what is not held any more.
func (b *publishBatch) release() (weight int64) {
	if b == nil {
		return 0
	}
	if b.left--; b.left > 0 {
		return 0
	}
	b.buf.Free()
	return b.weight
}

// receive implements carrier. All of a batch is read before any of it is published. A
// batch weighs its length, or what it says if that is more.
func (c *publishing) receive() ([]asyncPublish, int64, error) {
	var in received
	if err := c.RecvMsg(&in); err != nil {
		return nil, 0, err
	}
	p, err := fb.DecodePublish(in.ReadOnlyData(), c.budget)
	if err != nil {
		return nil, 0, malformed(err)
	}
	if p.Len() == 0 {
		in.Free()
		return nil, 0, nil
	}
	b := &publishBatch{buf: in.Buffer, left: p.Len()}
	list := make([]asyncPublish, p.Len())
	says := 0
	var m fb.NewMessage
	for i := range list {
		if err := p.DecodeNext(&m); err != nil {
			return nil, 0, malformed(fmt.Errorf("message %d: %w", i, err))
		}
		if string(m.Stream) != c.name {
			c.name = string(m.Stream)
		}
		to := &list[i]
		to.batch, to.ordinal = b, c.count
		to.name, to.number, to.msg = c.name, m.Partition, m.Message
		says += m.Size
		c.count++
	}
	b.weight = weigh(len(list), max(says, in.Len()))
	return list, b.weight, nil
}

// mostAnswers bounds the answers in one gRPC message, so that it stays below what
// clients take: their texts are bounded by the messages that they are for.
const (
	mostAnswers     = 4096
	mostAnswerBytes = 512 << 10
)

// answer implements carrier.
func (c *publishing) answer(list []*asyncPublish) (int, error) {
	piece := batchPieces.Get(0)
	c.out.Reset(*piece)
	n := 0
	for n < len(list) && c.out.Len() < mostAnswers && c.out.Size() < mostAnswerBytes {
		c.add(list[n])
		n++
	}
	if c.out.Len() == 0 {
		batchPieces.Put(piece)
		return n, nil
	}
	head, body := c.out.Finish(make([]byte, 0, fb.HeadSize(c.out.Len(), "")))
	return n, c.SendMsg(mem.BufferSlice{mem.SliceBuffer(head), batchPieces.pooled(piece, body)})
}

// add answers a message, if anybody is told.
func (c *publishing) add(p *asyncPublish) {
	a := fb.Answer{Number: p.ordinal, Correlation: p.msg.CorrelationID}
	switch {
	case p.refusal != nil:
		a.Refusal, a.Code = p.refusal.text, int8(p.refusal.async)
	case p.out.lost:
		return
	default:
		ack := wire.Ack{AckPolicy: p.msg.AckPolicy, CommitTime: p.out.committed}
		if !fillFate(&ack, p.out.Outcome, p.out.at) {
			return
		}
		a.Offset, a.ReceptionTime, a.CommitTime, a.Policy = ack.Offset, ack.ReceptionTime, ack.CommitTime, int8(ack.AckPolicy)
		a.Stream, a.Subject = p.name, p.subject
	}
	c.out.Add(&a)
}
