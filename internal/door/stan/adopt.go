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

// adopt makes a durable without a client, as it is after its client has closed it.
// One that is there stays as it is.
func (d *Door) adopt(ctx context.Context, q *wire.Adoption) (out wire.Adopted, err error) {
	r := wire.SubscriptionRequest{
		ClientID: q.Client, Subject: q.Channel, QGroup: q.Queue, DurableName: q.Durable,
		MaxInFlight: max(q.MaxInFlight, 1), AckWaitInSecs: max(q.AckWait, 1),
	}
	switch {
	case !wire.ValidChannel(q.Channel):
		return out, errors.New(wire.InvalidSubject)
	case q.Durable == "" || q.Queue == "" && !wire.ValidClientID(q.Client):
		return out, errors.New("stan: a durable needs a name, and a client or a queue group")
	case q.Queue != "" && strings.Contains(q.Durable, ":"):
		return out, errors.New(wire.InvalidDurableName)
	case !slices.IsSorted(q.Pending):
		return out, errors.New("stan: what is pending is not in order")
	}
	ch, text := d.find(ctx, q.Channel)
	if text != "" {
		return out, errors.New(text)
	}
	defer ch.take()()
	if ch.state.Load() != channelOpen {
		return out, errors.New(wire.ChannelDeleted)
	}
	doc, name := describe(&r)
	g := ch.groups[name]
	if out.Kept = g != nil; !out.Kept {
		if text := d.admits(ch, nil); text != "" {
			return out, errors.New(text)
		}
		doc.Last = &receiver{Client: q.Client, MaxInFlight: r.MaxInFlight, AckWait: r.AckWaitInSecs}
		at := positionOf(q, ch.stream)
		c, err := ch.stream.CreateConsumerAt(ctx, doc.consumerConfig(name, at.Floor.Stream+1), &at)
		if err != nil {
			return out, fmt.Errorf("make durable: %w", err)
		}
		g = newGroup(ch, c, doc)
		ch.groups[name] = g
		ch.stored++
	}
	info, err := g.consumer.Info(ctx)
	if err != nil {
		return out, fmt.Errorf("look at the durable: %w", err)
	}
	out.LastSent, out.Pending = info.Delivered.Stream, info.AckPending
	return out, nil
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
