package stream

import (
	"bytes"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/timewheel"
)

const (
	// maxWhole bounds a whole batch, bytes: it is one entry of the journal.
	maxWhole = 63 << 20
	// maxGathered bounds what is gathered of all streams, bytes.
	maxGathered = 256 << 20
)

// gathering is a whole batch that is not complete.
type gathering struct {
	// Set at construction.
	stream *Stream
	id     string

	// Guarded by Stream.mu.
	staged  *staged
	last    uint64 // sequence of the last message
	touched int64  // when it came, Unix ns
	unfit   uint32 // what the batch is refused for when it is complete; 0: nothing
	ended   bool

	// Only the shard.
	timer timewheel.Timer[timed]
}

// wholeMessage adds a message to the whole batch that it belongs to, and hands that
// to the log when it is complete.
func (g *ingest) wholeMessage(m *broker.Message, refuse partition.Refusal) {
	s := g.stream
	now := time.Now().UnixNano()
	in := gatherer{s: s, m: m, p: &g.part, now: now, header: m.Header}
	if m.Annotated {
		in.header = m.Plain
	}
	o := in.refuses(refuse)
	if o.Refusal == partition.Accepted {
		o = in.take()
	}
	if in.done == nil {
		g.answerPart(m, o)
		return
	}
	g.HandOver() // what came before the batch is stored before it
	s.admit(in.done, now)
}

// answerPart answers a message that completes no batch: with nothing, or with why it
// is refused.
func (g *ingest) answerPart(m *broker.Message, o partition.Outcome) {
	s := g.stream
	if len(m.Reply) == 0 || s.noAck.Load() {
		return
	}
	n := note{to: bytes.Clone(m.Reply)}
	if o.Refusal != partition.Accepted {
		n.body = s.dialect.AppendReply(nil, s, o)
	}
	g.notes = append(g.notes, n)
}

// gatherer finds the place of one message.
type gatherer struct {
	s      *Stream
	m      *broker.Message
	p      *BatchPart
	now    int64
	header []byte
	parts  record.Parts
	cond   partition.Conditions
	done   *staged // the batch, if the message completes it
}

// refuses finds what the message is refused for wherever its place in a batch is.
func (in *gatherer) refuses(refuse partition.Refusal) partition.Outcome {
	s, p := in.s, in.p
	if p.Header != nil {
		in.header = p.Header
	}
	in.parts = record.Parts{Subject: s.mapped(nil, in.m.Subject), Header: in.header, Data: in.m.Data}
	limits := s.part.Limits()
	switch {
	case limits.Sealed:
		return partition.Outcome{Refusal: partition.Sealed}
	case refuse != partition.Accepted:
		return partition.Outcome{Refusal: refuse}
	case !in.parts.Fits(), limits.MaxRecord > 0 && int64(len(in.parts.Header)+len(in.parts.Data)) > limits.MaxRecord:
		return partition.Outcome{Refusal: partition.TooLarge}
	case !s.config.Load().Whole:
		return partition.Outcome{Refusal: BatchDisabled}
	case p.Refuse != 0:
		return refusalOf(p.Refuse)
	}
	if p.Op != BatchEnd {
		in.cond.Size = len(in.parts.Data)
		s.dialect.Conditions(s, in.parts.Subject, in.parts.Header, &in.cond)
		demand(&in.parts, &in.cond)
	}
	return partition.Outcome{}
}

// take puts the message in its place.
func (in *gatherer) take() partition.Outcome {
	s := in.s
	s.mu.Lock()
	g, fresh, o := s.gatheringLocked(in.p, in.now)
	var why Abandoned
	tell := false
	if g != nil {
		o, why, tell = in.placeLocked(g)
	}
	ended := g != nil && g.ended
	s.mu.Unlock()
	switch {
	case fresh && !ended:
		s.setPatience(&g.timer, in.now+int64(s.dir.batches.Idle))
	case ended && !fresh:
		s.clearPatience(&g.timer)
	}
	if tell {
		s.abandoned(g.id, why)
	}
	return o
}

// gatheringLocked finds the batch of a message, or begins it.
func (s *Stream) gatheringLocked(p *BatchPart, now int64) (g *gathering, fresh bool, o partition.Outcome) {
	if g = s.gathered[string(p.ID)]; g != nil {
		return g, false, o
	}
	l := &s.dir.batches
	switch {
	case s.closed.Load():
		return nil, false, partition.Outcome{Refusal: partition.Deleted}
	case p.Seq > uint64(l.Size):
		return nil, false, partition.Outcome{Refusal: BatchTooLarge, Detail: uint64(l.Size)}
	case p.Seq != 1:
		return nil, false, partition.Outcome{Refusal: BatchIncomplete}
	case len(s.gathered) >= l.PerStream || s.dir.gatherings.Load() >= int64(l.Total):
		return nil, false, partition.Outcome{Refusal: BatchTooMany}
	}
	g = &gathering{stream: s, id: string(p.ID), touched: now, staged: s.newStaged(firstArea)}
	g.timer.Item = g
	if s.gathered == nil {
		s.gathered = map[string]*gathering{}
	}
	s.gathered[g.id] = g
	s.dir.gatherings.Add(1)
	return g, true, o
}

// endLocked takes a batch out of those that are being gathered.
func (s *Stream) endLocked(g *gathering) {
	if g.ended {
		return
	}
	g.ended = true
	delete(s.gathered, g.id)
	s.dir.gatherings.Add(-1)
	s.dir.gatheredBytes.Add(-g.staged.size)
	if len(s.gathered) == 0 {
		s.gathered = nil
	}
}

// placeLocked adds the message to its batch, or ends that. tell says that whoever
// wants to is to know why.
func (in *gatherer) placeLocked(g *gathering) (o partition.Outcome, why Abandoned, tell bool) {
	s, p := in.s, in.p
	size := uint64(s.dir.batches.Size)
	switch {
	case p.Fatal != 0:
		o, why, tell = refusalOf(p.Fatal), AbandonedUnsupported, p.Tell
	case p.Seq != g.last+1:
		o, why, tell = partition.Outcome{Refusal: BatchIncomplete}, AbandonedIncomplete, true
	case p.Seq > size:
		o, why, tell = partition.Outcome{Refusal: BatchTooLarge, Detail: size}, AbandonedLarge, true
	case p.Op != BatchEnd && !in.stageLocked(g):
		o, why, tell = partition.Outcome{Refusal: partition.Overload}, AbandonedLarge, true
	case p.Op == BatchEnd && p.Seq == 1:
		o, why, tell = partition.Outcome{Refusal: BatchIncomplete}, AbandonedIncomplete, true
	case p.Op != BatchAppend && g.unfit != 0:
		o = refusalOf(g.unfit)
	}
	if o.Refusal != partition.Accepted {
		s.endLocked(g)
		return o, why, tell
	}
	g.last, g.touched = p.Seq, in.now
	if p.Op == BatchAppend {
		return o, why, false
	}
	s.endLocked(g)
	st := g.staged
	if p.Op == BatchEnd {
		st.closeWhole()
	}
	st.Whole, st.whole = true, g.id
	if !s.noAck.Load() {
		st.replies = append(st.replies, in.m.Reply...)
		st.ends[len(st.ends)-1] = uint32(len(st.replies))
	}
	in.done = st
	return o, why, false
}

// stageLocked adds the message's record; false if there is no room for it.
func (in *gatherer) stageLocked(g *gathering) bool {
	s, st := in.s, g.staged
	before := len(st.Area.Buf)
	n := int64(len(in.parts.Subject) + len(in.parts.Header) + len(in.parts.Data))
	if int64(before)+n > maxWhole || s.dir.gatheredBytes.Load()+n > maxGathered {
		return false
	}
	if in.p.Unfit != 0 && g.unfit == 0 {
		g.unfit = in.p.Unfit
	}
	st.Area.Append(&in.parts)
	st.Conds = append(st.Conds, in.cond)
	st.ends = append(st.ends, 0)
	grown := int64(len(st.Area.Buf) - before)
	st.size += grown
	s.dir.gatheredBytes.Add(grown)
	return true
}

// closeWhole notes in the last record of a batch that it is the last.
func (b *staged) closeWhole() {
	n := b.Area.Len() - 1
	v := b.Area.View(n)
	parts := record.Parts{
		Subject: bytes.Clone(v.Subject), Header: b.stream.dialect.Closing(v.Header), Data: bytes.Clone(v.Data),
		ID: v.ID, HasID: v.HasID, Rollup: v.Rollup, TTL: v.TTL, Marked: v.Marked,
	}
	b.Area.Buf = b.Area.Buf[:b.Area.Slots[n].Off]
	b.Area.Slots = b.Area.Slots[:n]
	b.Area.Append(&parts)
}

// dialectReply appends what the stream's dialect tells the publisher of record i.
func (b *staged) dialectReply(dst []byte, i int) []byte {
	if b.whole != "" {
		return b.stream.dialect.AppendWhole(dst, b.stream, b.Outcomes[i], b.whole, len(b.Outcomes))
	}
	return b.stream.dialect.AppendReply(dst, b.stream, b.Outcomes[i])
}

// overdue ends a batch that has waited for too long.
func (sh *Shard) overdue(g *gathering, now int64) {
	s := g.stream
	s.mu.Lock()
	due := g.touched + int64(s.dir.batches.Idle)
	ended := g.ended
	if !ended && now >= due {
		s.endLocked(g)
	}
	s.mu.Unlock()
	switch {
	case ended:
	case now < due:
		sh.wheel.Set(&g.timer, due)
	default:
		sh.outlet.Abandoned(sh.publisher(s.space), s, g.id, AbandonedTimeout)
	}
}
