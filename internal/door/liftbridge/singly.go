package liftbridge

import (
	"sync"

	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// singly carries each message, and each answer, in a gRPC message of its own.
type singly struct {
	call *rpc.Call

	// Only the goroutine that reads.
	request wire.Request
	name    string // of the last message's stream
	spare   []*asyncPublish
	run     int    // messages, of late
	ids     []byte // correlation ids lie in it
	list    [1]*asyncPublish

	// Only who answers.
	out     rpc.Out
	ack     wire.Ack
	of      *stream.Stream // the last ack's
	names   wire.Ack       // what all acks of that stream say
	refusal wire.Refusal

	mu   sync.Mutex
	done []*asyncPublish // guarded by mu: room for other messages
}

// decode implements carrier. The message points into what came until it is published.
func (s *singly) decode(b []byte, c *chunk.Chunk) ([]*asyncPublish, int64, error) {
	r := &s.request
	if err := wire.DecodeRequest(b, r); err != nil {
		return nil, 0, status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	if string(r.Stream) != s.name {
		s.name = string(r.Stream)
	}
	p := s.fresh()
	s.list[0] = p
	p.name, p.number, p.msg, p.in, p.weight = s.name, r.Partition, r.Message, c, weigh(1, len(b))
	p.msg.CorrelationID = s.keep(r.CorrelationID)
	if r.Headers = nil; len(p.msg.Headers) == 0 {
		r.Headers, p.msg.Headers = p.msg.Headers, nil
	}
	return s.list[:], p.weight, nil
}

// Bounds of the room that is kept for messages, and that is made for what is kept of them.
const (
	manyMessages = 2048
	idsRoom      = 1 << 10
)

// fresh gives room for a message: that of one which was answered, or new.
func (s *singly) fresh() *asyncPublish {
	if len(s.spare) == 0 {
		s.mu.Lock()
		s.spare, s.done = s.done, s.spare
		s.mu.Unlock()
	}
	s.run++
	if n := len(s.spare); n > 0 {
		p := s.spare[n-1]
		s.spare[n-1] = nil
		s.spare = s.spare[:n-1]
		return p
	}
	return new(asyncPublish)
}

// reuse takes the room of messages that were answered, as far as it is worth keeping.
func (s *singly) reuse(list []*asyncPublish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		if len(s.done) == manyMessages {
			return
		}
		if !p.over.Load() {
			continue // it was answered before who publishes it was done with it
		}
		*p = asyncPublish{}
		s.done = append(s.done, p)
	}
}

// keep copies a correlation id.
func (s *singly) keep(id []byte) []byte {
	if len(id) == 0 {
		return nil
	}
	if cap(s.ids)-len(s.ids) < len(id) {
		s.ids = make([]byte, 0, max(len(id), min(s.run*64, idsRoom)))
	}
	from := len(s.ids)
	s.ids = append(s.ids, id...)
	return s.ids[from:len(s.ids):len(s.ids)]
}

// pause implements carrier.
func (s *singly) pause() { s.run /= 2 }

// published lets go of what the message points into: only what its answer says stays. Who
// publishes it does not look at it any more.
func (p *asyncPublish) published() {
	if p.batch == nil {
		p.msg.Key, p.msg.Value, p.msg.Headers = nil, nil, nil
		if p.in != nil {
			p.in.Free()
			p.in = nil
		}
	}
	p.over.Store(true)
}

// answer implements carrier: as many answers go together as there are, up to a bound.
func (s *singly) answer(list []*asyncPublish) int {
	n := 0
	for n < len(list) && s.out.Len() < enough {
		s.add(list[n])
		n++
	}
	s.call.Post(&s.out)
	return n
}

// enough is when messages that are gathered should be sent, bytes: as much as fits into a
// buffer of the size that follows, with one more of usual length.
const enough = 60 << 10

// usualAnswer is about how long an answer is, bytes.
const usualAnswer = 512

// add appends what a publisher is told of one message, if anything.
func (s *singly) add(p *asyncPublish) {
	switch {
	case p.refusal != nil:
		s.refusal = wire.Refusal{Code: int32(p.refusal.async), Text: p.refusal.text}
		s.out.End(wire.AppendResponse(s.out.Begin(usualAnswer), nil, &s.refusal, p.msg.CorrelationID))
		return
	case p.out.lost:
		return
	}
	if s.of != p.out.stream || string(s.names.MsgSubject) != p.subject {
		s.of, s.names = p.out.stream, wire.Ack{MsgSubject: []byte(p.subject)}
		nameAck(&s.names, s.of)
		s.names.Names = wire.AppendNames(nil, &s.names)
	}
	s.ack = s.names
	s.ack.AckPolicy, s.ack.AckInbox, s.ack.CorrelationID = p.msg.AckPolicy, p.msg.AckInbox, p.msg.CorrelationID
	s.ack.CommitTime = p.out.committed
	if fillFate(&s.ack, p.out.Outcome, p.out.at) {
		s.out.End(wire.AppendResponse(s.out.Begin(usualAnswer), &s.ack, nil, p.msg.CorrelationID))
	}
}
