package broker

import (
	"sync"
	"testing"
)

// far gives a subscription of another server.
func far(subj, queue, sid string, weight int32, sink Sink) *Subscription {
	s := sub(subj, queue, sid, sink)
	s.Far = true
	s.SetWeight(weight)
	return s
}

func TestMembersOfThisServerComeFirst(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	there, here := &fakeSink{}, &fakeSink{}
	s.Subscribe(far("x", "q", "far", 5, there))
	near := sub("x", "q", "near", here)
	s.Subscribe(near)
	for range 20 {
		publish(p, "x", "m")
	}
	p.HandOver()
	if n, f := len(here.take()), len(there.take()); n != 20 || f != 0 {
		t.Errorf("%d here, %d there", n, f)
	}
	here.verdict = Gone
	if r := publish(p, "x", "m"); r.Clients != 1 {
		t.Errorf("%+v", r)
	}
	p.HandOver()
	if f := len(there.take()); f != 1 {
		t.Errorf("%d there when nobody here takes it", f)
	}
	s.Unsubscribe(near)
	publish(p, "x", "m")
	p.HandOver()
	if f := len(there.take()); f != 1 {
		t.Errorf("%d there when nobody is here", f)
	}
}

func TestFarMembersAreChosenByTheirWeight(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	one, nine := &fakeSink{}, &fakeSink{}
	a, b := far("x", "q", "a", 1, one), far("x", "q", "b", 9, nine)
	s.Subscribe(a)
	s.Subscribe(b)
	const n = 4000
	for range n {
		publish(p, "x", "m")
	}
	p.HandOver()
	if got := len(one.take()); got < n/20 || got > n/5 {
		t.Errorf("%d of %d went to the one of ten", got, n)
	}
	b.SetWeight(0) // which is 1
	nine.take()
	for range n {
		publish(p, "x", "m")
	}
	p.HandOver()
	if got := len(one.take()); got < n/3 || got > 2*n/3 {
		t.Errorf("%d of %d went to the one of two", got, n)
	}
}

func TestOnlyTheNamedGroupsGetAMessage(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	sinks := map[string]*fakeSink{}
	for _, q := range []string{"", "q1", "q2"} {
		sinks[q] = &fakeSink{}
		s.Subscribe(sub("x", q, "s"+q, sinks[q]))
	}
	for _, it := range []struct {
		groups *Groups
		want   map[string]int
	}{
		{nil, map[string]int{"": 1, "q1": 1, "q2": 1}},
		{&Groups{}, map[string]int{"": 1}},
		{&Groups{Names: [][]byte{[]byte("q2"), []byte("none")}}, map[string]int{"": 1, "q2": 1}},
	} {
		p.Publish(&Message{Subject: []byte("x"), Groups: it.groups})
		p.HandOver()
		for q, sink := range sinks {
			if got := len(sink.take()); got != it.want[q] {
				t.Errorf("groups %+v: %d in %q, not %d", it.groups, got, q, it.want[q])
			}
		}
	}
}

// census counts the subscriptions that there are.
type census struct {
	mu   sync.Mutex
	here map[*Subscription]bool
}

func (c *census) Changed(sub *Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub.Ended() {
		delete(c.here, sub)
	} else {
		c.here[sub] = true
	}
}

func TestAFollowerKnowsWhatIsSubscribed(t *testing.T) {
	s := NewSpace("A", nil)
	var subs []*Subscription
	for range 64 {
		subs = append(subs, sub("x", "", "1", &fakeSink{}))
	}
	for _, each := range subs[:32] {
		s.Subscribe(each)
	}
	c := &census{here: map[*Subscription]bool{}}
	var wg sync.WaitGroup
	// While it begins to follow, half of them go and the other half come.
	wg.Go(func() {
		for _, each := range subs[:32] {
			s.Unsubscribe(each)
		}
	})
	wg.Go(func() {
		for _, each := range subs[32:] {
			s.Subscribe(each)
		}
	})
	cancel := s.Follow(c)
	wg.Wait()
	if len(c.here) != 32 {
		t.Errorf("%d subscriptions are known, not 32", len(c.here))
	}
	for _, each := range subs[32:] {
		if !c.here[each] {
			t.Error("one is not known")
		}
	}
	cancel()
	s.Subscribe(subs[0])
	if c.here[subs[0]] {
		t.Error("told of a subscription after the end")
	}
}

func TestAPublisherKnowsWhetherOnlyStreamsGetAMessage(t *testing.T) {
	s := NewSpace("A", nil)
	p := internal(s)
	of := func(kind Kind, queue string) *Subscription {
		out := sub("x", queue, "", &fakeSink{})
		out.Kind = kind
		return out
	}
	check := func(want bool, what string) {
		t.Helper()
		if p.Route([]byte("x")); p.OnlyStreams() != want {
			t.Errorf("with %s: %t", what, !want)
		}
	}
	s.Subscribe(of(KindStream, ""))
	s.Subscribe(of(KindStream, "q"))
	check(true, "streams")
	for _, other := range []*Subscription{of(KindClient, ""), of(KindClient, "q"), of(KindService, ""), far("x", "", "", 1, &fakeSink{})} {
		s.Subscribe(other)
		check(false, "another")
		s.Unsubscribe(other)
		check(true, "streams again")
	}
}
