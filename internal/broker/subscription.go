package broker

import "sync/atomic"

// Kind says what stands behind a subscription.
type Kind uint8

// The kinds. A requester is told that nobody responds only where no subscription
// of any kind took its message.
const (
	KindClient Kind = iota
	KindStream
	KindService
	KindAnswer // takes answers to requests of another account's clients
)

// Subscription is a sink's interest in a pattern. Its fields are unchanged while
// it is subscribed; the delivery count is atomic.
type Subscription struct {
	Subject string // a valid pattern
	Queue   string // queue group, or empty
	SID     string // the client's name for it; empty where there is no client
	Sink    Sink
	Kind    Kind
	// Far says that others subscribe, on the other side of a link. Of a queue group
	// they get what no member of this server takes.
	Far bool

	weight    atomic.Int32
	filtered  atomic.Bool
	max       atomic.Uint64
	delivered atomic.Uint64

	ended   atomic.Bool             // not subscribed any more
	shadows atomic.Pointer[shadows] // nil: it never had one
}

// listens says whether somebody gets a message of this subject, other than a stream
// or a service.
func (s *Subscription) listens(subject []byte) bool {
	switch s.Kind {
	case KindClient:
		return true
	case KindAnswer:
		return s.Sink.(*answerSink).listens(subject)
	}
	return false
}

// Ended says whether it is not subscribed, or not any more.
func (s *Subscription) Ended() bool { return s.ended.Load() }

// SetWeight says how many members of the queue group stand behind a subscription
// that is Far. It may change while subscribed.
func (s *Subscription) SetWeight(n int32) { s.weight.Store(n) }

// Weight is what SetWeight was last told, 1 at least.
func (s *Subscription) Weight() int { return int(max(1, s.weight.Load())) }

// Filter says whether each delivery has to be judged, because permissions deny
// part of what the pattern matches. It may change while subscribed.
func (s *Subscription) Filter(on bool) { s.filtered.Store(on) }

// Filtered is what Filter was last told.
func (s *Subscription) Filtered() bool { return s.filtered.Load() }

// Limit ends the subscription after max deliveries, counted from its start. It
// says whether that many were counted already. 0 lifts the limit.
func (s *Subscription) Limit(max uint64) (reached bool) {
	s.max.Store(max)
	return max > 0 && s.delivered.Load() >= max
}

// Count counts a delivery. ok is false where the limit was reached before: then
// nothing may be delivered. last is true for exactly one delivery, the one that
// reaches the limit; the sink then unsubscribes.
func (s *Subscription) Count() (ok, last bool) {
	n := s.delivered.Add(1)
	max := s.max.Load()
	if max == 0 {
		return true, false
	}
	return n <= max, n == max
}

// Delivered is the number of deliveries counted, at most the limit.
func (s *Subscription) Delivered() uint64 {
	n := s.delivered.Load()
	if max := s.max.Load(); max > 0 {
		n = min(n, max)
	}
	return n
}

// Max is the limit, 0 for none.
func (s *Subscription) Max() uint64 { return s.max.Load() }
