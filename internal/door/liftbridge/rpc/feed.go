package rpc

import (
	"slices"

	"github.com/weirmq/weir/internal/chunk"
)

// Feed takes the messages of a call on the goroutine that reads its connection. Its methods
// are called by one goroutine at a time and must not wait; whoever has to calls
// Call.Detach first.
type Feed interface {
	// Message takes a message. With c it lies there, which belongs to the feed then;
	// without, it is valid until Message returns.
	Message(b []byte, c *chunk.Chunk)
	// Flush is called behind messages, when all that had arrived was given.
	Flush()
	// Full says whether the client shall send no more for now: Call.Resume asks again. It
	// may be called by any goroutine.
	Full() bool
	// Ended says that no more messages come, once: io.EOF when the client has sent all it
	// wanted to, otherwise with which status the call is to end.
	Ended(err error)
	// Close is the last call, when the handler has returned.
	Close()
}

// Serve has a feed take the call's messages, from the first one that was not received. It
// is for the handler, once, which then waits for whatever ends the call.
func (c *Call) Serve(f Feed) {
	c.mu.Lock()
	c.wants = f
	c.mu.Unlock()
	c.conn.have(c)
}

// have has the reader look at a call.
func (n *conn) have(c *Call) {
	n.mu.Lock()
	n.changes = append(n.changes, c)
	n.mu.Unlock()
	n.moved.Store(true)
	n.link.Wake()
}

// feeding says whether a feed was given.
func (n *conn) feeding(c *Call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wants != nil
}

// change looks at the calls of which others have said something.
func (n *conn) change() {
	if !n.moved.Swap(false) {
		return
	}
	n.mu.Lock()
	list := n.changes
	n.changes = nil
	n.mu.Unlock()
	for i, c := range list {
		if slices.Contains(list[:i], c) {
			continue // it has ended as soon as it had begun
		}
		n.changed(c)
	}
}

func (n *conn) changed(c *Call) {
	_, fed := n.feeds[c]
	if !fed && c.feed != nil {
		return // its end was seen before it was told
	}
	if !fed {
		n.feeds[c] = struct{}{}
		c.switchOver()
	}
	n.mu.Lock()
	over := c.over
	n.mu.Unlock()
	if over {
		n.unfeed(c)
	}
}

// switchOver gives the feed what was received before it was there.
func (c *Call) switchOver() {
	c.mu.Lock()
	feed, list, err := c.wants, c.messages, c.err
	c.messages = nil
	c.mu.Unlock()
	c.feed = feed
	for i := range list {
		c.conn.held.Add(-list[i].weight())
		c.give(&list[i])
	}
	if err != nil {
		c.feed.Ended(err)
	}
}

// unfeed lets go of a feed whose handler has returned.
func (n *conn) unfeed(c *Call) {
	delete(n.feeds, c)
	c.stopReceiving()
	c.discard()
	c.feed.Close()
}

// mostQueued is what may wait to be sent in a call before its client may send no more, or
// its handler waits, bytes.
const mostQueued = 128 << 10

// feedQueued is the same for what a Feed posts.
const feedQueued = 8 << 20

// Resume lets the client of a Feed that is not full any more send more.
func (c *Call) Resume() {
	if c.owed.Load() < streamWindow/grantAfter {
		return
	}
	c.conn.mu.Lock()
	full := c.queued > feedQueued
	c.conn.mu.Unlock()
	c.mu.Lock()
	f := c.wants
	c.mu.Unlock()
	if !full && (f == nil || !f.Full()) {
		c.repay(0)
	}
}
