package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// ErrStopped says that the server stops.
var ErrStopped = errors.New("the server stops")

// Store keeps the states of groups. Its methods may wait.
type Store interface {
	// Load gives every kept state to f.
	Load(ctx context.Context, f func(Key, State)) error
	// Save keeps a state in place of an older one. It returns when that is durable. A
	// state without members may be let go after KeepGone.
	Save(ctx context.Context, k Key, s State) error
}

// Event is a member that came or went.
type Event struct {
	Key      Key
	Consumer string
	Streams  []string // that it reads, of one that joins
	Left     bool
	Expired  bool // it left because it was silent
}

// HostOptions for NewHost.
type HostOptions struct {
	Options
	Store Store
	// Tell hears of members in the order in which they came and went, after that was
	// kept and before it is answered; nil: nobody does.
	Tell func(ctx context.Context, e Event)
	Log  *slog.Logger
}

// saveTimeout bounds how long a change waits for the store.
const saveTimeout = 30 * time.Second

// Host runs a Coordinator.
type Host struct {
	o    HostOptions
	core *Coordinator // only Run
	wake chan struct{}

	mu      sync.Mutex
	queue   []func(ctx context.Context) // guarded by mu
	stopped bool                        // guarded by mu
	ended   chan struct{}               // closed with stopped
}

// NewHost returns a host. It answers once Run runs.
func NewHost(o HostOptions) *Host {
	if o.Tell == nil {
		o.Tell = func(context.Context, Event) {}
	}
	return &Host{o: o, core: NewCoordinator(o.Options), wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Run loads what is kept and serves until ctx ends.
func (h *Host) Run(ctx context.Context) error {
	defer h.stop()
	err := h.o.Store.Load(ctx, func(k Key, s State) { h.core.Load(k, s, now()) })
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load the consumer groups: %w", err)
	}
	h.dropLost(ctx)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		h.mu.Lock()
		queue := h.queue
		h.queue = nil
		h.mu.Unlock()
		for _, f := range queue {
			f(ctx)
		}
		timer.Reset(h.expire(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		case <-timer.C:
		}
	}
}

func now() int64 { return time.Now().UnixNano() }

func (h *Host) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped, h.queue = true, nil
	close(h.ended)
}

// dropLost takes the streams out that were deleted and whose end was not kept.
func (h *Host) dropLost(ctx context.Context) {
	for account, streams := range h.core.Streams() {
		for _, s := range streams {
			if _, ok := h.o.Count(account, s); !ok {
				h.dropped(ctx, account, s)
			}
		}
	}
}

func (h *Host) dropped(ctx context.Context, account, stream string) {
	for _, k := range h.core.StreamDeleted(account, stream) {
		if err := h.save(ctx, k); err != nil {
			h.o.Log.Error("change of a consumer group not kept", "group", k.ID, "account", k.Account, "error", err)
		}
	}
}

// expire takes silent members out, and returns how long to wait for the next.
func (h *Host) expire(ctx context.Context) time.Duration {
	out, next := h.core.Expire(now())
	for _, e := range out {
		if err := h.core.Leave(e.Key, e.Consumer, now()); err != nil {
			continue
		}
		h.o.Log.Info("consumer expired", "group", e.Key.ID, "account", e.Key.Account, "consumer", e.Consumer)
		if err := h.save(ctx, e.Key); err != nil {
			h.o.Log.Error("change of a consumer group not kept", "group", e.Key.ID, "account", e.Key.Account, "error", err)
			continue
		}
		h.o.Tell(ctx, Event{Key: e.Key, Consumer: e.Consumer, Left: true, Expired: true})
	}
	if next == 0 {
		return time.Hour
	}
	return max(time.Duration(next-now()), time.Millisecond)
}

func (h *Host) save(ctx context.Context, k Key) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	s, _ := h.core.State(k)
	return h.o.Store.Save(ctx, k, s)
}

type answer[T any] struct {
	value T
	err   error
}

// ask has f run by Run and waits for what it returns, or for the end of ctx: then
// it may still take effect.
func ask[T any](ctx context.Context, h *Host, f func(ctx context.Context) (T, error)) (T, error) {
	var none T
	back := make(chan answer[T], 1)
	if !h.enqueue(func(ctx context.Context) {
		v, err := f(ctx)
		back <- answer[T]{v, err}
	}) {
		return none, ErrStopped
	}
	select {
	case a := <-back:
		return a.value, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	case <-h.ended:
		return none, ErrStopped
	}
}

// enqueue has f run by Run; false: the host has stopped.
func (h *Host) enqueue(f func(ctx context.Context)) bool {
	h.mu.Lock()
	if h.stopped {
		h.mu.Unlock()
		return false
	}
	h.queue = append(h.queue, f)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return true
}

// Join makes a consumer a member, see Coordinator.Join.
func (h *Host) Join(ctx context.Context, k Key, consumer string, streams []string) (epoch uint64, err error) {
	streams = slices.Clone(streams)
	return ask(ctx, h, func(ctx context.Context) (uint64, error) {
		epoch, err := h.core.Join(k, consumer, streams, now())
		if err != nil {
			return 0, err
		}
		if err := h.save(ctx, k); err != nil {
			return 0, fmt.Errorf("keep the member: %w", err)
		}
		h.o.Tell(ctx, Event{Key: k, Consumer: consumer, Streams: streams})
		return epoch, nil
	})
}

// Leave takes a consumer out of its group.
func (h *Host) Leave(ctx context.Context, k Key, consumer string) error {
	_, err := ask(ctx, h, func(ctx context.Context) (struct{}, error) {
		if err := h.core.Leave(k, consumer, now()); err != nil {
			return struct{}{}, err
		}
		if err := h.save(ctx, k); err != nil {
			return struct{}{}, fmt.Errorf("keep that the member left: %w", err)
		}
		h.o.Tell(ctx, Event{Key: k, Consumer: consumer, Left: true})
		return struct{}{}, nil
	})
	return err
}

// Assignments returns what a member reads, by stream; see Coordinator.Assignments.
func (h *Host) Assignments(ctx context.Context, k Key, consumer string, epoch uint64) (map[string]Partitions, error) {
	return ask(ctx, h, func(context.Context) (map[string]Partitions, error) {
		a, err := h.core.Assignments(k, consumer, epoch, now())
		for s, p := range a {
			a[s] = slices.Clone(p)
		}
		return a, err
	})
}

// Report counts a report of a silent coordinator.
func (h *Host) Report(ctx context.Context, k Key, consumer, coordinator string, epoch uint64) error {
	_, err := ask(ctx, h, func(context.Context) (struct{}, error) {
		return struct{}{}, h.core.Report(k, consumer, coordinator, epoch, now())
	})
	return err
}

// Epoch returns a group's epoch, or ErrNoGroup.
func (h *Host) Epoch(ctx context.Context, k Key) (uint64, error) {
	return ask(ctx, h, func(context.Context) (uint64, error) {
		s, ok := h.core.State(k)
		if !ok {
			return 0, ErrNoGroup
		}
		return s.Epoch, nil
	})
}

// StreamDeleted takes a deleted stream out of the groups that read it. It returns
// when that was done or ctx has ended.
func (h *Host) StreamDeleted(ctx context.Context, account, stream string) error {
	_, err := ask(ctx, h, func(ctx context.Context) (struct{}, error) {
		h.dropped(ctx, account, stream)
		return struct{}{}, nil
	})
	return err
}
