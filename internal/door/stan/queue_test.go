package stan

import (
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

func queue(group, durable string) wire.SubscriptionRequest {
	return wire.SubscriptionRequest{Subject: "foo", QGroup: group, DurableName: durable}
}

func TestQueueGroupSharesAndTwoGroupsDoNot(t *testing.T) {
	r := newRig(t)
	p, q := r.connect("a"), r.connect("b")
	a, b := p.subscribe(queue("bar", "")), q.subscribe(queue("bar", ""))
	d := p.subscribe(queue("bar", "dur")) // another group, whatever its name
	streamtest.Await(t, "all are there", func() bool {
		n := 0
		for _, c := range r.door.channel("foo").stream.Consumers() {
			members, err := c.Members(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range members {
				if m.Present {
					n++
				}
			}
		}
		return n == 3
	})
	p.put("foo", numbers(100)...)
	d.want(count(1, 100)...)
	seen := map[uint64]bool{}
	streamtest.Await(t, "the group gets all", func() bool { return len(a.in.C)+len(b.in.C) == 100 })
	for _, s := range []*sub{a, b} {
		if n := len(s.in.C); n < 30 {
			t.Errorf("a member gets %d", n)
		}
		for len(s.in.C) > 0 {
			seen[s.next().Sequence] = true
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d different ones", len(seen))
	}
}

func TestQueueMembersHaveLimitsOfTheirOwn(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	one := queue("bar", "")
	one.MaxInFlight = 1
	a := p.subscribe(one)
	p.put("foo", "m1", "m2")
	a.want(1)
	a.quiet()
	b := p.subscribe(queue("bar", ""))
	b.want(2)
	p.put("foo", "m3")
	b.want(3)
	b.acknowledge(1) // what another member has
	p.put("foo", "m4")
	a.want(4)
}

func TestQueueMemberThatLeavesLeavesItsMessagesToTheOthers(t *testing.T) {
	r := newRig(t)
	p, q := r.connect("a"), r.connect("b")
	a := p.subscribe(queue("bar", ""))
	p.put("foo", numbers(3)...)
	a.want(1, 2, 3)
	a.acknowledge(2)
	b := q.subscribe(queue("bar", ""))
	if text := p.close(); text != "" {
		t.Fatal(text)
	}
	for _, seq := range []uint64{1, 3} {
		if m := b.want(seq); !m.Redelivered || m.RedeliveryCount != 1 {
			t.Errorf("%+v", m)
		}
	}
	b.quiet()
}

func TestDurableQueueGroupResumesWhereItStood(t *testing.T) {
	r := newRig(t)
	p := r.connect("a")
	first := queue("bar", "dur")
	first.StartPosition = wire.First
	p.put("foo", numbers(5)...)
	a := p.subscribe(first)
	a.want(count(1, 5)...)
	a.acknowledge(1, 2, 4)
	if text := p.close(); text != "" {
		t.Fatal(text)
	}
	q := r.connect("b")
	q.put("foo", "m6")
	again := queue("bar", "dur")
	again.StartPosition, again.StartSequence = wire.SequenceStart, 1 // ignored
	b := q.subscribe(again)
	b.want(3, 5, 6)
	b.quiet()
	c := q.subscribe(queue("bar", "dur"))
	b.unsubscribe() // others remain: the group stays, and gets what it had
	c.want(3, 5, 6)
	c.unsubscribe() // the last one: the group is gone
	q.put("foo", "m7")
	e := q.subscribe(queue("bar", "dur"))
	q.put("foo", "m8")
	e.want(8)
}

func TestQueueGroupWithoutMembersIsForgotten(t *testing.T) {
	r := newRig(t)
	p := r.connect("a")
	a := p.subscribe(queue("bar", ""))
	p.put("foo", "m1")
	a.want(1)
	a.closeSub()
	p.put("foo", "m2")
	b := p.subscribe(queue("bar", ""))
	p.put("foo", "m3")
	b.want(3)
}
