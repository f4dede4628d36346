package leaf

import (
	"bytes"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/outbox"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// chunkMost is the largest chunk that small messages are gathered in.
const chunkMost = 64 << 10

// stage encodes what one publisher sends over one link.
type stage struct {
	link *link
	pub  *broker.Publisher
	far  bool // the publisher's messages came over a link, and go over none

	batch outbox.Batch
	cur   *chunk.Chunk // being filled; the stage owns it once
	last  int          // bytes of the batch before
	msgs  uint64
	bytes uint64

	// The last message, to which groups may be added.
	serial uint64
	some   bool // there is one
	begin  int  // where it begins in cur
	to     []byte
	groups []string

	reply, name []byte // room for one
}

// OpenStage implements broker.Sink.
func (l *link) OpenStage(p *broker.Publisher) broker.Stage {
	_, far := p.Origin().(broker.Link)
	return &stage{link: l, pub: p, far: far}
}

// Add implements broker.Stage. A message that several of the other side's interests
// match is sent once, with all groups that are to have it.
func (s *stage) Add(sub *broker.Subscription, m *broker.Message) broker.Verdict {
	to := m.Subject
	if m.To != nil {
		to = m.To
	}
	if reserved(to) {
		to = s.renamed(to)
	}
	if s.far || !s.link.filter.maySend(to) {
		return broker.Gone
	}
	again := s.some && s.serial == s.pub.Serial() && bytes.Equal(s.to, to)
	switch {
	case again && sub.Queue == "":
		return broker.Staged
	case !again:
		if most := s.link.info.MaxPayload; most > 0 && len(m.Header)+len(m.Data) > most {
			s.link.drop(1, "larger than the other side takes")
			return broker.Gone
		}
		s.next(m, to)
	default:
		s.cur.B = s.cur.B[:s.begin] // it is written anew
	}
	if sub.Queue != "" {
		s.groups = append(s.groups, sub.Queue)
	}
	s.encode(m)
	return broker.Staged
}

// renamed gives the subject that a message has there.
func (s *stage) renamed(to []byte) []byte {
	var ok bool
	if s.name, ok = s.link.theirAck(s.name[:0], to); ok {
		return s.name
	}
	return to
}

// next begins another message.
func (s *stage) next(m *broker.Message, to []byte) {
	s.serial, s.some = s.pub.Serial(), true
	s.to, s.groups = append(s.to[:0], to...), s.groups[:0]
	s.msgs++
	s.bytes += uint64(len(m.Header) + len(m.Data))
}

// encode appends the message. A delivery of a consumer names the message's own subject
// behind the reply.
func (s *stage) encode(m *broker.Message) {
	header, reply := m.Header, m.Reply
	if !s.link.info.Headers {
		header = nil
	}
	ack := bytes.HasPrefix(reply, []byte(ackPrefix))
	if ack {
		s.reply = s.link.ackReply(s.reply[:0], reply)
		if m.To != nil && !bytes.Equal(m.To, m.Subject) {
			s.reply = append(append(s.reply, '@'), m.Subject...)
		}
		reply = s.reply
	}
	size := slack + len(s.to) + len(reply) + len(header) + len(m.Data) + len(m.Tail)
	for _, g := range s.groups {
		size += len(g) + 1
	}
	s.room(size)
	s.begin = len(s.cur.B)
	if m.Tail == nil || ack || len(s.groups) > 0 || len(header) != len(m.Header) {
		s.cur.B = wire.AppendMsg(s.cur.B, s.to, reply, s.groups, header, m.Data)
		return
	}
	verb := "LMSG "
	if len(header) > 0 {
		verb = "HMSG "
	}
	s.cur.B = append(append(append(append(s.cur.B, verb...), s.to...), ' '), m.Tail...)
}

// slack is more than a message's verb, sizes and separators take.
const slack = 64

// room makes sure that cur has n bytes free.
func (s *stage) room(n int) {
	if s.cur != nil && s.cur.Room() >= n {
		return
	}
	s.finish()
	s.cur = chunk.Get(max(n, min(s.last, chunkMost)))
	s.last = chunkMost
}

// finish ends cur.
func (s *stage) finish() {
	switch {
	case s.cur == nil:
		return
	case len(s.cur.B) == 0:
		s.cur.Free()
	default:
		s.batch.Pieces = append(s.batch.Pieces, outbox.Piece{Bytes: s.cur.B, Chunk: s.cur})
		s.batch.Size += len(s.cur.B)
	}
	s.cur = nil
}

// HandOver implements broker.Stage. Over the limit everything is dropped.
func (s *stage) HandOver() {
	s.finish()
	l, msgs, size := s.link, s.msgs, s.bytes
	s.msgs, s.bytes, s.some = 0, 0, false
	if s.last = s.batch.Size; s.last == 0 {
		return
	}
	if l.out.Pending()+int64(s.batch.Size) > l.remote.door.o.MaxPending {
		s.batch.Drop()
		l.drop(msgs, "too much waits to be sent")
		return
	}
	if !l.out.Send(&s.batch, false) {
		l.drop(msgs, "the connection is lost")
		return
	}
	for _, c := range []*counters{&l.counts, &l.remote.door.totals} {
		c.outMsgs.Add(msgs)
		c.outBytes.Add(size)
	}
}
