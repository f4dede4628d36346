package rpc

import "testing"

// once counts how often it is closed.
type once struct {
	feeding
	closed int
}

func (o *once) Close() { o.closed++ }

// A handler may have returned when the reader first looks at its call, and tells the reader
// only then.
func TestAFeedWhoseEndIsSeenBeforeItIsToldIsClosedOnce(t *testing.T) {
	n, o := &conn{feeds: map[*Call]struct{}{}}, new(once)
	c := &Call{conn: n, wants: o, over: true}
	n.changed(c)
	n.changed(c)
	if o.closed != 1 {
		t.Fatalf("closed %d times", o.closed)
	}
}
