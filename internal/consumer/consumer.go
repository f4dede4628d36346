package consumer

import "time"

// Consumer is a live consumer. Its owner calls it from one goroutine at a time.
// All times are Unix nanoseconds; one that is before an earlier one counts as
// that.
type Consumer struct {
	ledger

	// Set at construction and by Update.
	cfg Config
	// wait[i] is the time to acknowledge delivery number i+1; the last repeats.
	wait []int64

	// next is the first sequence that was not looked at.
	next uint64
	// now is the latest time seen.
	now int64
	// armed says that each pending entry waits for something. It is not so after
	// New and Update until the next Step, which knows the time.
	armed bool
	// moved says that what is pending went to another subject: all of it is sent
	// again.
	moved bool
	// late holds the deadlines that fit in no list.
	late lateHeap
	// expired is reused by each look for what was not acknowledged in time.
	expired []uint32

	rec recorder
	// advisories gathers until the next Step gives them.
	advisories []Advisory

	pull   pull
	push   push
	spread spread
	// hold is when delivering may go on that a Step held back; 0: it did not.
	hold   int64
	replay replay

	lastDelivered, lastAcked int64
	// idleFrom is since when the consumer is unused; 0 unknown.
	idleFrom int64
	// paused says that the last Step delivered nothing because of a pause.
	paused bool
	// sampled is how much of an advisory the acknowledgements since the last one make,
	// in hundredths.
	sampled int
}

// New makes a consumer that goes on from st, of which it keeps no part.
func New(cfg Config, st State) *Consumer {
	c := &Consumer{ledger: newLedger(&st)}
	c.next = c.scanned
	c.rec.floor = c.floor
	if c.tab.live == 0 {
		// The last pending message may have been removed just before.
		c.raiseFloor(c.delivered.Stream)
	}
	c.configure(cfg)
	return c
}

// Update changes the configuration, except the acknowledgement policy. Waits that
// are running are measured anew from when they began. Step must follow.
func (c *Consumer) Update(cfg Config) {
	cfg.AckPolicy = c.cfg.AckPolicy
	if was, is := c.cfg.Push, cfg.Push; was != nil && is != nil && was.Subject != is.Subject {
		c.push = push{}
		c.moved = true
	}
	c.configure(cfg)
}

func (c *Consumer) configure(cfg Config) {
	c.cfg = cfg
	c.wait = cfg.waits()
	c.spread.configure(cfg.Spread)
	c.armed = false
	c.pull.max = cfg.maxWaiting()
	c.paused = false // whoever changes the pause tells it
	if c.pull.pin.ID != "" && (cfg.priority() != PriorityPinned || !cfg.Priority.has(c.pull.pin.Group)) {
		c.pull.pin, c.pull.pinned = Pin{}, 0
	}
}

// clock takes the time of an input.
func (c *Consumer) clock(now int64) int64 {
	c.now = max(c.now, now)
	return c.now
}

// Next gives the first stream sequence that was not looked at: the number of
// matching records from here on is the number still to be delivered.
func (c *Consumer) Next() uint64 { return c.next }

// Info is what is told of a consumer.
type Info struct {
	Delivered, Floor Position
	// LastDelivered and LastAcked are times; 0 if it was not since New.
	LastDelivered, LastAcked int64
	// AckPending counts the messages that wait for an acknowledgement, also where
	// that is overdue. Redelivered counts those delivered twice or more that are
	// pending or given up. Waiting counts the pull requests.
	AckPending, Redelivered, Waiting int
	// Bound says that somebody listens where the consumer sends by itself.
	Bound bool
	// Pin is the client that requests are answered to.
	Pin Pin
}

// Info tells the present state.
func (c *Consumer) Info() Info {
	in := Info{
		Delivered: c.delivered, Floor: c.floor,
		LastDelivered: c.lastDelivered, LastAcked: c.lastAcked,
		AckPending: c.tab.live, Waiting: c.pull.waiting.len + c.pull.fresh.len, Bound: c.push.bound || c.spread.attended(), Pin: c.pull.pin,
	}
	if c.cfg.MaxDeliver != 1 {
		in.Redelivered = c.tab.redelivered + int(c.exhausted.Count())
	}
	return in
}

// TakeChanges appends the change record of everything since the last one to dst
// and says whether there was anything. Step does it as well.
func (c *Consumer) TakeChanges(dst []byte) ([]byte, bool) {
	dst, some := c.rec.take(dst, c.serial+1, c.floor)
	if some {
		c.serial++
	}
	return dst, some
}

// Wants says whether a new record may have somebody to go to.
func (c *Consumer) Wants() bool {
	return c.push.bound || c.pull.waiting.len+c.pull.fresh.len > 0 || c.spread.attended()
}

// Step does what time and source allow: requests end, messages that were not
// acknowledged in time are queued again, messages go out. interest says whether
// anyone listens on a request's inbox. Afterwards out holds what the caller has
// to do.
func (c *Consumer) Step(now int64, src Source, interest func(reply string) bool, out *Output) {
	now = c.clock(now)
	out.reset()
	if c.idleFrom == 0 {
		c.idleFrom = now
	}
	if !c.armed {
		c.rearm()
	}
	s := step{c: c, now: now, src: src, interest: interest, out: out}
	if c.cfg.Spread != nil {
		c.expire(now + spreadSlack)
	} else {
		c.expire(now)
	}
	c.expirePin(now)
	c.pull.begin(&s)
	c.hold = 0
	c.checkPause(now)
	switch {
	case c.paused:
		c.hold = c.cfg.PauseUntil
		c.pull.endOfStream(&s)
	case c.cfg.Push != nil:
		c.push.deliver(&s, c.cfg.Push)
	case c.cfg.Spread != nil:
		c.spread.deliver(&s)
	default:
		s.deliver()
	}
	if c.cfg.Push != nil {
		c.push.beats(&s, c.cfg.Push)
	}
	c.checkIdle(&s)
	out.Advisories = append(out.Advisories, c.advisories...)
	clear(c.advisories)
	c.advisories = c.advisories[:0]
	out.Changes, _ = c.TakeChanges(out.Changes)
}

// Deadline gives the time at which Step must run without any other input; 0:
// never. It may be too early, never too late.
func (c *Consumer) Deadline() int64 {
	if (!c.armed && c.tab.live > 0) || (c.idleFrom == 0 && c.cfg.InactiveThreshold > 0) {
		return 1
	}
	at := earlier(earlier(c.nextExpiry(), c.pull.timer), earlier(c.push.beat, c.hold))
	at = earlier(at, c.pull.pinned)
	if c.cfg.InactiveThreshold > 0 && !c.push.bound {
		at = earlier(at, c.idleFrom+int64(c.cfg.InactiveThreshold))
	}
	return at
}

// earlier gives the earlier of two times, of which 0 stands for never.
func earlier(a, b int64) int64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// checkPause finds out whether the consumer is paused, and tells when a pause ended
// by itself.
func (c *Consumer) checkPause(now int64) {
	was := c.paused
	c.paused = now < c.cfg.PauseUntil
	if was && !c.paused {
		c.advise(Advisory{Kind: AdvisoryResumed})
	}
}

// memoryLinger is how long an empty table is kept for the next burst.
const memoryLinger = int64(10 * time.Second)

// checkIdle finds out whether the consumer is out of use. Deliveries that may
// still be acknowledged in time and requests that someone listens for are use.
func (c *Consumer) checkIdle(s *step) {
	if c.tab.live == 0 && s.now-c.lastDelivered > memoryLinger {
		c.tab.release()
	}
	if c.push.bound {
		c.idleFrom = s.now
		return
	}
	limit := int64(c.cfg.InactiveThreshold)
	if limit <= 0 || s.now-c.idleFrom < limit {
		return
	}
	c.idleFrom = s.now
	if c.cfg.Push != nil {
		s.out.Inactive = true
		return
	}
	if c.tab.live > c.tab.queued {
		return
	}
	c.pull.sweep(s)
	s.out.Inactive = c.pull.waiting.len == 0
}

// Removed says that records went away: everything before first, and seqs. What of
// it was pending is pending no more. Step must follow.
func (c *Consumer) Removed(first uint64, seqs ...uint64) {
	c.removeBelow(first)
	for _, seq := range seqs {
		if c.tab.live == 0 && c.exhausted.Count() == 0 {
			return
		}
		c.drop(seq, ReasonDeleted)
	}
}

// Purged says that the stream was purged up to, but not including, first. In
// addition to what Removed does, the position moves there.
func (c *Consumer) Purged(first uint64) {
	c.removeBelow(first)
	if first == 0 || c.delivered.Stream >= first-1 {
		return
	}
	c.purged(first)
	c.rec.add(fact{kind: factPurged, seq: first})
	c.raiseFloor(c.delivered.Stream)
}

// advise keeps an advisory for the next Step.
func (c *Consumer) advise(a Advisory) {
	if len(c.advisories) < maxAdvisories {
		c.advisories = append(c.advisories, a)
	}
}
