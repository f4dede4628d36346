package stan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// adopter takes durables over that another server had. It listens in the account's
// space, wherever clients are.
type adopter struct{ door *Door }

// Handle implements broker.Service.
func (a adopter) Handle(r *broker.Request) {
	var q wire.Adoption
	var out wire.Adopted
	ctx, cancel := a.door.context()
	defer cancel()
	err := q.Decode(r.Data)
	if err == nil {
		out, err = a.door.adopt(ctx, &q)
	}
	if err != nil {
		out.Error = err.Error()
	}
	b, err := json.Marshal(&out)
	if err != nil {
		panic("stan: an answer does not encode: " + err.Error()) // no field of it can fail
	}
	r.Respond(nil, b)
}

// adopt makes a subscription as it was at another server: a durable that nobody uses, or
// one whose clients go on with it. One that is there stays as it is.
func (d *Door) adopt(ctx context.Context, q *wire.Adoption) (out wire.Adopted, err error) {
	if q.Session != nil {
		return d.adoptSession(ctx, q.Session)
	}
	if text := checkAdoption(q); text != "" {
		return out, errors.New(text)
	}
	ch, text := d.find(ctx, q.Channel)
	if text != "" {
		return out, errors.New(text)
	}
	defer ch.take()()
	if ch.state.Load() != channelOpen {
		return out, errors.New(wire.ChannelDeleted)
	}
	doc, name := describe(&wire.SubscriptionRequest{ClientID: q.Client, Subject: q.Channel, QGroup: q.Queue, DurableName: q.Durable})
	g := ch.groups[name]
	if q.Durable == "" && q.Queue == "" {
		if m := d.memberBy(ch, q.Members[0].AckInbox); m != nil {
			g = m.group
		}
	}
	if out.Kept = g != nil; !out.Kept {
		if g, err = d.adoptGroup(ctx, ch, doc, name, q); err != nil {
			return out, err
		}
	}
	info, err := g.consumer.Info(ctx)
	if err != nil {
		return out, fmt.Errorf("look at the subscription: %w", err)
	}
	out.LastSent, out.Pending = info.Delivered.Stream, info.AckPending
	if !out.Kept {
		var ids []uint32
		for _, m := range g.doc.Members {
			ids = append(ids, m.ID)
		}
		g.consumer.Attend(ids...)
	}
	return out, nil
}

// checkAdoption says what is wrong with a request; empty: nothing.
func checkAdoption(q *wire.Adoption) string {
	switch {
	case !wire.ValidChannel(q.Channel):
		return wire.InvalidSubject
	case q.Durable == "" && len(q.Members) == 0, q.Queue == "" && !wire.ValidClientID(q.Client):
		return "stan: a durable needs a name, and a client or a queue group"
	case q.Queue != "" && strings.Contains(q.Durable, ":"):
		return wire.InvalidDurableName
	case !slices.IsSorted(q.Pending):
		return "stan: what is pending is not in order"
	case q.Queue == "" && len(q.Members) > 1:
		return "stan: only queue groups have several members"
	}
	for _, m := range q.Members {
		if !validInbox(m.Inbox) || !validInbox(m.AckInbox) {
			return "stan: a member needs inboxes"
		}
	}
	return ""
}

// adoptGroup makes a subscription in a channel of which the caller has the turn. Members
// whose sessions are there are its members; they attend it later.
func (d *Door) adoptGroup(ctx context.Context, ch *channel, doc *subscription, name string, q *wire.Adoption) (*group, error) {
	if text := d.admits(ch, nil); text != "" {
		return nil, errors.New(text)
	}
	doc.Last = &receiver{Client: q.Client, MaxInFlight: max(q.MaxInFlight, 1), AckWait: max(q.AckWait, 1)}
	clients := map[string]*client{}
	for _, m := range q.Members {
		if c := d.client(m.Client); c != nil {
			clients[c.ID] = c
			doc, _ = doc.with(receiver{
				Client: m.Client, Inbox: m.Inbox, AckInbox: m.AckInbox, MaxInFlight: max(m.MaxInFlight, 1), AckWait: max(m.AckWait, 1),
			})
		}
	}
	if len(doc.Members) == 0 && !doc.IsDurable {
		return nil, errors.New("stan: no client of this subscription is connected")
	}
	doc.Client = q.Client
	at := positionOf(q, ch.stream)
	c, err := ch.stream.CreateConsumerAt(ctx, doc.consumerConfig(name, at.Floor.Stream+1), &at)
	if err != nil {
		return nil, fmt.Errorf("make subscription: %w", err)
	}
	g := newGroup(ch, c, doc)
	ch.groups[name] = g
	ch.stored += doc.stored()
	for _, m := range doc.Members {
		d.attach(&member{receiver: m, group: g}, clients[m.Client])
		d.clock.clear(ch.idle)
	}
	return g, nil
}

// adoptSession registers a client that was connected to another server: it goes on
// without connecting again. One of its id that is there stays.
func (d *Door) adoptSession(ctx context.Context, q *wire.AdoptedSession) (out wire.Adopted, err error) {
	if !wire.ValidClientID(q.ID) || !validInbox(q.HeartbeatInbox) || len(q.ConnID) > wire.MaxName {
		return out, errors.New(wire.InvalidConnReq)
	}
	type result struct {
		wire.Adopted
		error
	}
	done := make(chan result, 1)
	d.lane(q.ID).push(func() {
		if c := d.client(q.ID); c != nil {
			done <- result{Adopted: wire.Adopted{Kept: true, Another: c.HeartbeatInbox != q.HeartbeatInbox}}
			return
		}
		done <- result{error: d.register(ctx, clientRecord{
			ID: q.ID, HeartbeatInbox: q.HeartbeatInbox, ConnID: connID(q.ConnID),
			Protocol: q.Protocol, PingInterval: q.PingInterval, PingMaxOut: q.PingMaxOut,
		})}
	})
	select {
	case r := <-done:
		return r.Adopted, r.error
	case <-ctx.Done():
		return out, ctx.Err()
	}
}

// positionOf puts what is told of a durable into the log's terms. What the channel has
// not is not waited for.
func positionOf(q *wire.Adoption, s *stream.Stream) consumer.State {
	p := s.Partition()
	first, last := max(p.First(), 1), p.Committed()
	at := consumer.Position{Stream: min(q.LastSent, last)}
	floor := at
	st := consumer.State{Next: at.Stream + 1}
	for _, seq := range slices.Compact(slices.Clone(q.Pending)) {
		if seq < first || seq > at.Stream {
			continue
		}
		if len(st.Pending) == 0 {
			floor.Stream = seq - 1
		}
		at.Consumer++
		st.Pending = append(st.Pending, consumer.Pending{Seq: seq, DSeq: at.Consumer, Count: 1})
	}
	st.Delivered, st.Floor = at, floor
	return st
}
