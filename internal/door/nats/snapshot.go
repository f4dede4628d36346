package nats

import (
	"slices"
	"strings"
	"time"
)

// ConnInfo is a connection at one moment.
type ConnInfo struct {
	ID            uint64
	IP            string
	Port          int
	Start         time.Time
	LastActivity  time.Time
	Stop          time.Time     // zero while open
	Reason        string        // why it was closed
	RTT           time.Duration // 0: not known yet
	Pending       int64         // bytes that wait for the client
	InMsgs        uint64        // from the client
	InBytes       uint64
	OutMsgs       uint64
	OutBytes      uint64
	Subscriptions int
	Name          string
	Lang          string
	Version       string
	User          string
	Account       string
}

// SubInfo is a subscription at one moment.
type SubInfo struct {
	Subject, Queue, SID string
	Delivered, Max      uint64
}

// Snapshot gives the connection as it is.
func (c *Conn) Snapshot() ConnInfo {
	info := ConnInfo{
		ID: c.id, IP: c.host, Port: c.port, Start: c.start,
		LastActivity: time.Unix(0, c.active.Load()),
		RTT:          time.Duration(c.ping.rtt.Load()),
		Pending:      c.out.Pending(),
		InMsgs:       c.counts.inMsgs.Load(),
		InBytes:      c.counts.inBytes.Load(),
		OutMsgs:      c.counts.outMsgs.Load(),
		OutBytes:     c.counts.outBytes.Load(),
	}
	if id := c.identity.Load(); id != nil {
		info.User, info.Account = id.User, id.Account
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info.Subscriptions = len(c.subs)
	info.Name, info.Lang, info.Version = c.settings.Name, c.settings.Lang, c.settings.Version
	return info
}

// Identity is who the client is, nil before it was let in.
func (c *Conn) Identity() *Identity { return c.identity.Load() }

// Subscriptions gives what the client is subscribed to, by SID.
func (c *Conn) Subscriptions() []SubInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	subs := make([]SubInfo, 0, len(c.subs))
	for _, s := range c.subs {
		subs = append(subs, SubInfo{Subject: s.Subject, Queue: s.Queue, SID: s.SID, Delivered: s.Delivered(), Max: s.Max()})
	}
	slices.SortFunc(subs, func(a, b SubInfo) int { return strings.Compare(a.SID, b.SID) })
	return subs
}

// Connections gives the open connections, by number.
func (d *Door) Connections() []ConnInfo {
	conns := d.all()
	infos := make([]ConnInfo, len(conns))
	for i, c := range conns {
		infos[i] = c.Snapshot()
	}
	slices.SortFunc(infos, func(a, b ConnInfo) int { return compare(a.ID, b.ID) })
	return infos
}

func compare(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// Subscriptions gives those of one open connection.
func (d *Door) Subscriptions(id uint64) []SubInfo {
	d.mu.Lock()
	c := d.conns[id]
	d.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.Subscriptions()
}

// Closed gives the last connections that were closed, the oldest first.
func (d *Door) Closed() []ConnInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed.list()
}

// Totals are the door's counters since it was made.
type Totals struct {
	Connections      int    // open
	TotalConnections uint64 // ever accepted
	Subscriptions    int    // of open connections
	InMsgs, InBytes  uint64
	OutMsgs          uint64
	OutBytes         uint64
	SlowPending      uint64 // clients closed because too much waited for them
	SlowDeadline     uint64 // clients closed because they took nothing for too long
	Stale            uint64 // clients closed because they did not answer
	IngestStalls     uint64 // publishes that had to wait for a stream
	IngestDropped    uint64 // publishes that a stream never took
	Start            time.Time
}

// Totals gives the counters.
func (d *Door) Totals() Totals {
	t := &d.totals
	out := Totals{
		InMsgs: t.inMsgs.Load(), InBytes: t.inBytes.Load(),
		OutMsgs: t.outMsgs.Load(), OutBytes: t.outBytes.Load(),
		SlowPending: t.slowPending.Load(), SlowDeadline: t.slowDeadline.Load(),
		Stale: t.stale.Load(), IngestStalls: t.ingestStalls.Load(), IngestDropped: t.ingestDropped.Load(),
		Start: d.start,
	}
	conns := d.all()
	out.Connections = len(conns)
	for _, c := range conns {
		c.mu.Lock()
		out.Subscriptions += len(c.subs)
		c.mu.Unlock()
	}
	d.mu.Lock()
	out.TotalConnections = d.total
	d.mu.Unlock()
	return out
}

// ring keeps the last entries.
type ring struct {
	limit   int // at most so many; below 1: none
	entries []ConnInfo
	next    int // the oldest, once full
}

func (r *ring) add(c ConnInfo) {
	switch {
	case r.limit < 1:
	case len(r.entries) < r.limit:
		r.entries = append(r.entries, c)
	default:
		r.entries[r.next] = c
		r.next = (r.next + 1) % r.limit
	}
}

// resize keeps the newest entries that fit.
func (r *ring) resize(limit int) {
	if limit == r.limit {
		return
	}
	entries := r.list()
	r.entries, r.next, r.limit = entries[max(0, len(entries)-max(0, limit)):], 0, limit
}

func (r *ring) list() []ConnInfo {
	out := make([]ConnInfo, 0, len(r.entries))
	out = append(out, r.entries[r.next:]...)
	return append(out, r.entries[:r.next]...)
}
