package liftbridge

import (
	"fmt"
	"sync/atomic"

	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/fb"
)

// publishing carries the messages of a call in batches, and its answers.
type publishing struct {
	call   *rpc.Call
	budget int // what a batch may say, bytes

	// Only the goroutine that reads.
	count uint64 // messages so far
	name  string // of the last message's stream
	list  []incoming

	// Only who answers.
	batch fb.AnswerBatch
	out   rpc.Out
}

// publishBatch is what came in one gRPC message, to which its messages point until all
// of them are published and answered. So long it weighs what it weighed at first, however
// few are left.
type publishBatch struct {
	in     *chunk.Chunk
	weight int64
	left   atomic.Int64 // not answered yet, and one for who publishes them
}

// release lets go of one message, or is who publishes them done with all. It returns what
// is not held any more.
func (b *publishBatch) release() (weight int64) {
	if b == nil {
		return 0
	}
	if b.left.Add(-1) > 0 {
		return 0
	}
	b.in.Free()
	return b.weight
}

// decode implements carrier. All of a batch is read before any of it is published. A
// batch weighs its length, or what it says if that is more.
func (c *publishing) decode(in []byte, at *chunk.Chunk) ([]incoming, int64, error) {
	if at == nil { // it lies in the reader's buffer, and is needed longer
		at = chunk.Get(len(in))
		at.B = append(at.B, in...)
		in = at.B
	}
	list, weight, err := c.decodeBatch(in, at)
	if len(list) == 0 {
		at.Free()
	}
	return list, weight, err
}

func (c *publishing) decodeBatch(in []byte, at *chunk.Chunk) ([]incoming, int64, error) {
	p, err := fb.DecodePublish(in, c.budget)
	if err != nil {
		return nil, 0, malformed(err)
	}
	if p.Len() == 0 {
		return nil, 0, nil
	}
	b := &publishBatch{in: at}
	b.left.Store(int64(p.Len()) + 1)
	kept, list := make([]asyncPublish, p.Len()), c.list[:0]
	says := 0
	var m fb.NewMessage
	for i := range kept {
		if err := p.DecodeNext(&m); err != nil {
			return nil, 0, malformed(fmt.Errorf("message %d: %w", i, err))
		}
		if string(m.Stream) != c.name {
			c.name = string(m.Stream)
		}
		to := &kept[i]
		to.batch, to.ordinal, to.correlation, to.policy = b, c.count, m.CorrelationID, m.AckPolicy
		list = append(list, incoming{name: c.name, number: m.Partition, kept: to})
		list[i].msg = m.Message
		says += m.Size
		c.count++
	}
	c.list = list
	b.weight = weigh(len(list), max(says, len(in)))
	return list, b.weight, nil
}

// pause implements carrier.
func (c *publishing) pause() {
	if cap(c.list) > manyMessages {
		c.list = nil
	}
	clear(c.list)
}

// reuse implements carrier.
func (c *publishing) reuse([]*asyncPublish) {}

// mostAnswers bounds the answers in one gRPC message, so that it stays below what
// clients take: their texts are bounded by the messages that they are for.
const (
	mostAnswers     = 4096
	mostAnswerBytes = 512 << 10
)

// answer implements carrier.
func (c *publishing) answer(list []*asyncPublish) int {
	piece := batchPieces.get()
	c.batch.Reset(*piece)
	n := 0
	for n < len(list) && c.batch.Len() < mostAnswers && c.batch.Size() < mostAnswerBytes {
		c.add(list[n])
		n++
	}
	if c.batch.Len() == 0 {
		batchPieces.put(piece, *piece)
		return n
	}
	b := c.out.Begin(fb.HeadSize(c.batch.Len(), "") + c.batch.Size())
	head, body := c.batch.Finish(b[len(b):])
	c.out.End(append(append(b, head...), body...))
	batchPieces.put(piece, body)
	c.call.Post(&c.out)
	return n
}

// add answers a message, if anybody is told.
func (c *publishing) add(p *asyncPublish) {
	a := fb.Answer{Number: p.ordinal, Correlation: p.correlation}
	switch {
	case p.refusal != nil:
		a.Refusal, a.Code = p.refusal.text, int8(p.refusal.async)
	case p.lost:
		return
	default:
		ack := wire.Ack{AckPolicy: p.policy, CommitTime: p.committed}
		if !fillFate(&ack, p.outcome(), p.at) {
			return
		}
		a.Offset, a.ReceptionTime, a.CommitTime, a.Policy = ack.Offset, ack.ReceptionTime, ack.CommitTime, int8(ack.AckPolicy)
		a.Stream, a.Subject = p.to.name, p.to.subject
	}
	c.batch.Add(&a)
}
