package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// carried is a consumer on its way into weir.
type carried struct {
	facts *consumerFacts
	doc   settings
	state consumer.State
	acks  bool
	exact *waiting // nil: not told
}

// carry begins the copy of a consumer. last is the stream's last sequence in the copy,
// exact what a snapshot says of the consumer, if anything.
func carry(c *consumerFacts, doc settings, last uint64, exact *waiting) *carried {
	r := &carried{facts: c, doc: doc, acks: c.known.AckPolicy != jetstream.AckNonePolicy && c.NumAckPending > 0, exact: exact}
	at := consumer.Position{Consumer: c.Delivered.Consumer, Stream: c.Delivered.Stream}
	floor := consumer.Position{Consumer: c.AckFloor.Consumer, Stream: c.AckFloor.Stream}
	if exact != nil {
		at, floor, r.acks = exact.Delivered.position(), exact.AckFloor.position(), len(exact.Pending) > 0
	}
	at.Stream = min(at.Stream, last)
	if !r.acks {
		floor = at
	}
	floor = consumer.Position{Consumer: min(floor.Consumer, at.Consumer), Stream: min(floor.Stream, at.Stream)}
	r.state = consumer.State{Delivered: at, Floor: floor, Next: at.Stream + 1}
	return r
}

// see looks at a message of the stream, in order: what was delivered and may not have
// been acknowledged waits for it in the copy, too. The protocol tells how many
// messages wait, and between which sequences; which, only some servers' snapshots.
func (r *carried) see(v *record.View, now int64) {
	st := &r.state
	if !r.acks || v.Seq <= st.Floor.Stream || v.Seq > st.Delivered.Stream || !r.filters(v.Subject) {
		return
	}
	count := uint32(1)
	if r.exact != nil {
		p, waits := r.exact.Pending[v.Seq]
		if !waits {
			return
		}
		now, count = p.Timestamp, uint32(min(r.exact.Redelivered[v.Seq], mostDeliveries)+1)
	}
	n := uint64(len(st.Pending)) + 1
	st.Pending = append(st.Pending, consumer.Pending{Seq: v.Seq, DSeq: r.place(v.Seq, n), Time: now, Count: count})
	st.Delivered.Consumer = max(st.Delivered.Consumer, st.Pending[n-1].DSeq)
}

// mostDeliveries bounds a count of deliveries that is carried over.
const mostDeliveries = 1 << 20

// place is the consumer's sequence of the n-th pending message, as it was told if that
// rises, else counted from the floor.
func (r *carried) place(seq, n uint64) uint64 {
	st := &r.state
	before := st.Floor.Consumer
	if len(st.Pending) > 0 {
		before = st.Pending[len(st.Pending)-1].DSeq
	}
	if r.exact != nil {
		if d := r.exact.Pending[seq].Sequence; d > before && d <= st.Delivered.Consumer {
			return d
		}
	}
	return max(before+1, st.Floor.Consumer+n)
}

// filters says whether the consumer delivers a subject.
func (r *carried) filters(s []byte) bool {
	c := &r.facts.known
	if c.FilterSubject != "" {
		return subject.Match(c.FilterSubject, string(s))
	}
	for _, f := range c.FilterSubjects {
		if subject.Match(f, string(s)) {
			return true
		}
	}
	return len(c.FilterSubjects) == 0
}

// settle ends the copy, and notes what is not as it was.
func (r *carried) settle(note func(string, ...any)) {
	c, st := r.facts, &r.state
	if len(st.Pending) == 0 {
		st.Floor = st.Delivered
	}
	if n := uint64(len(st.Pending)); r.exact == nil && n > uint64(c.NumAckPending) {
		note("consumer %s: %s of %s are acknowledged, and which is not told: all of them may come again",
			c.Name, thousands(n-uint64(c.NumAckPending)), plural(n, "delivered message", "delivered messages"))
	}
	if r.exact == nil && c.NumRedelivered > 0 && len(st.Pending) > 0 {
		note("consumer %s: what waits for an acknowledgement counts as delivered once", c.Name)
	}
	if c.known.DeliverPolicy == jetstream.DeliverLastPerSubjectPolicy && c.NumPending > 0 {
		note("consumer %s: what it has not delivered yet comes whole, not only the last of each subject", c.Name)
	}
}

// start is the first sequence that the consumer was made for, as far as that is known.
func (r *carried) start() uint64 {
	switch c := &r.facts.known; c.DeliverPolicy {
	case jetstream.DeliverAllPolicy:
		return 1
	case jetstream.DeliverByStartSequencePolicy:
		return max(c.OptStartSeq, 1)
	}
	return r.state.Floor.Stream + 1
}

// spec is how a backup has the consumer.
func (r *carried) spec(id int) ([]byte, []byte, error) {
	doc, err := json.Marshal(r.doc)
	if err != nil {
		return nil, nil, fmt.Errorf("encode consumer %s: %w", r.facts.Name, err)
	}
	created := r.facts.Created
	if created.IsZero() {
		created = time.Now()
	}
	spec, err := json.Marshal(map[string]any{
		"id": id, "created": created.UnixNano(),
		"config": map[string]any{"name": r.facts.Name, "start": r.start(), "core": struct{}{}, "doc": json.RawMessage(doc)},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("encode consumer %s: %w", r.facts.Name, err)
	}
	return spec, consumer.AppendState(nil, &r.state), nil
}
