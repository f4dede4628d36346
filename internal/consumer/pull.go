package consumer

import "time"

// pull is the policy of pull requests: requests wait in the order of arrival, the
// first one gets one message and goes to the end.
type pull struct {
	// max is the bound for waiting.
	max int
	// fresh requests came after the last Step, which knows what there is for them.
	fresh, waiting waiters
	// noWait counts the waiting requests that end with the stream.
	noWait int
	// timer is the first time at which a request expires or wants a heartbeat, or
	// earlier; 0 never.
	timer int64
	// swept is when all requests' interest was last looked at.
	swept int64
	// steps counts the Steps.
	steps uint64
	// refused are the statuses of requests that never waited.
	refused []Status
	// pin is the client that is pinned, and pinned until when it stays so.
	pin    Pin
	pinned int64
	// free are waiters to be used again, linked by next.
	free  *waiter
	nfree int
}

// maxFresh bounds the requests between two Steps.
const maxFresh = 4096

// maxFree bounds the waiters kept for use.
const maxFree = 1024

// Request takes a pull request. The next Step, which must follow, serves or
// refuses it.
func (c *Consumer) Request(r Request, now int64) {
	now = c.clock(now)
	c.idleFrom = now
	n, bad := c.refuses(&r)
	if !bad {
		n, bad = c.refusesGroup(&r, now)
	}
	if bad {
		c.pull.refuse(r.Reply, n)
		return
	}
	p := &c.pull
	if p.fresh.len >= maxFresh {
		if r.Heartbeat <= 0 {
			p.refuse(r.Reply, noticeMaxWaiting)
		}
		return
	}
	w := p.take()
	*w = waiter{
		reply: r.Reply, batch: max(r.Batch, 1), unsaid: r.Batch <= 0, noWait: r.NoWait,
		bytes: max(r.MaxBytes, 0), bounded: r.MaxBytes > 0, heartbeat: max(int64(r.Heartbeat), 0),
		group: r.Group, id: r.ID, rank: r.Priority, minPending: r.MinPending, minAckPending: r.MinAckPending,
	}
	if r.Expires > 0 {
		w.expires = now + min(int64(r.Expires), maxDelay)
	}
	if w.heartbeat > 0 {
		w.beat = now + w.heartbeat
	}
	p.fresh.push(w)
}

// refuses checks a request against the limits.
func (c *Consumer) refuses(r *Request) (notice, bool) {
	switch {
	case r.Heartbeat > 0 && r.Heartbeat > max(r.Expires, 0)/2:
		return noticeHeartbeatTooLarge, true
	case c.cfg.MaxBatch > 0 && r.Batch > c.cfg.MaxBatch:
		return noticeMaxBatch(c.cfg.MaxBatch), true
	case c.cfg.MaxExpires > 0 && r.Expires > c.cfg.MaxExpires:
		return noticeMaxExpires(c.cfg.MaxExpires), true
	case c.cfg.MaxBytes > 0 && r.MaxBytes > c.cfg.MaxBytes:
		return noticeMaxBytes(c.cfg.MaxBytes), true
	}
	return notice{}, false
}

func (p *pull) refuse(reply string, n notice) {
	if len(p.refused) < maxFresh {
		p.refused = append(p.refused, Status{Reply: reply, Code: n.code, Text: n.text})
	}
}

func (p *pull) take() *waiter {
	w := p.free
	if w == nil {
		return &waiter{}
	}
	p.free = w.next
	p.nfree--
	return w
}

func (p *pull) give(w *waiter) {
	if p.nfree >= maxFree {
		return
	}
	*w = waiter{next: p.free}
	p.free = w
	p.nfree++
}

// end takes a waiting request out, with a status unless n is nil.
func (p *pull) end(s *step, w *waiter, n *notice) {
	if n != nil {
		s.status(w, n)
	}
	if w.noWait {
		p.noWait--
	}
	p.waiting.remove(w)
	p.give(w)
}

// begin ends what has expired, sends heartbeats and lets fresh requests in.
func (p *pull) begin(s *step) {
	p.steps++
	s.out.Statuses = append(s.out.Statuses, p.refused...)
	clear(p.refused)
	p.refused = p.refused[:0]
	if p.timer > 0 && s.now >= p.timer {
		p.tick(s)
	}
	for w := p.fresh.head; w != nil; w = p.fresh.head {
		p.fresh.remove(w)
		p.admit(s, w)
	}
}

// tick looks at the times of every waiting request.
func (p *pull) tick(s *step) {
	p.timer = 0
	for w := p.waiting.head; w != nil; {
		next := w.next
		switch {
		case w.expires > 0 && s.now >= w.expires:
			p.end(s, w, &noticeTimeout)
		case w.heartbeat > 0 && s.now >= w.beat && !p.heard(s, w):
			p.end(s, w, nil)
		default:
			if w.heartbeat > 0 && s.now >= w.beat {
				s.status(w, &noticeHeartbeat)
				w.beat = s.now + w.heartbeat
			}
			p.watch(w)
		}
		w = next
	}
}

// watch makes the timer cover the request.
func (p *pull) watch(w *waiter) {
	p.timer = earlier(earlier(p.timer, w.expires), w.beat)
}

// heard says whether anyone listens for the request's answer. It asks once a Step.
func (p *pull) heard(s *step, w *waiter) bool {
	if w.seen == p.steps {
		return true
	}
	if !s.interest(w.reply) {
		return false
	}
	w.seen = p.steps
	return true
}

// admit lets a fresh request wait, or refuses it.
func (p *pull) admit(s *step, w *waiter) {
	if p.waiting.len >= p.max && s.now-p.swept >= int64(time.Second) {
		p.sweep(s)
	}
	var n *notice
	switch {
	case w.expires > 0 && s.now >= w.expires:
		n = &noticeTimeout
	case p.waiting.len >= p.max:
		n = &noticeMaxWaiting
	case w.noWait:
		n = p.hopeless(s, w)
	}
	if n != nil {
		if n != &noticeMaxWaiting || w.heartbeat == 0 {
			s.status(w, n)
		}
		p.give(w)
		return
	}
	if w.noWait {
		p.noWait++
	}
	p.enqueue(s, w)
	p.watch(w)
}

// hopeless says why a request that does not wait gets nothing.
func (p *pull) hopeless(s *step, w *waiter) *notice {
	there := s.pending() + uint64(s.c.tab.queued)
	if there == 0 {
		if w.expires == 0 {
			return &noticeNoMessages
		}
		return nil
	}
	var claimed uint64
	for o := p.waiting.head; o != nil && claimed < there; o = o.next {
		claimed += uint64(o.batch)
	}
	if claimed >= there {
		return &noticeClaimed
	}
	return nil
}

// sweep drops the requests for which nobody listens.
func (p *pull) sweep(s *step) {
	p.swept = s.now
	for w := p.waiting.head; w != nil; {
		next := w.next
		if !p.heard(s, w) {
			p.end(s, w, nil)
		}
		w = next
	}
}

// Sweep drops the requests for which nobody listens any more, so that Info counts
// only others.
func (c *Consumer) Sweep(now int64, interest func(reply string) bool) {
	c.pull.steps++ // what was heard before may be so no longer
	c.pull.sweep(&step{c: c, now: c.clock(now), interest: interest})
}

// pick gives the request that receives the message d of it.Size, and the size
// that counts against its bound. Requests that never can are ended on the way; nil
// if no other may get it now.
func (p *pull) pick(s *step, d *Delivery, it Item) (*waiter, int) {
	for w, next := p.waiting.head, (*waiter)(nil); w != nil; w = next {
		next = w.next
		if ok, n := p.eligible(s, w, d); !ok {
			if n != nil {
				p.end(s, w, n)
			}
			continue
		}
		if !p.heard(s, w) {
			p.end(s, w, nil)
			continue
		}
		if !w.bounded {
			return w, 0
		}
		size := it.Size
		if s.c.cfg.AckReplyLen != nil {
			size += s.c.cfg.AckReplyLen(d)
		}
		if size <= w.bytes {
			return w, size
		}
		p.end(s, w, &noticeTooLarge)
	}
	return nil, 0
}

// served accounts for a message to the request: it is complete or goes to the end
// of the queue.
func (p *pull) served(s *step, w *waiter, size int) {
	w.batch--
	w.got++
	w.bytes -= size
	if w.heartbeat > 0 {
		w.beat = s.now + w.heartbeat
	}
	switch {
	case w.bounded && w.bytes == 0:
		p.end(s, w, nil)
	case w.batch == 0 && w.bounded:
		p.end(s, w, &noticeBatchDone)
	case w.batch == 0:
		p.end(s, w, nil)
	case w.next != nil:
		p.waiting.remove(w)
		p.enqueue(s, w)
	}
}

// endOfStream ends the requests that do not wait: at once, or, if they expire
// later, when they have got something.
func (p *pull) endOfStream(s *step) {
	if p.noWait == 0 {
		return
	}
	for w := p.waiting.head; w != nil; {
		next := w.next
		if w.noWait && (w.expires == 0 || w.got > 0) {
			p.end(s, w, &noticeNoMessages)
		}
		w = next
	}
}

// Close ends every request, because of why. The consumer may go on to be used as
// if new requests came; out holds the statuses.
func (c *Consumer) Close(why Ending, out *Output) {
	out.reset()
	s := step{c: c, out: out}
	p := &c.pull
	out.Statuses = append(out.Statuses, p.refused...)
	clear(p.refused)
	p.refused = p.refused[:0]
	for w := p.fresh.head; w != nil; w = p.fresh.head {
		p.fresh.remove(w)
		s.status(w, &endings[why])
		p.give(w)
	}
	for p.waiting.head != nil {
		p.end(&s, p.waiting.head, &endings[why])
	}
	p.timer = 0
}
