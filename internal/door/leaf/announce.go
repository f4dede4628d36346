package leaf

import (
	"strings"
	"sync"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// announcer tells the other side what is subscribed here.
type announcer struct {
	// Set at construction.
	link *link

	mu     sync.Mutex
	known  map[*broker.Subscription]struct{} // guarded by mu: those that are announced
	counts map[interest]int                  // guarded by mu: how many of them there are
	line   []byte                            // guarded by mu
	ended  bool                              // guarded by mu
}

func (a *announcer) init(l *link) {
	a.link, a.known, a.counts = l, map[*broker.Subscription]struct{}{}, map[interest]int{}
}

// begin announces what there is, and from then on what changes, until end is called.
func (a *announcer) begin() (end func()) {
	first := wire.AppendSub(nil, a.link.remote.loop, "", 0)
	if d := a.link.remote.door.o.Domain; d != "" {
		for _, p := range bucketPrefixes {
			first = wire.AppendSub(first, domainPrefix(d)+p+">", "", 0)
		}
	}
	a.link.send(first)
	cancel := a.link.remote.space.Follow(a)
	return func() {
		cancel()
		a.mu.Lock()
		a.ended, a.known, a.counts = true, nil, nil
		a.mu.Unlock()
	}
}

// Changed implements broker.Follower. A line is given to the outbox with the lock held:
// so the lines of one subject stand in the order of what they tell of, and before
// whatever is published behind the subscription.
func (a *announcer) Changed(sub *broker.Subscription) {
	if sub.Far {
		return // it is not for this side to announce
	}
	i, ok := a.link.announced(sub)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	_, known := a.known[sub]
	switch ended := sub.Ended(); {
	case ended && known:
		delete(a.known, sub)
		a.count(i, -1)
	case !ended && !known:
		a.known[sub] = struct{}{}
		a.count(i, 1)
	}
}

// count tells of one subscription more or less. The caller holds mu.
func (a *announcer) count(i interest, change int) {
	n := a.counts[i] + change
	switch {
	case n == 0:
		delete(a.counts, i)
		a.line = wire.AppendUnsub(a.line[:0], i.subject, i.queue)
	case i.queue != "" || n == 1 && change > 0:
		a.counts[i] = n
		a.line = wire.AppendSub(a.line[:0], i.subject, i.queue, n)
	default:
		a.counts[i] = n
		return
	}
	a.link.send(a.line)
}

// announced is what a subscription is announced as; ok is false where it is not.
func (l *link) announced(sub *broker.Subscription) (i interest, ok bool) {
	i = interest{sub.Subject, sub.Queue}
	if rest, acks := strings.CutPrefix(i.subject, ackPrefix); acks && sub.Kind == broker.KindService {
		// Acknowledgements of the other side's own deliveries are not for this server.
		domain := l.remote.door.o.Domain
		if domain == "" {
			return i, false
		}
		i.subject = ackPrefix + domain + "." + rest
	}
	return i, l.filter.mayAnnounce(i.subject, i.queue)
}
