package nats

import (
	"bytes"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// publish handles PUB and HPUB.
func (c *Conn) publish(op *wire.Op) {
	if c.pub == nil && !c.letIn() {
		return
	}
	c.inMsgs++
	c.inBytes += uint64(len(op.Header) + len(op.Data))
	if op.Kind == wire.OpHPub && !c.headers.Load() {
		c.close(wire.ErrHeadersDisabled)
		return
	}
	if c.connect.Pedantic && !subject.ValidLiteral(string(op.Subject)) {
		c.tell(wire.ErrPublishSubject.Text)
	}
	if special(op.Subject) && reserved(op.Subject) && !c.identity.Load().System {
		c.denied(wire.PublishViolation(string(op.Subject)))
		return
	}
	if special(op.Reply) && reservedReply(op.Reply) {
		c.denied(wire.ReplyViolation(string(op.Reply)))
		return
	}
	routed := c.pub.Route(op.Subject)
	if routed == broker.Denied {
		c.denied(wire.PublishViolation(string(op.Subject)))
		return
	}
	if c.connect.Verbose {
		c.reply(wire.AppendOK(c.line[:0])) // before the delivery
	}
	if routed == broker.Nobody || !c.deliver(op) {
		c.noResponders(op)
	}
}

// deliver stages the message with those that Route found and says whether
// somebody took it.
func (c *Conn) deliver(op *wire.Op) bool {
	m := c.pub.Draft()
	m.Subject, m.To, m.Reply, m.Header, m.Data, m.Tail = op.Subject, nil, op.Reply, op.Header, op.Data, op.Tail
	m.Stable = true
	c.published = true
	r := c.pub.Deliver(m)
	if r.Full {
		c.stall(m)
		return true
	}
	return !r.Nobody()
}

// denied tells the client that an operation was not allowed.
func (c *Conn) denied(text string) {
	c.logger().Warn("not permitted", "text", text)
	c.tell(text)
}

// special says whether s may be reserved for something. Most subjects are not.
func special(s []byte) bool { return len(s) > 0 && (s[0] == '$' || s[0] == '_') }

// reserved says whether only the system account may publish to s.
func reserved(s []byte) bool {
	return bytes.HasPrefix(s, nrg) || bytes.HasPrefix(s, gnr) || bytes.HasPrefix(s, gr)
}

// reservedReply says whether clients must not ask for replies to s.
func reservedReply(s []byte) bool {
	return bytes.HasPrefix(s, serviceReply) || bytes.HasPrefix(s, jsAck) || bytes.HasPrefix(s, gr)
}

var (
	nrg          = []byte("$NRG.")
	gnr          = []byte("$GNR.")
	gr           = []byte("_GR_.")
	serviceReply = []byte("_R_.")
	jsAck        = []byte("$JS.ACK.")
)

// noResponders tells the requester that nobody got its message, through its own
// subscription to the reply subject. It does not count as a delivery.
func (c *Conn) noResponders(op *wire.Op) {
	if op.Reply == nil || !c.connect.NoResponders {
		return
	}
	for _, sub := range c.pub.Space().Match(op.Reply).Plain {
		if sub.Sink == broker.Sink(c) {
			c.line = wire.AppendNoResponders(c.line[:0], op.Reply, []byte(sub.SID), op.Subject)
			c.reply(c.line)
			c.countOut(1, 0)
			return
		}
	}
}

// firstPause is how long a reader waits before it tries a full stream again; the
// wait doubles each time.
const firstPause = time.Millisecond

// stall leaves the connection unread for as long as a stream is over its budget,
// at most the ingest stall; then the message is dropped there, and counted. Other
// destinations have got it already.
func (c *Conn) stall(m *broker.Message) {
	c.detach()
	c.door.totals.ingestStalls.Add(1)
	limit := c.door.limits.Load().IngestStall
	for pause := firstPause; limit > 0; pause *= 2 {
		c.pub.HandOver()
		pause = min(pause, limit, 64*firstPause)
		limit -= pause
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.done:
			timer.Stop()
			limit = 0
		}
		if c.pub.Again(m) {
			return
		}
	}
	c.door.totals.ingestDropped.Add(1)
	c.logger().Warn("message dropped by a full stream", "subject", string(m.Subject))
}

// reply stages bytes with the client itself, behind what it was sent before.
func (c *Conn) reply(b []byte) {
	c.pub.Touch(c).(*stage).raw(b)
	c.line = b[:0]
}

// tell stages an -ERR that does not close.
func (c *Conn) tell(text string) {
	c.reply(wire.AppendErr(c.line[:0], text))
}
