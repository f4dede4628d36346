package simtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// client publishes and remembers what it was told.
type client struct {
	s      *sim
	serial int
	again  []message // have an id and no answer
}

// message is something to be stored once.
type message struct {
	group uint64
	key   string // its content, unlike all others
	hasID bool
	// wants is the last sequence that it demands, if conditional.
	conditional bool
	wants       uint64
	// after is the highest sequence that was acknowledged when it was published.
	after uint64
}

func (c *client) init(s *sim) { c.s = s }

// limits of a partition; some keep few records only.
func (c *client) limits(group uint64) partition.Limits {
	l := partition.Limits{DedupWindow: int64(10 * time.Minute)}
	if c.keepsFew(group) {
		l.MaxRecords = 60
	}
	return l
}

func (c *client) keepsFew(group uint64) bool { return (c.s.seed+group)%4 == 0 }

// begin publishes until the end of the faults, and a little at times after it.
func (c *client) begin() {
	s := c.s
	var next func()
	next = func() {
		if !s.calm {
			c.publish()
			s.after(s.between(time.Millisecond, 40*time.Millisecond), next)
			return
		}
		c.publishLast()
		s.after(500*time.Millisecond, next)
	}
	s.after(time.Second, next)
}

// leader is any node that says that it leads a group.
func (c *client) leader(group uint64) *replica {
	for _, i := range c.s.rnd.Perm(nodeCount) {
		if n := c.s.nodes[i]; n.up && n.replicas[group-1].window.Term != 0 {
			return n.replicas[group-1]
		}
	}
	return nil
}

// publish sends a few messages to one partition.
func (c *client) publish() {
	s := c.s
	group := uint64(s.rnd.IntN(s.groups) + 1)
	r := c.leader(group)
	if r == nil {
		return
	}
	if s.chance(40) {
		c.remove(r)
		return
	}
	var batch []message
	for range 1 + s.rnd.IntN(4) {
		batch = append(batch, c.next(r))
	}
	c.send(r, batch)
}

// next makes a message, or takes one that has no answer.
func (c *client) next(r *replica) message {
	s := c.s
	for i, m := range c.again {
		if m.group == r.group && s.chance(2) {
			c.again = slices.Delete(c.again, i, i+1)
			s.saw("publish repeated")
			return m
		}
	}
	c.serial++
	m := message{group: r.group, key: fmt.Sprintf("message %d", c.serial), hasID: s.chance(3)}
	if !m.hasID && s.chance(5) {
		m.conditional, m.wants = true, r.p.Committed()
	}
	return m
}

// send gives a batch to a partition.
func (c *client) send(r *replica, batch []message) {
	b := &partition.Batch{Owner: batch}
	for _, m := range batch {
		parts := record.Parts{Subject: []byte("s." + m.key[len(m.key)-1:]), Data: []byte(m.key)}
		var cond partition.Conditions
		if m.hasID {
			copy(parts.ID[:], m.key)
			parts.HasID, cond.HasID, cond.ID = true, true, parts.ID
		}
		cond.HasLast, cond.Last = m.conditional, m.wants
		b.Area.Append(&parts)
		b.Conds = append(b.Conds, cond)
	}
	c.s.model.offered(batch)
	r.p.Admit(r.n.now(), b)
	if c.s.weak.ackAlone {
		c.answered(r, b)
	}
	r.n.work()
}

// answered takes the outcomes of a batch.
func (c *client) answered(r *replica, b *partition.Batch) {
	batch, ok := b.Owner.([]message)
	if !ok {
		return
	}
	b.Owner = nil
	for i, m := range batch {
		o := b.Outcomes[i]
		switch o.Refusal {
		case partition.Accepted:
			c.s.model.acked(r, m, o.Seq)
		case partition.Duplicate:
			c.s.saw("duplicate found")
			c.s.model.acked(r, m, o.Seq)
		case partition.WrongLast:
			c.s.saw("condition refused")
		default:
			if c.s.gates && o.Refusal == partition.Sealed {
				c.s.saw("publish refused")
				continue
			}
			c.s.fail("node %d refuses %q: %d", r.n.id, m.key, o.Refusal)
		}
	}
}

// unanswered takes back a batch whose fate nobody knows.
func (c *client) unanswered(b *partition.Batch) {
	batch, _ := b.Owner.([]message)
	for _, m := range batch {
		c.s.saw("no answer")
		if m.hasID {
			c.again = append(c.again, m)
		}
	}
}

// remove deletes one record, or the oldest ones.
func (c *client) remove(r *replica) {
	s := c.s
	last := r.p.Committed()
	if last == 0 {
		return
	}
	var rm partition.Removal
	if s.chance(2) {
		rm.Set.Add(1 + s.rnd.Uint64N(last))
	} else {
		rm.Below = last - min(last, 40)
	}
	s.saw("removal")
	if err := r.p.ProposeRemoval(&rm, nil); err != nil {
		s.fail("node %d: propose removal: %v", r.n.id, err)
	}
	r.n.work()
}

// publishLast gives each partition messages when all is calm, until one is
// acknowledged there.
func (c *client) publishLast() {
	for group := uint64(1); group <= uint64(c.s.groups); group++ {
		if c.s.model.of(group).calmAck {
			continue
		}
		if r := c.leader(group); r != nil {
			c.serial++
			c.send(r, []message{{group: group, key: fmt.Sprintf("last message %d", c.serial)}})
		}
	}
}
