package stream

import (
	"context"
	"errors"
	"testing"
	"time"
)

func emptyDirectory() *Directory {
	return &Directory{accounts: map[string]map[string]*Stream{}, restoring: map[[2]string]*Stream{}, promised: map[string]*promises{}}
}

func TestAPromiseWaitsForThoseThatDecide(t *testing.T) {
	d := emptyDirectory()
	first, err := d.PromiseStreams(t.Context(), "A", 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	other, err := d.PromiseStreams(t.Context(), "B", 2, 2)
	if err != nil {
		t.Fatalf("another account's promise: %v", err)
	}
	defer other()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.PromiseStreams(gone, "A", 1, 2); !errors.Is(err, context.Canceled) {
		t.Fatalf("one who does not wait got %v", err)
	}
	got := make(chan error, 1)
	go func() {
		done, err := d.PromiseStreams(t.Context(), "A", 1, 2)
		if err == nil {
			done()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("a third place of two was not waited for: %v", err)
	default:
	}
	first() // its creation came to nothing
	select {
	case err := <-got:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody told the one who waits")
	}
}

func TestWhatIsThereRefusesAtOnce(t *testing.T) {
	d := emptyDirectory()
	s := new(Stream)
	s.delivers.Store(3)
	d.accounts["A"] = map[string]*Stream{"S": s}
	d.restoring[[2]string{"A", "T"}] = new(Stream)
	d.restoring[[2]string{"B", "T"}] = new(Stream)
	if _, err := d.PromiseStreams(t.Context(), "A", 1, 2); !errors.Is(err, ErrMaxStreams) {
		t.Fatalf("a third stream of two: %v", err)
	}
	if _, err := d.PromiseConsumer(t.Context(), "A", 3); !errors.Is(err, ErrMaxConsumers) {
		t.Fatalf("a fourth consumer of three: %v", err)
	}
	for _, limit := range []int{0, -1, 4} {
		done, err := d.PromiseConsumer(t.Context(), "A", limit)
		if err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		done()
	}
}
