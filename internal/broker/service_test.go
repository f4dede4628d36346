package broker

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

type serviceFunc func(*Request)

func (f serviceFunc) Handle(r *Request) { f(r) }

func wait[T interface{}](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

func TestAServiceGetsItsOwnCopyAndItsAnswerIsDelivered(t *testing.T) {
	w := NewWorkers(2, 0)
	defer w.Close()
	s := NewSpace("A", w)
	done := make(chan *Request, 1)
	stop := s.Serve("api.>", serviceFunc(func(r *Request) {
		r.Respond(nil, append([]byte("re:"), r.Data...))
		done <- r
	}))
	caller := &fakeSink{}
	s.Subscribe(sub("in.*", "", "1", caller))
	p := NewPublisher(s, PublisherOptions{Echo: true, Origin: caller})
	data, header := []byte("hello"), []byte("NATS/1.0\r\n\r\n")
	r := p.Publish(&Message{Subject: []byte("api.x"), Reply: []byte("in.7"), Header: header, Data: data})
	if r.Services != 1 || r.Nobody() {
		t.Fatalf("got %+v", r)
	}
	p.HandOver()
	clear(data)
	got := wait(t, done)
	if got.Subject != "api.x" || got.Reply != "in.7" || string(got.Header) != string(header) || got.Origin != Sink(caller) || got.Space != s {
		t.Errorf("got %+v", got)
	}
	if answers := caller.take(); !slices.Equal(answers, []string{"1 in.7 re:hello"}) {
		t.Errorf("answers %q", answers)
	}
	stop()
	if r := publish(p, "api.x", ""); !r.Nobody() {
		t.Errorf("a stopped service answers: %+v", r)
	}
}

func TestAFullBacklogDropsAndCountsAndNeverBlocks(t *testing.T) {
	w := NewWorkers(1, 3)
	s, other := NewSpace("A", w), NewSpace("B", w)
	began, release := make(chan struct{}, 100), make(chan struct{})
	h := serviceFunc(func(*Request) {
		began <- struct{}{}
		<-release
	})
	s.Serve("x", h)
	other.Serve("x", h)
	p, q := internal(s), internal(other)
	publish(p, "x", "first")
	p.HandOver()
	wait(t, began)
	for range 10 {
		publish(p, "x", "more")
	}
	p.HandOver()
	if n := w.Dropped(); n != 7 {
		t.Errorf("%d dropped", n)
	}
	publish(q, "x", "another account's")
	q.HandOver()
	if n := w.Dropped(); n != 7 {
		t.Errorf("%d dropped: one account's backlog fills another's", n)
	}
	close(release)
	for range 4 {
		wait(t, began)
	}
	w.Close()
	if n := w.Handled(); n != 5 {
		t.Errorf("%d handled", n)
	}
	publish(p, "x", "too late")
	p.HandOver()
	if n := w.Dropped(); n != 8 {
		t.Errorf("%d dropped", n)
	}
}

func TestAccountsTakeTurns(t *testing.T) {
	w := NewWorkers(1, 0)
	defer w.Close()
	s, other := NewSpace("A", w), NewSpace("B", w)
	began, release, order := make(chan struct{}), make(chan struct{}), make(chan string, 200)
	h := serviceFunc(func(r *Request) {
		if string(r.Data) == "gate" {
			close(began)
			<-release
			return
		}
		order <- r.Space.Name()
	})
	s.Serve("x", h)
	other.Serve("x", h)
	p, q := internal(s), internal(other)
	publish(p, "x", "gate")
	p.HandOver()
	wait(t, began)
	for i := range 100 {
		publish(p, "x", fmt.Sprint(i))
	}
	p.HandOver()
	publish(q, "x", "one")
	q.HandOver()
	close(release)
	for i := range 3 {
		if wait(t, order) == "B" {
			return
		}
		if i == 2 {
			t.Error("the other account's request waits for the flood")
		}
	}
}

func TestAnyoneMayPublishThroughTheSpace(t *testing.T) {
	s := NewSpace("A", nil)
	sink := &fakeSink{}
	s.Subscribe(sub("x", "", "1", sink))
	if r := s.Publish(&Message{Subject: []byte("x"), Data: []byte("m")}); r.Clients != 1 {
		t.Errorf("got %+v", r)
	}
	if got := sink.take(); !slices.Equal(got, []string{"1 x m"}) {
		t.Errorf("got %q", got)
	}
}
