package stream

import (
	"bytes"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/timewheel"
)

// Bounds of flows: how many there may be, of a stream and of all, and how many
// messages all flows of a stream together have acknowledged at once.
const (
	maxFlows      = 1000
	maxFlowsTotal = 50_000
	flowShare     = 500
)

// flow is a fast batch.
type flow struct {
	// Set at construction.
	stream *Stream
	id     string
	chain  *partition.Chain // of one that ends with the first refusal; else nil

	// Guarded by Stream.mu.
	most     int    // what its client wants to have acknowledged at once
	every    int    // what it gets
	last     uint64 // sequence of the last message that came
	settled  uint64 // up to here all that came is stored or refused
	acked    uint64 // settled when it was last told
	inFlight int
	touched  int64  // when the last message came, Unix ns
	reply    []byte // its reply subject
	stored   uint64 // the stream's sequence of the last that is stored
	ended    bool   // nothing more is taken
	count    uint64 // of the messages, once it has ended
	// broken is why its first message was refused, which is all that is said of it.
	broken *partition.Outcome
	silent bool // its end is not told
	// untold is what it is to be told next, in order; an event for that is in the
	// shard's box if there is any.
	untold []FlowNote

	// Only the shard.
	timer timewheel.Timer[timed]
}

// FlowNote is what a flow is told.
type FlowNote struct {
	Kind FlowNoteKind
	Seq  uint64 // in the flow
	// From, of a gap: the first message that did not come; Seq is behind the last one.
	From  uint64
	Every int               // of an acknowledgement: how many messages each is for
	Why   partition.Outcome // of a refusal
	// Of the end: the flow's id, how many messages it had, and the stream's sequence of
	// the last that is stored.
	ID     string
	Count  uint64
	Stored uint64
}

// FlowNoteKind says what a FlowNote tells.
type FlowNoteKind uint8

// Kinds of notes.
const (
	FlowAcked FlowNoteKind = iota
	FlowGap
	FlowRefused
	FlowDone
	FlowFailed // Why is for the whole flow
)

// flowRef is a record that belongs to a flow.
type flowRef struct {
	record int // of the batch
	flow   *flow
	seq    uint64 // in the flow
}

// flowMessage notes a message of a flow. The flow is returned if the message is to
// be stored.
func (g *ingest) flowMessage(m *broker.Message) *flow {
	s := g.stream
	p := &g.part
	tell := func(n FlowNote) {
		if !s.noAck.Load() {
			g.notes = append(g.notes, note{bytes.Clone(m.Reply), s.dialect.AppendFlow(nil, s, &n)})
		}
	}
	o := partition.Outcome{}
	limits := s.part.Limits()
	switch {
	case p.Refuse != 0:
		o = refusalOf(p.Refuse)
	case limits.Sealed:
		o.Refusal = partition.Sealed
	case limits.MaxRecord > 0 && int64(len(m.Header)+len(m.Data)) > limits.MaxRecord:
		o.Refusal = partition.TooLarge
	case !s.config.Load().Fast:
		o.Refusal = FlowDisabled
	case p.Fatal != 0:
		o = refusalOf(p.Fatal)
	}
	if o.Refusal != partition.Accepted {
		tell(FlowNote{Kind: FlowFailed, Why: o})
		return nil
	}
	now := time.Now().UnixNano()
	s.mu.Lock()
	f, fresh, o := s.flowLocked(p, now)
	store, wake := false, false
	if f != nil {
		f.touched, f.reply = now, append(f.reply[:0], m.Reply...)
		var notes []FlowNote
		notes, store = s.placeLocked(f, p, fresh)
		wake = f.noteLocked(notes)
	}
	ended := f != nil && f.ended
	s.mu.Unlock()
	if f == nil {
		tell(FlowNote{Kind: FlowFailed, Why: o})
		return nil
	}
	if wake {
		s.tellFlow(f)
	}
	switch {
	case fresh && !ended:
		s.setPatience(&f.timer, now+int64(s.dir.batches.Idle))
	case ended && !fresh:
		s.clearPatience(&f.timer)
	}
	if !store {
		return nil
	}
	return f
}

// flowLocked finds the flow of a message, or begins it.
func (s *Stream) flowLocked(p *BatchPart, now int64) (f *flow, fresh bool, o partition.Outcome) {
	if f = s.flows[string(p.ID)]; f != nil {
		return f, false, o
	}
	switch {
	case s.closed.Load():
		return nil, false, partition.Outcome{Refusal: partition.Deleted}
	case p.Seq != 1 || p.Op == BatchPing:
		return nil, false, partition.Outcome{Refusal: FlowUnknown}
	case len(s.flows) >= maxFlows || s.dir.flows.Load() >= maxFlowsTotal:
		return nil, false, partition.Outcome{Refusal: FlowTooMany}
	}
	f = &flow{stream: s, id: string(p.ID), most: p.Most, touched: now, every: 1}
	if len(s.flows) == 0 {
		f.every = min(flowShare, f.most)
	}
	if p.Strict {
		f.chain = new(partition.Chain)
	}
	f.timer.Item = f
	if s.flows == nil {
		s.flows = map[string]*flow{}
	}
	s.flows[f.id] = f
	s.dir.flows.Add(1)
	return f, true, o
}

// placeLocked puts a message of a flow in its place; store says that it is to be
// stored.
func (s *Stream) placeLocked(f *flow, p *BatchPart, fresh bool) (notes []FlowNote, store bool) {
	next := f.last + 1
	behind := p.Seq // the first that is not missing
	if p.Op == BatchPing {
		behind++
	}
	switch {
	case behind > next:
		notes = append(notes, FlowNote{Kind: FlowGap, From: next, Seq: behind})
		if f.chain != nil {
			s.endFlowLocked(f, f.last)
			return append(notes, s.finishedLocked(f)...), false
		}
	case p.Op == BatchPing:
		return append(notes, FlowNote{Kind: FlowAcked, Seq: f.settled, Every: f.every}), false
	case p.Seq < next: // it came before, or counts as lost: its client has lost the thread
		notes = append(notes, FlowNote{Kind: FlowGap, From: next, Seq: p.Seq})
		s.endFlowLocked(f, f.last)
		return append(notes, s.finishedLocked(f)...), false
	}
	f.last = max(f.last, behind-1)
	switch p.Op {
	case BatchPing:
		if f.inFlight == 0 {
			f.settled = f.last // with what is lost
		}
		return append(notes, FlowNote{Kind: FlowAcked, Seq: f.settled, Every: f.every}), false
	case BatchEnd:
		s.endFlowLocked(f, p.Seq-1)
		return append(notes, s.finishedLocked(f)...), false
	case BatchCommit:
		f.last = p.Seq
		s.endFlowLocked(f, p.Seq)
	case BatchAppend:
		f.last = p.Seq
		if fresh {
			notes = append(notes, FlowNote{Kind: FlowAcked, Every: f.every})
		}
	}
	f.inFlight++
	return notes, true
}

// endFlowLocked has a flow take nothing more; count is how many messages it has.
func (s *Stream) endFlowLocked(f *flow, count uint64) {
	if f.ended {
		f.count = min(f.count, count)
		return
	}
	f.ended, f.count = true, count
	delete(s.flows, f.id)
	s.dir.flows.Add(-1)
	if len(s.flows) == 0 {
		s.flows = nil
	}
}

// finishedLocked is what a flow is told at its end, once nothing of it is under way.
func (s *Stream) finishedLocked(f *flow) []FlowNote {
	switch {
	case !f.ended || f.inFlight > 0 || f.silent:
		return nil
	case f.broken != nil:
		return []FlowNote{{Kind: FlowFailed, Why: *f.broken}}
	}
	return []FlowNote{{Kind: FlowDone, ID: f.id, Count: f.count, Stored: f.stored}}
}

// settleLocked notes the fate of a flow's message. more says that another one's is
// known as well.
func (s *Stream) settleLocked(f *flow, seq uint64, o partition.Outcome, more bool) (notes []FlowNote) {
	f.inFlight--
	f.settled = max(f.settled, seq)
	refused := o.Refusal != partition.Accepted && o.Refusal != partition.Duplicate
	if refused && f.chain != nil && seq == 1 {
		if o.Of != nil {
			c := *o.Of // its batch will be another's by then
			o.Of = &c
		}
		f.broken = &o
		s.endFlowLocked(f, 0)
		return s.finishedLocked(f)
	}
	switch {
	case !refused:
		f.stored = max(f.stored, o.Seq)
	case o.Refusal != partition.Broken:
		notes = append(notes, FlowNote{Kind: FlowRefused, Seq: seq, Why: o})
		if f.chain != nil || f.ended && seq == f.count {
			s.endFlowLocked(f, seq-1)
		}
	}
	if f.ended {
		return append(notes, s.finishedLocked(f)...)
	}
	if !more && f.settled-f.acked >= uint64(f.every) {
		for left := f.settled - f.acked; left >= uint64(f.every); {
			left -= uint64(f.every)
			f.adaptLocked(len(s.flows))
		}
		f.acked = f.settled
		notes = append(notes, FlowNote{Kind: FlowAcked, Seq: f.settled, Every: f.every})
	}
	return notes
}

// adaptLocked moves what is acknowledged at once towards the flow's share, by no more
// than twice.
func (f *flow) adaptLocked(flows int) {
	target := max(min(flowShare/max(flows, 1), f.most), 1)
	if f.every < target {
		f.every = min(2*f.every, target)
	} else {
		f.every = max(f.every/2, target)
	}
}

// answerFlows tells the flows of a batch what became of their messages.
func (b *staged) answerFlows() {
	s := b.stream
	for i, r := range b.flows {
		more := i+1 < len(b.flows) && b.flows[i+1].flow == r.flow
		o := b.Outcomes[r.record]
		s.mu.Lock()
		wake := r.flow.noteLocked(s.settleLocked(r.flow, r.seq, o, more))
		s.mu.Unlock()
		if wake {
			s.tellFlow(r.flow)
		}
	}
}

// noteLocked notes what the flow is to be told; wake says that tellFlow must be
// called.
func (f *flow) noteLocked(notes []FlowNote) (wake bool) {
	if len(notes) == 0 || f.stream.noAck.Load() {
		return false
	}
	wake = len(f.untold) == 0
	for i := range notes {
		if of := notes[i].Why.Of; of != nil {
			c := *of // its batch will be another's by then
			notes[i].Why.Of = &c
		}
	}
	f.untold = append(f.untold, notes...)
	return wake
}

// tellFlow has the shard tell the flow what is noted.
func (s *Stream) tellFlow(f *flow) {
	s.shard.post(event{kind: evCall, call: func(int64) {
		s.mu.Lock()
		notes, to := f.untold, bytes.Clone(f.reply)
		f.untold = nil
		s.mu.Unlock()
		p := s.shard.publisher(s.space)
		for i := range notes {
			p.Publish(&broker.Message{Subject: to, Data: s.dialect.AppendFlow(nil, s, &notes[i])})
		}
	}})
}

// flowOverdue ends a flow that has waited for too long for its next message.
func (sh *Shard) flowOverdue(f *flow, now int64) {
	s := f.stream
	s.mu.Lock()
	due := f.touched + int64(s.dir.batches.Idle)
	ended := f.ended
	if !ended && now >= due {
		f.silent = true
		s.endFlowLocked(f, f.last)
	}
	s.mu.Unlock()
	switch {
	case ended:
	case now < due:
		sh.wheel.Set(&f.timer, due)
	default:
		sh.outlet.Abandoned(sh.publisher(s.space), s, f.id, AbandonedTimeout)
	}
}
