package broker

import (
	"sync"

	"github.com/weirmq/weir/internal/routing"
)

// Space is one account's subjects. Its methods may be called by any goroutine.
type Space struct {
	name    string
	table   *routing.Table[*Subscription]
	workers *Workers
	backlog backlog // guarded by workers.mu

	publishers sync.Pool // of *Publisher, for those that publish now and then
}

// NewSpace gives an empty space. Its services run on pool, which may be nil in a
// space without services.
func NewSpace(name string, pool *Workers) *Space {
	return &Space{name: name, table: routing.New[*Subscription](), workers: pool}
}

// Name is the account's name.
func (s *Space) Name() string { return s.name }

// Subscribe makes sub match from now on. It is unchanged until Unsubscribe.
func (s *Space) Subscribe(sub *Subscription) { s.table.Add(sub.Subject, sub.Queue, sub) }

// Unsubscribe ends it. Publishers that matched before may still offer a message.
func (s *Space) Unsubscribe(sub *Subscription) { s.table.Remove(sub.Subject, sub.Queue, sub) }

// Subscriptions is how many there are.
func (s *Space) Subscriptions() int { return s.table.Len() }

// Generation changes with every Subscribe and Unsubscribe.
func (s *Space) Generation() uint64 { return s.table.Generation() }

// Match gives the subscriptions for a subject. The result is immutable.
func (s *Space) Match(subject []byte) *routing.Result[*Subscription] { return s.table.Match(subject) }

// Interested says whether a client's subscription matches the subject.
func (s *Space) Interested(subject []byte) bool {
	r := s.table.Match(subject)
	for _, sub := range r.Plain {
		if sub.Kind == KindClient {
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
