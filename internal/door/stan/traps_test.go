package stan

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// The rules of order and concurrency that a front end of the protocol must keep.

func TestSubscriptionResponseComesBeforeTheFirstDelivery(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	p.put("foo", numbers(5)...)
	all := streamtest.Subscribe(t, r.space, "_INBOX.order.>")
	q := wire.SubscriptionRequest{ClientID: "me", Subject: "foo", Inbox: "_INBOX.order.data", MaxInFlight: 10, AckWaitInSecs: 30, StartPosition: wire.First}
	r.space.Publish(&broker.Message{Subject: []byte("_STAN.sub.tc"), Reply: []byte("_INBOX.order.answer"), Data: q.Append(nil)})
	for i, want := range []string{"answer", "data", "data", "data", "data", "data"} {
		if m := all.Next(t); m.Subject != "_INBOX.order."+want {
			t.Fatalf("message %d is for %s", i, m.Subject)
		}
	}
}

func TestPubAckComesAfterTheDelivery(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	all := streamtest.Subscribe(t, r.space, "_INBOX.order.>")
	q := wire.SubscriptionRequest{ClientID: "me", Subject: "foo", Inbox: "_INBOX.order.data", MaxInFlight: 1000, AckWaitInSecs: 30}
	streamtest.Request(t, r.space, "_STAN.sub.tc", nil, q.Append(nil))
	p.acks = &streamtest.Inbox{Subject: "_INBOX.order.acks", C: all.C}
	const n = 50
	for _, m := range numbers(n) {
		p.publish("foo", m)
	}
	delivered, acked := 0, 0
	for range 2 * n {
		if all.Next(t).Subject == "_INBOX.order.data" {
			delivered++
		} else if acked++; acked > delivered {
			t.Fatalf("%d are acknowledged, %d delivered", acked, delivered)
		}
	}
}

func TestCloseTakesEffectBehindEarlierAcks(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	p.put("foo", numbers(12)...)
	dur := wire.SubscriptionRequest{Subject: "foo", DurableName: "dur", StartPosition: wire.First}
	s := p.subscribe(dur)
	s.want(count(1, 12)...)
	s.acknowledge(count(1, 9)...)
	if text := p.close(); text != "" {
		t.Fatal(text)
	}
	p = r.connect("me")
	p.put("foo", "m13")
	s = p.subscribe(dur)
	if m := s.want(10); !m.Redelivered || m.RedeliveryCount != 1 {
		t.Errorf("%+v", m)
	}
	if m := s.want(11, 12, 13); m.Redelivered {
		t.Error("a new message says that it was delivered before")
	}
	s.quiet()
}

func TestCloseTakesEffectBehindEarlierPublishes(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	const n = 50
	for i := range n {
		p.publish(fmt.Sprintf("new.%d", i%5), "m") // they wait for their channels to be made
	}
	if text := p.close(); text != "" {
		t.Fatal(text)
	}
	for range n {
		if text := p.acked(); text != "" {
			t.Error(text)
		}
	}
	p.publish("new.0", "late")
	if text := p.acked(); text != wire.InvalidPubReq {
		t.Errorf("behind the close: %q", text)
	}
}

func TestAckInboxIsHeardBeforeTheResponse(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	res := r.space.Publish(&broker.Message{Subject: []byte(s.ack)})
	if res.Nobody() {
		t.Error("nobody listens for acknowledgements")
	}
}

func TestNoDuplicatesAndNoLossWhereASubscriberStartsAmongPublishes(t *testing.T) {
	r := newRig(t)
	p, q := r.connect("pub"), r.connect("sub")
	const n = 400
	p.put("foo", "m1")
	var wg sync.WaitGroup
	wg.Go(func() { p.put("foo", numbers(n-1)...) })
	var subs []*sub
	for range 4 {
		subs = append(subs, q.subscribe(wire.SubscriptionRequest{Subject: "foo", StartPosition: wire.First}))
	}
	for _, s := range subs {
		s.want(count(1, n)...)
	}
	wg.Wait()
	for _, s := range subs {
		s.quiet()
	}
}

// TestNothingIsPassedOverWhereStoresAndAcksRace: subscriptions that are full most of the
// time, so that what is stored and what is acknowledged wakes them at once.
func TestNothingIsPassedOverWhereStoresAndAcksRace(t *testing.T) {
	r := newRig(t)
	c := r.connect("sub")
	const publishers, each = 3, 120
	var wg sync.WaitGroup
	for i := range publishers {
		p := r.connect(fmt.Sprintf("p%d", i))
		wg.Go(func() {
			for k := range each {
				p.publish("foo", fmt.Sprint(k))
			}
		})
	}
	for _, q := range []wire.SubscriptionRequest{
		{MaxInFlight: 1}, {MaxInFlight: 2}, {MaxInFlight: 3, DurableName: "d"}, {MaxInFlight: 1, QGroup: "q"},
	} {
		q.Subject, q.StartPosition = "foo", wire.First
		s := c.subscribe(q)
		wg.Go(func() {
			for seq := uint64(1); seq <= publishers*each; seq++ {
				if m := s.next(); m.Sequence != seq || m.Redelivered {
					t.Errorf("message %d (again: %v), want %d", m.Sequence, m.Redelivered, seq)
					return
				}
				s.acknowledge(seq)
			}
		})
	}
	wg.Wait()
}

func TestDurableResumesWithWhatIsPendingWhateverItsMaxInFlight(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	p.put("foo", numbers(7)...)
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur", MaxInFlight: 5, StartPosition: wire.First})
	s.want(1, 2, 3, 4, 5)
	s.quiet()
	// It is closed by the inbox where messages go, which a client knows that never got
	// the answer to its request.
	if text := r.endSub("_STAN.subclose.tc", &wire.UnsubscribeRequest{ClientID: "me", Subject: "foo", Inbox: s.in.Subject}); text != "" {
		t.Fatal(text)
	}
	s = p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur", MaxInFlight: 1})
	for seq := range uint64(5) {
		if m := s.want(seq + 1); !m.Redelivered || m.RedeliveryCount != 1 {
			t.Errorf("%+v", m)
		}
	}
	s.quiet() // what is new waits for room
	s.acknowledge(count(1, 5)...)
	s.want(6)
	s.quiet()
	s.acknowledge(6)
	s.want(7)
}

func TestReplacementOfOneClientDoesNotHoldUpOthers(t *testing.T) {
	r := newRig(t)
	silent := r.absent("silent") // subscribed, but it does not answer
	var wg sync.WaitGroup
	replaced := make(chan struct{})
	wg.Go(func() {
		defer close(replaced)
		again := &peer{r: r, id: "silent", conn: "other", beats: streamtest.NewInbox(t, r.space), acks: streamtest.NewInbox(t, r.space)}
		if resp := again.request(); resp.Error != "" {
			t.Errorf("not replaced: %s", resp.Error)
		}
		again.put("foo", "m1")
	})
	streamtest.Await(t, "the old one is asked", func() bool { return len(silent.beats.C) > 0 })
	if resp := silent.request(); resp.Error != wire.ClientRegistered {
		t.Errorf("another one while it is asked: %q", resp.Error)
	}
	id := "c"
	for r.door.lane(id) != r.door.lane("silent") {
		id += "c"
	}
	r.connect(id)
	select {
	case <-replaced:
		t.Error("it was replaced before it had its time")
	default:
	}
	wg.Wait()
	if text := silent.ping(); text != wire.ClientReplaced {
		t.Errorf("ping of the one that was replaced: %q", text)
	}
	silent.publish("foo", "late")
	if text := silent.acked(); text != wire.InvalidPubReq {
		t.Errorf("publish of the one that was replaced: %q", text)
	}
}

func TestPingsAreAnsweredWhileRequestsWait(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	hold := make(chan struct{})
	for _, l := range append(slices.Clone(r.door.lanes), r.door.openers...) {
		l.push(func() { <-hold })
	}
	if text := p.ping(); text != "" {
		t.Error(text)
	}
	close(hold)
}

// TestHeartbeatsAndPingsDoNotWaitForDeliveries: a subscriber takes no more messages, so
// that whoever delivers waits for it.
func TestHeartbeatsAndPingsDoNotWaitForDeliveries(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.HeartbeatInterval, o.HeartbeatTimeout, o.HeartbeatFails = 20*time.Millisecond, 20*time.Millisecond, math.MaxInt
	})
	p, silent := r.connect("me"), r.absent("silent")
	const n = 2000
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", MaxInFlight: n, AckWaitInSecs: 3600})
	room := cap(s.in.C)
	if room >= n {
		t.Fatalf("the subscriber has room for %d", room)
	}
	for _, m := range numbers(n) {
		p.publish("foo", m)
	}
	streamtest.Await(t, "the subscriber is full", func() bool { return len(s.in.C) == room })
	if text := p.ping(); text != "" {
		t.Error(text)
	}
	for len(silent.beats.C) > 0 {
		<-silent.beats.C
	}
	silent.beats.Next(t)
	s.want(count(1, n)...)
	for range n {
		if text := p.acked(); text != "" {
			t.Fatal(text)
		}
	}
}

func TestSubscribeIsAnsweredBeforeABigReplayIsOver(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	const n = 3000
	p.put("foo", numbers(n)...)
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", StartPosition: wire.First, MaxInFlight: n})
	s.want(count(1, n)...)
}

func TestSequencesAndTimesOfAChannelRise(t *testing.T) {
	r := newRig(t)
	const publishers, each = 4, 100
	s := r.connect("sub").subscribe(wire.SubscriptionRequest{Subject: "foo"})
	var peers []*peer
	for i := range publishers {
		peers = append(peers, r.connect(fmt.Sprintf("p%d", i)))
	}
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() {
			for k := range each {
				p.publish("foo", fmt.Sprintf("%d %d", i, k))
			}
			for range each {
				if text := p.acked(); text != "" {
					t.Error(text)
				}
			}
		})
	}
	last := int64(0)
	next := make([]int, publishers)
	for seq := uint64(1); seq <= publishers*each; seq++ {
		m := s.want(seq)
		if m.Timestamp < last {
			t.Fatalf("message %d is older than the one before", seq)
		}
		last = m.Timestamp
		var i, k int
		if _, err := fmt.Sscanf(string(m.Data), "%d %d", &i, &k); err != nil || next[i] != k {
			t.Fatalf("%q out of order: %v", m.Data, err)
		}
		next[i]++
	}
	wg.Wait()
}

// TestAfterARestartWhatIsPendingComesBeforeWhatIsNew: for a plain subscription, a durable
// and a queue group alike, whose clients need not do anything.
func TestAfterARestartWhatIsPendingComesBeforeWhatIsNew(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	subs := []*sub{
		p.subscribe(wire.SubscriptionRequest{Subject: "foo", AckWaitInSecs: 1, MaxInFlight: 5}),
		p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur", AckWaitInSecs: 1, MaxInFlight: 5}),
		p.subscribe(wire.SubscriptionRequest{Subject: "foo", QGroup: "q", AckWaitInSecs: 1, MaxInFlight: 5}),
	}
	p.put("foo", numbers(8)...)
	for _, s := range subs {
		s.gather(1, 2, 3, 4, 5)
		s.acknowledge(2)
		s.gather(6)
	}
	p.stopBeats()
	r.restart()
	p.move(r, subs...)
	for _, s := range subs {
		s.gather(1, 3, 4, 5, 6)
		s.acknowledge(1, 3, 4, 5, 6)
		s.gather(7)
	}
}

// gather waits until these messages have come, in any order. Others may come only if they
// come again, for a test that takes longer than they wait: those that were acknowledged
// do not.
func (s *sub) gather(seqs ...uint64) {
	s.p.r.t.Helper()
	missing := map[uint64]bool{}
	for _, seq := range seqs {
		missing[seq] = true
	}
	for len(missing) > 0 {
		m := s.next()
		if !missing[m.Sequence] && !m.Redelivered {
			s.p.r.t.Fatalf("message %d of %s comes before %v", m.Sequence, s.channel, seqs)
		}
		delete(missing, m.Sequence)
	}
}
