package stream

import (
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// Bounds of what one reader stages for one stream before it hands over.
const (
	maxStagedBytes   = 1 << 20
	maxStagedRecords = 16 << 10
	firstArea        = 1 << 10
)

// staged is a batch with the replies that its publishers wait for.
type staged struct {
	partition.Batch
	stream  *Stream
	replies []byte   // reply subjects, one after the other
	ends    []uint32 // where each record's reply ends
	size    int64    // bytes in flight
	// done is told the outcomes, on whichever goroutine knows them; nil: nobody is.
	done    func([]partition.Outcome)
	repeats []repeat
	// answers writes the replies; nil: the stream's dialect does. notes are what it
	// needs for that, one after the other, noteEnds where each record's ends.
	answers  Answer
	notes    []byte
	noteEnds []uint32
	// whole is the id of the batch that these records are, all of it; empty: of none.
	// flows are the records that belong to fast batches.
	whole string
	flows []flowRef
	// tickets are those who wait for the records, nil for nobody; none: nobody waits.
	tickets []Ticket
	// Where several publishers share the batch: the records at which another one's
	// begin, and whose the last are.
	turns []uint32
	last  *ingest
	// late has the replies follow the deliveries that can be made at once.
	late bool
}

var stagedPool = sync.Pool{New: func() any { return new(staged) }}

func (s *Stream) newStaged(size int) *staged {
	b := stagedPool.Get().(*staged)
	b.stream = s
	b.Owner = b
	b.Area.Buf = record.NewArea(size)
	return b
}

// free gives the batch back. Its area belongs to the log now.
func (b *staged) free() {
	b.Reset()
	b.stream, b.done, b.answers, b.late, b.whole = nil, nil, nil, false, ""
	clear(b.flows)
	b.flows = b.flows[:0]
	b.notes, b.noteEnds = b.notes[:0], b.noteEnds[:0]
	clear(b.tickets)
	b.tickets = b.tickets[:0]
	clear(b.repeats)
	b.repeats = b.repeats[:0]
	b.replies, b.ends = b.replies[:0], b.ends[:0]
	b.turns, b.last = b.turns[:0], nil
	stagedPool.Put(b)
}

// reply is the subject that record i is to be acknowledged to; empty if none.
func (b *staged) reply(i int) []byte {
	var from uint32
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.replies[from:b.ends[i]]
}

// OpenStage makes the stream a broker.Sink: each publisher stages on its own, or
// together with those of its round.
func (s *Stream) OpenStage(p *broker.Publisher) broker.Stage {
	c, _ := s.dialect.(Capturer)
	g := &ingest{stream: s, publisher: p, size: firstArea, capture: c}
	if _, linked := p.Origin().(broker.Link); linked {
		g.silent = new(broker.Message)
	}
	return g
}

// ingest is one publisher's stage for one stream.
type ingest struct {
	stream    *Stream
	publisher *broker.Publisher
	batch     *staged // its own; nil: none, or what it has is the round's
	size      int     // of the next area: what the last one needed
	part      BatchPart
	notes     []note // to send with the next hand-over
	// capture takes the messages; nil: they are stored as they come.
	capture Capturer
	intake  Intake
	// silent, where not nil, is a message from another server without its reply.
	silent *broker.Message
	// subject has room for one that is mapped.
	subject [256]byte
}

// Add stages a message as a record.
func (g *ingest) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	s := g.stream
	if g.capture != nil {
		return g.addCaptured(m)
	}
	if s.closed.Load() {
		return broker.Gone
	}
	m, from := unwrapped(m)
	var t Ticket
	if from != nil {
		t = from.Waits(s)
	}
	if g.silent != nil && !s.ackFar.Load() {
		*g.silent = *m
		g.silent.Reply, g.silent.Tail = nil, nil
		m = g.silent
	}
	refuse := partition.Accepted
	if s.overloaded() {
		if len(m.Reply) == 0 && t == nil {
			return broker.Full // the publisher waits, or drops and counts
		}
		refuse = partition.Overload
	}
	var f *flow
	if from != nil {
		g.leaveRound()
	} else if s.dialect.Batch(m, &g.part) {
		g.leaveRound()
		if g.part.Kind == BatchWhole {
			g.wholeMessage(m, refuse)
			return broker.Staged
		}
		if f = g.flowMessage(m); f == nil {
			return broker.Staged
		}
	}
	b := g.open(f != nil || from != nil)
	parts := record.Parts{Subject: s.mapped(g.subject[:0], m.Subject), Header: m.Header, Data: m.Data}
	if m.Annotated {
		parts.Header = m.Plain
	}
	if l := s.largest.Load(); !parts.Fits() || l > 0 && int64(len(parts.Header)+len(parts.Data)) > l {
		refuse = partition.TooLarge // before whatever the headers demand
	}
	g.conditions(b, &parts, refuse, f)
	if f != nil {
		b.flows = append(b.flows, flowRef{b.Area.Len(), f, g.part.Seq})
	}
	b.Area.Append(&parts)
	if f == nil && !s.noAck.Load() {
		b.replies = append(b.replies, m.Reply...)
	}
	b.ends = append(b.ends, uint32(len(b.replies)))
	b.wait(t)
	if len(b.Area.Buf) >= maxStagedBytes || b.Area.Len() >= maxStagedRecords {
		g.leaveRound()
		g.HandOver()
	}
	return broker.Staged
}

// open gives the batch that the next record goes to: its own where there is one or
// alone is asked for, else the round's.
func (g *ingest) open(alone bool) *staged {
	if g.batch != nil {
		return g.batch
	}
	r := g.publisher.Round()
	if r == nil || alone {
		g.batch = g.stream.newStaged(g.size)
		return g.batch
	}
	b, _ := r.Held(g.stream).(*staged)
	if b == nil {
		b = g.stream.newStaged(int(g.stream.shared.Load()))
		b.last = g
		r.Hold(g.stream, b)
	}
	if b.last != g {
		b.last = g
		b.turns = append(b.turns, uint32(b.Area.Len()))
	}
	return b
}

// leaveRound has handed over what the publisher has in its round.
func (g *ingest) leaveRound() {
	if r := g.publisher.Round(); r != nil {
		r.End()
	}
}

// Gathers implements broker.Gatherer.
func (g *ingest) Gathers() bool { return g.capture == nil }

// HandOver implements broker.Held: it gives what a round has gathered to the partition.
func (b *staged) HandOver() {
	s := b.stream
	s.shared.Store(int64(nextArea(int(s.shared.Load()), len(b.Area.Buf))))
	s.admit(b, time.Now().UnixNano())
}

// conditions lets the dialect read the headers. As soon as one record has
// conditions all of the batch get a place for theirs. A record that is refused
// here keeps no content. f is the flow that it belongs to, if there is one.
func (g *ingest) conditions(b *staged, parts *record.Parts, refuse partition.Refusal, f *flow) {
	if len(parts.Header) == 0 && refuse == partition.Accepted && f == nil {
		if len(b.Conds) > 0 {
			b.Conds = append(b.Conds, partition.Conditions{})
		}
		return
	}
	for len(b.Conds) <= b.Area.Len() {
		b.Conds = append(b.Conds, partition.Conditions{})
	}
	c := &b.Conds[b.Area.Len()]
	if f != nil {
		c.Chain = f.chain
	}
	if refuse != partition.Accepted {
		c.Refuse = refuse
		*parts = record.Parts{}
		return
	}
	if len(parts.Header) > 0 {
		c.Size = len(parts.Data)
		g.stream.dialect.Conditions(g.stream, parts.Subject, parts.Header, c)
		demand(parts, c)
	}
}

// Budgets of what is admitted and not yet durable. Above them a publisher that
// asks for an acknowledgement is refused, another one has to wait.
const (
	maxInFlightStream = 128 << 20 // bytes, as nats-server users know it
	maxInFlightNode   = 256 << 20 // bytes
)

// overloaded says whether more is in flight than may be.
func (s *Stream) overloaded() bool {
	return s.inFlight.Load() > maxInFlightStream || s.dir.inFlight.Load() > maxInFlightNode
}

// fly counts bytes that are handed to the log, land those that came back.
func (s *Stream) fly(n int64) {
	s.inFlight.Add(n)
	s.dir.inFlight.Add(n)
}

func (s *Stream) land(n int64) { s.fly(-n) }

// HandOver gives what is its own to the partition.
func (g *ingest) HandOver() {
	if len(g.notes) > 0 {
		g.stream.answerNotes(g.notes)
		g.notes = nil
	}
	b := g.batch
	if b == nil {
		return
	}
	g.batch = nil
	g.size = nextArea(g.size, len(b.Area.Buf))
	if now := time.Now().UnixNano(); g.publisher.Touched() >= manyStages {
		g.stream.gather(b, now)
	} else {
		g.stream.admit(b, now)
	}
}

// nextArea guesses the next area's size from the last: at once up, slowly down.
func nextArea(size, used int) int {
	used += used / 8
	if used > size {
		return min(used, maxStagedBytes+maxStagedBytes/8)
	}
	return max(firstArea, (size*3+used)/4)
}

// fewReplies is up to how many replies of one publisher are handed over at once: whoever
// publishes one by one waits for each, and a reply written at once costs less than
// waking the connection's writer. The replies of larger batches gather.
const fewReplies = 4

// answer stages the replies of a batch whose outcomes hold, and frees it. The
// caller hands over what is not handed over here.
func (b *staged) answer(p *broker.Publisher, buf []byte) []byte {
	b.publishAgain(p)
	if len(b.tickets) > 0 && len(b.noteEnds) > 0 {
		return b.answerCaptured(p, buf)
	}
	b.settle()
	turns, from := b.turns, 0
	for i := range b.Outcomes {
		if len(turns) > 0 && int(turns[0]) == i {
			if i-from <= fewReplies {
				p.HandOver()
			}
			turns, from = turns[1:], i
		}
		reply := b.reply(i)
		if len(reply) == 0 {
			continue
		}
		buf = b.appendReply(buf[:0], i)
		p.Send(reply, buf)
	}
	b.answerFlows()
	if len(b.Outcomes)-from <= fewReplies {
		p.HandOver()
	}
	b.free()
	return buf
}
