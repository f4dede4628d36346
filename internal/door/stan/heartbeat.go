package stan

import (
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// pulse is what is known of a client's being there.
type pulse struct {
	fails int
	// inbox is where the answer to an open question comes to; empty: there is none.
	inbox string
}

// soon is when a client that missed heartbeats and sends a ping is asked again.
const soon = time.Millisecond

// heartbeat is called when a client's alarm rings: the time for an answer is over, or
// it is time for the next question. It runs on the clock's goroutine.
func (d *Door) heartbeat(c *client) {
	if c.gone.Load() {
		return
	}
	c.mu.Lock()
	open := c.pulse.inbox
	c.pulse.inbox = ""
	c.mu.Unlock()
	if open != "" {
		d.forgo(open)
		d.missed(c)
		return
	}
	inbox := d.newInbox()
	c.mu.Lock()
	c.pulse.inbox = inbox
	c.mu.Unlock()
	d.await(inbox, func(there bool) { d.answered(c, inbox, there) })
	if d.ask(c.HeartbeatInbox, inbox) {
		d.clock.set(c.beat, d.o.HeartbeatTimeout)
		return
	}
	c.mu.Lock()
	c.pulse.inbox = ""
	c.mu.Unlock()
	d.forgo(inbox)
	d.missed(c)
}

// answered notes that a client is there, or that nobody listens where it was asked. It
// runs on the goroutine that reads from it.
func (d *Door) answered(c *client, inbox string, there bool) {
	c.mu.Lock()
	if c.pulse.inbox != inbox {
		c.mu.Unlock()
		return
	}
	if !there {
		c.pulse.inbox = ""
		c.mu.Unlock()
		d.forgo(inbox)
		d.missed(c)
		return
	}
	recovered := c.pulse.fails > 0
	c.pulse = pulse{}
	c.mu.Unlock()
	d.forgo(inbox)
	d.clock.set(c.beat, d.o.HeartbeatInterval)
	if recovered {
		d.suspect(c, false)
	}
}

// missed notes that a client did not answer.
func (d *Door) missed(c *client) {
	c.mu.Lock()
	c.pulse.fails++
	fails := c.pulse.fails
	c.mu.Unlock()
	if fails == 1 {
		d.suspect(c, true)
	}
	if fails > d.o.HeartbeatFails {
		d.log.Info("client closed, it does not answer", "client", c.ID, "heartbeats", fails)
		d.lane(c.ID).push(func() {
			if !c.gone.Load() {
				d.leave(c)
			}
		})
		return
	}
	d.clock.set(c.beat, d.o.HeartbeatInterval)
}

// suspect tells the client's subscriptions that it seems to be gone, or is not.
func (d *Door) suspect(c *client, yes bool) {
	for _, m := range d.membersOf(c) {
		m.group.consumer.Suspect(m.ID, yes)
	}
}

// ping answers a client that asks whether it is still known. Nothing before it is
// waited for.
func (s *stage) ping(m *broker.Message) {
	d := s.door
	id, err := wire.DecodePing(m.Data)
	if err != nil || len(m.Data) == 0 || len(m.Reply) == 0 {
		return
	}
	d.mu.RLock()
	c := d.conns[string(id)]
	d.mu.RUnlock()
	if c == nil {
		d.answer(string(m.Reply), wire.AppendText(nil, wire.ClientReplaced))
		return
	}
	d.answer(string(m.Reply), nil)
	c.mu.Lock()
	hurry := c.pulse.fails > 0 && c.pulse.inbox == ""
	c.mu.Unlock()
	if hurry {
		d.clock.set(c.beat, soon)
	}
}
