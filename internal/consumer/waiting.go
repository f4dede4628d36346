package consumer

import "time"

// Request asks for messages.
type Request struct {
	// Reply is the inbox to which messages and statuses go.
	Reply string
	// Batch is the number of messages wanted; not positive: 1.
	Batch int
	// MaxBytes bounds the size of all messages together; not positive: no bound. A
	// message's size is that of its subject, acknowledgement subject, headers and
	// data.
	MaxBytes int
	// Expires is measured from now; not positive: the request waits until it is
	// served or nobody listens any more.
	Expires time.Duration
	// Heartbeat is the interval of a status while it waits; not
	// positive: none. At most half of Expires.
	Heartbeat time.Duration
	// NoWait ends the request when nothing is left to deliver.
	NoWait bool

	// Group is the priority group, which a consumer with groups wants named. ID is
	// the mark of a pinned client. The request is served only while at least
	// MinPending messages are to be delivered or MinAckPending are to be
	// acknowledged, if one of them is positive. Priority is 0, the first, to 9.
	Group, ID                 string
	MinPending, MinAckPending int64
	Priority                  int
}

// waiter is a request that waits.
type waiter struct {
	reply string
	// batch is the number of messages still wanted, got that of those it received.
	batch, got int
	// unsaid says that the request named no number: it wants one, and its end counts
	// none as missing.
	unsaid bool
	// bytes is what is left of the bound in bytes, where bounded.
	bytes int
	// expires is a time, 0 never; heartbeat an interval, 0 none, and beat the time
	// of the next one.
	expires, heartbeat, beat int64
	bounded, noWait          bool
	// group, id, rank and the bounds are what the request says of priority.
	group, id                 string
	rank                      int
	minPending, minAckPending int64
	// seen is the Step in which interest was last found.
	seen uint64

	next, prev *waiter
}

// waiters is a queue of requests in order.
type waiters struct {
	head, tail *waiter
	len        int
}

func (q *waiters) push(w *waiter) { q.insert(q.tail, w) }

// insert puts w behind after; nil: to the front.
func (q *waiters) insert(after, w *waiter) {
	w.prev, w.next = after, q.head
	if after != nil {
		w.next = after.next
		after.next = w
	} else {
		q.head = w
	}
	if w.next != nil {
		w.next.prev = w
	} else {
		q.tail = w
	}
	q.len++
}

func (q *waiters) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.tail = w.prev
	}
	w.prev, w.next = nil, nil
	q.len--
}
