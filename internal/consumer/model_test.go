package consumer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// model is the plainest consumer: it looks at everything each time.
type model struct {
	cfg       Config
	src       *stored
	now       int64
	delivered Position
	floor     Position
	next      uint64
	pending   map[uint64]*modelPending
	queue     []uint64
	exhausted map[uint64]bool
	requests  []*modelRequest
	// pin is the pinned client's id until pinned; pins is how many there were.
	pin    string
	pinned int64
	pins   int
}

type modelPending struct {
	dseq  uint64
	since int64
	count int
}

type modelRequest struct {
	reply   string
	batch   int
	expires int64
	Request
}

func newModel(cfg Config, src *stored) *model {
	return &model{cfg: cfg, src: src, next: 1, pending: map[uint64]*modelPending{}, exhausted: map[uint64]bool{}}
}

func (m *model) wait(count int) int64 {
	w := m.cfg.waits()
	return w[min(count, len(w))-1]
}

func (m *model) sorted() []uint64 {
	out := make([]uint64, 0, len(m.pending))
	for seq := range m.pending {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}

// end takes seq out of everything. The floor follows if it was the lowest.
func (m *model) end(seq uint64) {
	lowest := m.sorted()[0] == seq
	delete(m.pending, seq)
	if i := slices.Index(m.queue, seq); i >= 0 {
		m.queue = slices.Delete(m.queue, i, i+1)
	}
	if lowest {
		m.raise(m.delivered.Stream)
	}
}

func (m *model) raise(upto uint64) {
	at := m.delivered
	if left := m.sorted(); len(left) > 0 {
		at = Position{m.pending[left[0]].dseq - 1, min(left[0]-1, upto)}
	}
	m.floor.Consumer, m.floor.Stream = max(m.floor.Consumer, at.Consumer), max(m.floor.Stream, at.Stream)
}

func (m *model) ack(seq uint64) {
	switch {
	case seq > m.delivered.Stream || m.cfg.AckPolicy == AckNone:
	case m.cfg.AckPolicy == AckAll:
		before := len(m.pending)
		for s := range m.pending {
			if s <= seq {
				delete(m.pending, s)
			}
		}
		m.queue = slices.DeleteFunc(m.queue, func(s uint64) bool { return s <= seq })
		if len(m.pending) < before {
			m.raise(seq) // only what was named is covered
		}
		for s := range m.exhausted {
			if s <= seq {
				delete(m.exhausted, s)
			}
		}
	case m.pending[seq] != nil:
		m.end(seq)
	default:
		delete(m.exhausted, seq)
	}
}

func (m *model) exhaust(seq uint64) bool {
	if m.cfg.MaxDeliver <= 0 || m.pending[seq].count < m.cfg.MaxDeliver {
		return false
	}
	m.end(seq)
	m.exhausted[seq] = true
	return true
}

func (m *model) nak(seq, dseq uint64, delay int64) {
	p := m.pending[seq]
	if m.cfg.AckPolicy == AckNone || p == nil || dseq <= m.floor.Consumer || dseq > m.delivered.Consumer || slices.Contains(m.queue, seq) {
		return
	}
	if delay > 0 {
		p.since = m.now - m.cfg.waits()[0] + delay
	} else if !m.exhaust(seq) {
		m.queue = append(m.queue, seq)
	}
}

func (m *model) progress(seq uint64) {
	if p := m.pending[seq]; p != nil && !slices.Contains(m.queue, seq) {
		p.since = m.now
	}
}

func (m *model) removed(first uint64, seqs []uint64) {
	m.next = max(m.next, first)
	for _, s := range m.sorted() {
		if s < first || slices.Contains(seqs, s) {
			m.end(s)
		}
	}
	for s := range m.exhausted {
		if s < first || slices.Contains(seqs, s) {
			delete(m.exhausted, s)
		}
	}
}

func (m *model) purged(first uint64) {
	m.removed(first, nil)
	if m.delivered.Stream < first-1 {
		m.delivered.Stream = first - 1
		m.raise(m.delivered.Stream)
	}
}

func (m *model) step() (out []Delivery) {
	for _, seq := range m.sorted() {
		p := m.pending[seq]
		if !slices.Contains(m.queue, seq) && p.since+m.wait(p.count) <= m.now && !m.exhaust(seq) {
			m.queue = append(m.queue, seq)
		}
	}
	m.requests = slices.DeleteFunc(m.requests, func(r *modelRequest) bool { return r.expires <= m.now })
	m.expirePin()
	for len(m.requests) > 0 {
		d, ok := m.candidate()
		if !ok {
			break
		}
		r := m.pick(d)
		if r == nil {
			break
		}
		m.deliver(d)
		d.Reply, d.Pin = r.reply, m.pin
		out = append(out, d)
		m.drop(r)
		if r.batch--; r.batch > 0 {
			m.requests = append(m.requests, r)
		}
	}
	return out
}

// candidate gives the message that comes next.
func (m *model) candidate() (Delivery, bool) {
	for len(m.queue) > 0 {
		seq := m.queue[0]
		if m.exhaust(seq) {
			continue
		}
		if _, a := m.src.Get(seq); a == Gone {
			m.end(seq)
			continue
		}
		return Delivery{Seq: seq, DSeq: m.delivered.Consumer + 1, Delivered: m.pending[seq].count + 1, Pending: m.src.Count(m.next)}, true
	}
	if m.cfg.AckPolicy != AckNone && m.cfg.MaxAckPending > 0 && len(m.pending) >= m.cfg.MaxAckPending {
		return Delivery{}, false
	}
	it, a := m.src.Peek(m.next)
	if a != Found {
		m.next = max(m.next, it.Seq)
		return Delivery{}, false
	}
	return Delivery{Seq: it.Seq, DSeq: m.delivered.Consumer + 1, Delivered: 1, Pending: m.src.Count(it.Seq + 1)}, true
}

// deliver makes the candidate delivered.
func (m *model) deliver(d Delivery) {
	m.delivered.Consumer++
	if d.Delivered > 1 {
		m.queue = m.queue[1:]
		p := m.pending[d.Seq]
		p.count, p.since = d.Delivered, m.now
		return
	}
	m.delivered.Stream, m.next = d.Seq, d.Seq+1
	if m.cfg.AckPolicy == AckNone {
		m.floor = m.delivered
	} else {
		m.pending[d.Seq] = &modelPending{d.DSeq, m.now, 1}
	}
}

// pick chooses who gets the message.
func (m *model) pick(d Delivery) (best *modelRequest) {
	for _, r := range slices.Clone(m.requests) {
		switch m.cfg.priority() {
		case PriorityNone:
			return r
		case PriorityOverflow:
			few := r.MinPending > 0 && d.Pending+1 < uint64(r.MinPending)
			done := r.MinAckPending > 0 && len(m.pending) < int(r.MinAckPending)
			if !few && !done || r.MinPending > 0 && !few || r.MinAckPending > 0 && !done {
				return r
			}
		case PriorityPinned:
			if r.ID == "" && m.pin == "" {
				m.pins++
				m.pin, m.pinned = fmt.Sprint("pin", m.pins), m.now+m.cfg.pinTimeout()
				r.ID = m.pin
			}
			if r.ID != "" && r.ID == m.pin {
				return r
			}
			if r.ID != "" {
				m.drop(r)
			}
		case PriorityRanked:
			if best == nil || r.Priority < best.Priority {
				best = r
			}
		}
	}
	return best
}

func (m *model) drop(r *modelRequest) {
	i := slices.Index(m.requests, r)
	m.requests = slices.Delete(m.requests, i, i+1)
}

func (m *model) expirePin() {
	if m.pin != "" && m.now >= m.pinned {
		m.pin, m.pinned = "", 0
	}
}

// ask takes a request unless it names a client that is not pinned.
func (m *model) ask(r Request, life int64) {
	if r.ID != "" {
		m.expirePin()
		switch m.pin {
		case r.ID:
			m.pinned = m.now + m.cfg.pinTimeout()
		case "":
		default:
			return
		}
	}
	m.requests = append(m.requests, &modelRequest{r.Reply, r.Batch, m.now + life, r})
}

func (m *model) reset(seq uint64) {
	if seq == 0 {
		seq = m.floor.Stream + 1
	}
	m.delivered = Position{Stream: seq - 1}
	m.floor, m.next, m.queue = m.delivered, seq, nil
	clear(m.pending)
	clear(m.exhausted)
}

// state gives the model's state in the consumer's terms.
func (m *model) state(serial, next uint64) State {
	st := State{Serial: serial, Delivered: m.delivered, Floor: m.floor, Next: next}
	for _, seq := range m.sorted() {
		p := m.pending[seq]
		st.Pending = append(st.Pending, Pending{Seq: seq, DSeq: p.dseq, Time: p.since, Count: uint32(p.count)})
	}
	for seq := range m.exhausted {
		st.Exhausted.Add(seq)
	}
	return st
}

// TestConsumerEqualsTheModel drives both with the same random inputs and compares
// deliveries and state after each Step, and the state of a replica that applies
// the changes late. With acknowledgements, refusals, progress and the end of waits in
// any order it shows NakBelowFloorImpossible: the floor is below all that is pending.
func TestConsumerEqualsTheModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { newDuel(t, seed).run(900) })
	}
}

type duel struct {
	t       *testing.T
	rnd     *rand.Rand
	src     stored
	cfg     Config
	m       *model
	c       *Consumer
	replica *Replica
	// records are those that the replica has not applied yet, applied some that it
	// has.
	records, applied [][]byte
	acked            map[uint64]int
	out              Output
	seen             []Delivery
	now              int64
	floor            Position
}

func newDuel(t *testing.T, seed uint64) *duel {
	rnd := rand.New(rand.NewPCG(seed, 3))
	d := &duel{t: t, rnd: rnd, now: epoch, acked: map[uint64]int{}}
	d.src.size, d.src.cold = map[uint64]int{}, map[uint64]bool{}
	d.cfg = d.config()
	d.cfg.Priority = d.priority()
	pins := 0
	d.cfg.NewPin = func() string { pins++; return fmt.Sprint("pin", pins) }
	d.m = newModel(d.cfg, &d.src)
	d.c, d.replica = New(d.cfg, StartAt(1)), NewReplica(StartAt(1))
	return d
}

func (d *duel) config() Config {
	cfg := Config{
		AckPolicy: []AckPolicy{AckExplicit, AckExplicit, AckExplicit, AckAll, AckNone}[d.rnd.IntN(5)],
		AckWait:   1000, MaxDeliver: d.rnd.IntN(5), MaxAckPending: []int{0, 3, 20, 200}[d.rnd.IntN(4)],
		MaxWaiting: 1000,
	}
	for range d.rnd.IntN(4) {
		cfg.Backoff = append(cfg.Backoff, []time.Duration{300, 1000, 4000}[d.rnd.IntN(3)])
	}
	return cfg
}

func (d *duel) priority() *Priority {
	policy := PriorityPolicy(d.rnd.IntN(6))
	if policy > PriorityRanked {
		return nil
	}
	return &Priority{Policy: policy, Groups: []string{"g"}, Timeout: 2000}
}

func (d *duel) run(steps int) { d.play(steps, d.input, d.step) }

// play gives input, and has it stepped now and then and at the end; then the replica
// must have the same state.
func (d *duel) play(steps int, input, step func()) {
	for range steps {
		input()
		if d.rnd.IntN(3) == 0 {
			step()
		}
	}
	step()
	d.catchUp(len(d.records))
	sameState(d.t, "live and replica", d.c.State(), d.replica.State())
}

func (d *duel) input() {
	d.now += d.rnd.Int64N(120)
	d.m.now = d.now
	switch k := d.rnd.IntN(100); {
	case k < 30:
		for range d.rnd.IntN(8) {
			if d.src.last++; d.rnd.IntN(4) > 0 {
				d.src.add(d.src.last, 10)
			}
		}
	case k < 50:
		d.request()
	case k < 92:
		d.word()
	case k < 95:
		d.remove()
	case k < 96:
		first := 1 + d.rnd.Uint64N(d.src.last+1)
		d.src.removeBelow(first)
		d.c.Purged(first)
		d.m.purged(first)
	case k < 97:
		was := d.cfg
		d.cfg = d.config()
		d.cfg.AckPolicy, d.cfg.Priority, d.cfg.NewPin = was.AckPolicy, was.Priority, was.NewPin
		d.m.cfg = d.cfg
		d.c.Update(d.cfg)
	case k < 98:
		d.restart()
	case k < 99:
		d.admin()
	default:
		d.now += d.rnd.Int64N(3000)
		d.m.now = d.now
	}
}

func (d *duel) request() {
	batch, life := 1+d.rnd.IntN(12), 1+d.rnd.Int64N(4000)
	reply := fmt.Sprint("inbox", d.rnd.IntN(4))
	r := Request{Reply: reply, Batch: batch, Expires: time.Duration(life), Group: "g", Priority: d.rnd.IntN(3)}
	switch d.cfg.priority() {
	case PriorityOverflow:
		r.MinPending, r.MinAckPending = int64(d.rnd.IntN(2)*d.rnd.IntN(30)), int64(d.rnd.IntN(2)*d.rnd.IntN(10))
	case PriorityPinned:
		if k := d.rnd.IntN(4); k < 2 {
			r.ID = d.m.pin
		} else if k == 2 {
			r.ID = fmt.Sprint("pin", d.m.pins-1)
		}
	}
	d.c.Request(r, d.now)
	d.m.ask(r, life)
}

// admin does what only an administrator does.
func (d *duel) admin() {
	if d.rnd.IntN(2) == 0 {
		d.c.Unpin("g", d.now)
		d.m.pin, d.m.pinned = "", 0
		return
	}
	d.step()
	d.catchUp(len(d.records))
	seq := d.rnd.Uint64N(d.src.last + 3)
	if got := d.c.Reset(seq, d.now); seq != 0 && got != seq {
		d.t.Fatalf("reset to %d, not to %d", got, seq)
	}
	d.m.reset(seq)
	// The floor was told to move, and what was acknowledged may be so once more.
	d.floor = Position{}
	clear(d.acked)
	d.step()
}

// word is a client's word about some delivery, usually a recent one.
func (d *duel) word() {
	if len(d.seen) == 0 {
		return
	}
	i := d.rnd.IntN(len(d.seen))
	if d.rnd.IntN(4) > 0 {
		i = max(0, len(d.seen)-1-d.rnd.IntN(12))
	}
	s := d.seen[i]
	a := Ack{Seq: s.Seq, DSeq: s.DSeq, Delivered: s.Delivered}
	switch k := d.rnd.IntN(20); {
	case k < 12:
		d.m.ack(a.Seq)
	case k < 13:
		a.Kind = Term
		d.m.ack(a.Seq)
	case k < 15:
		a.Kind = Nak
		d.m.nak(a.Seq, a.DSeq, 0)
	case k < 18:
		a.Kind, a.Delay = Nak, time.Duration(1+d.rnd.Int64N(5000))
		d.m.nak(a.Seq, a.DSeq, int64(a.Delay))
	default:
		a.Kind = Progress
		d.m.progress(a.Seq)
	}
	d.c.Ack(a, d.now)
}

func (d *duel) remove() {
	if len(d.src.seqs) == 0 {
		return
	}
	var seqs []uint64
	for range d.rnd.IntN(3) {
		seqs = append(seqs, d.src.seqs[d.rnd.IntN(len(d.src.seqs))])
	}
	first := d.src.seqs[d.rnd.IntN(min(len(d.src.seqs), 3))]
	for _, seq := range seqs {
		d.src.remove(seq)
	}
	d.src.removeBelow(first)
	if d.rnd.IntN(2) == 0 {
		// The replica hears of it before it has the changes.
		d.replica.Removed(first, seqs...)
	}
	d.c.Removed(first, seqs...)
	d.m.removed(first, seqs)
}

func (d *duel) step() {
	d.c.Step(d.now, &d.src, everyone, &d.out)
	want := d.m.step()
	if !slices.Equal(d.out.Deliveries, want) {
		d.t.Fatalf("delivered %+v\nwant %+v", d.out.Deliveries, want)
	}
	d.seen = append(d.seen, want...)
	d.c.check(d.t)
	st := d.c.State()
	sameState(d.t, "live and model", st, d.m.state(st.Serial, st.Next))
	if d.c.Next() != d.m.next {
		d.t.Fatalf("next %d, want %d", d.c.Next(), d.m.next)
	}
	if !d.floor.within(d.c.floor) {
		d.t.Fatalf("the floor moves from %v to %v", d.floor, d.c.floor)
	}
	d.floor = d.c.floor
	d.deadline()
	if len(d.out.Changes) > 0 {
		d.records = append(d.records, slices.Clone(d.out.Changes))
	}
	d.catchUp(d.rnd.IntN(len(d.records) + 1))
}

// deadline holds that nothing becomes due before Deadline.
func (d *duel) deadline() {
	var want int64
	for seq, p := range d.m.pending {
		if !slices.Contains(d.m.queue, seq) {
			want = earlier(want, p.since+d.m.wait(p.count))
		}
	}
	for _, r := range d.m.requests {
		want = earlier(want, r.expires)
	}
	want = earlier(want, d.m.pinned)
	if got := d.c.Deadline(); (want != 0 && (got == 0 || got > want)) || got < 0 {
		d.t.Fatalf("deadline %d, want %d", got, want)
	}
}

// catchUp lets the replica apply n records, and old ones again.
func (d *duel) catchUp(n int) {
	for _, r := range d.records[:n] {
		if err := d.replica.Apply(r, func(seq uint64) { d.acked[seq]++ }); err != nil {
			d.t.Fatal(err)
		}
		if len(d.applied) > 0 {
			old := d.applied[d.rnd.IntN(len(d.applied))]
			before := d.replica.State()
			if err := d.replica.Apply(old, func(seq uint64) { d.t.Fatalf("%d is acknowledged by an old record", seq) }); err != nil {
				d.t.Fatal(err)
			}
			sameState(d.t, "before and after an old record", before, d.replica.State())
		}
		d.applied = append(d.applied, r)
	}
	d.records = d.records[n:]
	for seq, times := range d.acked {
		if times > 1 {
			d.t.Fatalf("%d is acknowledged %d times", seq, times)
		}
	}
}

// restart goes on from the replica's state, as after a failover.
func (d *duel) restart() {
	if d.rnd.IntN(4) > 0 {
		return
	}
	d.step()
	d.catchUp(len(d.records))
	st, err := DecodeState(d.replica.AppendState(nil))
	if err != nil {
		d.t.Fatal(err)
	}
	d.c = New(d.cfg, st)
	d.m.requests, d.m.queue, d.m.next = nil, nil, st.Next
	d.m.pin, d.m.pinned = "", 0
}
