package nats

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/outbox"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

const (
	// inlineMost is to how many destinations a publisher writes itself. More are
	// left to their writers.
	inlineMost = 4
	// chunkMost is the largest chunk that small messages are gathered in.
	chunkMost = 64 << 10
	// large is the size from which a message's end is not copied for each
	// subscriber: it is borrowed from the read buffer, or shared.
	large = 8 << 10
	// Many short pieces cost more to write than copies in one piece: a stage that
	// has had so many shorter than that shares nothing for some hand-overs.
	shortPiece     = 4 << 10
	scatteredMost  = 8
	scatteredPause = 64
)

// stage encodes what one publisher sends to one connection.
type stage struct {
	conn  *Conn
	pub   *broker.Publisher
	enc   *encoder // shared by all stages of the publisher
	batch outbox.Batch

	cur  *chunk.Chunk // being filled; the stage owns it once
	from int          // start in cur of the piece that is growing
	last int          // bytes of the batch before

	shared    *chunk.Chunk // what the batch's last piece lies in, where that may grow
	end       int          // where that piece ends
	run       int          // bytes of the last shared piece
	scattered int          // shared pieces that stayed short; falls with each hand-over

	msgs, bytes uint64
}

// OpenStage implements broker.Sink.
func (c *Conn) OpenStage(p *broker.Publisher) broker.Stage {
	enc, ok := p.Local.(*encoder)
	if !ok {
		enc = &encoder{}
		p.Local = enc
	}
	return &stage{conn: c, pub: p, enc: enc}
}

// Add implements broker.Stage.
func (s *stage) Add(sub *broker.Subscription, m *broker.Message) broker.Verdict {
	c := s.conn
	if c.closing.Load() != nil {
		return broker.Gone
	}
	if sub.Filtered() && !c.mayReceive(m.Subject) {
		return broker.Gone
	}
	ok, last := sub.Count()
	if !ok {
		return broker.Gone
	}
	header := len(m.Header) > 0 && c.headers.Load()
	s.encode(sub, m, header)
	s.msgs++
	s.bytes += uint64(len(m.Data))
	if header {
		s.bytes += uint64(len(m.Header))
	}
	if len(m.Reply) > 0 {
		c.delivered(m.Reply)
	}
	if last {
		c.drop(sub)
	}
	return broker.Staged
}

// mayReceive judges a delivery to a subscription that meets denied subjects.
func (c *Conn) mayReceive(subject []byte) bool {
	id := c.identity.Load()
	return id.Permissions == nil || id.Permissions.MayReceive(subject)
}

// delivered notes a reply subject that the client may answer.
func (c *Conn) delivered(reply []byte) {
	if id := c.identity.Load(); id.Permissions != nil && id.Permissions.TracksReplies() {
		id.Permissions.Delivered(reply)
	}
}

// encode stages the bytes of a delivery, with or without the header block.
func (s *stage) encode(sub *broker.Subscription, m *broker.Message, header bool) {
	switch {
	case m.Tail == nil || len(m.Header) > 0 && !header:
		s.anew(sub, m, header)
	case len(m.Tail) >= large:
		s.prefix(sub, m, header, 0)
		if m.Stable && s.pub.Fanout() == 1 {
			s.borrow(m.Tail)
		} else {
			c := s.enc.tail(s.pub, m.Tail)
			s.share(c, 0, len(c.B))
		}
	case s.pub.Run() > 0 && s.pub.Fanout() > 1 && s.scattered < scatteredMost && !m.Renamed:
		if !s.enc.message(s.pub, sub, m, header) {
			s.private(sub, m, header)
			return
		}
		s.share(s.enc.chunk, s.enc.from, s.enc.to)
	default:
		s.private(sub, m, header)
	}
}

// private encodes the message into the stage's own chunk.
func (s *stage) private(sub *broker.Subscription, m *broker.Message, header bool) {
	s.prefix(sub, m, header, len(m.Tail))
	s.cur.B = append(s.cur.B, m.Tail...)
}

// prefix stages "MSG subject sid " and makes sure of room behind it.
func (s *stage) prefix(sub *broker.Subscription, m *broker.Message, header bool, room int) {
	p := s.enc.prefix(sub, m, header)
	s.room(len(p) + room)
	s.cur.B = append(s.cur.B, p...)
}

// anew encodes a message that has no usable tail, without its header block where
// the client takes none.
func (s *stage) anew(sub *broker.Subscription, m *broker.Message, header bool) {
	const slack = 64 // for verb, sizes and separators
	sid := s.enc.sid(sub)
	if header {
		s.room(slack + len(m.Subject) + len(sid) + len(m.Reply) + len(m.Header) + len(m.Data))
		s.cur.B = wire.AppendHMsg(s.cur.B, m.Subject, sid, m.Reply, m.Header, m.Data)
		return
	}
	s.room(slack + len(m.Subject) + len(sid) + len(m.Reply) + len(m.Data))
	s.cur.B = wire.AppendMsg(s.cur.B, m.Subject, sid, m.Reply, m.Data)
}

// raw stages bytes as they are.
func (s *stage) raw(b []byte) {
	s.room(len(b))
	s.cur.B = append(s.cur.B, b...)
}

// room makes sure that cur has n bytes free.
func (s *stage) room(n int) {
	if s.cur != nil && s.cur.Room() >= n {
		return
	}
	s.finish()
	s.cur = chunk.Get(max(n, min(s.last, chunkMost)))
	s.from, s.last = 0, chunkMost
}

// finish ends cur: its last piece takes over the stage's ownership.
func (s *stage) finish() {
	if s.cur == nil {
		return
	}
	if len(s.cur.B) > s.from {
		s.add(outbox.Piece{Bytes: s.cur.B[s.from:], Chunk: s.cur})
	} else {
		s.cur.Free()
	}
	s.cur = nil
}

// cut ends the growing piece, so that another can follow. cur may go on.
func (s *stage) cut() {
	if s.cur == nil || len(s.cur.B) == s.from {
		return
	}
	s.cur.Retain()
	s.add(outbox.Piece{Bytes: s.cur.B[s.from:], Chunk: s.cur})
	s.from = len(s.cur.B)
}

func (s *stage) add(p outbox.Piece) {
	s.batch.Pieces = append(s.batch.Pieces, p)
	s.batch.Size += len(p.Bytes)
	s.shared = nil
}

// borrow stages bytes that stay unchanged until the hand-over.
func (s *stage) borrow(b []byte) {
	s.cut()
	s.add(outbox.Piece{Bytes: b})
	s.batch.Borrowed = true
}

// share stages c.B[from:to], which others stage, too.
func (s *stage) share(c *chunk.Chunk, from, to int) {
	if c == s.shared && from == s.end && (s.cur == nil || len(s.cur.B) == s.from) {
		p := &s.batch.Pieces[len(s.batch.Pieces)-1]
		p.Bytes = p.Bytes[:len(p.Bytes)+to-from]
		s.batch.Size += to - from
		s.end = to
		s.run += to - from
		return
	}
	if s.run > 0 && s.run < shortPiece {
		if s.scattered++; s.scattered == scatteredMost {
			s.scattered += scatteredPause
		}
	}
	s.run = to - from
	s.cut()
	c.Retain()
	s.add(outbox.Piece{Bytes: c.B[from:to], Chunk: c})
	s.shared, s.end = c, to
}

// HandOver implements broker.Stage.
func (s *stage) HandOver() {
	s.finish()
	s.enc.release()
	s.shared, s.run = nil, 0
	if s.scattered > 0 {
		s.scattered--
	}
	c := s.conn
	if s.msgs > 0 {
		c.countOut(s.msgs, s.bytes)
		s.msgs, s.bytes = 0, 0
	}
	s.last = s.batch.Size
	c.out.Send(&s.batch, s.pub.Touched() <= inlineMost)
}

// countOut adds deliveries to the counters.
func (c *Conn) countOut(msgs, bytes uint64) {
	c.counts.outMsgs.Add(msgs)
	c.counts.outBytes.Add(bytes)
	c.door.totals.outMsgs.Add(msgs)
	c.door.totals.outBytes.Add(bytes)
}

// batchOf copies a few bytes into a batch of their own.
func batchOf(b []byte) outbox.Batch {
	c := chunk.Get(len(b))
	c.B = append(c.B, b...)
	return outbox.Batch{Pieces: []outbox.Piece{{Bytes: c.B, Chunk: c}}, Size: len(b)}
}
