package leaf

import (
	"fmt"
	"strings"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// add subscribes here to what the other side announces.
func (w *wanted) add(op *wire.Op) error {
	i := interest{string(op.Subject), string(op.Queue)}
	if i.subject == w.link.remote.loop {
		return w.link.looped()
	}
	switch {
	case strings.HasPrefix(i.subject, "$LDS."):
		return nil // another server's, which it looks for
	case !subject.ValidPattern(i.subject):
		return fmt.Errorf("the other side announces %q, which is no subject", i.subject)
	case !w.link.filter.mayWant(i.subject) || w.link.renames(i.subject):
		return nil
	}
	if sub := w.find(i); sub != nil {
		sub.SetWeight(op.Weight)
		return nil
	}
	sub := &broker.Subscription{Subject: i.subject, Queue: i.queue, Kind: broker.KindClient, Far: true, Sink: w.link}
	sub.SetWeight(op.Weight)
	w.mu.Lock()
	w.subs[i] = sub
	w.mu.Unlock()
	w.link.remote.space.Subscribe(sub)
	return nil
}

func (w *wanted) find(i interest) *broker.Subscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.subs[i]
}

// remove ends a subscription.
func (w *wanted) remove(op *wire.Op) {
	i := interest{string(op.Subject), string(op.Queue)}
	w.mu.Lock()
	sub := w.subs[i]
	delete(w.subs, i)
	w.mu.Unlock()
	if sub != nil {
		w.link.remote.space.Unsubscribe(sub)
	}
}

// clear ends all: the connection is gone.
func (w *wanted) clear() {
	w.mu.Lock()
	subs := w.subs
	w.subs = nil
	w.mu.Unlock()
	for _, sub := range subs {
		w.link.remote.space.Unsubscribe(sub)
	}
}

// looped tells the other side why the connection ends.
func (l *link) looped() error {
	l.log.Error("leaf node loop detected: two links lead to the same system, or it leads back here", "delay", delays[0].wait)
	l.send(wire.AppendErr(nil, fmt.Sprintf("Loop detected for leafnode account=%q. Delaying attempt to reconnect for %v", l.remote.o.Account, delays[0].wait)))
	return errLoop
}
