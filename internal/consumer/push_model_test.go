package consumer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// pushModel adds to the model what a consumer does that sends by itself: while
// somebody listens, not while it is paused, and only as fast as the rate, the
// window of flow control and the original times allow.
type pushModel struct {
	*model
	bound        bool
	beat, next   int64 // next heartbeat, and message
	window, sent int   // bytes
	asked        int   // of sent, which the open request covers
	flow, flows  uint64
	// stored and replayed are the times of the last new message, in the stream and
	// here.
	stored, replayed int64
	through          uint64 // what was there at the start
	moved            bool
	beats, requests  int // statuses that were sent
}

func (m *pushModel) bind(bound bool) {
	if bound == m.bound {
		return
	}
	*m = pushModel{model: m.model, bound: bound, window: firstWindow, flows: m.flows, stored: m.stored, replayed: m.replayed, through: m.through, moved: m.moved}
	if bound && m.cfg.Push.Heartbeat > 0 {
		m.beat = m.now + int64(m.cfg.Push.Heartbeat)
	}
}

func (m *pushModel) answer(flow uint64) {
	if flow != 0 && flow == m.flow {
		m.sent -= m.asked
		m.flow, m.asked, m.window = 0, 0, min(2*m.window, lastWindow)
	}
}

func (m *pushModel) step() (out []Delivery) {
	m.beats, m.requests = 0, 0
	m.expire()
	for m.now >= m.cfg.PauseUntil && m.bound {
		if m.cfg.Push.FlowControl && m.sent > m.window || m.next > m.now {
			break
		}
		d, ok := m.candidate()
		if !ok || d.Delivered == 1 && m.early(d.Seq) {
			break
		}
		m.deliver(d)
		d.Reply = m.cfg.Push.Subject
		out = append(out, d)
		m.count(d)
	}
	if hb := int64(m.cfg.Push.Heartbeat); m.bound && m.beat > 0 && m.now >= m.beat {
		m.beats++
		m.beat = m.now + hb
	}
	return out
}

// expire queues what was not acknowledged in time.
func (m *pushModel) expire() {
	m.requeue()
	for _, seq := range m.sorted() {
		p := m.pending[seq]
		if !slices.Contains(m.queue, seq) && p.since+m.wait(p.count) <= m.now && !m.exhaust(seq) {
			m.queue = append(m.queue, seq)
		}
	}
}

// requeue queues everything that is pending, from the lowest sequence on, after the
// subject changed. It is so for the next word of a client already.
func (m *pushModel) requeue() {
	if !m.moved {
		return
	}
	m.moved, m.queue = false, nil
	for _, seq := range m.sorted() {
		if !m.exhaust(seq) {
			m.queue = append(m.queue, seq)
		}
	}
}

// early says that a new message is not due yet in original time.
func (m *pushModel) early(seq uint64) bool {
	gap := m.src.times[seq] - m.stored
	return m.cfg.ReplayOriginal && seq <= m.through && m.replayed != 0 && gap > shortestGap && m.replayed+gap > m.now
}

// count accounts for a message that was sent.
func (m *pushModel) count(d Delivery) {
	p, size := m.cfg.Push, m.src.size[d.Seq]
	if d.Delivered == 1 {
		m.stored, m.replayed = m.src.times[d.Seq], m.now
	}
	if p.Heartbeat > 0 {
		m.beat = m.now + int64(p.Heartbeat)
	}
	if p.RateLimit > 0 {
		m.next = max(m.next, m.now) + int64(float64(size)*8e9/float64(p.RateLimit))
	}
	if p.FlowControl {
		m.sent += size
		if m.flow == 0 && m.sent > m.window/2 {
			m.flows++
			m.requests++
			m.flow, m.asked = m.flows, m.sent
		}
	}
}

// TestPushConsumerEqualsTheModel drives both with the same random inputs, the
// changes of filters among them, and compares deliveries, statuses and state.
func TestPushConsumerEqualsTheModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { newPushDuel(t, seed).run(700) })
	}
}

type pushDuel struct {
	*duel
	pm *pushModel
	// subjects are those of all records, filter the subjects that match; nil: all do.
	subjects map[uint64]int
	filter   map[int]bool
	// stamp is when the last record was stored: far more lies between records than
	// between the steps here.
	stamp int64
}

func newPushDuel(t *testing.T, seed uint64) *pushDuel {
	rnd := rand.New(rand.NewPCG(seed, 5))
	d := &pushDuel{duel: &duel{t: t, rnd: rnd, now: epoch, acked: map[uint64]int{}}, subjects: map[uint64]int{}}
	d.src.size, d.src.cold, d.src.times = map[uint64]int{}, map[uint64]bool{}, map[uint64]int64{}
	d.cfg = d.pushConfig("to")
	d.m = newModel(d.cfg, &d.src)
	d.pm = &pushModel{model: d.m, window: firstWindow}
	d.c, d.replica = New(d.cfg, StartAt(1)), NewReplica(StartAt(1))
	return d
}

func (d *pushDuel) pushConfig(subject string) Config {
	cfg := d.config()
	cfg.ReplayOriginal = d.rnd.IntN(4) == 0
	if d.rnd.IntN(4) == 0 {
		cfg.PauseUntil = d.now + d.rnd.Int64N(3000)
	}
	cfg.Push = &Push{Subject: subject, FlowControl: d.rnd.IntN(2) == 0}
	if d.rnd.IntN(2) == 0 {
		cfg.Push.Heartbeat = 500
	}
	if d.rnd.IntN(4) == 0 {
		cfg.Push.RateLimit = 1e15 // a MiB every 8 ns
	}
	return cfg
}

func (d *pushDuel) run(steps int) { d.play(steps, d.input, d.step) }

func (d *pushDuel) input() {
	d.now += d.rnd.Int64N(120)
	d.m.now = d.now
	switch k := d.rnd.IntN(100); {
	case k < 30:
		d.store()
	case k < 40:
		bound := d.rnd.IntN(4) > 0
		d.c.Bound(bound, d.now)
		d.pm.bind(bound)
	case k < 55:
		flow := d.pm.flow
		if d.rnd.IntN(4) == 0 {
			flow = d.rnd.Uint64N(d.pm.flows + 2)
		}
		d.c.FlowAnswered(flow, d.now)
		d.pm.answer(flow)
	case k < 88:
		if len(d.seen) > 0 {
			d.pm.requeue()
		}
		d.word()
	case k < 92:
		d.remove()
	case k < 95:
		d.update()
	case k < 97:
		d.refilter()
	case k < 98:
		d.restart()
	default:
		d.now += []int64{d.rnd.Int64N(3000), d.rnd.Int64N(3 * shortestGap)}[d.rnd.IntN(2)]
		d.m.now = d.now
	}
}

// store adds records, some large ones so that a window closes.
func (d *pushDuel) store() {
	for range d.rnd.IntN(8) {
		seq := d.src.last + 1
		d.src.last = seq
		d.subjects[seq] = d.rnd.IntN(4)
		d.stamp += d.rnd.Int64N(2 * shortestGap)
		d.src.size[seq], d.src.times[seq] = []int{10, 100, 700 << 10}[d.rnd.IntN(3)], d.stamp
		if d.matches(seq) {
			d.src.seqs = append(d.src.seqs, seq)
		}
	}
}

func (d *pushDuel) matches(seq uint64) bool {
	return d.filter == nil || d.filter[d.subjects[seq]]
}

// remove takes records that match.
func (d *pushDuel) remove() {
	before := slices.Clone(d.src.seqs)
	d.duel.remove()
	for _, seq := range before {
		if _, still := slices.BinarySearch(d.src.seqs, seq); !still {
			delete(d.subjects, seq)
		}
	}
	if len(d.src.seqs) > 0 {
		first := d.src.seqs[0]
		for seq := range d.subjects {
			if seq < first && d.matches(seq) {
				delete(d.subjects, seq)
			}
		}
	}
}

// update changes the configuration, now and then the subject that is sent to.
func (d *pushDuel) update() {
	subject := d.cfg.Push.Subject
	if d.rnd.IntN(3) == 0 {
		subject = fmt.Sprint("to", d.rnd.IntN(3))
	}
	policy := d.cfg.AckPolicy
	moved := subject != d.cfg.Push.Subject
	d.cfg = d.pushConfig(subject)
	d.cfg.AckPolicy = policy
	d.m.cfg = d.cfg
	d.c.Update(d.cfg)
	if moved {
		*d.pm = pushModel{model: d.m, moved: true, stored: d.pm.stored, replayed: d.pm.replayed, through: d.pm.through}
	}
}

// refilter changes which records match: pending ones that do not stay so.
func (d *pushDuel) refilter() {
	d.filter = nil
	if n := d.rnd.IntN(4); n > 0 {
		d.filter = map[int]bool{}
		for range n {
			d.filter[d.rnd.IntN(4)] = true
		}
	}
	d.src.seqs = d.src.seqs[:0:0]
	for seq := range d.subjects {
		if _, pending := d.m.pending[seq]; pending || d.matches(seq) {
			d.src.seqs = append(d.src.seqs, seq)
		}
	}
	slices.Sort(d.src.seqs)
}

// restart goes on from the replica's state: who listens is found out anew.
func (d *pushDuel) restart() {
	d.step()
	d.catchUp(len(d.records))
	st, err := DecodeState(d.replica.AppendState(nil))
	if err != nil {
		d.t.Fatal(err)
	}
	d.c = New(d.cfg, st)
	d.c.Replay(d.src.last)
	d.m.queue, d.m.next = nil, st.Next
	*d.pm = pushModel{model: d.m, through: d.src.last}
}

func (d *pushDuel) step() {
	d.c.Step(d.now, &d.src, everyone, &d.out)
	want := d.pm.step()
	if !slices.Equal(d.out.Deliveries, want) {
		d.t.Fatalf("delivered %+v\nwant %+v\nmodel %+v", d.out.Deliveries, want, d.pm)
	}
	d.seen = append(d.seen, want...)
	beats, requests := 0, 0
	for _, s := range d.out.Statuses {
		switch s.Text {
		case noticeHeartbeat.text:
			beats++
		case noticeFlow.text:
			requests++
		}
	}
	if beats != d.pm.beats || requests != d.pm.requests {
		d.t.Fatalf("%d heartbeats and %d requests, want %d and %d", beats, requests, d.pm.beats, d.pm.requests)
	}
	d.c.check(d.t)
	st := d.c.State()
	sameState(d.t, "live and model", st, d.m.state(st.Serial, st.Next))
	if !d.floor.within(d.c.floor) {
		d.t.Fatalf("the floor moves from %v to %v", d.floor, d.c.floor)
	}
	d.floor = d.c.floor
	if at := d.c.Deadline(); d.pm.bound && d.pm.beat > 0 && (at == 0 || at > d.pm.beat) {
		d.t.Fatalf("deadline %d, a heartbeat is due at %d", at, d.pm.beat)
	}
	if len(d.out.Changes) > 0 {
		d.records = append(d.records, slices.Clone(d.out.Changes))
	}
	d.catchUp(d.rnd.IntN(len(d.records) + 1))
}

// TestAPauseEndsAtItsTime holds that nothing is delivered before, and everything
// without another input then.
func TestAPauseEndsAtItsTime(t *testing.T) {
	src := &stored{}
	src.add(1, 10)
	c := New(Config{PauseUntil: epoch + int64(time.Second), Push: &Push{Subject: "to"}}, StartAt(1))
	c.Bound(true, epoch)
	var out Output
	for at := int64(epoch); at < epoch+int64(time.Second); at = c.Deadline() {
		if c.Step(at, src, everyone, &out); len(out.Deliveries) > 0 {
			t.Fatalf("delivered %v after the pause began", time.Duration(at-epoch))
		}
		if c.Deadline() <= at {
			t.Fatalf("deadline %d at %d", c.Deadline(), at)
		}
	}
	if c.Step(epoch+int64(time.Second), src, everyone, &out); len(out.Deliveries) != 1 {
		t.Fatalf("delivered %v at the end of the pause", out.Deliveries)
	}
}
