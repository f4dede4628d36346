package stan

import (
	"context"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/timewheel"
)

// clock calls back at given times: one goroutine for all clients and channels.
type clock struct {
	wake chan struct{}

	mu    sync.Mutex
	wheel *timewheel.Wheel[*alarm] // guarded by mu
}

// alarm is one time to be called at. It must not block.
type alarm struct {
	timer timewheel.Timer[*alarm] // guarded by clock.mu
	ring  func()
}

// tick is the clock's precision.
const tick = int64(time.Millisecond)

func newClock(now int64) *clock {
	return &clock{wake: make(chan struct{}, 1), wheel: timewheel.New[*alarm](tick, now)}
}

func newAlarm(ring func()) *alarm {
	a := &alarm{ring: ring}
	a.timer.Item = a
	return a
}

// set has the alarm ring after a time, instead of when it would have.
func (c *clock) set(a *alarm, after time.Duration) {
	c.mu.Lock()
	c.wheel.Set(&a.timer, time.Now().Add(after).UnixNano())
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *clock) clear(a *alarm) {
	c.mu.Lock()
	c.wheel.Clear(&a.timer)
	c.mu.Unlock()
}

func (c *clock) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due []*alarm
	for {
		c.mu.Lock()
		c.wheel.Advance(time.Now().UnixNano(), func(a *alarm) { due = append(due, a) })
		next, some := c.wheel.Next()
		c.mu.Unlock()
		for _, a := range due {
			a.ring()
		}
		clear(due)
		due = due[:0]
		wait := time.Hour
		if some {
			wait = max(time.Duration(next-time.Now().UnixNano()), 0)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-timer.C:
		}
	}
}
