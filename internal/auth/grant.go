package auth

import (
	"sync"
	"time"
	"unsafe"
)

// maxReplies bounds the replies that one connection's grant remembers. Above it
// the oldest are forgotten.
const maxReplies = 4096

// Grant is what one connection may do. Its methods may be called by any
// goroutine.
type Grant struct {
	permissions *Permissions
	now         func() time.Time

	mu sync.Mutex
	// Guarded by mu: requests received that may be answered.
	replies map[string]*answer
	order   []string
}

// answer counts the replies to one request.
type answer struct {
	sent int
	at   time.Time
}

// Grant gives the permissions to one connection. now is the clock by which
// answers expire.
func (p *Permissions) Grant(now func() time.Time) *Grant {
	return &Grant{permissions: p, now: now}
}

// MayPublish judges a subject. fixed says that the answer holds for as long as
// the grant is used, so that it may be cached. It does not allocate.
func (g *Grant) MayPublish(subject []byte) (allowed, fixed bool) {
	// The string is used during the call only.
	s := unsafe.String(unsafe.SliceData(subject), len(subject))
	if g.permissions.publishes(s) {
		return true, true
	}
	if g.permissions.responses == nil {
		return false, true
	}
	return g.answers(s), false
}

// answers says whether a subject is a reply that the connection may still send,
// and counts it.
func (g *Grant) answers(subject string) bool {
	r := g.permissions.responses
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.replies[subject]
	if a == nil {
		return false
	}
	expired := r.Expires >= 0 && g.now().Sub(a.at) > r.Expires
	if expired || r.Max >= 0 && a.sent >= r.Max {
		delete(g.replies, subject)
		return false
	}
	a.sent++
	return true
}

// MaySubscribe judges a subscription; queue is empty for a plain one.
func (g *Grant) MaySubscribe(subject, queue string) bool {
	return g.permissions.MaySubscribe(subject, queue)
}

// Filters is Permissions.Filters.
func (g *Grant) Filters(subject string) bool { return g.permissions.Filters(subject) }

// MayReceive says whether a subject is not denied. It does not allocate.
func (g *Grant) MayReceive(subject []byte) bool {
	return g.permissions.MayReceive(unsafe.String(unsafe.SliceData(subject), len(subject)))
}

// TracksReplies says that Delivered is to be told every reply subject that the
// connection receives.
func (g *Grant) TracksReplies() bool { return g.permissions.responses != nil }

// Delivered remembers a reply subject that the connection received.
func (g *Grant) Delivered(reply []byte) {
	if len(reply) == 0 || g.permissions.responses == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.replies == nil {
		g.replies = map[string]*answer{}
	}
	s := string(reply)
	if g.replies[s] == nil {
		g.order = append(g.order, s)
	}
	g.replies[s] = &answer{at: g.now()}
	for len(g.order) > maxReplies {
		delete(g.replies, g.order[0])
		g.order = g.order[1:]
	}
}
