package auth

import (
	"time"
	"unsafe"
)

// Grant is what one connection may do. Its methods may be called by any
// goroutine.
type Grant struct {
	permissions *Permissions
	replies     *replies // nil where the connection is not allowed responses
}

// Grant gives the permissions to one connection. now is the clock by which
// answers expire.
func (p *Permissions) Grant(now func() time.Time) *Grant {
	g := &Grant{permissions: p}
	if p.responses != nil {
		g.replies = &replies{limit: *p.responses, now: now}
	}
	return g
}

// MayPublish judges a subject. fixed says that the answer holds for as long as
// the grant is used, so that it may be cached. It does not allocate.
func (g *Grant) MayPublish(subject []byte) (allowed, fixed bool) {
	s := borrow(subject)
	if g.permissions.MayPublish(s) {
		return true, true
	}
	if g.replies == nil {
		return false, true
	}
	return g.replies.answers(s), false
}

// MaySubscribe judges a subscription; queue is empty for a plain one.
func (g *Grant) MaySubscribe(subject, queue string) bool {
	return g.permissions.MaySubscribe(subject, queue)
}

// Filters is Permissions.Filters.
func (g *Grant) Filters(subject string) bool { return g.permissions.Filters(subject) }

// MayReceive says whether a subject is not denied. It does not allocate.
func (g *Grant) MayReceive(subject []byte) bool { return g.permissions.MayReceive(borrow(subject)) }

// TracksReplies says that Delivered is to be told every reply subject that the
// connection receives.
func (g *Grant) TracksReplies() bool { return g.replies != nil }

// Delivered remembers a reply subject that the connection received.
func (g *Grant) Delivered(reply []byte) {
	if len(reply) > 0 && g.replies != nil {
		g.replies.received(reply)
	}
}

// borrow gives bytes as a string that is valid for as long as they are unchanged.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
