package nats

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

const (
	// firstPing is the longest wait for the first PING, up to a fifth more.
	firstPing = 2 * time.Second
	// remeasure is how old a round-trip time gets on a connection that is never idle.
	remeasure = time.Hour
)

// pinger finds out whether a client is still there. The timer's callback and the
// reader share it.
type pinger struct {
	timer    *time.Timer  // guarded by Conn.mu
	waiting  atomic.Int32 // PINGs without an answer
	sent     atomic.Int64 // Unix nanoseconds of the last PING
	rtt      atomic.Int64 // nanoseconds; 0: not known
	measured atomic.Int64 // Unix nanoseconds
}

// startTimers starts the wait for CONNECT and the pings.
func (c *Conn) startTimers() {
	limits := c.door.limits.Load()
	first := min(limits.PingInterval, firstPing)
	first += time.Duration(rand.Int64N(int64(first)/5 + 1))
	c.mu.Lock()
	defer c.mu.Unlock()
	if auth := *c.door.auth.Load(); auth.Required() {
		c.auth = time.AfterFunc(limits.AuthTimeout, func() {
			if c.identity.Load() == nil {
				c.close(wire.ErrAuthTimeout)
			}
		})
	}
	c.ping.timer = time.AfterFunc(first, c.pingDue)
}

func (c *Conn) stopTimers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range []*time.Timer{c.ping.timer, c.auth, c.expiry} {
		if t != nil {
			t.Stop()
		}
	}
}

// pingDue sends a PING unless the client has been heard of, or gives it up.
func (c *Conn) pingDue() {
	limits := c.door.limits.Load()
	interval := limits.PingInterval
	now := time.Now().UnixNano()
	p := &c.ping
	heard := now-c.active.Load() < int64(interval)
	known := p.rtt.Load() > 0 && now-p.measured.Load() < int64(remeasure)
	switch {
	case c.closing.Load() != nil:
		return
	case heard && known:
		p.waiting.Store(0)
	case c.identity.Load() == nil && (*c.door.auth.Load()).Required():
		// Before it is let in, a client expects nothing but what lets it in.
	case int(p.waiting.Load())+1 > limits.PingMax:
		c.door.totals.stale.Add(1)
		c.close(wire.ErrStale)
		return
	default:
		p.waiting.Add(1)
		p.sent.Store(now)
		c.send(wire.AppendPing(nil))
	}
	c.mu.Lock()
	p.timer.Reset(interval)
	c.mu.Unlock()
}

// answered is told of a PONG.
func (p *pinger) answered(c *Conn) {
	p.waiting.Store(0)
	if sent := p.sent.Swap(0); sent > 0 {
		now := time.Now().UnixNano()
		p.rtt.Store(max(now-sent, 1))
		p.measured.Store(now)
	}
}

// handlePing answers a PING. The first one is followed by the INFO that says
// where the client is.
func (c *Conn) handlePing() {
	c.reply(wire.AppendPong(c.line[:0]))
	if c.greeted || !c.connected || c.connect.Protocol < 1 {
		return
	}
	c.greeted = true
	said := c.door.info.Load()
	info := c.info()
	id := c.identity.Load()
	info.ConnectInfo, info.RemoteAccount, info.SystemAccount = true, id.Account, id.System
	c.reply(wire.AppendInfo(c.line[:0], info))
	// An INFO that others send from now on comes behind the PONG.
	c.handOver()
	c.mu.Lock()
	c.told = true
	c.mu.Unlock()
	if c.door.info.Load() != said {
		c.tellInfo() // it changed while this client was not yet to be told
	}
}
