package liftbridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	natswire "github.com/weirmq/weir/internal/wire/nats"

	"github.com/weirmq/weir/internal/subject"
)

// DialectName is what streams made through this door have as their dialect.
const DialectName = "liftbridge"

// Dialect is how Liftbridge talks to a stream's log. The dialect in it is that of
// JetStream, whose users read and write the same streams.
type Dialect struct {
	stream.Dialect
	// MaxMessage bounds a message with its envelope, bytes.
	MaxMessage int
}

// Open implements stream.Dialect.
func (d Dialect) Open(doc []byte) (any, error) {
	n, err := d.Dialect.Open(doc)
	if err != nil {
		return nil, err
	}
	js, ok := n.(*jswire.StreamConfig)
	if !ok {
		return nil, errors.New("the configuration is not one of JetStream")
	}
	set, err := wire.ReadSettings(js.Metadata)
	if err != nil {
		return nil, err
	}
	return &native{js: js, set: set}, nil
}

// OpenConsumer is JetStream's: there are no others.
func (d Dialect) OpenConsumer(doc []byte) (any, error) { return d.Dialect.OpenConsumer(doc) }

// errFixed refuses a change through another door.
var errFixed = errors.New("name, subject and partitions of a Liftbridge stream can not be changed")

// Adapt implements stream.Capturer.
func (d Dialect) Adapt(old, next *stream.Config) error {
	was, err := d.Open(old.Doc)
	if err != nil {
		return err
	}
	is, err := d.Open(next.Doc)
	if err != nil {
		return fmt.Errorf("%w: %w", errFixed, err)
	}
	a, b := was.(*native), is.(*native)
	if !wire.SameStream(a.js.Metadata, b.js.Metadata) || len(next.Subjects) != len(old.Subjects) || b.js.Retention != a.js.Retention {
		return errFixed
	}
	for i := range old.Subjects {
		if next.Subjects[i] != old.Subjects[i] {
			return errFixed
		}
	}
	next.Dialect, next.Capture, next.Queue = old.Dialect, old.Capture, old.Queue
	next.Gate, next.Member, next.NoAck = old.Gate, old.Member, old.NoAck
	next.Limits.Sealed = next.Limits.Sealed || next.Gate.ReadOnly
	return nil
}

// work is what one publisher needs to read messages for one stream.
type work struct {
	msg    wire.Message
	header jswire.PublishHeader
	note   []byte
}

// Kinds of notes.
const (
	noteAck    = 0 // an envelope: policy, correlation id and subject follow
	notePubAck = 1 // JetStream's
)

// Capture implements stream.Capturer.
func (d Dialect) Capture(s *stream.Stream, m *broker.Message, in *stream.Intake) {
	w, ok := in.Memo.(*work)
	if !ok {
		w = new(work)
		in.Memo = w
	}
	header := in.Parts.Header
	msg := &w.msg
	p, ours := m.Note.(*publish)
	switch {
	case ours:
		msg = &p.msg
		if p.wants(s) {
			p.taken = true
			in.Ticket = p.ticket
		}
		if p.inbox {
			d.answerTo(in, w, msg, m.Subject)
		}
	case wire.DecodePublish(m.Data, msg) == nil:
		d.answerTo(in, w, msg, m.Subject)
	default:
		d.plain(s, m, in, w, header)
		return
	}
	if len(m.Data) > d.MaxMessage {
		in.Refuse = partition.TooLarge
	}
	in.Scratch = wire.AppendHeaderBlock(in.Scratch, msg.Key, msg.Headers)
	in.Parts.Header, in.Parts.Key, in.Parts.Data = in.Scratch, msg.Key, msg.Value
	in.Parts.Reply = m.Reply
	expect(s, in, msg.Offset)
	if d.identify(s, in, header); !in.Conditions.HasID {
		d.identify(s, in, in.Parts.Header)
	}
}

// answerTo notes who gets the ack.
func (d Dialect) answerTo(in *stream.Intake, w *work, msg *wire.Message, subj []byte) {
	if len(msg.AckInbox) == 0 || !subject.ValidLiteral(string(msg.AckInbox)) {
		return
	}
	in.Reply = msg.AckInbox
	n := append(w.note[:0], noteAck)
	n = binary.AppendVarint(n, int64(msg.AckPolicy))
	n = binary.AppendUvarint(n, uint64(len(msg.AckInbox)))
	n = append(n, msg.AckInbox...)
	n = binary.AppendUvarint(n, uint64(len(msg.CorrelationID)))
	n = append(n, msg.CorrelationID...)
	w.note = append(n, subj...)
	in.Note = w.note
}

// plain takes a message without an envelope. One that names this stream as the one
// it expects is published as to JetStream, and answered so.
func (d Dialect) plain(s *stream.Stream, m *broker.Message, in *stream.Intake, w *work, header []byte) {
	in.Parts.Reply = m.Reply
	if len(header) > 0 {
		key, _ := wire.DecodeHeaderBlock(nil, header)
		in.Parts.Key = key
		if w.header.Parse(header); means(s, w.header.ExpectedStream) {
			in.Conditional = true
			d.Conditions(s, in.Parts.Subject, header, &in.Conditions)
			in.Reply = m.Reply
			in.Note = append(w.note[:0], notePubAck)
			w.note = in.Note
			return
		}
	}
	if len(m.Data) > d.MaxMessage {
		in.Refuse = partition.TooLarge
	}
	expect(s, in, 0)
	d.identify(s, in, header)
}

// means says whether a publisher who expects the stream of this name means this one.
func means(s *stream.Stream, name []byte) bool {
	n, ok := s.Native().(*native)
	return ok && len(name) > 0 && n.js.Named(name)
}

// expect checks the offset that a message must get, where the stream wants that.
func expect(s *stream.Stream, in *stream.Intake, offset int64) {
	if set := setOf(s); set == nil || !set.OCC || offset == -1 {
		return
	}
	in.Conditional, in.Conditions.HasLast = true, true
	in.Conditions.Last = uint64(offset)
	if offset < 0 {
		in.Conditions.Last = math.MaxUint64
	}
}

// msgID is the header by which JetStream finds duplicates.
const msgID = "Nats-Msg-Id"

// identify reads the message id, if there is one.
func (d Dialect) identify(s *stream.Stream, in *stream.Intake, header []byte) {
	if len(header) == 0 || len(natswire.HeaderValue(header, msgID)) == 0 {
		return
	}
	var c partition.Conditions
	d.Conditions(s, in.Parts.Subject, header, &c)
	in.Conditional, in.Conditions.HasID, in.Conditions.ID = true, c.HasID, c.ID
}

// readNote takes a note of answerTo apart.
func readNote(note []byte) (policy wire.AckPolicy, inbox, correlation, subj []byte) {
	p, n := binary.Varint(note)
	note = note[n:]
	next := func() []byte {
		size, n := binary.Uvarint(note)
		out := note[n:][:size]
		note = note[n:][size:]
		return out
	}
	inbox = next()
	correlation = next()
	return wire.AckPolicy(p), inbox, correlation, note
}

// AppendAnswer implements stream.Capturer.
func (d Dialect) AppendAnswer(dst []byte, s *stream.Stream, o partition.Outcome, at int64, note []byte) ([]byte, bool) {
	if note[0] == notePubAck {
		return d.AppendReply(dst, s, o), true
	}
	a := wire.Ack{CommitTime: time.Now().UnixNano()}
	a.AckPolicy, a.AckInbox, a.CorrelationID, a.MsgSubject = readNote(note[1:])
	if !fillAck(&a, s, o, at) {
		return dst, false
	}
	return wire.AppendAck(dst, &a), true
}

// fillAck says in an ack what became of a message; false: nobody is told.
func fillAck(a *wire.Ack, s *stream.Stream, o partition.Outcome, at int64) bool {
	nameAck(a, s)
	return fillFate(a, o, at)
}

// nameAck says in an ack of which stream it is.
func nameAck(a *wire.Ack, s *stream.Stream) {
	if set := setOf(s); set != nil {
		a.Stream, a.PartitionSubject = []byte(set.Name), []byte(set.Subject)
		return
	}
	c := s.Config()
	a.Stream, a.PartitionSubject = []byte(wire.UnescapeName(s.Name())), nil
	if c.Member != nil {
		a.Stream = []byte(c.Member.Family)
	}
	if len(c.Subjects) > 0 {
		a.PartitionSubject = []byte(c.Subjects[0])
	}
}

// fillFate is the part of fillAck that depends on the outcome only.
func fillFate(a *wire.Ack, o partition.Outcome, at int64) bool {
	a.ReceptionTime = at
	switch o.Refusal {
	case partition.Accepted, partition.Duplicate:
		a.Offset = int64(o.Seq) - 1
		if o.Refusal == partition.Duplicate {
			a.ReceptionTime = a.CommitTime
		}
		return a.AckPolicy != wire.AckNone
	case partition.WrongLast:
		a.Error = wire.AckIncorrectOffset
	case partition.TooLarge:
		a.Error, a.CommitTime = wire.AckTooLarge, 0
	case partition.Sealed, partition.Deleted, partition.Dead:
		return false
	default:
		a.Error = wire.AckUnknown
	}
	return true
}
