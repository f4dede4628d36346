package broker

import "testing"

func TestAWatchIsToldOfSubscriptionsAtItsSubject(t *testing.T) {
	s := NewSpace("A", nil)
	told := 0
	cancel := s.Watch("a.b", func() { told++ })
	step := func(what string, want int, listened, grouped bool) {
		t.Helper()
		if told != want {
			t.Errorf("%s: told %d times, want %d", what, told, want)
		}
		if got := s.Listened("a.b", ""); got != listened {
			t.Errorf("%s: listened %v", what, got)
		}
		if got := s.Listened("a.b", "q"); got != grouped {
			t.Errorf("%s: listened in the group %v", what, got)
		}
	}
	subscribe := func(subject, queue string, kind Kind) *Subscription {
		sub := &Subscription{Subject: subject, Queue: queue, Kind: kind, Sink: &fakeSink{}}
		s.Subscribe(sub)
		return sub
	}
	step("nobody", 0, false, false)
	subscribe("a.*", "", KindClient)
	subscribe("a.c", "", KindClient)
	step("others", 0, false, false)
	subscribe("a.b", "", KindService)
	step("a service", 1, false, false)
	plain := subscribe("a.b", "", KindClient)
	step("a client", 2, true, false)
	group := subscribe("a.b", "q", KindClient)
	step("a group", 3, true, true)
	s.Unsubscribe(plain)
	step("the group alone", 4, false, true)
	cancel()
	cancel()
	s.Unsubscribe(group)
	step("cancelled", 4, false, false)
}
