package consumer

// step is one run of Step.
type step struct {
	c        *Consumer
	now      int64
	src      Source
	interest func(reply string) bool
	out      *Output

	// count is the number of records from the consumer's position on, once asked.
	count   uint64
	counted bool
}

// pending gives the number of records still to be delivered for the first time.
// The source is asked once a Step.
func (s *step) pending() uint64 {
	if !s.counted {
		s.count, s.counted = s.src.Count(s.c.next), true
	}
	return s.count
}

// candidate is the message that comes next: a pending one to be delivered again,
// or the first new one.
type candidate struct {
	item  Item
	index uint32
	again bool
}

// deliver sends messages as long as there are messages, requests and room.
func (s *step) deliver() {
	limit := s.out.limit()
	p := &s.c.pull
	for p.waiting.head != nil {
		if len(s.out.Deliveries) >= limit {
			s.out.More = true
			return
		}
		next, ok := s.candidate()
		if !ok {
			return
		}
		d := s.preview(&next)
		w, size := p.pick(s, d, next.item)
		if w == nil {
			p.endOfStream(s)
			return
		}
		p.holdPin(s, w)
		d.Reply, d.Pin = w.reply, p.pin.ID
		s.commit(&next, d)
		p.served(s, w, size)
	}
}

// candidate looks for the next message. Redeliveries come first and are not held
// back by the bound on pending messages.
func (s *step) candidate() (candidate, bool) {
	if s.c.tab.queued > 0 {
		if next, ok := s.again(); ok || s.out.Cold > 0 {
			return next, ok
		}
	}
	c := s.c
	if c.cfg.AckPolicy != AckNone && c.cfg.MaxAckPending > 0 && c.tab.live >= c.cfg.MaxAckPending {
		return candidate{}, false
	}
	return s.fresh()
}

// fresh looks for the first message that was not sent yet.
func (s *step) fresh() (candidate, bool) {
	c := s.c
	item, answer := s.src.Peek(c.next)
	switch answer {
	case Found:
		if at := c.replayAt(&item); at > s.now {
			c.hold = at
			return candidate{}, false
		}
		return candidate{item: item}, true
	case Cold:
		s.out.Cold = max(item.Seq, c.next)
	case End:
		c.scannedTo(item.Seq)
		c.pull.endOfStream(s)
	}
	return candidate{}, false
}

// again gives the first message of the redelivery queue that still exists and may
// be delivered.
func (s *step) again() (candidate, bool) {
	c := s.c
	for c.tab.queued > 0 {
		i := c.tab.lists[queue].head
		if c.cfg.MaxDeliver > 0 && int(c.tab.ents[i].count()) >= c.cfg.MaxDeliver {
			c.giveUp(i)
			continue
		}
		seq := c.tab.ents[i].seq
		item, answer := s.src.Get(seq)
		switch answer {
		case Found:
			return candidate{item: item, index: i, again: true}, true
		case Cold:
			s.out.Cold = seq
			return candidate{}, false
		}
		c.drop(seq, ReasonDeleted)
	}
	return candidate{}, false
}

// preview gives the delivery as it will be, in its place behind those of the output:
// commit makes it one of them, without it the next preview takes the place.
func (s *step) preview(next *candidate) *Delivery {
	n := len(s.out.Deliveries)
	if n == cap(s.out.Deliveries) {
		s.out.Deliveries = append(s.out.Deliveries, Delivery{})[:n]
	}
	d := &s.out.Deliveries[:n+1][n]
	d.Reply, d.Pin, d.Member = "", "", 0
	d.Seq, d.DSeq, d.Delivered, d.Pending = next.item.Seq, s.c.delivered.Consumer+1, 1, s.pending()
	if next.again {
		d.Delivered = int(s.c.tab.ents[next.index].count()) + 1
	} else if d.Pending > 0 {
		d.Pending--
	}
	return d
}

// commit makes the delivery, the last preview, part of the state and of the output.
func (s *step) commit(next *candidate, d *Delivery) {
	c := s.c
	if next.again {
		c.deliverAgain(next.index, d, s.now)
	} else {
		c.deliverNew(d, s.now)
		s.count = d.Pending
		c.replay.sentNew(&next.item, s.now)
	}
	c.lastDelivered, c.idleFrom = s.now, s.now
	s.out.Deliveries = s.out.Deliveries[:len(s.out.Deliveries)+1]
}

// status tells the request w.
func (s *step) status(w *waiter, n *notice) {
	st := Status{Reply: w.reply, Code: n.code, Text: n.text, After: len(s.out.Deliveries)}
	if n.remains {
		st.Remains, st.PendingMsgs, st.PendingBytes = true, w.batch, w.bytes
		if w.unsaid {
			st.PendingMsgs = 0
		}
	}
	if n == &noticeHeartbeat {
		st.LastConsumer, st.LastStream = s.c.delivered.Consumer, s.c.delivered.Stream
	}
	s.out.Statuses = append(s.out.Statuses, st)
}

// deliverNew moves the position over d and makes it pending.
func (c *Consumer) deliverNew(d *Delivery, now int64) {
	c.delivered = Position{d.DSeq, d.Seq}
	c.next = d.Seq + 1
	c.scanned = c.next
	if c.cfg.AckPolicy == AckNone {
		c.floor = c.delivered
		c.rec.floor = c.floor // follows from the fact
		c.rec.delivered(factDone, d.Seq, d.DSeq, now, 0)
		return
	}
	c.arm(c.tab.push(d.Seq, d.DSeq, now, 1, d.Member))
	c.rec.delivered(factDelivered, d.Seq, d.DSeq, now, d.Member)
}

// deliverAgain counts another delivery of the pending entry at i. Its place in the
// order, and so the floor, stays that of the first.
func (c *Consumer) deliverAgain(i uint32, d *Delivery, now int64) {
	c.delivered.Consumer = d.DSeq
	c.tab.unlink(i)
	c.tab.redeliver(i, uint32(min(d.Delivered, maxCount)), now, d.Member)
	c.arm(i)
	c.rec.add(fact{kind: factRedelivered, seq: d.Seq, dseq: d.DSeq, n: 1, count: c.tab.ents[i].count(), time: now, member: d.Member})
}

// scanEvery is how many sequences are passed over before that is written down, so
// that a restart does not look at all of them again.
const scanEvery = 1 << 16

// scannedTo moves over records that do not match.
func (c *Consumer) scannedTo(next uint64) {
	c.next = max(c.next, next)
	if c.next-c.scanned >= scanEvery {
		c.scanned = c.next
		c.rec.add(fact{kind: factScanned, seq: c.scanned})
	}
}
