package consumer

import (
	"cmp"
	"slices"
)

// lateHeap is a binary heap of deadlines by time: of delayed entries, whose waits
// end in another order than they began. A deadline is valid only while its entry
// is loose and has that deadline; others are skipped, and swept when they are
// many.
type lateHeap []late

type late struct {
	at  int64
	seq uint64
}

func (h *lateHeap) push(l late) {
	a := append(*h, l)
	i := len(a) - 1
	for i > 0 && a[(i-1)/2].at > a[i].at {
		a[i], a[(i-1)/2] = a[(i-1)/2], a[i]
		i = (i - 1) / 2
	}
	*h = a
}

func (h *lateHeap) pop() {
	a := *h
	n := len(a) - 1
	a[0] = a[n]
	a = a[:n]
	a.sink(0)
	*h = a
}

func (h lateHeap) sink(i int) {
	for {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(h); k++ {
			if h[k].at < h[least].at {
				least = k
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// deadline is when the entry's wait ends.
func (c *Consumer) deadline(e *entry) int64 {
	if c.tab.holders != nil {
		return e.time + c.wait[c.tab.class(e)-1]
	}
	return e.time + c.wait[min(int(e.count()), len(c.wait))-1]
}

// arm starts the wait of the loose entry at i, which must have begun no earlier
// than those that are armed. Waits of one length that begin in order end in order,
// which a list keeps for nothing.
func (c *Consumer) arm(i uint32) {
	c.tab.link(i, c.tab.class(&c.tab.ents[i]))
}

// delay starts a wait that ends out of order.
func (c *Consumer) delay(i uint32) {
	if len(c.late) > 64 && len(c.late) > 2*c.tab.live {
		c.sweepLate()
	}
	e := &c.tab.ents[i]
	c.late.push(late{c.deadline(e), e.seq})
}

// lateEntry gives the entry that a deadline of the heap is for, if it still is.
func (c *Consumer) lateEntry(l late) (uint32, bool) {
	i, ok := c.tab.find(l.seq, 0)
	if !ok || c.tab.ents[i].phase() != phaseLoose || c.deadline(&c.tab.ents[i]) != l.at {
		return 0, false
	}
	return i, true
}

func (c *Consumer) sweepLate() {
	c.late = slices.DeleteFunc(c.late, func(l late) bool {
		_, ok := c.lateEntry(l)
		return !ok
	})
	slices.SortFunc(c.late, func(a, b late) int { return cmp.Compare(a.at, b.at) })
}

// rearm starts every wait anew, from when it began: after New, and when the waits
// were changed. What is queued for redelivery stays queued.
func (c *Consumer) rearm() {
	c.armed = true
	if c.cfg.Spread != nil {
		c.late = c.late[:0]
		c.spread.rearm(c)
		return
	}
	var queued []uint32
	if len(c.tab.lists) > 0 {
		for i := c.tab.lists[queue].head; i != none; i = c.tab.ents[i].next {
			queued = append(queued, i)
		}
	}
	c.tab.lists = make([]list, 1+len(c.wait))
	for i := range c.tab.lists {
		c.tab.lists[i] = list{none, none}
	}
	c.tab.queued = 0
	c.late = c.late[:0]
	c.expired = c.expired[:0]
	for i := c.tab.head; i < len(c.tab.ents); i++ {
		if e := &c.tab.ents[i]; e.phase() == phaseLoose || e.phase() == phaseTimed {
			e.setPhase(phaseLoose)
			c.expired = append(c.expired, uint32(i))
		}
	}
	c.armInOrder(c.expired)
	for _, i := range queued {
		c.tab.link(i, queue)
	}
	if c.moved {
		c.moved = false
		c.requeueAll()
	}
}

// armInOrder starts the waits of loose entries in the order in which they began.
func (c *Consumer) armInOrder(loose []uint32) {
	slices.SortFunc(loose, func(a, b uint32) int {
		return cmp.Compare(c.tab.ents[a].time, c.tab.ents[b].time)
	})
	for _, i := range loose {
		if c.tab.ents[i].time > c.now { // a delayed one
			c.delay(i)
		} else {
			c.arm(i)
		}
	}
}

// requeueAll queues everything that is pending, in ascending order.
func (c *Consumer) requeueAll() {
	for i := c.tab.head; i < len(c.tab.ents); i++ {
		if c.tab.ents[i].phase() != phaseDead {
			c.tab.unlink(uint32(i))
			c.requeue(uint32(i))
		}
	}
}

// nextExpiry is when the first wait ends; 0 never.
func (c *Consumer) nextExpiry() int64 {
	var at int64
	if len(c.tab.lists) > 0 {
		for l := 1; l < len(c.tab.lists); l++ {
			if i := c.tab.lists[l].head; i != none {
				at = earlier(at, c.deadline(&c.tab.ents[i]))
			}
		}
	}
	for len(c.late) > 0 {
		if _, ok := c.lateEntry(c.late[0]); ok {
			return earlier(at, c.late[0].at)
		}
		c.late.pop()
	}
	return at
}

// expire queues every message whose wait has ended, all of them in ascending
// order, and gives those up that were delivered as often as allowed.
func (c *Consumer) expire(now int64) {
	c.expired = c.expired[:0]
	for l := 1; l < len(c.tab.lists); l++ {
		for i := c.tab.lists[l].head; i != none; i = c.tab.lists[l].head {
			if c.deadline(&c.tab.ents[i]) > now {
				break
			}
			c.tab.unlink(i)
			c.expired = append(c.expired, i)
		}
	}
	for len(c.late) > 0 && c.late[0].at <= now {
		i, ok := c.lateEntry(c.late[0])
		c.late.pop()
		if ok {
			// The same deadline may be in the heap twice; only a linked entry is not
			// loose, so it is linked at once and unlinked with the others below.
			c.tab.link(i, queue)
			c.expired = append(c.expired, i)
		}
	}
	if len(c.expired) == 0 {
		return
	}
	slices.Sort(c.expired) // indexes ascend as sequences do
	for _, i := range c.expired {
		c.tab.unlink(i)
		c.requeue(i)
	}
}

// requeue puts the loose entry at i at the end of the redelivery queue, or gives
// it up; it says whether it is queued.
func (c *Consumer) requeue(i uint32) bool {
	if c.giveUp(i) {
		return false
	}
	c.tab.link(i, queue)
	return true
}

// giveUp ends the entry at i if it was delivered as often as allowed.
func (c *Consumer) giveUp(i uint32) bool {
	e := c.tab.ents[i]
	if c.cfg.MaxDeliver <= 0 || int(e.count()) < c.cfg.MaxDeliver {
		return false
	}
	c.done(i)
	c.exhausted.Add(e.seq)
	c.rec.add(fact{kind: factExhausted, seq: e.seq})
	c.advise(Advisory{Kind: AdvisoryMaxDeliver, Seq: e.seq, DSeq: e.dseq, Delivered: int(e.count())})
	return true
}
