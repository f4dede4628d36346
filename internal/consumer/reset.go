package consumer

import "github.com/weirmq/weir/internal/seqset"

// Reset has the consumer deliver again from seq on, as if it were new: its own
// sequence begins anew, nothing is pending. 0 stands for right behind the floor. It
// gives the sequence. Requests that wait stay. Step must follow, and
// Replay before it where that matters.
func (c *Consumer) Reset(seq uint64, now int64) uint64 {
	c.clock(now)
	if seq == 0 {
		seq = c.floor.Stream + 1
	}
	c.reset(seq)
	c.next = seq
	c.armed, c.moved = false, false
	c.late, c.expired = c.late[:0], c.expired[:0]
	c.replay = replay{}
	c.lastDelivered, c.lastAcked = 0, 0
	c.idleFrom = c.now
	c.rec.add(fact{kind: factReset, seq: seq})
	c.rec.floor = c.floor // follows from the fact
	return seq
}

// reset makes the state that of a new consumer which begins at seq.
func (l *ledger) reset(seq uint64) {
	st := StartAt(seq)
	l.delivered, l.floor, l.scanned = st.Delivered, st.Floor, st.Next
	l.tab = table{}
	l.exhausted = seqset.Set{}
}
