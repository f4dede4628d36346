package nats

import (
	"errors"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// UpdateLimits bounds the connections anew, those that are open included. More
// than MaxConnections are closed, whichever.
func (d *Door) UpdateLimits(l Limits) {
	l = l.withDefaults()
	d.mu.Lock()
	d.limits.Store(&l)
	d.closed.resize(l.MaxClosed)
	d.mu.Unlock()
	conns := d.all()
	for i, c := range conns {
		if i >= l.MaxConnections {
			c.close(wire.ErrMaxConns)
		}
		c.out.SetLimits(l.outbox())
	}
}

// Reauthenticate puts another authenticator in place and has every client judged
// by it: one whose user is gone is closed silently, one whose credentials hold no
// longer with an -ERR, and subscriptions that are not permitted any more end,
// each with an -ERR. It returns at once; each reader judges its own client.
func (d *Door) Reauthenticate(auth Authenticator) {
	d.auth.Store(&auth)
	for _, c := range d.all() {
		c.rejudge.Store(true)
		c.link.Wake()
	}
}

// settle takes over what was changed from outside, on the reader's goroutine.
func (c *Conn) settle() {
	if limits := c.door.limits.Load(); limits != c.limits {
		c.setParser(limits)
	}
	if c.rejudge.Load() && c.rejudge.CompareAndSwap(true, false) {
		c.judgeAgain()
	}
}

func (c *Conn) judgeAgain() {
	old := c.identity.Load()
	if old == nil || c.closing.Load() != nil {
		return
	}
	c.detach()
	id, err := (*c.door.auth.Load()).Reauthenticate(c.credentials(c.connect, c.connected), old)
	switch {
	case errors.Is(err, ErrUnknownUser):
		c.logger().Info("user removed")
		c.close(errClientClosed)
		return
	case err != nil:
		c.notLetIn(c.connect, err)
		return
	case id.Space != old.Space:
		// What it subscribed to as a member of one account is not for another's.
		c.notLetIn(c.connect, errAccountChanged)
		return
	}
	c.identity.Store(id)
	c.setParser(c.door.limits.Load())
	c.expireAt(id.Expires)
	c.pub.Rebind(id.Space, c.publisherOptions(id))
	c.judgeSubscriptions(id)
	c.handOver()
	if old.Release != nil {
		old.Release()
	}
}

var errAccountChanged = errors.New("user belongs to another account now")

// judgeSubscriptions ends those that are not permitted any more.
func (c *Conn) judgeSubscriptions(id *Identity) {
	c.mu.Lock()
	subs := make([]*broker.Subscription, 0, len(c.subs))
	for _, sub := range c.subs {
		subs = append(subs, sub)
	}
	c.mu.Unlock()
	slices.SortFunc(subs, func(a, b *broker.Subscription) int { return strings.Compare(a.SID, b.SID) })
	for _, sub := range subs {
		if id.Permissions == nil {
			sub.Filter(false)
			continue
		}
		sub.Filter(id.Permissions.Filters(sub.Subject))
		if id.Permissions.MaySubscribe(sub.Subject, sub.Queue) {
			continue
		}
		c.drop(sub)
		c.logger().Info("subscription removed", "subject", sub.Subject, "sid", sub.SID)
		c.tell(wire.RemovedViolation(sub.Subject, sub.Queue, sub.SID))
	}
}
