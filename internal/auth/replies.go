package auth

import (
	"container/list"
	"sync"
	"time"
)

// maxReplies bounds the requests that one connection may still answer. Above it
// the oldest are forgotten.
const maxReplies = 1 << 16

// replies remembers the requests that a connection received, so that it may
// answer them. Its methods may be called by any goroutine.
type replies struct {
	limit Responses
	now   func() time.Time

	mu  sync.Mutex
	by  map[string]*list.Element // guarded by mu: of *answer
	age list.List                // guarded by mu: the oldest first
}

// answer counts the replies to one request.
type answer struct {
	subject string
	sent    int
	at      time.Time
}

// received remembers a reply subject. One that comes again starts anew.
func (r *replies) received(subject []byte) {
	if r.limit.Max == 0 {
		return
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]*list.Element{}
	}
	if e := r.by[string(subject)]; e != nil {
		a := e.Value.(*answer)
		a.sent, a.at = 0, now
		r.age.MoveToBack(e)
		return
	}
	a := &answer{subject: string(subject), at: now}
	r.by[a.subject] = r.age.PushBack(a)
	for e := r.age.Front(); r.age.Len() > maxReplies || r.expired(e.Value.(*answer), now); e = r.age.Front() {
		r.forgetLocked(e)
	}
}

// answers says whether a subject is a reply that may still be sent, and counts
// it. It does not allocate.
func (r *replies) answers(subject string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.by[subject]
	if e == nil {
		return false
	}
	a := e.Value.(*answer)
	if r.expired(a, r.now()) {
		r.forgetLocked(e)
		return false
	}
	a.sent++
	if r.limit.Max > 0 && a.sent >= r.limit.Max {
		r.forgetLocked(e)
	}
	return true
}

func (r *replies) expired(a *answer, now time.Time) bool {
	return r.limit.Expires >= 0 && now.Sub(a.at) > r.limit.Expires
}

func (r *replies) forgetLocked(e *list.Element) {
	delete(r.by, e.Value.(*answer).subject)
	r.age.Remove(e)
}
