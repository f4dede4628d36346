package stan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// check finds what a request is refused for whatever the server's state. The order
// is the protocol's, behind what the old server did not look at.
func check(r *wire.SubscriptionRequest) string {
	switch {
	case len(r.DurableName) > wire.MaxName, len(r.QGroup) > wire.MaxName, r.Inbox != "" && !validInbox(r.Inbox):
		return wire.InvalidSubReq
	case r.ClientID == "":
		return wire.MissingClient
	case r.AckWaitInSecs <= 0:
		return wire.InvalidAckWait
	case r.MaxInFlight <= 0:
		return wire.InvalidMaxInFlight
	case r.StartPosition < wire.NewOnly || r.StartPosition > wire.First:
		return wire.InvalidStart
	case !wire.ValidChannel(r.Subject):
		return wire.InvalidSubject
	}
	return ""
}

// validInbox says whether messages can be sent to a subject that a client names: no
// wildcards, nothing that ends a line of the protocol, and what the log's texts can hold.
func validInbox(s string) bool {
	return len(s) <= wire.MaxName && subject.ValidLiteral(s) && utf8.ValidString(s)
}

// subscribe makes a subscription, resumes one or joins a group. It runs on the
// client's lane. The answer leaves before the first message.
func (d *Door) subscribe(r *wire.SubscriptionRequest, reply string) {
	ctx, cancel := d.context()
	defer cancel()
	m, text := d.join(ctx, r)
	if text != "" {
		d.answer(reply, (&wire.SubscriptionResponse{Error: text}).Append(nil))
		return
	}
	d.answer(reply, (&wire.SubscriptionResponse{AckInbox: m.AckInbox}).Append(nil))
	m.group.consumer.Attend(m.ID)
}

// join makes a client the member of a subscription.
func (d *Door) join(ctx context.Context, r *wire.SubscriptionRequest) (*member, string) {
	c := d.client(r.ClientID)
	if c == nil {
		return nil, wire.UnknownClient
	}
	ch, text := d.find(ctx, r.Subject)
	if text != "" {
		return nil, text
	}
	if r.QGroup != "" && strings.Contains(r.DurableName, ":") {
		return nil, wire.InvalidDurableName
	}
	defer ch.take()()
	if ch.state.Load() != channelOpen {
		return nil, wire.ChannelDeleted
	}
	doc, name := describe(r)
	g := ch.groups[name]
	if text := d.admits(ch, g); text != "" {
		return nil, text
	}
	me := receiver{
		Client: c.ID, Inbox: r.Inbox, AckInbox: d.newInbox(), MaxInFlight: r.MaxInFlight, AckWait: r.AckWaitInSecs,
	}
	m, err := d.enter(ctx, ch, g, doc, name, r, me)
	if err != nil {
		d.log.Error("not subscribed", "client", c.ID, "channel", ch.name, "error", err)
		return nil, fmt.Sprintf("stan: %v", err)
	}
	d.attach(m, c)
	return m, ""
}

// admits says why nobody can subscribe there, empty: somebody can.
func (d *Door) admits(ch *channel, g *group) string {
	if g != nil && g.doc.Queue == "" && len(g.doc.Members) > 0 && !d.o.ReplaceDurable {
		return wire.DupDurable
	}
	more := g == nil || g.doc.Queue != "" && len(g.doc.Members) > 0
	if l := ch.limit.MaxSubs; more && l > 0 && ch.stored >= l {
		return wire.TooManySubs
	}
	return ""
}

// enter adds a member to a group, which is made if it is nil.
func (d *Door) enter(ctx context.Context, ch *channel, g *group, doc *subscription, name string, r *wire.SubscriptionRequest, me receiver) (*member, error) {
	if g == nil {
		start, err := startOf(ch.stream, r, time.Now().UnixNano())
		if err != nil {
			return nil, err
		}
		doc, me.ID = doc.with(me)
		c, err := ch.stream.CreateConsumer(ctx, doc.consumerConfig(name, start))
		if err != nil {
			return nil, fmt.Errorf("make subscription: %w", err)
		}
		g = newGroup(ch, c, doc)
		ch.groups[name] = g
		ch.stored++
	} else {
		was := g.doc.stored()
		doc = g.doc
		if doc.Queue == "" { // a durable that somebody else has is taken from them
			for _, m := range doc.Members {
				doc = doc.without(m.ID)
			}
		}
		doc, me.ID = doc.with(me)
		if err := g.update(ctx, doc); err != nil {
			return nil, fmt.Errorf("join subscription: %w", err)
		}
		ch.stored += doc.stored() - was
	}
	d.clock.clear(ch.idle)
	return &member{receiver: me, group: g}, nil
}

// describe gives what a request asks for: a subscription without members, and the
// name of its consumer, by which another request finds it.
func describe(r *wire.SubscriptionRequest) (*subscription, string) {
	doc := &subscription{Channel: r.Subject, Client: r.ClientID, IsDurable: r.DurableName != ""}
	switch {
	case r.QGroup != "":
		doc.Queue = r.QGroup
		if doc.IsDurable {
			doc.Queue = r.DurableName + ":" + r.QGroup
		}
		return doc, wire.QueueName(doc.Queue)
	case doc.IsDurable:
		doc.Durable = r.DurableName
		return doc, wire.DurableName(r.ClientID, r.DurableName)
	}
	return doc, "s-" + wire.StreamName(r.ClientID) + ":" + nuid.Next()
}

// startOf gives the first sequence that a new subscription gets.
func startOf(s *stream.Stream, r *wire.SubscriptionRequest, now int64) (uint64, error) {
	p := s.Partition()
	first, last := p.First(), p.Committed()
	switch r.StartPosition {
	case wire.LastReceived:
		return max(last, 1), nil
	case wire.TimeDeltaStart:
		at := now - r.StartTimeDelta
		switch {
		case r.StartTimeDelta < 0 && at < now: // later than there are times
			at = math.MaxInt64
		case r.StartTimeDelta > 0 && at < 0:
			at = 0
		}
		seq, err := p.SeekTime(at)
		if err != nil {
			return 0, fmt.Errorf("find the start: %w", err)
		}
		return max(seq, 1), nil
	case wire.SequenceStart:
		if r.StartSequence > last {
			return last + 1, nil
		}
		return max(r.StartSequence, first, 1), nil
	case wire.First:
		return max(first, 1), nil
	}
	return last + 1, nil
}

// end ends a subscription for good, or closes it, and returns the text of what is
// wrong. It runs on the lane of whoever asks for it.
func (d *Door) end(r *wire.UnsubscribeRequest, forGood bool) string {
	ch := d.channel(r.Subject)
	if ch == nil || ch.state.Load() != channelOpen {
		return wire.UnknownChannel
	}
	defer ch.take()()
	m := d.memberBy(ch, r.Inbox)
	if m == nil {
		return wire.InvalidSub
	}
	if c := d.client(r.ClientID); c == nil || m.client != c {
		return wire.UnknownClient
	}
	ctx, cancel := d.context()
	defer cancel()
	if err := d.remove(ctx, m, forGood); err != nil && !errors.Is(err, stream.ErrNotFound) {
		d.log.Error("subscription not ended", "client", r.ClientID, "channel", r.Subject, "error", err)
		return fmt.Sprintf("stan: %v", err)
	}
	return ""
}
