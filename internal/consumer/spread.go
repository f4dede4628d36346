package consumer

import (
	"slices"
	"time"
)

// Spread has the consumer send by itself to its members, of which it picks one for
// each message.
type Spread struct {
	// Members may get messages. One that leaves leaves what it has not acknowledged
	// to the others.
	Members []Member
	// Group says that any member may get a message again that another one has not
	// acknowledged in time. Without it that waits while its receiver is suspect.
	Group bool `json:",omitempty"`
}

// Member is one of a Spread's receivers.
type Member struct {
	// ID is never given again, also when somebody comes back.
	ID uint32
	// MaxPending bounds what it may leave unacknowledged: then it gets nothing new,
	// but what was sent before still again.
	MaxPending int
	AckWait    time.Duration
}

// spreadSlack is how much before its time a message is sent again along with others.
const spreadSlack = int64(15 * time.Millisecond)

// spread is the policy of a consumer with members.
type spread struct {
	members []*member
}

// member is a Member as it is now.
type member struct {
	Member
	class   int // of the table's lists
	present bool
	suspect bool
	holder  *holder // in the table, since it was sorted anew; nil: it was not yet
}

// configure takes the members of a configuration. Who stays stays as it is.
func (p *spread) configure(cfg *Spread) {
	if cfg == nil {
		p.members = nil
		return
	}
	was := p.members
	p.members = make([]*member, 0, len(cfg.Members))
	for _, m := range was { // those that were there keep their turn
		if i := slices.IndexFunc(cfg.Members, func(n Member) bool { return n.ID == m.ID }); i >= 0 {
			m.Member = cfg.Members[i]
			p.members = append(p.members, m)
		}
	}
	for _, n := range cfg.Members {
		if p.find(n.ID) == nil {
			p.members = append(p.members, &member{Member: n})
		}
	}
}

func (p *spread) find(id uint32) *member {
	for _, m := range p.members {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// waits sorts the members into classes by how long they are waited for.
func (p *spread) waits() []int64 {
	var out []int64
	for _, m := range p.members {
		w := min(max(int64(m.AckWait), 1), maxDelay)
		i := slices.Index(out, w)
		if i < 0 {
			i, out = len(out), append(out, w)
		}
		m.class = 1 + i
	}
	if len(out) == 0 {
		return []int64{int64(DefaultAckWait)}
	}
	return out
}

// Attend says whether a member is there to receive. What one who is not has left
// unacknowledged goes to others, or waits for somebody. Step must follow.
func (c *Consumer) Attend(id uint32, present bool, now int64) {
	c.clock(now)
	if m := c.spread.find(id); m != nil && m.present != present {
		m.present = present
		c.armed = false
	}
}

// Suspect says whether a member seems to be gone: while others are not, they are
// preferred. Step must follow.
func (c *Consumer) Suspect(id uint32, suspect bool, now int64) {
	c.clock(now)
	if m := c.spread.find(id); m != nil {
		m.suspect = suspect
	}
}

// MemberInfo is what is told of a member.
type MemberInfo struct {
	ID      uint32
	Pending int
	Stalled bool
	Present bool
}

// Members tells the present state of each, in no order.
func (c *Consumer) Members() []MemberInfo {
	if !c.armed {
		c.rearm()
	}
	var out []MemberInfo
	for _, m := range c.spread.members {
		n := c.tab.heldBy(m.holder)
		out = append(out, MemberInfo{ID: m.ID, Pending: n, Stalled: n >= m.MaxPending, Present: m.present})
	}
	return out
}

// attended says that somebody is there.
func (p *spread) attended() bool {
	return slices.ContainsFunc(p.members, func(m *member) bool { return m.present })
}

// owner is the member that has the entry; nil if it is not there.
func (p *spread) owner(e *entry) *member {
	if m := p.find(e.member); m != nil && m.present {
		return m
	}
	return nil
}

// deliver sends messages as long as there are messages and room.
func (p *spread) deliver(s *step) {
	if !p.attended() {
		return
	}
	limit := s.out.limit()
	for {
		if len(s.out.Deliveries) >= limit {
			s.out.More = true
			return
		}
		next, m := p.next(s)
		if m == nil {
			return
		}
		d := s.preview(&next)
		d.Member = m.ID
		s.commit(&next, d)
	}
}

// next finds the next message and who gets it; nil: nobody now. What has to be sent
// again comes first, whatever room there is.
func (p *spread) next(s *step) (candidate, *member) {
	if s.c.tab.queued > 0 {
		if m := p.pick(s.c, true); m != nil {
			next, ok := s.again()
			if ok {
				return next, m
			}
			if s.out.Cold > 0 {
				return next, nil
			}
		}
	}
	i := p.choose(s.c, false)
	if i < 0 {
		return candidate{}, nil
	}
	next, ok := s.fresh()
	if !ok {
		return next, nil
	}
	return next, p.take(i)
}

// pick chooses the member for the next message and moves it to the end if it was
// the first.
func (p *spread) pick(c *Consumer, again bool) *member {
	i := p.choose(c, again)
	if i < 0 {
		return nil
	}
	return p.take(i)
}

// take gives the i-th member; the first one goes to the end.
func (p *spread) take(i int) *member {
	m := p.members[i]
	if i == 0 {
		copy(p.members, p.members[1:])
		p.members[len(p.members)-1] = m
	}
	return m
}

// choose finds the member with the fewest pending messages among those with room,
// first among those that are not suspect; -1: none. What is sent again goes to
// somebody also where nobody has room.
func (p *spread) choose(c *Consumer, again bool) int {
	best, rank, least := -1, 0, 0
	for i, m := range p.members {
		if !m.present {
			continue
		}
		held := c.tab.heldBy(m.holder)
		r := 1 // of those without room the first
		switch {
		case held < m.MaxPending && !m.suspect:
			r = 4
		case held < m.MaxPending:
			r = 2
		case !again:
			continue
		case !m.suspect:
			r = 3
		}
		if again && m.suspect && !c.cfg.Spread.Group {
			continue
		}
		if r > rank || r == rank && r == 4 && held < least {
			best, rank, least = i, r, held
		}
	}
	return best
}

// rearm sorts what is pending anew: into the waits of those that have it, and into
// the queue where these are not there.
func (p *spread) rearm(c *Consumer) {
	c.wait = p.waits()
	c.tab.tellApart(len(p.members))
	for _, m := range p.members {
		m.holder = c.tab.holder(m.ID)
		m.holder.class = m.class
	}
	c.tab.lists = make([]list, 1+len(c.wait))
	for i := range c.tab.lists {
		c.tab.lists[i] = list{none, none}
	}
	c.tab.queued = 0
	c.expired = c.expired[:0]
	for i := c.tab.head; i < len(c.tab.ents); i++ {
		e := &c.tab.ents[i]
		if e.phase() == phaseDead {
			continue
		}
		e.setPhase(phaseLoose)
		e.prev, e.next = none, none
		c.tab.holder(e.member).held++
		if p.owner(e) == nil {
			c.tab.link(uint32(i), queue)
		} else {
			c.expired = append(c.expired, uint32(i))
		}
	}
	c.armInOrder(c.expired)
}
