package stan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// move makes a client of before a restart one of the node after it: its inboxes are
// subscribed again, as a client's connection does.
func (p *peer) move(r *rig, subs ...*sub) {
	p.r = r
	again := func(i *streamtest.Inbox) *streamtest.Inbox { return streamtest.Subscribe(r.t, r.space, i.Subject) }
	p.beats, p.acks = again(p.beats), again(p.acks)
	for _, s := range subs {
		s.in = again(s.in)
	}
}

func TestClientsAndSubscriptionsGoOnAfterARestart(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	plain := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	q := p.subscribe(queue("bar", ""))
	gone := p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "gone"})
	gone.unsubscribe()
	dur := p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"})
	p.put("foo", "m1")
	for _, s := range []*sub{plain, q, dur} {
		s.want(1)
		s.acknowledge(1)
	}
	dur.closeSub()
	p.stopBeats()
	r.restart()
	p.move(r, plain, q, dur)
	p.put("foo", "m2") // without connecting again
	plain.want(2)
	q.want(2)
	if text := p.ping(); text != "" {
		t.Errorf("ping: %q", text)
	}
	dur = p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"})
	dur.want(2)
	if _, text := p.try(&wire.SubscriptionRequest{Subject: "foo", DurableName: "gone"}); text != "" {
		t.Error(text)
	}
	plain.acknowledge(2)
	plain.unsubscribe()
}

// TestCrashLosesNothingThatWasConfirmed kills the server at different moments: each
// acknowledged publish is there, a durable goes on where it stood, and what was not
// acknowledged comes first.
func TestCrashLosesNothingThatWasConfirmed(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t)
			p := r.connect("me")
			dur := wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}
			s := p.subscribe(dur)
			const n = 40
			p.put("foo", numbers(n)...)
			s.want(count(1, n)...)
			s.acknowledge(count(1, 10+3*seed)...)
			closed := seed%2 == 0
			if closed {
				s.closeSub() // durable: the acknowledgements before it are, too
			}
			p.stopBeats()
			r.crash(seed)
			p.move(r, s)
			p.put("foo", "next")
			if closed {
				s = p.subscribe(dur)
				s.want(count(11+3*seed, n+1)...)
				s.quiet()
				return
			}
			// Whether the deliveries were noted is open, that each comes is not.
			s.leave("_STAN.subclose.tc")
			s = p.subscribe(dur)
			for next := uint64(0); next <= n; {
				next = max(next, s.next().Sequence)
			}
		})
	}
}

func TestMembersWhoseClientIsGoneAreGoneAfterARestart(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	d := p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"})
	if err := r.door.store.Delete(t.Context(), r.door.client("me").seq); err != nil {
		t.Fatal(err)
	}
	p.stopBeats()
	r.restart()
	p = r.connect("me")
	p.put("foo", "m1")
	st := r.door.channel("foo").stream
	if n := len(st.Consumers()); n != 1 {
		t.Errorf("%d consumers", n)
	}
	p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}).want(1)
	for _, old := range []*sub{s, d} {
		old.in.None(t)
	}
}

func TestMemoryChannelsEndWithTheProcess(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Memory = true })
	p := r.connect("me")
	p.put("foo", "m1", "m2")
	p.stopBeats()
	r.restart()
	p.move(r)
	if text := p.ping(); text != wire.ClientReplaced {
		t.Errorf("ping: %q", text)
	}
	p = r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", StartPosition: wire.First})
	p.put("foo", "m1")
	s.want(1)
}

func TestChangedLimitsHoldAfterARestart(t *testing.T) {
	limit := int64(100)
	r := newRig(t, func(o *Options) { o.Limits.MaxMsgs = limit })
	p := r.connect("me")
	p.put("foo", numbers(10)...)
	p.stopBeats()
	limit = 3
	r.restart()
	p.move(r)
	p.subscribe(wire.SubscriptionRequest{Subject: "foo", StartPosition: wire.First}).want(8, 9, 10)
}

func TestMessageOfAChannelIsReadThroughJetStreamAndTheOtherWayRound(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Capture = []string{"orders.>"} })
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "orders.new"})
	p.put("orders.new", "from streaming")
	s.want(1)
	got := string(streamtest.Request(t, r.space, "$JS.API.STREAM.MSG.GET.orders%2Enew", nil, []byte(`{"seq":1}`)).Data)
	if want := `"subject":"orders.new","seq":1,"data":"ZnJvbSBzdHJlYW1pbmc="`; !strings.Contains(got, want) {
		t.Errorf("%s has no %s", got, want)
	}
	ack := string(streamtest.Request(t, r.space, "orders.new", nil, []byte("from JetStream")).Data)
	if ack != `{"stream":"orders%2Enew","seq":2}` {
		t.Error(ack)
	}
	if m := s.want(2); string(m.Data) != "from JetStream" || string(m.Subject) != "orders.new" {
		t.Errorf("%+v", m)
	}
	list := string(streamtest.Request(t, r.space, "$JS.API.CONSUMER.LIST.orders%2Enew", nil, nil).Data)
	if !strings.Contains(list, `"weir.dialect":"stan"`) {
		t.Error(list)
	}
	// A consumer of JetStream's on the channel gets both.
	streamtest.Request(t, r.space, "$JS.API.CONSUMER.DURABLE.CREATE.orders%2Enew.js", nil, []byte(`{"stream_name":"orders%2Enew","config":{"durable_name":"js","ack_policy":"explicit"}}`))
	in := streamtest.NewInbox(t, r.space)
	r.space.Publish(&broker.Message{Subject: []byte("$JS.API.CONSUMER.MSG.NEXT.orders%2Enew.js"), Reply: []byte(in.Subject), Data: []byte("2")})
	for _, want := range []string{"from streaming", "from JetStream"} {
		if m := in.Next(t); string(m.Data) != want || m.Subject != "orders.new" {
			t.Errorf("%+v", m)
		}
	}
}

func TestAdministratorsMayDeleteChannelsAndSubscriptions(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"})
	p.put("foo", "m1")
	s.want(1)
	con := r.door.channel("foo").stream.Consumers()[0]
	if err := con.Stream().DeleteConsumer(t.Context(), con); err != nil {
		t.Fatal(err)
	}
	streamtest.Await(t, "the subscription is gone", func() bool { return s.leave("_STAN.unsub.tc") == wire.InvalidSub })
	p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"})
	if err := r.Streams.Drop(t.Context(), con.Stream()); err != nil {
		t.Fatal(err)
	}
	p.put("foo", "m1") // a new channel of the name
	p.subscribe(wire.SubscriptionRequest{Subject: "foo", StartPosition: wire.First}).want(1)
	if r.door.channel("foo").stream == con.Stream() {
		t.Error("the channel is still the stream that was deleted")
	}
}

func TestForeignStreamsAreNoChannels(t *testing.T) {
	r := newRig(t)
	streamtest.Request(t, r.space, "$JS.API.STREAM.CREATE.foo", nil, []byte(`{"name":"foo","subjects":["x"]}`))
	streamtest.Request(t, r.space, "$JS.API.STREAM.CREATE.ORDERS", nil, []byte(`{"name":"ORDERS","subjects":["y"],"metadata":{"weir.stan.channel":"bar"}}`))
	p := r.connect("me")
	p.publish("foo", "m")
	if text := p.acked(); text != `stan: stream "foo" exists and is not this channel` {
		t.Error(text)
	}
	p.put("bar", "m1")
	orders := r.Streams.Find("A", "ORDERS")
	if n := orders.Partition().Status().Records; n != 1 {
		t.Errorf("the stream that is made to be the channel has %d messages", n)
	}
}

// TestARestartLeavesMembersWhatTheyHave: what one member of a queue group has not
// acknowledged is not given to another one, which the server sees first.
func TestARestartLeavesMembersWhatTheyHave(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	const members = 6
	q := queue("q", "")
	q.MaxInFlight, q.AckWaitInSecs = 1, 3600
	var subs []*sub
	for range members {
		subs = append(subs, p.subscribe(q))
	}
	p.put("foo", numbers(members)...)
	for _, s := range subs {
		s.next()
	}
	p.stopBeats()
	r.restart()
	p.move(r, subs...)
	r.settle("foo")
	for _, s := range r.door.Subscriptions(t.Context(), "foo") {
		if s.Pending != 1 || !s.Stalled {
			t.Errorf("%+v", s)
		}
	}
}
