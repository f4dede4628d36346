package liftbridge

import (
	"bytes"

	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// singly carries each message, and each answer, in a gRPC message of its own.
type singly struct {
	grpc.ServerStream

	// Only the goroutine that receives.
	request wire.Request
	name    string // of the last message's stream

	// Only the goroutine that sends.
	out     outgoing
	ack     wire.Ack
	of      *stream.Stream // the last ack's
	names   wire.Ack       // what all acks of that stream say
	refusal wire.Refusal
}

// receive implements carrier. The message points into what came until it is published.
func (s *singly) receive() ([]asyncPublish, int64, error) {
	var in received
	if err := s.RecvMsg(&in); err != nil {
		return nil, 0, err
	}
	r := &s.request
	if err := wire.DecodeRequest(in.ReadOnlyData(), r); err != nil {
		return nil, 0, status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	if string(r.Stream) != s.name {
		s.name = string(r.Stream)
	}
	list := make([]asyncPublish, 1)
	p := &list[0]
	p.name, p.number, p.msg, p.in, p.weight = s.name, r.Partition, r.Message, in.Buffer, weigh(1, in.Len())
	p.msg.CorrelationID = bytes.Clone(r.CorrelationID)
	if r.Headers = nil; len(p.msg.Headers) == 0 {
		r.Headers, p.msg.Headers = p.msg.Headers, nil
	}
	return list, p.weight, nil
}

// published lets go of what the message points into: only what its answer says stays.
func (p *asyncPublish) published() {
	if p.in == nil {
		return
	}
	p.msg.Key, p.msg.Value, p.msg.Headers = nil, nil, nil
	p.in.Free()
	p.in = nil
}

// answer implements carrier: as many answers go together as there are, up to a bound.
func (s *singly) answer(list []*asyncPublish) (int, error) {
	n := 0
	for n < len(list) && !s.out.enough() {
		s.add(list[n])
		n++
	}
	return n, s.out.flush()
}

// add appends what a publisher is told of one message, if anything.
func (s *singly) add(p *asyncPublish) {
	switch {
	case p.refusal != nil:
		s.refusal = wire.Refusal{Code: int32(p.refusal.async), Text: p.refusal.text}
		s.out.end(wire.AppendResponse(s.out.begin(), nil, &s.refusal, p.msg.CorrelationID))
		return
	case p.out.lost:
		return
	}
	if s.of != p.out.stream || string(s.names.MsgSubject) != p.subject {
		s.of, s.names = p.out.stream, wire.Ack{MsgSubject: []byte(p.subject)}
		nameAck(&s.names, s.of)
	}
	s.ack = s.names
	s.ack.AckPolicy, s.ack.AckInbox, s.ack.CorrelationID = p.msg.AckPolicy, p.msg.AckInbox, p.msg.CorrelationID
	s.ack.CommitTime = p.out.committed
	if fillFate(&s.ack, p.out.Outcome, p.out.at) {
		s.out.end(wire.AppendResponse(s.out.begin(), &s.ack, nil, p.msg.CorrelationID))
	}
}
