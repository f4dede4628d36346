package consumer

// push is the policy of a consumer that sends by itself, while somebody listens.
type push struct {
	// bound says that somebody listens.
	bound bool
	// beat is when the next heartbeat is due; 0: never.
	beat int64
	// next is when the rate allows another message.
	next int64

	// Flow control: up to window bytes may be sent that the client has not
	// confirmed to have read. Half of that asks it to.
	window, sent int
	// flow is the number of the open request, 0 none, which covers the first asked
	// bytes of sent.
	flow  uint64
	asked int
	// flows counts the requests.
	flows uint64
}

// The window begins small and doubles with each answer.
const (
	firstWindow = 2 << 20
	lastWindow  = 32 << 20
)

// Bound says whether somebody listens where the consumer sends. Step must follow.
func (c *Consumer) Bound(bound bool, now int64) {
	now = c.clock(now)
	p := &c.push
	if c.cfg.Push == nil || bound == p.bound {
		return
	}
	*p = push{bound: bound, window: firstWindow, flows: p.flows}
	if bound && c.cfg.Push.FlowAcks {
		c.moved, c.armed = true, false // who listens now has not got what was not acknowledged
	}
	c.idleFrom = now
	if hb := int64(c.cfg.Push.Heartbeat); bound && hb > 0 {
		p.beat = now + hb
	}
}

// FlowAnswered says that the client has answered a flow-control request. Step must
// follow. Any but the open one is ignored.
func (c *Consumer) FlowAnswered(flow uint64, now int64) {
	c.clock(now)
	p := &c.push
	if flow == 0 || flow != p.flow {
		return
	}
	p.sent -= p.asked
	p.flow, p.asked = 0, 0
	p.window = min(2*p.window, lastWindow)
}

// deliver sends messages as long as there are messages and room.
func (p *push) deliver(s *step, cfg *Push) {
	limit := s.out.limit()
	for p.bound {
		switch {
		case len(s.out.Deliveries) >= limit:
			s.out.More = true
			return
		case cfg.FlowControl && p.sent > p.window:
			return
		case p.next > s.now:
			s.c.hold = p.next
			return
		}
		next, ok := s.candidate()
		if !ok {
			return
		}
		d := s.preview(&next)
		d.Reply = cfg.Subject
		s.commit(&next, d)
		p.count(s, cfg, next.item.Size)
	}
}

// count accounts for a message that is sent.
func (p *push) count(s *step, cfg *Push, size int) {
	if cfg.Heartbeat > 0 {
		p.beat = s.now + int64(cfg.Heartbeat)
	}
	if cfg.RateLimit > 0 {
		const bitNanos = 8e9
		p.next = max(p.next, s.now) + min(int64(bitNanos*float64(size)/float64(cfg.RateLimit)), maxDelay)
	}
	if !cfg.FlowControl {
		return
	}
	p.sent += size
	if p.flow == 0 && (p.sent > p.window/2 || cfg.FlowAcks && 2*s.c.tab.live >= s.c.cfg.MaxAckPending) {
		p.ask()
		p.tell(s, cfg, &noticeFlow)
	}
}

// ask opens a flow-control request.
func (p *push) ask() {
	p.flows++
	p.flow, p.asked = p.flows, p.sent
}

// beats sends a heartbeat where one is due.
func (p *push) beats(s *step, cfg *Push) {
	if p.bound && p.beat > 0 && s.now >= p.beat {
		if cfg.FlowAcks && p.flow == 0 && s.c.tab.live > 0 {
			p.ask() // the heartbeat says where it is to be answered
		}
		p.tell(s, cfg, &noticeHeartbeat)
		p.beat = s.now + int64(cfg.Heartbeat)
	}
}

func (p *push) tell(s *step, cfg *Push, n *notice) {
	s.out.Statuses = append(s.out.Statuses, Status{
		Reply: cfg.Subject, Code: n.code, Text: n.text, After: len(s.out.Deliveries), Flow: p.flow,
		LastConsumer: s.c.delivered.Consumer, LastStream: s.c.delivered.Stream,
	})
}
