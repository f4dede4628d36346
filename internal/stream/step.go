package stream

import (
	"encoding/binary"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
)

// applyAcks gives acknowledgements to their consumers.
func (sh *Shard) applyAcks(acks []Ack, now int64) {
	for i := range acks {
		a := &acks[i]
		c := a.Consumer
		if c.gone.Load() {
			continue
		}
		res := c.core.Ack(a.Ack, now)
		if a.Next != nil {
			c.core.Request(*a.Next, now)
		}
		if res.Reply && len(a.Reply) > 0 {
			c.confirm = append(c.confirm, a.Reply)
		}
		sh.touch(c)
	}
}

// acknowledge gives a consumer plain acknowledgements, which nobody confirms.
func (sh *Shard) acknowledge(c *Consumer, seqs []uint64, now int64) {
	if c.gone.Load() {
		return
	}
	for _, seq := range seqs {
		c.core.Ack(consumer.Ack{Kind: consumer.Acked, Seq: seq}, now)
	}
	sh.touch(c)
}

// step lets a consumer do what it can, sends it, and notes it in the log.
func (sh *Shard) step(c *Consumer, now int64) {
	if c.gone.Load() {
		return
	}
	s := c.stream
	c.source.begin()
	sh.out.Limit = stepLimit
	c.core.Step(now, &c.source, s.interested, &sh.out)
	p := sh.publisher(s.space)
	sh.send(c, p)
	for i := range sh.out.Advisories {
		sh.outlet.Advise(p, c, &sh.out.Advisories[i])
	}
	sh.note(c, p)
	more := sh.out.More || sh.out.Cold != 0
	sh.scout.stepped(&c.source, more)
	if more {
		sh.touch(c)
	}
	sh.schedule(c)
}

// send writes what a step decided: deliveries and statuses in their order.
func (sh *Shard) send(c *Consumer, p *broker.Publisher) {
	statuses := sh.out.Statuses
	for i := range sh.out.Deliveries {
		for len(statuses) > 0 && statuses[0].After <= i {
			sh.outlet.Status(p, c, &statuses[0])
			statuses = statuses[1:]
		}
		d := &sh.out.Deliveries[i]
		v, err := c.source.record(d.Seq)
		if err != nil {
			sh.log.Error("record not delivered", "stream", c.stream.Name(), "consumer", c.Name(), "seq", d.Seq, "error", err)
			continue
		}
		sh.outlet.Deliver(p, c, d, v)
	}
	for i := range statuses {
		sh.outlet.Status(p, c, &statuses[i])
	}
}

// note puts the consumer's progress into the log: at once where a confirmation
// waits for it, else with the next sync.
func (sh *Shard) note(c *Consumer, p *broker.Publisher) {
	confirm := c.confirm
	c.confirm = nil
	if c.Config().Local {
		for _, r := range confirm {
			sh.outlet.Acked(p, r)
		}
		return
	}
	if len(sh.out.Changes) == 0 {
		sh.confirmAfter(c.stream, confirm)
		return
	}
	data := binary.AppendUvarint(make([]byte, 0, len(sh.out.Changes)+binary.MaxVarintLen64), c.id)
	data = append(data, sh.out.Changes...)
	var value any
	if len(confirm) > 0 {
		value = &stateRecord{stream: c.stream, replies: confirm}
	}
	if err := c.stream.part.Propose(record.KindConsumerState, value != nil, value, data); err != nil {
		sh.log.Error("progress of a consumer not noted", "stream", c.stream.Name(), "consumer", c.Name(), "error", err)
	}
}

// confirmAfter confirms acknowledgements that changed nothing: what they repeat
// may still be on its way into the log.
func (sh *Shard) confirmAfter(s *Stream, confirm [][]byte) {
	if len(confirm) == 0 {
		return
	}
	done := func(err error) {
		if err != nil {
			return // whether it was noted is unknown: nobody is told that it was
		}
		sh.post(event{kind: evCall, call: func(int64) {
			for _, r := range confirm {
				sh.outlet.Acked(sh.publisher(s.space), r)
			}
		}})
	}
	if err := s.part.Barrier(done); err != nil {
		sh.log.Error("acknowledgements not confirmed", "stream", s.Name(), "error", err)
	}
}

// schedule sets the consumer's timer, or ends a consumer that nobody uses.
func (sh *Shard) schedule(c *Consumer) {
	if sh.out.Inactive {
		sh.retire(c)
		return
	}
	if next := c.core.Deadline(); next != 0 {
		sh.wheel.Set(&c.timer, next)
	} else {
		sh.wheel.Clear(&c.timer)
	}
}

// retire deletes a consumer that nobody used for as long as it said.
func (sh *Shard) retire(c *Consumer) {
	s := c.stream
	if c.Config().Local {
		s.consumerDropped(c.Name(), c.id)
		return
	}
	if err := s.part.Propose(record.KindConsumerDrop, false, nil, binary.AppendUvarint(nil, c.id)); err != nil {
		sh.log.Warn("idle consumer not deleted", "stream", s.Name(), "consumer", c.Name(), "error", err)
	}
}
