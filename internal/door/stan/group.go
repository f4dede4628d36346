package stan

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
)

// group is a subscription, or a queue group: a consumer and its members.
type group struct {
	// Set at construction.
	channel  *channel
	name     string
	consumer *stream.Consumer

	doc *subscription // with the channel's turn; it is replaced, never changed

	members map[*member]struct{} // guarded by Door.mu
}

func newGroup(ch *channel, c *stream.Consumer, doc *subscription) *group {
	return &group{channel: ch, name: c.Name(), consumer: c, doc: doc, members: map[*member]struct{}{}}
}

// member is a client's part in a group.
type member struct {
	receiver
	group  *group
	client *client              // set by attach
	sub    *broker.Subscription // of an inbox that is not one of the door's
	gone   atomic.Bool
}

// update puts what is known of the group into the log.
func (g *group) update(ctx context.Context, doc *subscription) error {
	if _, err := g.channel.stream.UpdateConsumer(ctx, g.consumer, doc.consumerConfig(g.name, g.consumer.Config().Start)); err != nil {
		return err
	}
	g.doc = doc
	return nil
}

// attach lets a member's acknowledgements be taken. Whoever had its place loses it.
func (d *Door) attach(m *member, c *client) {
	g := m.group
	if g.doc.Queue == "" {
		for _, other := range d.membersIn(g) {
			d.detach(other)
			g.channel.active--
		}
	}
	g.channel.active++
	m.client = c
	d.mu.Lock()
	d.inboxes[m.AckInbox] = m
	c.members[m] = struct{}{}
	g.members[m] = struct{}{}
	d.mu.Unlock()
	if len(m.AckInbox) <= len(d.inbox) || m.AckInbox[:len(d.inbox)] != d.inbox {
		m.sub = &broker.Subscription{Subject: m.AckInbox, Kind: broker.KindService, Sink: d}
		d.net.Subscribe(m.sub)
	}
}

// detach takes no acknowledgements of a member any more.
func (d *Door) detach(m *member) {
	m.gone.Store(true)
	d.mu.Lock()
	if d.inboxes[m.AckInbox] == m {
		delete(d.inboxes, m.AckInbox)
	}
	delete(m.client.members, m)
	delete(m.group.members, m)
	d.mu.Unlock()
	if m.sub != nil {
		d.net.Unsubscribe(m.sub)
	}
}

// membersIn lists those who are there.
func (d *Door) membersIn(g *group) []*member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]*member, 0, len(g.members))
	for m := range g.members {
		out = append(out, m)
	}
	return out
}

// memberBy finds the member of a channel that has an inbox: the one for
// acknowledgements, or the one where messages go.
func (d *Door) memberBy(ch *channel, inbox string) *member {
	d.mu.RLock()
	m := d.inboxes[inbox]
	d.mu.RUnlock()
	if m != nil && m.group.channel == ch {
		return m
	}
	for _, g := range ch.groups {
		for _, m := range d.membersIn(g) {
			if m.Inbox == inbox {
				return m
			}
		}
	}
	return nil
}

// remove ends a member's part. What it has not acknowledged goes to the others of its
// group. A durable without members stays, unless it is ended for good. When it
// returns nothing more is sent to the member. The caller has the channel's turn.
func (d *Door) remove(ctx context.Context, m *member, forGood bool) error {
	g := m.group
	ch := g.channel
	err := g.consumer.Depart(ctx, m.ID)
	d.detach(m)
	ch.active--
	if ch.active == 0 {
		d.watchIdle(ch)
	}
	if err != nil {
		return err
	}
	doc := g.doc.without(m.ID)
	if len(doc.Members) == 0 && (forGood || !doc.IsDurable) {
		delete(ch.groups, g.name)
		ch.stored--
		if err = ch.stream.DeleteConsumer(ctx, g.consumer); errors.Is(err, stream.ErrNotFound) {
			err = nil
		}
		return err
	}
	was := g.doc.stored()
	if err := g.update(ctx, doc); err != nil {
		return err
	}
	ch.stored += doc.stored() - was
	return nil
}
