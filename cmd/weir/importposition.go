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
}

// carry begins the copy of a consumer. last is the stream's last sequence in the copy.
func carry(c *consumerFacts, doc settings, last uint64) *carried {
	at := consumer.Position{Consumer: c.Delivered.Consumer, Stream: min(c.Delivered.Stream, last)}
	floor := consumer.Position{Consumer: c.AckFloor.Consumer, Stream: min(c.AckFloor.Stream, at.Stream)}
	r := &carried{facts: c, doc: doc, acks: c.known.AckPolicy != jetstream.AckNonePolicy && c.NumAckPending > 0}
	if !r.acks {
		floor = at
	}
	floor.Consumer = min(floor.Consumer, at.Consumer)
	r.state = consumer.State{Delivered: at, Floor: floor, Next: at.Stream + 1}
	return r
}

// see looks at a message of the stream, in order: what was delivered and may not have
// been acknowledged waits for it in the copy, too. The protocol tells how many
// messages wait, and between which sequences, not which.
func (r *carried) see(v *record.View, now int64) {
	st := &r.state
	if !r.acks || v.Seq <= st.Floor.Stream || v.Seq > st.Delivered.Stream || !r.filters(v.Subject) {
		return
	}
	n := uint64(len(st.Pending)) + 1
	st.Pending = append(st.Pending, consumer.Pending{Seq: v.Seq, DSeq: st.Floor.Consumer + n, Time: now, Count: 1})
	st.Delivered.Consumer = max(st.Delivered.Consumer, st.Floor.Consumer+n)
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
	if n := uint64(len(st.Pending)); n > uint64(c.NumAckPending) {
		note("consumer %s: %s of %s are acknowledged, and which is not told: all of them may come again",
			c.Name, thousands(n-uint64(c.NumAckPending)), plural(n, "delivered message", "delivered messages"))
	}
	if c.NumRedelivered > 0 && len(st.Pending) > 0 {
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
