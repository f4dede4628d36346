package stream

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// Capture says how a stream takes the messages of its subjects.
type Capture uint8

// Captures. What exclusive streams of an account take does not overlap; shared ones
// take messages beside others.
const (
	CaptureExclusive Capture = iota
	CaptureShared
)

// Gate is what keeps messages out of a stream, for as long as its owner says.
type Gate struct {
	// Paused: the stream takes nothing of its subjects. ResumeAll, alike in all of a
	// family: whoever uses one of it ends that for all.
	Paused    bool `json:"paused,omitempty"`
	ResumeAll bool `json:"resume_all,omitempty"`
	// ReadOnly: it takes nothing at all. Limits.Sealed goes with it.
	ReadOnly bool `json:"read_only,omitempty"`
	// When Paused and ReadOnly were set or cleared first and last, Unix ns; 0: never.
	PausedFirst   int64 `json:"paused_first,omitempty"`
	PausedLast    int64 `json:"paused_last,omitempty"`
	ReadOnlyFirst int64 `json:"read_only_first,omitempty"`
	ReadOnlyLast  int64 `json:"read_only_last,omitempty"`
}

// Member says which partition of a family of streams a stream is.
type Member struct {
	Family string `json:"family"`
	Index  int    `json:"index"`
	Count  int    `json:"count"`
	// Dealt: the members have the same subjects, and each message goes to one of them.
	Dealt bool `json:"dealt,omitempty"`
}

// Capturer is a dialect that stores messages otherwise than as they came. Where a
// stream's dialect is one, it and not Conditions and AppendReply is asked about what
// the stream captures.
type Capturer interface {
	// Capture says what is stored of a message and who is answered. in.Parts is the
	// message as it came. It runs on the publisher's goroutine.
	Capture(s *Stream, m *broker.Message, in *Intake)
	// AppendAnswer appends the answer to a message of which Capture left a note; at is
	// when it was stored, Unix ns. false: nobody is answered.
	AppendAnswer(dst []byte, s *Stream, o partition.Outcome, at int64, note []byte) ([]byte, bool)
	// Adapt looks at a change of a stream's configuration that may have been made in
	// the terms of another dialect: it puts back what those cannot say. With an error
	// nothing changes.
	Adapt(old, next *Config) error
}

// Intake is a message on its way into a log. All slices are borrowed until Capture
// is called the next time; Scratch is room that the dialect keeps.
type Intake struct {
	Parts record.Parts
	// Conditions hold where Conditional says so.
	Conditions  partition.Conditions
	Conditional bool
	// Refuse is why it is not to be stored, such as partition.TooLarge.
	Refuse partition.Refusal
	Reply  []byte // where the answer goes; empty: nobody is answered
	Note   []byte
	Ticket Ticket // nil: nobody waits here

	Scratch []byte
	Memo    any // of the dialect, for this publisher and stream
}

// reset makes the intake that of the next message.
func (in *Intake) reset() {
	if in.Conditional { // they are long, and most messages have none
		in.Conditions, in.Conditional = partition.Conditions{}, false
	}
	in.Refuse, in.Reply, in.Note, in.Ticket, in.Scratch = partition.Accepted, nil, nil, nil, in.Scratch[:0]
}

// Ticket is somebody of this process who waits for the fate of a message. Its
// methods are called once, one of the two, and must not block.
type Ticket interface {
	// Settle tells the outcome, which holds, and when a stored record was stored.
	Settle(s *Stream, o partition.Outcome, at int64)
	// Lose says that the outcome will not be known.
	Lose()
}

// Owned is a Ticket of somebody who waits for many.
type Owned interface {
	Ticket
	// Owner is who that is, for the life of the ticket.
	Owner() Owner
}

// Owner waits for many tickets.
type Owner interface {
	// Told is called behind calls of its tickets' methods, when there is no more to tell for
	// the moment. It must not block.
	Told()
}

// Publication is a Note of a message that another door published, as it is to streams
// whose messages no Capturer takes. It is asked on the publisher's goroutine.
type Publication interface {
	// Waits gives who waits for the fate of the message in this stream; nil: nobody.
	Waits(s *Stream) Ticket
	// For is the stream that the message is for, among those of its family that have its
	// subjects together; nil: whichever the dialect names.
	For() *Stream
	// Plain gives what is stored of a message whose Data is an envelope: a header block, or
	// nil, and the data. false: Header and Data themselves.
	Plain() (header, data []byte, ok bool)
}

// unwrapped gives the message as it is to a stream whose messages no Capturer takes. note is
// nil unless a door left one.
func unwrapped(m *broker.Message) (as *broker.Message, note Publication) {
	note, ok := m.Note.(Publication)
	if !ok {
		return m, nil
	}
	header, data, ok := note.Plain()
	if !ok {
		return m, note
	}
	out := *m
	out.Header, out.Data, out.Tail, out.Annotated, out.Plain = header, data, nil, false, nil
	return &out, note
}

// wait notes who waits for the record that was added last; nil: nobody.
func (b *staged) wait(t Ticket) {
	if t == nil && len(b.tickets) == 0 {
		return
	}
	for len(b.tickets) < b.Area.Len()-1 {
		b.tickets = append(b.tickets, nil)
	}
	b.tickets = append(b.tickets, t)
}

// settle tells those who wait the outcomes.
func (b *staged) settle() {
	b.tell(func(i int, t Ticket) { t.Settle(b.stream, b.Outcomes[i], b.Time) })
}

// tell calls f for each ticket, and tells owners when f was called for all of theirs, or
// for one of somebody else.
func (b *staged) tell(f func(i int, t Ticket)) {
	var owner Owner
	for i, t := range b.tickets {
		if t == nil {
			continue
		}
		var next Owner
		if o, ok := t.(Owned); ok {
			next = o.Owner()
		}
		if owner != nil && owner != next {
			owner.Told()
		}
		f(i, t)
		owner = next
	}
	if owner != nil {
		owner.Told()
	}
}

// addCaptured stages what the dialect makes of a message.
func (g *ingest) addCaptured(m *broker.Message) broker.Verdict {
	s := g.stream
	if s.closed.Load() || s.config.Load().Gate.Paused {
		return broker.Gone
	}
	in := &g.intake
	in.reset()
	in.Parts = record.Parts{Subject: s.mapped(g.subject[:0], m.Subject), Header: m.Header, Data: m.Data}
	if m.Annotated {
		in.Parts.Header = m.Plain
	}
	g.capture.Capture(s, m, in)
	switch {
	case in.Refuse != partition.Accepted:
	case !in.Parts.Fits():
		in.Refuse = partition.TooLarge
	case !s.overloaded():
	case len(in.Reply) == 0 && in.Ticket == nil:
		return broker.Full
	default:
		in.Refuse = partition.Overload
	}
	if g.batch == nil {
		g.batch = s.newStaged(g.size)
	}
	g.batch.take(in)
	if len(g.batch.Area.Buf) >= maxStagedBytes || g.batch.Area.Len() >= maxStagedRecords {
		g.HandOver()
	}
	return broker.Staged
}

// take adds a captured message to the batch.
func (b *staged) take(in *Intake) {
	if in.Refuse != partition.Accepted || in.Conditional {
		for len(b.Conds) <= b.Area.Len() {
			b.Conds = append(b.Conds, partition.Conditions{})
		}
		c := &b.Conds[b.Area.Len()]
		if in.Conditional {
			*c = in.Conditions
			demand(&in.Parts, c)
		}
		if c.Refuse = in.Refuse; in.Refuse != partition.Accepted {
			in.Parts = record.Parts{}
		}
	} else if len(b.Conds) > 0 {
		b.Conds = append(b.Conds, partition.Conditions{})
	}
	b.Area.Append(&in.Parts)
	b.replies = append(b.replies, in.Reply...)
	b.ends = append(b.ends, uint32(len(b.replies)))
	b.notes = append(b.notes, in.Note...)
	b.noteEnds = append(b.noteEnds, uint32(len(b.notes)))
	b.tickets = append(b.tickets, in.Ticket)
}

// answerCaptured is answer for a batch whose messages a Capturer took.
func (b *staged) answerCaptured(p *broker.Publisher, buf []byte) []byte {
	c, _ := b.stream.dialect.(Capturer)
	b.settle()
	for i := range b.Outcomes {
		reply := b.reply(i)
		if len(reply) == 0 || c == nil {
			continue
		}
		var answered bool
		if buf, answered = c.AppendAnswer(buf[:0], b.stream, b.Outcomes[i], b.Time, b.note(i)); answered {
			p.Publish(&broker.Message{Subject: reply, Data: buf})
		}
	}
	if len(b.Outcomes) <= fewReplies {
		p.HandOver()
	}
	b.free()
	return buf
}

// lose tells those who wait that the batch's outcome is not known.
func (b *staged) lose() {
	b.tell(func(_ int, t Ticket) { t.Lose() })
}
