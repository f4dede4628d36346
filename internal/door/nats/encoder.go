package nats

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/chunk"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// encoder is what the stages of one publisher share: deliveries that are the
// same for several subscribers are encoded once. Its own chunks live until the
// publisher hands over.
type encoder struct {
	chunk    *chunk.Chunk // of shared deliveries; nil: none yet
	from, to int          // the last delivery in it
	serial   uint64       // the publisher's number of the message in it
	sidOf    string       // and the SID
	last     int          // bytes shared since the last hand-over, or before it

	big       *chunk.Chunk // the end of a large message
	bigSerial uint64

	sidRoom []byte
	line    []byte
}

// sid gives a subscription's SID as bytes, until the next call.
func (e *encoder) sid(sub *broker.Subscription) []byte {
	e.sidRoom = append(e.sidRoom[:0], sub.SID...)
	return e.sidRoom
}

// prefix gives "MSG subject sid " or "HMSG subject sid ", until the next call.
func (e *encoder) prefix(sub *broker.Subscription, m *broker.Message, header bool) []byte {
	var p []byte
	if m.Memo != nil {
		p = *m.Memo
	}
	if p == nil {
		p = wire.AppendHMsgPrefix(e.line[:0], m.Subject, e.sid(sub))
		e.line = p
		if m.Memo != nil {
			p = append(make([]byte, 0, len(p)), p...)
			*m.Memo = p
		}
	}
	if !header {
		p = p[1:] // the two prefixes differ by the first letter
	}
	return p
}

// message encodes a delivery that others may share. ok is false where the same
// message was encoded for another SID: then it is not shared.
func (e *encoder) message(pub *broker.Publisher, sub *broker.Subscription, m *broker.Message, header bool) (ok bool) {
	if e.chunk != nil && e.serial == pub.Serial() {
		return e.sidOf == sub.SID
	}
	p := e.prefix(sub, m, header)
	n := len(p) + len(m.Tail)
	if e.chunk == nil || e.chunk.Room() < n {
		if e.chunk != nil {
			e.chunk.Free()
		}
		e.chunk = chunk.Get(max(n, min(e.last, chunkMost)))
		e.last = chunkMost
	}
	b := e.chunk.B
	e.from = len(b)
	b = append(append(b, p...), m.Tail...)
	e.chunk.B, e.to = b, len(b)
	e.serial, e.sidOf = pub.Serial(), sub.SID
	return true
}

// tail gives a chunk with the end of a large message.
func (e *encoder) tail(pub *broker.Publisher, tail []byte) *chunk.Chunk {
	if e.big != nil && e.bigSerial == pub.Serial() {
		return e.big
	}
	if e.big != nil {
		e.big.Free()
	}
	e.big = chunk.Get(len(tail))
	e.big.B = append(e.big.B, tail...)
	e.bigSerial = pub.Serial()
	return e.big
}

// release ends the encoder's own share of what was staged.
func (e *encoder) release() {
	if e.chunk != nil {
		e.last = e.to
		e.chunk.Free()
		e.chunk = nil
	}
	if e.big != nil {
		e.big.Free()
		e.big = nil
	}
}
