package jetstream

import (
	"slices"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// lookup finds a consumer by its names, and remembers the last it found: what a
// connection sends is usually for one.
type lookup struct {
	api  *accountAPI
	last *stream.Consumer
}

func (l *lookup) find(streamName, name []byte) *stream.Consumer {
	if c := l.last; c != nil && !c.Gone() && c.Name() == string(name) && c.Stream().Name() == string(streamName) {
		return c
	}
	l.last = nil
	if s := l.api.dir.Find(l.api.space.Name(), string(streamName)); s != nil {
		l.last = s.Consumer(string(name))
	}
	return l.last
}

// ackSink takes an account's acknowledgements.
type ackSink struct{ api *accountAPI }

// OpenStage implements broker.Sink.
func (s *ackSink) OpenStage(*broker.Publisher) broker.Stage {
	return &ackStage{lookup: lookup{api: s.api}}
}

// ackStage is one publisher's acknowledgements of one read buffer.
type ackStage struct {
	lookup
	acks []stream.Ack
}

var ackKinds = [...]consumer.AckKind{
	wire.AckAck: consumer.Acked, wire.AckNak: consumer.Nak, wire.AckProgress: consumer.Progress,
	wire.AckTerm: consumer.Term, wire.AckNext: consumer.Acked,
}

// Add implements broker.Stage. An acknowledgement for a consumer that is not there
// is for nobody.
func (s *ackStage) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	subj, ok := wire.ParseAck(m.Subject)
	if !ok {
		return broker.Staged
	}
	if d := string(subj.Domain); d != "" && d != "_" && d != s.api.o.Domain {
		return broker.Gone // of a delivery of another server
	}
	c := s.find(subj.Stream, subj.Consumer)
	if c == nil || !c.WantsAcks() {
		return broker.Gone
	}
	p := wire.ParseAckPayload(m.Data)
	if p.Kind == wire.AckUnknown {
		if len(m.Reply) > 0 { // it says nothing, and is answered all the same
			s.api.space.Publish(&broker.Message{Subject: slices.Clone(m.Reply)})
		}
		return broker.Staged
	}
	a := stream.Ack{Consumer: c, Ack: consumer.Ack{
		Kind: ackKinds[p.Kind], Seq: subj.StreamSeq, DSeq: subj.ConsumerSeq, Delivered: int(subj.Delivered), Delay: time.Duration(p.Delay),
	}}
	if p.Kind == wire.AckTerm {
		a.Reason = string(p.Text)
	}
	switch {
	case p.Kind == wire.AckNext:
		if r, bad := s.api.pullRequest(string(m.Reply), p.Text); bad.Code == 0 {
			a.Next = r
		}
	case len(m.Reply) > 0:
		a.Reply = slices.Clone(m.Reply)
	}
	s.acks = append(s.acks, a)
	return broker.Staged
}

// HandOver implements broker.Stage.
func (s *ackStage) HandOver() {
	if len(s.acks) == 0 {
		return
	}
	s.api.dir.PostAcks(s.acks)
	clear(s.acks)
	s.acks = s.acks[:0]
}

// flowSink takes an account's answers to flow-control requests.
type flowSink struct{ api *accountAPI }

// OpenStage implements broker.Sink.
func (s *flowSink) OpenStage(*broker.Publisher) broker.Stage {
	return &flowStage{lookup: lookup{api: s.api}}
}

// flowStage is one publisher's answers. They go to the shard as they come.
type flowStage struct{ lookup }

// Add implements broker.Stage.
func (s *flowStage) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	streamName, name, number, ok := wire.ParseFlow(m.Subject)
	if !ok {
		return broker.Gone
	}
	c := s.find(streamName, name)
	if c == nil {
		return broker.Gone
	}
	if push := c.Config().Core.Push; push != nil && push.FlowAcks {
		if last, seq, ok := wire.ParseConfirm(m.Header); ok {
			s.api.dir.PostAcks([]stream.Ack{{Consumer: c, Ack: consumer.Ack{Kind: consumer.Acked, Seq: seq, DSeq: last, Delivered: 1}}})
		}
	}
	c.FlowAnswered(number)
	return broker.Staged
}

// HandOver implements broker.Stage.
func (s *flowStage) HandOver() {}

// nextSink takes an account's pull requests.
type nextSink struct{ api *accountAPI }

// OpenStage implements broker.Sink.
func (s *nextSink) OpenStage(p *broker.Publisher) broker.Stage {
	return &nextStage{lookup: lookup{api: s.api}}
}

// nextStage is one publisher's pull requests. They go to the shard as they come:
// there are few of them.
type nextStage struct{ lookup }

// Add implements broker.Stage.
func (s *nextStage) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	if len(m.Reply) == 0 {
		return broker.Staged
	}
	streamName, name, ok := s.api.nextSubject(m.Subject)
	if !ok {
		return broker.Gone
	}
	c := s.find(streamName, name)
	if c == nil {
		return broker.Gone
	}
	if c.Config().Core.Push != nil {
		bad := wire.StatusConsumerIsPush
		c.Refuse(consumer.Status{Reply: string(m.Reply), Code: bad.Code, Text: bad.Text})
		return broker.Staged
	}
	r, bad := s.api.pullRequest(string(m.Reply), m.Data)
	if bad.Code != 0 {
		c.Refuse(consumer.Status{Reply: string(m.Reply), Code: bad.Code, Text: bad.Text})
		return broker.Staged
	}
	c.Request(*r)
	return broker.Staged
}

// HandOver implements broker.Stage.
func (s *nextStage) HandOver() {}
