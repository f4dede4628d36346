package stream

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// Put stores one record, if c, which may be nil, allows it, and returns its fate
// when that is durable. When ctx ends first the outcome is unknown. The parts are
// borrowed.
func (s *Stream) Put(ctx context.Context, parts *record.Parts, c *partition.Conditions) (partition.Outcome, error) {
	if s.closed.Load() {
		return partition.Outcome{}, ErrNotFound
	}
	if !parts.Fits() {
		return partition.Outcome{Refusal: partition.TooLarge}, nil
	}
	t := &put{waiter: newWaiter()}
	b := s.newStaged(firstArea)
	in := Intake{Parts: *parts, Ticket: t}
	if c != nil {
		in.Conditional, in.Conditions = true, *c
	}
	b.take(&in)
	s.admit(b, time.Now().UnixNano())
	if err := t.wait(ctx); err != nil {
		return partition.Outcome{}, err
	}
	return t.outcome, nil
}

// Post is Put for who does not wait: t is told the fate, unless Post says at once why the
// record is refused. What one goroutine posts is stored in that order.
func (s *Stream) Post(parts *record.Parts, t Ticket) partition.Refusal {
	switch {
	case s.closed.Load():
		return partition.Deleted
	case !parts.Fits():
		return partition.TooLarge
	case s.overloaded():
		return partition.Overload
	}
	b := s.newStaged(firstArea)
	b.take(&Intake{Parts: *parts, Ticket: t})
	b.late = true
	s.admit(b, time.Now().UnixNano())
	return partition.Accepted
}

// put is the Ticket of Put.
type put struct {
	*waiter
	outcome partition.Outcome // valid once the waiter has finished
}

// Settle implements Ticket.
func (p *put) Settle(_ *Stream, o partition.Outcome, _ int64) {
	p.outcome = o
	p.finish()
}

// Lose implements Ticket.
func (p *put) Lose() { p.fail(partition.ErrDead) }
