package consumer

// done ends the pending entry at i: it is in no list afterwards and the floor
// moves if it was the lowest.
func (c *Consumer) done(i uint32) {
	c.tab.unlink(i)
	if c.tab.kill(i) {
		c.raiseFloor(c.delivered.Stream)
	}
}

// raiseFloor moves the floor to right below the lowest pending message, but not
// beyond the stream sequence upto, or to the last delivery if nothing is pending.
// The floor never moves back but by Reset.
func (c *Consumer) raiseFloor(upto uint64) {
	at := c.delivered
	if e := c.tab.lowest(); e != nil {
		at = Position{e.dseq - 1, min(e.seq-1, upto)}
	}
	c.floor.Consumer = max(c.floor.Consumer, at.Consumer)
	c.floor.Stream = max(c.floor.Stream, at.Stream)
}

// drop forgets a message that does not exist any more.
func (c *Consumer) drop(seq uint64, reason string) {
	i, pending := c.tab.find(seq, 0)
	if pending {
		e := c.tab.ents[i]
		c.done(i)
		c.advise(Advisory{Kind: AdvisoryTerm, Seq: seq, DSeq: e.dseq, Delivered: int(e.count()), Reason: reason})
	}
	if c.exhausted.Remove(seq) || pending {
		c.rec.add(fact{kind: factDropped, seq: seq})
	}
}

// removeBelow forgets every message before first.
func (c *Consumer) removeBelow(first uint64) {
	c.next = max(c.next, first)
	some := false
	for e := c.tab.lowest(); e != nil && e.seq < first; e = c.tab.lowest() {
		some = true
		c.advise(Advisory{Kind: AdvisoryTerm, Seq: e.seq, DSeq: e.dseq, Delivered: int(e.count()), Reason: ReasonLimits})
		i := uint32(c.tab.head)
		c.tab.unlink(i)
		c.tab.kill(i)
	}
	if some {
		c.raiseFloor(c.delivered.Stream)
	}
	if low, ok := c.exhausted.First(); ok && low < first {
		c.exhausted.RemoveBelow(first)
		some = true
	}
	if some {
		c.rec.add(fact{kind: factDroppedBelow, seq: first})
	}
}
