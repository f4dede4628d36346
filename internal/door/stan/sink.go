package stan

import (
	"bytes"
	"context"
	"slices"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// subscriptions are the door's, by what they are for.
type subscriptions struct {
	discover, pings, publish, subscribe, unsubscribe, subClose, close *broker.Subscription
	// inboxes gets acknowledgements and the answers to heartbeats. Subscriptions of an
	// older server have inboxes elsewhere: these have subscriptions of their own.
	inboxes  *broker.Subscription
	all      []*broker.Subscription
	adoption func() // ends taking durables over
}

// listen subscribes the door at its subjects, unless another server is there.
func (d *Door) listen(ctx context.Context) error {
	for _, s := range []struct {
		to      **broker.Subscription
		subject string
	}{
		{&d.subs.inboxes, d.inbox + "*"}, {&d.subs.publish, d.subjects.Publish + ".>"}, {&d.subs.subscribe, d.subjects.Subscribe},
		{&d.subs.unsubscribe, d.subjects.Unsubscribe}, {&d.subs.subClose, d.subjects.SubClose}, {&d.subs.close, d.subjects.Close},
		{&d.subs.pings, d.subjects.Pings}, {&d.subs.discover, d.subjects.Discover},
	} {
		*s.to = &broker.Subscription{Subject: s.subject, Kind: broker.KindService, Sink: d}
		d.subs.all = append(d.subs.all, *s.to)
	}
	for i, s := range d.subs.all {
		d.net.Subscribe(s)
		if i > 0 {
			continue
		}
		if err := d.checkAlone(ctx); err != nil { // by the inboxes, which come first
			d.net.Unsubscribe(s)
			return err
		}
	}
	d.subs.adoption = d.space.Serve(wire.AdoptSubject(d.o.Cluster), adopter{d})
	if d.o.Network == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return d.o.Network.Flush(ctx)
}

// deafen ends listening.
func (d *Door) deafen() {
	if d.subs.adoption != nil {
		d.subs.adoption()
	}
	for _, s := range d.subs.all {
		d.net.Unsubscribe(s)
	}
	d.mu.RLock()
	var own []*broker.Subscription
	for _, m := range d.inboxes {
		if m.sub != nil {
			own = append(own, m.sub)
		}
	}
	d.mu.RUnlock()
	for _, s := range own {
		d.net.Unsubscribe(s)
	}
}

// OpenStage implements broker.Sink.
func (d *Door) OpenStage(*broker.Publisher) broker.Stage {
	return &stage{door: d, stagings: map[*channel]*staging{}}
}

// stage is what one publisher sends to the door.
type stage struct {
	door *Door
	// Scratch.
	msg   wire.PubMsg
	parts record.Parts // no other fields than publishing sets
	to    []byte

	// What the last message was of: the next one usually is, too.
	client  *client
	channel *channel
	member  *member

	stagings map[*channel]*staging
	staging  *staging // the one that was used last
	touched  []*staging
	acks     []ackBatch
	acked    int // how many were handed over last for one consumer
	answers  []answer

	taken, takenBytes uint64 // that the door's counters do not have yet
}

// staging is a publisher's way into one channel's log.
type staging struct {
	*stream.Staging
	channel *channel
	touched bool
}

// maxStagings is how many channels a publisher's stage remembers.
const maxStagings = 1024

// answer is one that HandOver sends.
type answer struct{ reply, data []byte }

// Add implements broker.Stage.
func (s *stage) Add(sub *broker.Subscription, m *broker.Message) broker.Verdict {
	d := s.door
	if d.stopped.Load() {
		return broker.Gone
	}
	switch sub {
	case d.subs.publish:
		return s.publish(m)
	case d.subs.pings:
		s.ping(m)
	case d.subs.discover:
		return s.connect(m)
	case d.subs.subscribe:
		return s.subscribe(m)
	case d.subs.unsubscribe:
		return s.end(m, true)
	case d.subs.subClose:
		return s.end(m, false)
	case d.subs.close:
		return s.close(m)
	default:
		s.ack(m)
	}
	return broker.Staged
}

// HandOver implements broker.Stage.
func (s *stage) HandOver() {
	for _, st := range s.touched {
		st.touched = false
		st.HandOver()
	}
	clear(s.touched)
	s.touched = s.touched[:0]
	if len(s.stagings) > maxStagings {
		clear(s.stagings)
		s.staging = nil
	}
	if s.taken > 0 {
		s.door.inMsgs.Add(s.taken)
		s.door.inBytes.Add(s.takenBytes)
		s.taken, s.takenBytes = 0, 0
	}
	s.handAcks()
	if len(s.answers) > 0 {
		s.door.answerAll(s.answers)
		clear(s.answers)
		s.answers = s.answers[:0]
	}
}

// tell answers a message once everything before it is handed over.
func (s *stage) tell(m *broker.Message, data []byte) {
	if len(m.Reply) > 0 {
		s.answers = append(s.answers, answer{bytes.Clone(m.Reply), data})
	}
}

// post has a client's lane handle a request, behind all that came before it. Where too
// many wait, so does whoever asks.
func (s *stage) post(clientID string, m *broker.Message, task func()) broker.Verdict {
	s.HandOver()
	if !s.door.lane(clientID).post(len(m.Data)+len(m.Reply), task) {
		return broker.Full
	}
	return broker.Staged
}

// refuse answers a request that cannot be served.
func (s *stage) refuse(m *broker.Message, answer []byte) broker.Verdict {
	s.tell(m, answer)
	return broker.Staged
}

// connect takes a request to begin a session.
func (s *stage) connect(m *broker.Message) broker.Verdict {
	d := s.door
	var r wire.ConnectRequest
	text := ""
	switch err := r.Decode(m.Data); {
	case err != nil || !validInbox(r.HeartbeatInbox) || len(r.ConnID) > wire.MaxName:
		text = wire.InvalidConnReq
	case !wire.ValidClientID(r.ClientID):
		text = wire.InvalidClientID
	}
	if text != "" {
		return s.refuse(m, (&wire.ConnectResponse{Error: text}).Append(nil))
	}
	r.ConnID = slices.Clone(r.ConnID)
	reply := string(m.Reply)
	return s.post(r.ClientID, m, func() { d.connect(&r, reply) })
}

// subscribe takes a request for a channel's messages.
func (s *stage) subscribe(m *broker.Message) broker.Verdict {
	d := s.door
	var r wire.SubscriptionRequest
	text := wire.InvalidSubReq
	if r.Decode(m.Data) == nil {
		text = check(&r)
	}
	if text != "" {
		return s.refuse(m, (&wire.SubscriptionResponse{Error: text}).Append(nil))
	}
	reply := string(m.Reply)
	return s.post(r.ClientID, m, func() { d.subscribe(&r, reply) })
}

// end takes a request to end a subscription for good, or to close it.
func (s *stage) end(m *broker.Message, forGood bool) broker.Verdict {
	d := s.door
	var r wire.UnsubscribeRequest
	if r.Decode(m.Data) != nil {
		return s.refuse(m, (&wire.SubscriptionResponse{Error: wire.InvalidUnsubReq}).Append(nil))
	}
	reply := string(m.Reply)
	return s.post(r.ClientID, m, func() {
		d.answer(reply, (&wire.SubscriptionResponse{Error: d.end(&r, forGood)}).Append(nil))
	})
}

// close takes a request to end a session.
func (s *stage) close(m *broker.Message) broker.Verdict {
	d := s.door
	id, err := wire.DecodeClose(m.Data)
	if err != nil {
		return s.refuse(m, wire.AppendText(nil, wire.InvalidCloseReq))
	}
	reply := string(m.Reply)
	return s.post(id, m, func() { d.answer(reply, wire.AppendText(nil, d.close(id))) })
}
