package consumer

import "time"

// AckKind is what a client says about a delivery.
type AckKind uint8

const (
	// Acked: done.
	Acked AckKind = iota
	// Nak: deliver it again, now or after Ack.Delay.
	Nak
	// Progress: still at it; the wait begins anew.
	Progress
	// Term: do not deliver it again.
	Term
)

// Ack is a client's word about one delivery.
type Ack struct {
	Kind AckKind
	// Seq and DSeq are the stream and consumer sequence of the delivery.
	Seq, DSeq uint64
	// Delivered is the number of deliveries as the client names it; for advisories.
	Delivered int
	// Delay is for a Nak. Not positive: at once.
	Delay time.Duration
	// Reason is for a Term and goes into its advisory.
	Reason string
}

// AckResult says what came of an Ack.
type AckResult struct {
	// Changed: something is to be written down, which the next Step gives.
	Changed bool
	// Reply: a client that asked for confirmation gets it, once the change (if any)
	// is durable. Otherwise it gets no answer.
	Reply bool
}

// Ack takes a client's word. Step must follow; it makes room for further
// deliveries and redelivers what was refused. Where no acknowledgement is wanted
// it does nothing.
func (c *Consumer) Ack(a Ack, now int64) AckResult {
	if c.cfg.AckPolicy == AckNone || a.Seq == 0 || a.Seq > c.delivered.Stream {
		return AckResult{}
	}
	now = c.clock(now)
	if !c.armed {
		c.rearm()
	}
	res := AckResult{Reply: true}
	switch a.Kind {
	case Acked, Term:
		res.Changed = c.ack(a)
		if !res.Changed {
			break
		}
		c.lastAcked = now
		if a.Kind == Term {
			c.advise(Advisory{Kind: AdvisoryTerm, Seq: a.Seq, DSeq: a.DSeq, Delivered: a.Delivered, Reason: a.Reason})
		}
	case Nak:
		res.Changed = c.nak(a, now)
	case Progress:
		res.Changed = c.progress(a, now)
	}
	return res
}

// sample keeps an advisory of every so many acknowledgements; from is when the wait
// for this one began.
func (c *Consumer) sample(a *Ack, from int64) {
	if c.cfg.Sample <= 0 || a.Kind != Acked {
		return
	}
	if c.sampled += c.cfg.Sample; c.sampled < 100 {
		return
	}
	c.sampled = min(c.sampled-100, 100)
	c.advise(Advisory{Kind: AdvisoryAcked, Seq: a.Seq, DSeq: a.DSeq, Delivered: a.Delivered, Took: max(c.now-from, 0)})
}

// ack ends one message, or everything up to it. It says whether there was any.
// What was given up may still be acknowledged: retention waits for it.
func (c *Consumer) ack(a Ack) bool {
	if c.cfg.AckPolicy == AckAll {
		return c.ackThrough(a)
	}
	if i, ok := c.tab.find(a.Seq, a.DSeq); ok {
		c.sample(&a, c.tab.ents[i].time)
		c.done(i)
	} else if !c.exhausted.Remove(a.Seq) {
		return false
	}
	c.rec.acked(a.Seq)
	return true
}

func (c *Consumer) ackThrough(a Ack) bool {
	seq := a.Seq
	some := false
	if i, ok := c.tab.find(seq, a.DSeq); ok {
		c.sample(&a, c.tab.ents[i].time)
	}
	for e := c.tab.lowest(); e != nil && e.seq <= seq; e = c.tab.lowest() {
		some = true
		i := uint32(c.tab.head)
		c.tab.unlink(i)
		c.tab.kill(i)
	}
	if some {
		c.raiseFloor(seq)
	}
	if low, ok := c.exhausted.First(); ok && low <= seq {
		c.exhausted.RemoveBelow(seq + 1)
		some = true
	}
	if some {
		c.rec.add(fact{kind: factAckedThrough, seq: seq})
	}
	return some
}

// maxDelay bounds times far in the future, so that sums do not overflow.
const maxDelay = 1 << 61

// nak queues a message for redelivery. One that is queued already keeps its
// place. A delayed one waits as if its wait had begun long enough ago: where the
// waits differ by delivery, the first one is what the delay replaces, so a later
// delivery waits for the difference as well.
func (c *Consumer) nak(a Ack, now int64) bool {
	if a.DSeq <= c.floor.Consumer || a.DSeq > c.delivered.Consumer {
		return false
	}
	i, ok := c.tab.find(a.Seq, a.DSeq)
	if !ok {
		return false
	}
	c.advise(Advisory{Kind: AdvisoryNak, Seq: a.Seq, DSeq: a.DSeq, Delivered: a.Delivered})
	e := &c.tab.ents[i]
	if e.phase() == phaseQueued {
		return false
	}
	c.tab.unlink(i)
	if a.Delay <= 0 {
		return !c.requeue(i)
	}
	e.time = now - c.wait[0] + min(int64(a.Delay), maxDelay)
	c.rec.add(fact{kind: factWaits, seq: e.seq, time: e.time})
	c.delay(i)
	return true
}

// progress begins the wait of a message anew.
func (c *Consumer) progress(a Ack, now int64) bool {
	i, ok := c.tab.find(a.Seq, a.DSeq)
	if !ok || c.tab.ents[i].phase() == phaseQueued {
		return false
	}
	c.tab.unlink(i)
	c.tab.ents[i].time = now
	c.rec.add(fact{kind: factWaits, seq: a.Seq, time: now})
	c.arm(i)
	return true
}
