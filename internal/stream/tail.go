package stream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// tail wakes goroutines that follow a stream.
type tail struct {
	waiting atomic.Bool

	mu sync.Mutex
	ch chan struct{} // guarded by mu; nil: nobody waits
}

// Changed returns a channel that is closed when something changes next: records
// became visible, the configuration is another one, the stream was deleted. Whoever
// looks at the stream after the call, and then waits, misses nothing.
func (s *Stream) Changed() <-chan struct{} {
	t := &s.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ch == nil {
		t.ch = make(chan struct{})
	}
	t.waiting.Store(true)
	return t.ch
}

// wake tells those who wait.
func (t *tail) wake() {
	if !t.waiting.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting.Store(false)
	if t.ch != nil {
		close(t.ch)
		t.ch = nil
	}
}

// Change updates the configuration to what f makes of the one in force, which it
// gets a copy of. It returns when the change is durable. Where f returns an error
// nothing changes; f may be called when others wait, and must not block.
func (s *Stream) Change(ctx context.Context, f func(c *Config) error) error {
	if err := s.holdUpdates(ctx); err != nil {
		return err
	}
	defer s.releaseUpdates()
	c := *s.Config()
	if err := f(&c); err != nil {
		return err
	}
	return s.update(ctx, c)
}

func (s *Stream) holdUpdates(ctx context.Context) error {
	select {
	case s.updating <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for another update: %w", ctx.Err())
	}
}

func (s *Stream) releaseUpdates() { <-s.updating }
