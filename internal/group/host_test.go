package group

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Store.
type memory struct {
	mu     sync.Mutex
	states map[Key]State
	err    error
}

func (s *memory) Load(_ context.Context, f func(Key, State)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, st := range s.states {
		f(k, st)
	}
	return s.err
}

func (s *memory) Save(_ context.Context, k Key, st State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		c := State{Epoch: st.Epoch, Members: map[string]*Member{}}
		for name, m := range st.Members {
			c.Members[name] = &Member{Streams: m.Streams, Assigned: m.Assigned}
		}
		s.states[k] = c
	}
	return s.err
}

// host runs one until stop is called.
func host(t *testing.T, s *memory, timeout time.Duration, tell func(Event)) (h *Host, stop func()) {
	t.Helper()
	h = NewHost(HostOptions{
		Options: Options{
			ID: "me", ConsumerTimeout: int64(timeout), CoordinatorTimeout: int64(timeout),
			Count: func(_, stream string) (int, bool) { n, ok := streams[stream]; return n, ok },
		},
		Store: s, Log: slog.New(slog.DiscardHandler), Tell: func(_ context.Context, e Event) { tell(e) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	return h, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAMembershipIsKeptBeforeItIsAnswered(t *testing.T) {
	s := &memory{states: map[Key]State{}}
	var told []Event
	h, stop := host(t, s, time.Hour, func(e Event) { told = append(told, e) })
	epoch, err := h.Join(t.Context(), g, "a", []string{"two"})
	if err != nil || len(s.states[g].Members) != 1 {
		t.Fatal(err, s.states)
	}
	if a, err := h.Assignments(t.Context(), g, "a", epoch); err != nil || len(a["two"]) != 2 {
		t.Fatal(a, err)
	}
	stop()
	if len(told) != 1 || told[0].Consumer != "a" {
		t.Fatal(told)
	}
	if _, err := h.Epoch(t.Context(), g); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}

	h, stop = host(t, s, time.Hour, func(Event) {})
	defer stop()
	if got, err := h.Epoch(t.Context(), g); err != nil || got != epoch {
		t.Fatal(got, err)
	}
	if err := h.Leave(t.Context(), g, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Epoch(t.Context(), g); !errors.Is(err, ErrNoGroup) {
		t.Fatal(err)
	}
}

func TestAChangeThatIsNotKeptIsAnError(t *testing.T) {
	s := &memory{states: map[Key]State{}}
	h, stop := host(t, s, time.Hour, func(Event) {})
	defer stop()
	if _, err := h.Epoch(t.Context(), g); !errors.Is(err, ErrNoGroup) {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.err = errors.New("disk is gone")
	s.mu.Unlock()
	if _, err := h.Join(t.Context(), g, "a", []string{"two"}); !errors.Is(err, s.err) {
		t.Fatal(err)
	}
}

func TestASilentMemberIsTakenOut(t *testing.T) {
	gone := make(chan Event, 4)
	h, stop := host(t, &memory{states: map[Key]State{}}, 20*time.Millisecond, func(e Event) {
		if e.Left {
			gone <- e
		}
	})
	defer stop()
	if _, err := h.Join(t.Context(), g, "a", []string{"two"}); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-gone:
		if e.Consumer != "a" || !e.Expired {
			t.Fatal(e)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it stays")
	}
}

func TestAStreamDeletedWhileTheServerWasDownIsTakenOut(t *testing.T) {
	s := &memory{states: map[Key]State{g: {Epoch: 4, Members: map[string]*Member{
		"a": {Streams: []string{"two", "lost"}, Assigned: map[string]Partitions{"two": {0, 1}, "lost": {0}}},
	}}}}
	h, stop := host(t, s, time.Hour, func(Event) {})
	defer stop()
	a, err := h.Assignments(t.Context(), g, "a", 5)
	if err != nil || len(a) != 1 || len(a["two"]) != 2 {
		t.Fatal(a, err)
	}
	if err := h.StreamDeleted(t.Context(), "A", "two"); err != nil {
		t.Fatal(err)
	}
	if a, err = h.Assignments(t.Context(), g, "a", 6); err != nil || len(a) != 0 {
		t.Fatal(a, err)
	}
}
