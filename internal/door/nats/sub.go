package nats

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// systemQueue is the queue group that clients may not join.
const systemQueue = "_sys_"

// handleSub handles SUB.
func (c *Conn) handleSub(op *wire.Op) {
	if text := c.subscribe(op); text != "" {
		c.logger().Warn("subscription refused", "text", text)
		c.tell(text)
		return
	}
	c.ok()
}

// ok acknowledges an operation where the client wants that.
func (c *Conn) ok() {
	if c.connect.Verbose {
		c.reply(wire.AppendOK(c.line[:0]))
	}
}

// subscribe makes a subscription and gives the text of a refusal, or nothing. A
// SID that is in use keeps its subscription.
func (c *Conn) subscribe(op *wire.Op) (refusal string) {
	sub := newSubscription(op)
	id := c.identity.Load()
	if !subject.ValidPattern(sub.Subject) {
		return wire.ErrSubject.Text
	}
	if max := c.door.limits.Load().MaxSubTokens; max > 0 && subject.Tokens(sub.Subject) > max {
		return wire.TokensViolation(sub.Subject)
	}
	if sub.Queue == systemQueue || id.Permissions != nil && !id.Permissions.MaySubscribe(sub.Subject, sub.Queue) {
		return wire.SubscribeViolation(sub.Subject, sub.Queue)
	}
	sub.Sink = c
	sub.Filter(id.Permissions != nil && id.Permissions.Filters(sub.Subject))
	c.mu.Lock()
	if c.subs[sub.SID] != nil {
		c.mu.Unlock()
		return ""
	}
	if max := c.maxSubs(id); max > 0 && len(c.subs) >= max {
		c.mu.Unlock()
		return wire.ErrMaxSubs.Text
	}
	c.subs[sub.SID] = sub
	c.mu.Unlock()
	id.Space.Subscribe(sub)
	return ""
}

func (c *Conn) maxSubs(id *Identity) int {
	if id.MaxSubs > 0 {
		return id.MaxSubs
	}
	return c.door.limits.Load().MaxSubscriptions
}

// newSubscription copies the operation's strings into one allocation.
func newSubscription(op *wire.Op) *broker.Subscription {
	all := make([]byte, 0, len(op.Subject)+len(op.Queue)+len(op.SID))
	all = append(append(append(all, op.Subject...), op.Queue...), op.SID...)
	s := string(all)
	queue, sid := len(op.Subject), len(op.Subject)+len(op.Queue)
	return &broker.Subscription{Subject: s[:queue], Queue: s[queue:sid], SID: s[sid:]}
}

// handleUnsub handles UNSUB. A SID that is not known is no error.
func (c *Conn) handleUnsub(op *wire.Op) {
	c.mu.Lock()
	sub := c.subs[string(op.SID)]
	c.mu.Unlock()
	if sub != nil && (op.Max == 0 || sub.Limit(uint64(op.Max))) {
		c.drop(sub)
	}
	c.ok()
}

// drop ends a subscription. It may be called twice and by any publisher.
func (c *Conn) drop(sub *broker.Subscription) {
	c.mu.Lock()
	held := c.subs[sub.SID] == sub
	if held {
		delete(c.subs, sub.SID)
	}
	c.mu.Unlock()
	if held {
		c.identity.Load().Space.Unsubscribe(sub)
	}
}

// dropAll ends all subscriptions.
func (c *Conn) dropAll() {
	c.mu.Lock()
	subs := c.subs
	c.subs = make(map[string]*broker.Subscription)
	c.mu.Unlock()
	if len(subs) == 0 {
		return
	}
	space := c.identity.Load().Space
	for _, sub := range subs {
		space.Unsubscribe(sub)
	}
}
