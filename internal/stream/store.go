package stream

import (
	"context"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// Answer appends what a publisher is told of the outcome of one record. note is what
// came with the record, borrowed. It is called on the shard's goroutine or the
// journal's.
type Answer func(dst []byte, s *Stream, o partition.Outcome, note []byte) []byte

// Staging stores records in a stream that its user knows, whatever the stream
// captures. It belongs to one goroutine. Records of one Staging are stored in the
// order of Add.
type Staging struct {
	stream *Stream
	answer Answer
	batch  *staged
	size   int // of the next area: what the last one needed
	// subject has room for one that is mapped.
	subject [256]byte
}

// Stage returns a Staging whose publishers get these answers. They get them after
// the records have been delivered to the consumers that can take them now.
func (s *Stream) Stage(answer Answer) *Staging {
	return &Staging{stream: s, answer: answer, size: firstArea}
}

// Add stages a record; parts, reply and note are borrowed. reply is where the answer
// goes, empty: nowhere. Full: too much is in flight, nothing was staged. Gone: the
// stream was deleted, or the server stops.
func (g *Staging) Add(parts *record.Parts, reply, note []byte) broker.Verdict {
	s := g.stream
	if s.closed.Load() {
		return broker.Gone
	}
	if s.overloaded() {
		return broker.Full
	}
	if g.batch == nil {
		g.batch = s.newStaged(g.size)
		g.batch.answers, g.batch.late = g.answer, true
	}
	b := g.batch
	kept := parts
	if s.mapping.Load() != nil {
		renamed := *parts
		renamed.Subject = s.mapped(g.subject[:0], parts.Subject)
		kept = &renamed
	}
	if !kept.Fits() {
		for len(b.Conds) <= b.Area.Len() {
			b.Conds = append(b.Conds, partition.Conditions{})
		}
		b.Conds[b.Area.Len()].Refuse = partition.TooLarge
		kept = &record.Parts{}
	} else if len(b.Conds) > 0 {
		b.Conds = append(b.Conds, partition.Conditions{})
	}
	b.Area.Append(kept)
	b.replies = append(b.replies, reply...)
	b.ends = append(b.ends, uint32(len(b.replies)))
	b.notes = append(b.notes, note...)
	b.noteEnds = append(b.noteEnds, uint32(len(b.notes)))
	if len(b.Area.Buf) >= maxStagedBytes || b.Area.Len() >= maxStagedRecords {
		g.HandOver()
	}
	return broker.Staged
}

// HandOver gives what is staged to the log.
func (g *Staging) HandOver() {
	b := g.batch
	if b == nil {
		return
	}
	g.batch = nil
	g.size = nextArea(g.size, len(b.Area.Buf))
	g.stream.admit(b, time.Now().UnixNano())
}

// Store stores one record, which is borrowed, and returns its fate when that is
// durable.
func (s *Stream) Store(ctx context.Context, parts *record.Parts) (partition.Outcome, error) {
	if s.closed.Load() || !parts.Fits() {
		return partition.Outcome{}, ErrNotFound
	}
	b := s.newStaged(firstArea)
	b.Area.Append(parts)
	b.ends = append(b.ends, 0)
	w := newWaiter()
	var o partition.Outcome
	b.done = func(outcomes []partition.Outcome) {
		o = outcomes[0]
		w.finish()
	}
	s.admit(b, time.Now().UnixNano())
	if err := w.wait(ctx); err != nil {
		return partition.Outcome{}, err
	}
	return o, nil
}

// note is what came with record i.
func (b *staged) note(i int) []byte {
	var from uint32
	if i > 0 {
		from = b.noteEnds[i-1]
	}
	return b.notes[from:b.noteEnds[i]]
}

// appendReply appends what the publisher of record i is told.
func (b *staged) appendReply(dst []byte, i int) []byte {
	if b.answers != nil {
		return b.answers(dst, b.stream, b.Outcomes[i], b.note(i))
	}
	return b.dialectReply(dst, i)
}

// Dropped says that the stream was deleted.
func (s *Stream) Dropped() bool { return s.dropped.Load() }
