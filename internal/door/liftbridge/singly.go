package liftbridge

import (
	"sync"

	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"golang.org/x/sys/cpu"
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
	slab    []asyncPublish // room that is new, one after the other
	run     int            // messages, of late
	ids     []byte         // correlation ids lie in it
	list    [1]incoming

	// Only who answers.
	_       cpu.CacheLinePad
	out     rpc.Out
	ack     wire.Ack
	refusal wire.Refusal

	mu   sync.Mutex
	done []*asyncPublish // guarded by mu: room for other messages
}

// decode implements carrier. The message points into what came until it is published.
func (s *singly) decode(b []byte, c *chunk.Chunk) ([]incoming, int64, error) {
	r := &s.request
	if err := wire.DecodeRequest(b, r); err != nil {
		return nil, 0, status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	if string(r.Stream) != s.name {
		s.name = string(r.Stream)
	}
	weight := weigh(1, len(b))
	p := &s.list[0]
	p.name, p.number, p.msg, p.in, p.kept = s.name, r.Partition, r.Message, c, s.fresh()
	p.kept.correlation, p.kept.policy, p.kept.weight = s.keep(r.CorrelationID), r.AckPolicy, int32(weight)
	return s.list[:], weight, nil
}

// Bounds of the room that is kept for messages, and that is made for what is kept of them.
const (
	manyMessages = 2048
	idsRoom      = 1 << 10
	slabRoom     = 32
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
	if len(s.slab) == 0 {
		s.slab = make([]asyncPublish, min(max(s.run, 1), slabRoom))
	}
	p := &s.slab[0]
	s.slab = s.slab[1:]
	return p
}

// reuse takes the room of messages that were answered, as far as it is worth keeping.
func (s *singly) reuse(list []*asyncPublish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range list {
		if len(s.done) == manyMessages {
			return
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
		s.out.End(wire.AppendResponse(s.out.Begin(usualAnswer), nil, &s.refusal, p.correlation))
		return
	case p.lost:
		return
	}
	s.ack = *p.to.ackOf(p.stream)
	s.ack.AckPolicy, s.ack.AckInbox, s.ack.CorrelationID = p.policy, p.session.inbox, p.correlation
	s.ack.CommitTime = p.committed
	if fillFate(&s.ack, p.outcome(), p.at) {
		s.out.End(wire.AppendResponse(s.out.Begin(usualAnswer), &s.ack, nil, p.correlation))
	}
}
