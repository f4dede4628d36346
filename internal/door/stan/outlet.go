package stan

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// Outlet writes what consumers send to streaming clients. It keeps scratch bytes, so
// each shard has one of its own. It has a stream.Outlet's methods about consumers.
type Outlet struct {
	door    *Door
	channel []byte
	buf     []byte
	to      []byte
	msg     wire.Msg
}

// NewOutlet gives an outlet that counts for the door.
func (d *Door) NewOutlet() *Outlet { return &Outlet{door: d} }

// Deliver sends a record to the member that it is for.
func (o *Outlet) Deliver(p *broker.Publisher, c *stream.Consumer, dl *consumer.Delivery, v *record.View) {
	s, ok := c.Native().(*subscription)
	if !ok {
		return
	}
	inbox := s.inboxes[dl.Member]
	if len(inbox) == 0 {
		return // it left: what it had goes to others
	}
	o.channel = append(o.channel[:0], s.Channel...)
	m := &o.msg
	m.Sequence, m.Subject, m.Reply, m.Data, m.Timestamp = dl.Seq, o.channel, v.Reply, v.Data, v.Time
	m.Redelivered, m.RedeliveryCount = dl.Delivered > 1, uint32(max(dl.Delivered, 1)-1)
	o.buf = m.Append(o.buf[:0])
	inbox, o.to = o.door.address(o.to, inbox)
	p.Send(inbox, o.buf)
	o.door.outMsgs.Add(1)
	o.door.outBytes.Add(uint64(len(o.buf)))
}

// Deleted notes that somebody deleted a subscription's consumer.
func (o *Outlet) Deleted(c *stream.Consumer) {
	d := o.door
	s, ok := c.Native().(*subscription)
	if !ok {
		return
	}
	d.openerOf(s.Channel).push(func() { d.lost(s.Channel, c) })
}

// lost ends a group whose consumer is gone. Where the door deleted it nobody finds it
// here.
func (d *Door) lost(name string, c *stream.Consumer) {
	ch := d.channel(name)
	if ch == nil || ch.state.Load() != channelOpen {
		return
	}
	defer ch.take()()
	g := ch.groups[c.Name()]
	if g == nil || g.consumer != c {
		return
	}
	delete(ch.groups, c.Name())
	ch.stored -= g.doc.stored()
	for _, m := range d.membersIn(g) {
		d.detach(m)
		ch.active--
	}
	d.log.Warn("subscription deleted by an administrator", "channel", name, "consumer", c.Name())
}
