package stan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// modelGroup is what the protocol says of a subscription, a durable or a queue group.
type modelGroup struct {
	durable, queue bool
	next           uint64                  // that was never sent
	pending        map[uint64]*modelMember // who has it; nil: nobody is there
	again          map[uint64]uint32       // how often it was sent again
	members        []*modelMember
}

type modelMember struct {
	*sub
	group *modelGroup
	room  int // MaxInFlight
}

func (m *modelMember) holds() (n int) {
	for _, who := range m.group.pending {
		if who == m {
			n++
		}
	}
	return n
}

// model is a channel with its subscriptions, beside the door.
type model struct {
	t      *testing.T
	r      *rig
	rnd    *rand.Rand
	peers  map[string]*peer
	groups map[string]*modelGroup // by a name that the test makes
	last   uint64
	plain  int
	what   string // the last thing that was done
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s: %s", m.what, fmt.Sprintf(format, args...))
}

// members lists those who are there, in an order that a seed repeats.
func (m *model) members() (out []*modelMember) {
	for _, name := range slices.Sorted(maps.Keys(m.groups)) {
		out = append(out, m.groups[name].members...)
	}
	return out
}

// look takes what comes and holds it against the model, until nothing is missing. again
// are the groups of which something may come again.
func (m *model) look(again ...*modelGroup) {
	m.t.Helper()
	var missing string
	for late := time.Now().Add(streamtest.Patience); ; {
		m.r.settle("foo")
		for _, who := range m.members() {
			m.take(who, slices.Contains(again, who.group))
		}
		if missing = m.missing(); missing == "" {
			return
		}
		if time.Now().After(late) {
			m.fail("%s", missing)
		}
		runtime.Gosched() // an answer leaves before the subscription is attended
	}
}

// missing says what should have come; empty: nothing.
func (m *model) missing() string {
	for name, g := range m.groups {
		if len(g.members) == 0 {
			continue
		}
		for seq, who := range g.pending {
			if !slices.Contains(g.members, who) {
				return fmt.Sprintf("%s: nobody was sent %d, which is not acknowledged", name, seq)
			}
		}
		full := !slices.ContainsFunc(g.members, func(who *modelMember) bool { return who.holds() < who.room })
		if !full && g.next <= m.last {
			return fmt.Sprintf("%s: there is room, and %d of %d was not sent", name, g.next, m.last)
		}
	}
	return ""
}

// take reads a member's inbox.
func (m *model) take(who *modelMember, again bool) {
	m.t.Helper()
	g := who.group
	before := uint64(0) // of what comes again: in order, and before what is new
	for fresh := false; len(who.in.C) > 0; {
		msg := who.next()
		switch held, sent := g.pending[msg.Sequence]; {
		case string(msg.Data) != fmt.Sprint("m", msg.Sequence):
			m.fail("%d is %q", msg.Sequence, msg.Data)
		case msg.Redelivered && (!sent || !again || held == who && g.queue):
			m.fail("%d comes again (sent: %v)", msg.Sequence, sent)
		case msg.Redelivered:
			if !g.queue && (fresh || msg.Sequence < before) {
				m.fail("%d comes again behind %d (new: %v)", msg.Sequence, before, fresh)
			}
			before = msg.Sequence
			g.again[msg.Sequence]++
			if n := msg.RedeliveryCount; n < g.again[msg.Sequence] || n > g.again[msg.Sequence] && !g.queue {
				m.fail("%d says that it comes again for the %dth time, not the %dth", msg.Sequence, n, g.again[msg.Sequence])
			}
			// A client that leaves may have been sent what another member of its own had.
			g.again[msg.Sequence] = msg.RedeliveryCount
		case msg.Sequence != g.next && !g.queue || sent || msg.Sequence < g.next-uint64(len(g.pending)):
			m.fail("%d is sent, next is %d", msg.Sequence, g.next)
		case who.holds() >= who.room:
			m.fail("%d is sent beyond MaxInFlight", msg.Sequence)
		default:
			fresh = true
			g.next = max(g.next, msg.Sequence+1)
		}
		g.pending[msg.Sequence] = who
	}
}

// subscribe asks for one, and says what the model expects of it.
func (m *model) subscribe(id, name string, q wire.SubscriptionRequest) {
	m.t.Helper()
	q.Subject, q.AckWaitInSecs, q.MaxInFlight = "foo", 3600, int32(1+m.rnd.IntN(4))
	g := m.groups[name]
	next := m.last + 1
	switch q.StartPosition = wire.StartPosition(m.rnd.IntN(5)); q.StartPosition {
	case wire.LastReceived:
		next = max(m.last, 1)
	case wire.SequenceStart:
		q.StartSequence = m.rnd.Uint64N(m.last + 3)
		next = min(max(q.StartSequence, 1), m.last+1)
	case wire.First:
		next = 1
	case wire.TimeDeltaStart:
		q.StartTimeDelta, next = 1<<60, 1
	}
	m.what = fmt.Sprintf("%s subscribes as %s, %+v", id, name, q)
	s, text := m.peers[id].try(&q)
	if g != nil && !g.queue && len(g.members) > 0 {
		if text != wire.DupDurable {
			m.fail("%q", text)
		}
		return
	}
	if text != "" {
		m.fail("%s", text)
	}
	if g == nil {
		g = &modelGroup{durable: q.DurableName != "", queue: q.QGroup != "", next: next, pending: map[uint64]*modelMember{}, again: map[uint64]uint32{}}
		m.groups[name] = g
	}
	g.members = append(g.members, &modelMember{s, g, int(q.MaxInFlight)})
	m.look(g)
}

// gone notes that a member left.
func (m *model) gone(who *modelMember, forGood bool) {
	g := who.group
	g.members = slices.DeleteFunc(g.members, func(x *modelMember) bool { return x == who })
	for seq, held := range g.pending {
		if held == who {
			g.pending[seq] = nil
		}
	}
	if len(g.members) == 0 && (forGood || !g.durable) {
		maps.DeleteFunc(m.groups, func(_ string, x *modelGroup) bool { return x == g })
	}
}

// leave ends a member's subscription, for good or not.
func (m *model) leave(who *modelMember) {
	m.t.Helper()
	forGood := m.rnd.IntN(2) == 0
	m.what = fmt.Sprintf("%s leaves (for good: %v)", who.p.id, forGood)
	if forGood {
		who.unsubscribe()
	} else {
		who.closeSub()
	}
	m.gone(who, forGood)
	m.look(who.group)
	who.in.None(m.t)
}

// hangUp ends a client's session, and begins another one.
func (m *model) hangUp(id string) {
	m.t.Helper()
	m.what = id + " closes its connection"
	if text := m.peers[id].close(); text != "" {
		m.fail("%s", text)
	}
	var left []*modelGroup
	for _, who := range m.members() {
		if who.p.id == id {
			m.gone(who, false)
			left = append(left, who.group)
		}
	}
	m.look(left...)
	m.peers[id].stopBeats()
	m.peers[id] = m.r.connect(id)
}

// restart ends the server in order. Clients and their subscriptions go on.
func (m *model) restart() {
	m.t.Helper()
	m.what = "the server is started again"
	for _, p := range m.peers {
		p.stopBeats()
	}
	m.r.restart()
	for id, p := range m.peers {
		var subs []*sub
		for _, who := range m.members() {
			if who.p.id == id {
				subs = append(subs, who.sub)
			}
		}
		p.move(m.r, subs...)
	}
	m.look()
}

// step does one thing.
func (m *model) step() {
	m.t.Helper()
	id := []string{"a", "b"}[m.rnd.IntN(2)]
	members := m.members()
	switch n := m.rnd.IntN(20); {
	case n < 6:
		m.what = "publish"
		for range 1 + m.rnd.IntN(4) {
			m.last++
			m.peers[id].put("foo", fmt.Sprint("m", m.last))
		}
		m.look()
	case n < 11 && len(members) > 0:
		who := members[m.rnd.IntN(len(members))]
		for seq, held := range maps.Clone(who.group.pending) {
			if held == who && m.rnd.IntN(2) == 0 {
				m.what = fmt.Sprintf("%s acknowledges %d", who.p.id, seq)
				who.acknowledge(seq)
				delete(who.group.pending, seq)
				delete(who.group.again, seq)
			}
		}
		m.look()
	case n < 12:
		m.plain++
		m.subscribe(id, fmt.Sprint("plain", m.plain), wire.SubscriptionRequest{})
	case n < 14:
		d := fmt.Sprint("d", m.rnd.IntN(2))
		m.subscribe(id, id+d, wire.SubscriptionRequest{DurableName: d})
	case n < 15:
		m.subscribe(id, "q", wire.SubscriptionRequest{QGroup: "q"})
	case n < 16:
		m.subscribe(id, "d:q", wire.SubscriptionRequest{QGroup: "q", DurableName: "d"})
	case n < 18 && len(members) > 0:
		m.leave(members[m.rnd.IntN(len(members))])
	case n < 19:
		m.hangUp(id)
	case m.rnd.IntN(3) == 0:
		m.restart()
	}
}

// TestSubscriptionsEqualTheModel does at random what clients do, and the server's end in
// order: each message that comes is one that the protocol says comes then, and none is
// missing.
func TestSubscriptionsEqualTheModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t)
			m := &model{t: t, r: r, rnd: rand.New(rand.NewPCG(seed, 42)), peers: map[string]*peer{}, groups: map[string]*modelGroup{}}
			for _, id := range []string{"a", "b"} {
				m.peers[id] = r.connect(id)
			}
			m.last++
			m.peers["a"].put("foo", "m1")
			for range 120 {
				m.step()
			}
		})
	}
}
