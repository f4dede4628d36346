package jetstream

import (
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

var adviceEvents = [...]wire.Event{
	consumer.AdvisoryMaxDeliver: wire.EventMaxDeliver, consumer.AdvisoryNak: wire.EventNak,
	consumer.AdvisoryTerm: wire.EventTerminated, consumer.AdvisoryAcked: wire.EventAck,
	consumer.AdvisoryPinned: wire.EventPinned, consumer.AdvisoryUnpinned: wire.EventUnpinned,
	consumer.AdvisoryResumed: wire.EventConsumerPause,
}

// Advise implements stream.Outlet. Where nobody listens it only looks for that.
func (o *Outlet) Advise(p *broker.Publisher, c *stream.Consumer, a *consumer.Advisory) {
	e := adviceEvents[a.Kind]
	streamName, name := c.Stream().Name(), c.Name()
	o.to = e.AppendSubject(o.to[:0], streamName, name)
	if !c.Stream().Listened(o.to) {
		return
	}
	head := e.Head(nuid.Next(), time.Now(), o.Domain)
	var body any
	switch a.Kind {
	case consumer.AdvisoryAcked:
		body = &wire.AckEvent{
			EventHead: head, Stream: streamName, Consumer: name, ConsumerSeq: a.DSeq, StreamSeq: a.Seq,
			AckTime: time.Duration(a.Took), Deliveries: a.Delivered,
		}
	case consumer.AdvisoryPinned, consumer.AdvisoryUnpinned:
		body = &wire.PinEvent{
			EventHead: head, Account: c.Stream().Account(), Stream: streamName, Consumer: name,
			Group: a.Group, PinnedID: a.Pin, Reason: a.Reason,
		}
	case consumer.AdvisoryResumed:
		body = &wire.ConsumerPauseEvent{EventHead: head, Stream: streamName, Consumer: name}
	case consumer.AdvisoryMaxDeliver:
		body = &wire.MsgEvent{EventHead: head, Stream: streamName, Consumer: name, StreamSeq: a.Seq, Deliveries: a.Delivered}
	default:
		body = &wire.MsgEvent{
			EventHead: head, Stream: streamName, Consumer: name, ConsumerSeq: a.DSeq, StreamSeq: a.Seq,
			Deliveries: a.Delivered, Reason: a.Reason,
		}
	}
	p.Publish(&broker.Message{Subject: o.to, Data: wire.Encode(body)})
}

// Deleted implements stream.Outlet.
func (o *Outlet) Deleted(p *broker.Publisher, c *stream.Consumer) {
	o.to = wire.EventConsumerDeleted.AppendSubject(o.to[:0], c.Stream().Name(), c.Name())
	if c.Stream().Listened(o.to) {
		p.Publish(&broker.Message{Subject: o.to, Data: consumerAction(wire.EventConsumerDeleted, c.Stream().Name(), c.Name(), o.Domain)})
	}
}

func consumerAction(e wire.Event, streamName, name, domain string) []byte {
	return wire.Encode(&wire.ConsumerActionEvent{
		EventHead: e.Head(nuid.Next(), time.Now(), domain), Stream: streamName, Consumer: name, Action: e.Action(),
	})
}

// announce tells what a request has changed.
func (c *call) announce(response any) {
	if c.existed {
		return
	}
	switch c.Kind {
	case wire.KindStreamCreate:
		c.tellStream(wire.EventStreamCreated)
	case wire.KindStreamUpdate:
		c.tellStream(wire.EventStreamUpdated)
	case wire.KindStreamDelete:
		c.tellStream(wire.EventStreamDeleted)
	}
	switch r := response.(type) {
	case *wire.ConsumerCreateResponse:
		c.tell(wire.EventConsumerCreated, c.Stream, r.Name, func() []byte {
			return consumerAction(wire.EventConsumerCreated, c.Stream, r.Name, c.o.Domain)
		})
	case *wire.ConsumerPauseResponse:
		c.tell(wire.EventConsumerPause, c.Stream, c.Consumer, func() []byte {
			e := &wire.ConsumerPauseEvent{
				EventHead: wire.EventConsumerPause.Head(nuid.Next(), time.Now(), c.o.Domain), Stream: c.Stream, Consumer: c.Consumer, Paused: r.Paused,
			}
			if r.Paused {
				e.PauseUntil = r.PauseUntil
			}
			return wire.Encode(e)
		})
	}
}

func (c *call) tellStream(e wire.Event) {
	c.tell(e, c.Stream, "", func() []byte { return c.streamAction(e, c.Stream) })
}

func (a *accountAPI) streamAction(e wire.Event, name string) []byte {
	return wire.Encode(&wire.StreamActionEvent{
		EventHead: e.Head(nuid.Next(), time.Now(), a.o.Domain), Stream: name, Action: e.Action(),
	})
}

var auditSubject = wire.EventAPI.AppendSubject(nil, "", "")

// audit tells of a request and its answer if anybody wants to know. Messages that are
// read are not told.
func (c *call) audit(r *broker.Request, response []byte) {
	if c.Kind == wire.KindMsgGet {
		return
	}
	if m := c.space.Match(auditSubject); len(m.Plain) == 0 && len(m.Queues) == 0 {
		return
	}
	c.space.Publish(&broker.Message{Subject: auditSubject, Data: wire.Encode(&wire.APIEvent{
		EventHead: wire.EventAPI.Head(nuid.Next(), time.Now(), c.o.Domain), Server: c.o.ServerName,
		Client: wire.APIClient{Account: c.space.Name()}, Subject: r.Subject, Request: string(c.body),
		Response: string(response),
	})})
}

// tell publishes an event if anybody wants to know.
func (a *accountAPI) tell(e wire.Event, streamName, consumer string, body func() []byte) {
	subject := e.AppendSubject(nil, streamName, consumer)
	if r := a.space.Match(subject); len(r.Plain) > 0 || len(r.Queues) > 0 {
		a.space.Publish(&broker.Message{Subject: subject, Data: body()})
	}
}
