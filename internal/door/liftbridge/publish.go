package liftbridge

import (
	"context"
	"unicode/utf8"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// publish is a message that came over gRPC, as the streams that take it see it.
type publish struct {
	msg     wire.Message
	stream  *stream.Stream // the partition that it is for; nil: whoever takes it in account
	account string
	group   string // any stream of the queue group may take it for that one
	plain   bool   // the partition is another door's, whose messages have no envelopes
	inbox   bool   // the caller named an inbox, which gets the ack, too
	ticket  stream.Ticket
	taken   bool // some stream that it is for took it
}

// wants says whether a stream's ack is the answer to the publish.
func (p *publish) wants(s *stream.Stream) bool {
	switch {
	case p.stream == s:
		return true
	case p.stream == nil:
		return s.Account() == p.account // others may import the subject
	case p.taken || p.group == "":
		return false
	}
	return s.Config().Queue == p.group && s.Account() == p.stream.Account()
}

// Waits implements stream.Publication.
func (p *publish) Waits(s *stream.Stream) stream.Ticket {
	if p.stream != nil && !p.plain || !p.wants(s) {
		return nil
	}
	p.taken = true
	return p.ticket
}

// For implements stream.Publication.
func (p *publish) For() *stream.Stream {
	if !p.plain {
		return nil
	}
	return p.stream
}

// Plain implements stream.Publication.
func (p *publish) Plain() (header, data []byte, ok bool) {
	if p.plain {
		return nil, nil, false // it has no envelope
	}
	return wire.AppendHeaderBlock(nil, p.msg.Key, p.msg.Headers), p.msg.Value, true
}

// encode makes m the message of a publish to a stream, with its subject. What it points to is
// in buf, which is returned, or in the publish. Streams read that and no envelope: with bare
// there is none.
func (p *publish) encode(m *broker.Message, to *addressed, name string, subject, buf []byte, bare bool) []byte {
	*m = broker.Message{Subject: subject, Note: p}
	if bare && !p.plain {
		m.Data = p.msg.Value
		return buf
	}
	if !p.plain {
		buf = wire.AppendPublishTo(buf[:0], &p.msg, name, to.subject)
		m.Data = buf
		return buf
	}
	if buf = wire.AppendHeaderBlock(buf[:0], p.msg.Key, p.msg.Headers); len(buf) > 0 {
		m.Header = buf
	}
	m.Data = p.msg.Value
	return buf
}

// fits says whether the envelope, which says where the message goes in so many bytes, is sure
// to have fewer bytes than a limit.
func (p *publish) fits(address, limit int) bool {
	const field, fixed = 16, 128 // the most that stands around one, and around all
	size := fixed + address + len(p.msg.Key) + len(p.msg.Value) + len(p.msg.AckInbox) + len(p.msg.CorrelationID)
	for _, h := range p.msg.Headers {
		size += 2*field + len(h.Name) + len(h.Value)
	}
	return size < limit
}

// fill takes over what a request says of the message.
func (p *publish) fill(key, value []byte, headers map[string][]byte, inbox, correlation string, policy pb.AckPolicy, offset int64) {
	p.msg = wire.Message{
		Offset: offset, Key: key, Value: value, AckInbox: []byte(inbox), CorrelationID: []byte(correlation),
		AckPolicy: wire.AckPolicy(policy),
	}
	for name, v := range headers {
		p.msg.Headers = append(p.msg.Headers, wire.Header{Name: []byte(name), Value: v})
	}
}

// addressed is the partition that a publish is for.
type addressed struct {
	family  *family
	stream  *stream.Stream
	subject string
	plain   bool // it is another door's
	channel bool // it is one of NATS Streaming that takes nothing from a subject
}

// address makes a the partition of a publish to a stream of this name and holds it
// against the rules, in the protocol's order. A paused partition is resumed.
func (d *Door) address(ctx context.Context, a *addressed, c *caller, f *family, name string, n int32, policy wire.AckPolicy) *fault {
	if f == nil || f.hidden {
		return d.unknown(c.Account, name)
	}
	if err := d.authorize(c, name, "Publish"); err != nil {
		return faultDenied(err)
	}
	s := f.part(n)
	if s == nil && f.lacks(n) {
		return faultUnopened(name)
	}
	if s == nil {
		return faultPartition(n)
	}
	set := setOf(s)
	*a = addressed{family: f, stream: s, subject: f.subjectOf(n), plain: set == nil && f.addressable()}
	if name, ok := channelOf(s); ok && !a.plain {
		a.channel, a.subject = true, name
	}
	if !c.publishes(a.subject) {
		return faultDenied(refused(name, "Publish"))
	}
	if s.Config().Gate.ReadOnly {
		return faultReadOnly(n)
	}
	if set == nil {
		if !a.plain && !a.channel {
			return f.unaddressed()
		}
		return nil
	}
	if set.OCC && policy == wire.AckNone {
		return faultPolicy
	}
	if resumes(s) {
		if err := d.resume(ctx, c.Account, f, n); err != nil {
			return &fault{pb.PublishAsyncError_INTERNAL, codes.Internal, "failed to resume partition: " + err.Error()}
		}
	}
	return nil
}

// outcome is what a waiting call is told.
type outcome struct {
	stream *stream.Stream
	partition.Outcome
	at, committed int64
	lost          bool
}

// waiting is the ticket of a call that waits for one ack.
type waiting chan outcome

// Settle implements stream.Ticket. Only the first one counts.
func (w waiting) Settle(s *stream.Stream, o partition.Outcome, at int64) {
	select {
	case w <- outcome{s, o, at, now(), false}:
	default:
	}
}

// Lose implements stream.Ticket.
func (w waiting) Lose() {
	select {
	case w <- outcome{lost: true}:
	default:
	}
}

// inbox makes the name of an inbox for a call that brought none.
func (d *Door) inbox() string { return d.o.Namespace + ".ack." + nuid.Next() }

// waitsFor says whether a call waits for the ack: it has a deadline, and wants one. An inbox
// that it brings, where it waits, must be a subject.
func waitsFor(ctx context.Context, policy pb.AckPolicy, inbox string) (bool, error) {
	if _, limited := ctx.Deadline(); !limited || policy == pb.AckPolicy_NONE {
		return false, nil
	}
	if inbox != "" && !subject.ValidPattern(inbox) {
		return false, status.Error(codes.Unknown, "failed to subscribe to ack inbox: nats: invalid subject")
	}
	return true, nil
}

// Publish implements pb.APIServer.
func (d *Door) Publish(ctx context.Context, req *pb.PublishRequest) (*pb.PublishResponse, error) {
	c := callerOf(ctx)
	if req.Stream == "" {
		return nil, status.Error(codes.InvalidArgument, "no stream provided")
	}
	var a addressed
	if refusal := d.address(ctx, &a, c, d.findSome(c.Account, req.Stream), req.Stream, req.Partition, wire.AckPolicy(req.AckPolicy)); refusal != nil {
		return nil, refusal.status()
	}
	waits, err := waitsFor(ctx, req.AckPolicy, req.AckInbox)
	if err != nil {
		return nil, err
	}
	p := &publish{stream: a.stream, group: a.family.group, plain: a.plain, inbox: req.AckInbox != ""}
	if !p.inbox {
		req.AckInbox = d.inbox()
	}
	p.fill(req.Key, req.Value, req.Headers, req.AckInbox, req.CorrelationId, req.AckPolicy, req.ExpectedOffset)
	w := make(waiting, 1)
	p.ticket = w
	if refusal := d.send(c, p, &a, req); refusal != nil {
		return nil, refusal.status()
	}
	if !waits {
		return &pb.PublishResponse{}, nil
	}
	select {
	case o := <-w:
		if o.lost {
			return nil, status.Error(codes.Unknown, "the message may or may not be stored: the server's log has failed")
		}
		if refusal := faultOf(o.Outcome, req.Partition, req.Stream); refusal != nil {
			return nil, refusal.status()
		}
		return &pb.PublishResponse{Ack: ackOf(p.ack(&o, a.subject))}, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

// send publishes a message.
func (d *Door) send(c *caller, p *publish, to *addressed, req *pb.PublishRequest) *fault {
	if to.channel {
		return d.post(p, to, req.Partition, req.Stream)
	}
	m := new(broker.Message)
	p.encode(m, to, req.Stream, []byte(to.subject), nil, false)
	if m.Size() > d.o.MaxMessage && to.plain {
		return faultLarge
	}
	d.space(c.Account).Publish(m)
	if !p.taken {
		return faultUntaken
	}
	return nil
}

// ack is what a publisher is told of an outcome; nil: nothing.
func (p *publish) ack(o *outcome, subj string) *wire.Ack {
	a := &wire.Ack{
		AckPolicy: p.msg.AckPolicy, AckInbox: p.msg.AckInbox, CorrelationID: p.msg.CorrelationID, MsgSubject: []byte(subj),
		CommitTime: o.committed,
	}
	if !fillAck(a, o.stream, o.Outcome, o.at) {
		return nil
	}
	return a
}

// PublishToSubject implements pb.APIServer.
func (d *Door) PublishToSubject(ctx context.Context, req *pb.PublishToSubjectRequest) (*pb.PublishToSubjectResponse, error) {
	c := callerOf(ctx)
	if err := d.authorize(c, req.Subject, "PublishToSubject"); err != nil {
		return nil, err
	}
	if !subject.ValidLiteral(req.Subject) || !utf8.ValidString(req.Subject) {
		return nil, status.Error(codes.InvalidArgument, "Subject is invalid")
	}
	if !c.publishes(req.Subject) {
		return nil, refused(req.Subject, "PublishToSubject")
	}
	waits, err := waitsFor(ctx, req.AckPolicy, req.AckInbox)
	if err != nil {
		return nil, err
	}
	p := &publish{account: c.Account, inbox: req.AckInbox != ""}
	if !p.inbox {
		req.AckInbox = d.inbox()
	}
	p.fill(req.Key, req.Value, req.Headers, req.AckInbox, req.CorrelationId, req.AckPolicy, 0)
	w := make(firstAck, 1)
	p.ticket = w
	d.space(c.Account).Publish(&broker.Message{Subject: []byte(req.Subject), Data: wire.AppendPublishTo(nil, &p.msg, "", req.Subject), Note: p})
	if !waits {
		return &pb.PublishToSubjectResponse{}, nil
	}
	select {
	case o := <-w:
		return &pb.PublishToSubjectResponse{Ack: ackOf(p.ack(&o, req.Subject))}, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

// firstAck is the ticket of a call that waits for the first stream that acks. A
// partition that takes nothing does not.
type firstAck chan outcome

// Settle implements stream.Ticket.
func (w firstAck) Settle(s *stream.Stream, o partition.Outcome, at int64) {
	if fillAck(&wire.Ack{}, s, o, at) {
		waiting(w).Settle(s, o, at)
	}
}

// Lose implements stream.Ticket.
func (firstAck) Lose() {}
