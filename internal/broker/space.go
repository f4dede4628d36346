package broker

import (
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/routing"
)

// Space is one account's subjects. Its methods may be called by any goroutine.
type Space struct {
	name    string
	table   *routing.Table[*Subscription]
	workers *Workers
	backlog backlog // guarded by workers.mu

	streams atomic.Pointer[[]*StreamImport] // nil: nothing was ever imported

	publishers sync.Pool // of *Publisher, for those that publish now and then

	followers followers

	watched  atomic.Int64 // watches; 0: Subscribe and Unsubscribe need not look
	watchMu  sync.Mutex
	watchers map[string]map[*watch]struct{} // guarded by watchMu, by subject
}

// watch is what is called when the interest in a subject may have changed.
type watch struct{ changed func() }

// NewSpace gives an empty space. Its services run on pool, which may be nil in a
// space without services.
func NewSpace(name string, pool *Workers) *Space {
	return &Space{name: name, table: routing.New[*Subscription](), workers: pool}
}

// Name is the account's name.
func (s *Space) Name() string { return s.name }

// Subscribe makes sub match from now on. It is unchanged until Unsubscribe.
func (s *Space) Subscribe(sub *Subscription) {
	sub.ended.Store(false)
	s.table.Add(sub.Subject, sub.Queue, sub)
	s.cast(sub)
	s.followers.tell(sub)
	s.changed(sub.Subject)
}

// Unsubscribe ends it. Publishers that matched before may still offer a message.
func (s *Space) Unsubscribe(sub *Subscription) {
	sub.ended.Store(true) // before cast looks for imports, see there
	s.table.Remove(sub.Subject, sub.Queue, sub)
	s.cast(sub)
	s.followers.tell(sub)
	s.changed(sub.Subject)
}

// Watch has changed called after each subscription that came or went at exactly
// this subject, on the goroutine of whoever did that and without a lock: it must
// not block. cancel ends that; a call may still be under way then.
func (s *Space) Watch(subject string, changed func()) (cancel func()) {
	w := &watch{changed: changed}
	s.watched.Add(1)
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if s.watchers == nil {
		s.watchers = make(map[string]map[*watch]struct{})
	}
	if s.watchers[subject] == nil {
		s.watchers[subject] = make(map[*watch]struct{})
	}
	s.watchers[subject][w] = struct{}{}
	return func() { s.unwatch(subject, w) }
}

func (s *Space) unwatch(subject string, w *watch) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if _, ok := s.watchers[subject][w]; !ok {
		return
	}
	s.watched.Add(-1)
	if delete(s.watchers[subject], w); len(s.watchers[subject]) == 0 {
		delete(s.watchers, subject)
	}
}

// changed tells those who watch the subject.
func (s *Space) changed(subject string) {
	if s.watched.Load() == 0 {
		return
	}
	s.watchMu.Lock()
	var call []*watch
	for w := range s.watchers[subject] {
		call = append(call, w)
	}
	s.watchMu.Unlock()
	for _, w := range call {
		w.changed()
	}
}

// Listened says whether a client has subscribed to exactly this subject: in the
// queue group, or in none where queue is empty.
func (s *Space) Listened(subject, queue string) bool {
	r := s.table.Match([]byte(subject))
	listens := func(subs []*Subscription) bool {
		for _, sub := range subs {
			if sub.Kind == KindClient && sub.Subject == subject {
				return true
			}
		}
		return false
	}
	if queue == "" {
		return listens(r.Plain)
	}
	for _, q := range r.Queues {
		if q.Name == queue && listens(q.Members) {
			return true
		}
	}
	return false
}

// Subscriptions is how many there are.
func (s *Space) Subscriptions() int { return s.table.Len() }

// Generation changes with every Subscribe and Unsubscribe.
func (s *Space) Generation() uint64 { return s.table.Generation() }

// Match gives the subscriptions for a subject. The result is immutable.
func (s *Space) Match(subject []byte) *routing.Result[*Subscription] { return s.table.Match(subject) }

// matchUpTo is Match, and says how much of the subject counted (see routing.Table).
func (s *Space) matchUpTo(subject []byte) (r *routing.Result[*Subscription], upTo int) {
	return s.table.MatchUpTo(subject)
}

// Interested says whether a client's subscription matches the subject.
func (s *Space) Interested(subject []byte) bool {
	r := s.table.Match(subject)
	for _, sub := range r.Plain {
		if sub.listens(subject) {
			return true
		}
	}
	return queued(r, "")
}

// InterestedQueue says whether a client's subscription in this queue group
// matches the subject.
func (s *Space) InterestedQueue(subject []byte, queue string) bool {
	return queued(s.table.Match(subject), queue)
}

// queued says whether the group, or any where queue is empty, has a client.
func queued(r *routing.Result[*Subscription], queue string) bool {
	for _, q := range r.Queues {
		if queue != "" && q.Name != queue {
			continue
		}
		for _, sub := range q.Members {
			if sub.Kind == KindClient {
				return true
			}
		}
	}
	return false
}

// Publish sends one message and hands it over, for callers without a Publisher
// of their own. It may be called by any goroutine and never blocks.
func (s *Space) Publish(m *Message) Result {
	p, ok := s.publishers.Get().(*Publisher)
	if !ok {
		p = NewPublisher(s, PublisherOptions{Echo: true, CacheBytes: 64 << 10})
	}
	r := p.Publish(m)
	p.HandOver()
	s.publishers.Put(p)
	return r
}

// Spaces is the registry of spaces by account name.
type Spaces struct {
	workers *Workers

	mu     sync.RWMutex
	byName map[string]*Space // guarded by mu
}

// NewSpaces gives an empty registry whose services run on pool.
func NewSpaces(pool *Workers) *Spaces {
	return &Spaces{workers: pool, byName: make(map[string]*Space)}
}

// Get gives the space of a name and makes it on first use.
func (s *Spaces) Get(name string) *Space {
	s.mu.RLock()
	space := s.byName[name]
	s.mu.RUnlock()
	if space != nil {
		return space
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if space = s.byName[name]; space == nil {
		space = NewSpace(name, s.workers)
		s.byName[name] = space
	}
	return space
}

// All gives the spaces that exist, in no order.
func (s *Spaces) All() []*Space {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Space, 0, len(s.byName))
	for _, space := range s.byName {
		all = append(all, space)
	}
	return all
}
