package jetstream

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// Outlet writes what consumers send to JetStream clients. It keeps scratch bytes,
// so each shard has one of its own.
type Outlet struct {
	Domain string // of the server, for what it tells; set at construction

	acks                      wire.AckWriter
	reply, to, header, pinned []byte
}

// Deliver implements stream.Outlet.
func (o *Outlet) Deliver(p *broker.Publisher, c *stream.Consumer, d *consumer.Delivery, v *record.View) {
	o.to = append(o.to[:0], d.Reply...)
	o.reply = o.acks.Append(o.reply[:0], c.Stream().Name(), c.Name(), uint64(d.Delivered), d.Seq, d.DSeq, v.Time, d.Pending)
	m := broker.Message{Subject: v.Subject, To: o.to, Reply: o.reply, Header: v.Header, Data: v.Data}
	if c.Config().HeadersOnly {
		o.header = wire.AppendMsgSize(o.header[:0], v.Header, len(v.Data))
		m.Header, m.Data = o.header, nil
	}
	if d.Pin != "" {
		o.pinned = wire.AppendPin(o.pinned[:0], m.Header, d.Pin)
		m.Header = o.pinned
	}
	p.Publish(&m)
}

// Status implements stream.Outlet.
func (o *Outlet) Status(p *broker.Publisher, c *stream.Consumer, st *consumer.Status) {
	o.to = append(o.to[:0], st.Reply...)
	s := wire.Status{Code: st.Code, Text: st.Text}
	m := broker.Message{Subject: o.to}
	if o.reply = o.reply[:0]; st.Flow != 0 {
		o.reply = wire.AppendFlow(o.reply, c.Stream().Name(), c.Name(), st.Flow)
	}
	switch {
	case s == wire.StatusIdleHeartbeat:
		o.header = wire.AppendHeartbeat(o.header[:0], st.LastConsumer, st.LastStream, o.reply)
	case s == wire.StatusFlowControl:
		o.header = wire.AppendStatus(o.header[:0], s)
		m.Reply = o.reply
	case st.Remains:
		o.header = wire.AppendStatusPending(o.header[:0], s, st.PendingMsgs, st.PendingBytes)
	default:
		o.header = wire.AppendStatus(o.header[:0], s)
	}
	m.Header = o.header
	p.Publish(&m)
}

// Acked implements stream.Outlet.
func (o *Outlet) Acked(p *broker.Publisher, reply []byte) {
	p.Publish(&broker.Message{Subject: reply})
}

// AckReplyLen implements stream.Dialect. The subject counts against a request's
// max_bytes. The time of a record has 19 digits until the year 2286.
func (Dialect) AckReplyLen(stream, name string) func(d *consumer.Delivery) int {
	fixed := len(wire.AckPrefix) + len(stream) + 1 + len(name) + 1 + 4 + 19
	return func(d *consumer.Delivery) int {
		return fixed + digits(uint64(d.Delivered)) + digits(d.Seq) + digits(d.DSeq) + digits(d.Pending)
	}
}

func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}
