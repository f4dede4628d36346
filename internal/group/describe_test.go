package group

import (
	"context"
	"errors"
	"testing"
	"time"
)

// kept is a host with a group of one member, which reads all of stream three.
func kept(t *testing.T) (h *Host, k Key, epoch uint64) {
	t.Helper()
	h, stop := host(t, &memory{states: map[Key]State{}}, time.Minute, func(Event) {})
	t.Cleanup(stop)
	k = Key{"A", "g"}
	epoch, err := h.Join(t.Context(), k, "a", []string{"three"})
	if err != nil {
		t.Fatal(err)
	}
	return h, k, epoch
}

func TestOnlyWhoReadsAPartitionDoesSomethingWithIt(t *testing.T) {
	h, k, epoch := kept(t)
	done := 0
	do := func(context.Context) error { done++; return nil }
	place := []Place{{"three", 0}}
	for _, c := range []struct {
		key      Key
		consumer string
		epoch    uint64
		places   []Place
		want     error
	}{
		{k, "a", epoch, place, nil}, {k, "a", epoch + 1, place, ErrEpoch}, {k, "b", epoch, place, ErrNotMember},
		{Key{"B", "g"}, "a", epoch, place, ErrNoGroup}, {k, "a", epoch, []Place{{"three", 0}, {"three", 99}}, ErrNotAssigned},
		{k, "a", epoch, []Place{{"two", 0}}, ErrNotAssigned},
	} {
		if err := h.While(t.Context(), c.key, c.consumer, c.epoch, c.places, do); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if done != 1 {
		t.Fatal("done", done, "times")
	}
}

func TestNobodyJoinsWhileAGroupIsAlone(t *testing.T) {
	h, k, _ := kept(t)
	do := func(context.Context) error { return nil }
	if err := h.Alone(t.Context(), k, do); !errors.Is(err, ErrHasMembers) {
		t.Fatal(err)
	}
	if err := h.Leave(t.Context(), k, "a"); err != nil {
		t.Fatal(err)
	}
	inside, joined := make(chan struct{}), make(chan error, 1)
	go func() {
		<-inside
		_, err := h.Join(t.Context(), k, "b", []string{"three"})
		joined <- err
	}()
	err := h.Alone(t.Context(), k, func(context.Context) error {
		close(inside)
		select {
		case <-joined:
			return errors.New("somebody joined")
		case <-time.After(20 * time.Millisecond):
			return nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
}

func TestAGroupIsDescribed(t *testing.T) {
	h, k, epoch := kept(t)
	g, err := h.Members(t.Context(), k)
	if err != nil || g.Epoch != epoch || len(g.Members) != 1 || len(g.Members[0].Assigned["three"]) != streams["three"] || g.Members[0].Deadline <= now() {
		t.Fatalf("%+v %v", g, err)
	}
	if _, err := h.Members(t.Context(), Key{"A", "x"}); !errors.Is(err, ErrNoGroup) {
		t.Fatal(err)
	}
	if l, err := h.List(t.Context(), "A"); err != nil || len(l) != 1 || l[0] != (Summary{"g", epoch, 1}) {
		t.Fatal(l, err)
	}
	h.StreamGone("A", "three")
	if a, err := h.Current(t.Context(), k, "a"); err != nil || a.Epoch <= epoch || len(a.Partitions) != 0 {
		t.Fatal(a, err)
	}
	if _, err := h.Current(t.Context(), k, "b"); !errors.Is(err, ErrNotMember) {
		t.Fatal(err)
	}
}
