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
	// tickets are those who wait for the records that a Capturer took, nil for nobody.
	tickets []Ticket
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

// OpenStage makes the stream a broker.Sink: each publisher stages on its own.
func (s *Stream) OpenStage(*broker.Publisher) broker.Stage {
	c, _ := s.dialect.(Capturer)
	return &ingest{stream: s, size: firstArea, capture: c}
}

// ingest is one publisher's stage for one stream.
type ingest struct {
	stream *Stream
	batch  *staged
	size   int // of the next area: what the last one needed
	part   BatchPart
	notes  []note // to send with the next hand-over
	// capture takes the messages; nil: they are stored as they come.
	capture Capturer
	intake  Intake
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
	refuse := partition.Accepted
	if s.overloaded() {
		if len(m.Reply) == 0 {
			return broker.Full // the publisher waits, or drops and counts
		}
		refuse = partition.Overload
	}
	var f *flow
	if s.dialect.Batch(m, &g.part) {
		if g.part.Kind == BatchWhole {
			g.wholeMessage(m, refuse)
			return broker.Staged
		}
		if f = g.flowMessage(m); f == nil {
			return broker.Staged
		}
	}
	b := g.batch
	if b == nil {
		b = s.newStaged(g.size)
		g.batch = b
	}
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
	if len(b.Area.Buf) >= maxStagedBytes || b.Area.Len() >= maxStagedRecords {
		g.HandOver()
	}
	return broker.Staged
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

// HandOver gives what is staged to the partition.
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
	g.stream.admit(b, time.Now().UnixNano())
}

// nextArea guesses the next area's size from the last: at once up, slowly down.
func nextArea(size, used int) int {
	used += used / 8
	if used > size {
		return min(used, maxStagedBytes+maxStagedBytes/8)
	}
	return max(firstArea, (size*3+used)/4)
}

// fewReplies is up to how many replies a batch's are handed over at once: whoever
// publishes one by one waits for each, and a reply written at once costs less than
// waking the connection's writer. The replies of larger batches gather.
const fewReplies = 4

// answer stages the replies of a batch whose outcomes hold, and frees it. The
// caller hands over what is not handed over here.
func (b *staged) answer(p *broker.Publisher, buf []byte) []byte {
	b.publishAgain(p)
	if len(b.tickets) > 0 {
		return b.answerCaptured(p, buf)
	}
	for i := range b.Outcomes {
		reply := b.reply(i)
		if len(reply) == 0 {
			continue
		}
		buf = b.appendReply(buf[:0], i)
		p.Publish(&broker.Message{Subject: reply, Data: buf})
	}
	b.answerFlows()
	if len(b.Outcomes) <= fewReplies {
		p.HandOver()
	}
	b.free()
	return buf
}
