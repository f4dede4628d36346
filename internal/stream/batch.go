package stream

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/timewheel"
)

// Messages of a batch belong together. Those of a whole batch are gathered until it
// is complete and then stored as one frame, all or none. Those of a fast batch, a
// flow, are stored as they come and acknowledged a number at a time.

// BatchKind says how the messages of a batch belong together.
type BatchKind uint8

// Kinds of batches.
const (
	BatchNone BatchKind = iota
	BatchWhole
	BatchFast
)

// BatchOp is what a message does to its batch.
type BatchOp uint8

// Operations.
const (
	BatchAppend BatchOp = iota // it is one more
	BatchCommit                // it is the last
	BatchEnd                   // it ends the batch and is not part of it
	BatchPing                  // it asks how far a flow is
)

// BatchPart is the place of a message in a batch.
type BatchPart struct {
	Kind BatchKind
	ID   []byte // borrowed
	Seq  uint64 // 1 for the first message
	Op   BatchOp
	// Most is how many messages of a flow may be acknowledged at once, at most; Strict
	// ends it where a message is missing or refused.
	Most   int
	Strict bool
	// Refuse is what the message is refused for, in the dialect's numbers, wherever its
	// place; Fatal what it and its batch are refused for, which is told if Tell; Unfit
	// what the batch is refused for when it is complete.
	Refuse, Fatal, Unfit uint32
	Tell                 bool
	// Header takes the place of the message's.
	Header []byte
}

// Refusals of batches.
const (
	BatchDisabled   partition.Refusal = partition.OwnRefusals + iota
	BatchIncomplete                   // a message is missing, or the batch is not known any more
	BatchTooMany                      // too many are being gathered
	BatchTooLarge                     // Outcome.Detail is how many messages it may have
	FlowDisabled
	FlowUnknown // there is none with this id
	FlowTooMany
)

// Abandoned says why a batch was given up.
type Abandoned uint8

// Reasons.
const (
	AbandonedTimeout Abandoned = iota
	AbandonedLarge
	AbandonedIncomplete
	AbandonedUnsupported
)

// BatchLimits bound batches. Zero is the default.
type BatchLimits struct {
	// PerStream and Total bound the whole batches that are being gathered, of a stream
	// and of all; 50 and 1000.
	PerStream, Total int
	// Size is how many messages a whole batch may have; 1000.
	Size int
	// Idle is how long a batch waits for its next message; 10 seconds.
	Idle time.Duration
}

func (l BatchLimits) orDefault() BatchLimits {
	or := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	or(&l.PerStream, 50)
	or(&l.Total, 1000)
	or(&l.Size, 1000)
	if l.Idle <= 0 {
		l.Idle = 10 * time.Second
	}
	return l
}

// note is an answer that says nothing of the log's decisions, and so waits for none.
type note struct {
	to   []byte
	body []byte
}

// answerNotes has the shard send notes.
func (s *Stream) answerNotes(notes []note) {
	if len(notes) == 0 {
		return
	}
	s.shard.post(event{kind: evCall, call: func(int64) {
		p := s.shard.publisher(s.space)
		for _, n := range notes {
			p.Publish(&broker.Message{Subject: n.to, Data: n.body})
		}
	}})
}

// abandoned tells whoever wants to know that a batch was given up.
func (s *Stream) abandoned(id string, why Abandoned) {
	s.shard.post(event{kind: evCall, call: func(int64) {
		s.shard.outlet.Abandoned(s.shard.publisher(s.space), s, id, why)
	}})
}

// setPatience has the shard look whether a batch waits for too long; at is when.
func (s *Stream) setPatience(t *timewheel.Timer[timed], at int64) {
	s.shard.post(event{kind: evCall, call: func(int64) { s.shard.wheel.Set(t, at) }})
}

func (s *Stream) clearPatience(t *timewheel.Timer[timed]) {
	s.shard.post(event{kind: evCall, call: func(int64) { s.shard.wheel.Clear(t) }})
}

// endBatches gives up the batches that a configuration does not allow, all of them
// if it is nil.
func (s *Stream) endBatches(c *Config) {
	s.mu.Lock()
	var timers []*timewheel.Timer[timed]
	if c == nil || !c.Whole {
		for _, g := range s.gathered {
			s.endLocked(g)
			timers = append(timers, &g.timer)
		}
	}
	if c == nil || !c.Fast {
		for _, f := range s.flows {
			f.silent = true
			s.endFlowLocked(f, f.last)
			timers = append(timers, &f.timer)
		}
	}
	s.mu.Unlock()
	for _, t := range timers {
		s.clearPatience(t)
	}
}

// Settle returns when all that was acknowledged can be read: at once, but for a
// stream that acknowledges before its records are durable.
func (s *Stream) Settle(ctx context.Context) error {
	if !s.config.Load().Async {
		return nil
	}
	w := newWaiter()
	if err := s.part.Barrier(w.fail); err != nil {
		return err
	}
	return w.wait(ctx)
}

// refusalOf is what the dialect says of a message.
func refusalOf(code uint32) partition.Outcome {
	return partition.Outcome{Refusal: partition.Dialect, Detail: uint64(code)}
}

// demand puts into the parts of a record what the dialect read from its header.
func demand(parts *record.Parts, c *partition.Conditions) {
	parts.ID, parts.HasID, parts.Rollup, parts.TTL, parts.Marked = c.ID, c.HasID, c.Rollup, c.TTL, c.Marked
	if c.Key != nil {
		parts.Key = c.Key
	}
	if c.Header != nil {
		parts.Header = c.Header
	}
}
