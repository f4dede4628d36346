package stan

import (
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// TestHotPathsAllocateNothing: taking a publish, taking an acknowledgement and sending a
// message cost no memory of their own. What gathers until it is handed over takes room,
// which is counted a message.
func TestHotPathsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	p.put("foo", "m1")
	s.want(1)
	st := r.door.OpenStage(nil).(*stage)
	defer st.HandOver()

	pub := wire.PubMsg{ClientID: []byte(p.id), GUID: []byte("guid"), Subject: []byte("foo"), Data: make([]byte, 16), ConnID: []byte(p.conn)}
	publish := broker.Message{Subject: []byte("_STAN.pub.tc.foo"), Data: pub.Append(nil)}
	atMost(t, "a publish", 0.1, func() { st.Add(r.door.subs.publish, &publish) })

	ack := broker.Message{Subject: []byte(s.ack), Data: (&wire.Ack{Subject: []byte("foo"), Sequence: 7}).Append(nil)}
	atMost(t, "an acknowledgement", 0.1, func() { st.Add(r.door.subs.inboxes, &ack) })

	out := r.door.NewOutlet()
	to := broker.NewPublisher(r.space, broker.PublisherOptions{})
	c := r.door.channel("foo").stream.Consumers()[0]
	v := record.View{Seq: 7, Time: 1, Subject: []byte("foo"), Data: make([]byte, 128)}
	nobody := consumer.Delivery{Seq: 7, Delivered: 1, Member: r.door.memberBy(r.door.channel("foo"), s.ack).ID}
	s.in.Close() // what is sent goes no further
	atMost(t, "a delivery", 0, func() { out.Deliver(to, c, &nobody, &v) })
}

// atMost checks what a call allocates, all that ran meanwhile included.
func atMost(t *testing.T, what string, most float64, call func()) {
	t.Helper()
	const calls = 1000
	// The best of some: what goes on beside a call is none of its.
	best := most + 1
	for range 20 {
		if best = min(best, testing.AllocsPerRun(1, func() {
			for range calls {
				call()
			}
		})/calls); best <= most {
			return
		}
	}
	t.Errorf("%s allocates %v times", what, best)
}
