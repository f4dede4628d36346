package consumer

import "time"

// PriorityPolicy says which of the waiting requests is served.
type PriorityPolicy uint8

const (
	// PriorityNone: all of them, in turns.
	PriorityNone PriorityPolicy = iota
	// PriorityOverflow: those whose bounds on what is pending are reached.
	PriorityOverflow
	// PriorityPinned: those of one client, until it is silent for too long.
	PriorityPinned
	// PriorityRanked: those with the lowest number, in turns.
	PriorityRanked
)

// DefaultPinTimeout holds where Priority.Timeout is not positive.
const DefaultPinTimeout = 2 * time.Minute

// Priority is how a consumer chooses between requests.
type Priority struct {
	Policy PriorityPolicy
	// Groups are the groups that a request may name; only the first one has a state.
	Groups []string
	// Timeout is for PriorityPinned: how long a client stays pinned after its last
	// request.
	Timeout time.Duration `json:",omitempty"`
}

// Pin says who is pinned.
type Pin struct {
	// Group is the group, ID the client's mark; both are empty where nobody is.
	Group, ID string
	// Since is when it was pinned, Unix nanoseconds.
	Since int64
}

func (c *Config) priority() PriorityPolicy {
	if c.Priority == nil {
		return PriorityNone
	}
	return c.Priority.Policy
}

func (c *Config) pinTimeout() int64 {
	if c.Priority.Timeout <= 0 {
		return int64(DefaultPinTimeout)
	}
	return min(int64(c.Priority.Timeout), maxDelay)
}

// refusesGroup checks what a request says of groups. A request with the right id
// lets its client stay pinned.
func (c *Consumer) refusesGroup(r *Request, now int64) (notice, bool) {
	policy := c.cfg.priority()
	switch {
	case r.Priority < 0 || r.Priority > 9:
		return noticeBadPriority, true
	case (r.MinPending != 0 || r.MinAckPending != 0) && policy != PriorityOverflow:
		return noticeNotOverflow, true
	case r.ID != "" && policy != PriorityPinned:
		return noticeNotPinned, true
	case policy == PriorityNone:
		return notice{}, false
	case r.Group == "":
		return noticeNoGroup, true
	case !c.cfg.Priority.has(r.Group):
		return noticeBadGroup, true
	case policy == PriorityPinned && r.ID != "":
		c.expirePin(now)
		switch c.pull.pin.ID {
		case r.ID:
			c.pull.pinned = now + c.cfg.pinTimeout()
		case "": // it ends when a message is looked for
		default:
			return noticePinMismatch, true
		}
	}
	return notice{}, false
}

func (p *Priority) has(group string) bool {
	for _, g := range p.Groups {
		if g == group {
			return true
		}
	}
	return false
}

// eligible says whether the request may get the message d, and if not, whether
// that is for good: then n is not nil.
func (p *pull) eligible(s *step, w *waiter, d *Delivery) (ok bool, n *notice) {
	switch s.c.cfg.priority() {
	case PriorityOverflow:
		if w.minPending <= 0 && w.minAckPending <= 0 {
			return true, nil
		}
		// d.Pending does not count a new message itself.
		return w.minPending > 0 && d.Pending+1 >= uint64(w.minPending) ||
			w.minAckPending > 0 && int64(s.c.tab.live) >= w.minAckPending, nil
	case PriorityPinned:
		if w.id == "" {
			return p.pin.ID == "", nil
		}
		if w.id != p.pin.ID {
			return false, &noticeWrongPin
		}
	}
	return true, nil
}

// holdPin pins the client of a request that is about to be served, unless it is.
func (p *pull) holdPin(s *step, w *waiter) {
	if s.c.cfg.priority() != PriorityPinned || p.pin.ID != "" || s.c.cfg.NewPin == nil {
		return
	}
	p.pin = Pin{Group: w.group, ID: s.c.cfg.NewPin(), Since: s.now}
	p.pinned = s.now + s.c.cfg.pinTimeout()
	w.id = p.pin.ID
	s.c.advise(Advisory{Kind: AdvisoryPinned, Group: p.pin.Group, Pin: p.pin.ID})
}

// expirePin ends the pin of a client that was silent for too long.
func (c *Consumer) expirePin(now int64) {
	if c.pull.pin.ID != "" && now >= c.pull.pinned {
		c.unpin(ReasonPinTimeout)
	}
}

// Unpin ends the pin of a group's client. Step must follow: another one may be
// served.
func (c *Consumer) Unpin(group string, now int64) {
	c.clock(now)
	if c.pull.pin.ID != "" && c.pull.pin.Group == group {
		c.unpin(ReasonPinAdmin)
	}
}

func (c *Consumer) unpin(reason string) {
	c.advise(Advisory{Kind: AdvisoryUnpinned, Group: c.pull.pin.Group, Reason: reason})
	c.pull.pin, c.pull.pinned = Pin{}, 0
}

// enqueue lets a request wait: at the end, or behind those of its rank.
func (p *pull) enqueue(s *step, w *waiter) {
	if s.c.cfg.priority() != PriorityRanked {
		p.waiting.push(w)
		return
	}
	after := p.waiting.tail
	for after != nil && after.rank > w.rank {
		after = after.prev
	}
	p.waiting.insert(after, w)
}
