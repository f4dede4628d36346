package journal

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// bells are the kinds there are: on some systems both are one.
func bells(t *testing.T, test func(t *testing.T, b bell)) {
	t.Run("thread", func(t *testing.T) { test(t, newBell(true)) })
	t.Run("channel", func(t *testing.T) { test(t, newBell(false)) })
}

func TestARingEndsTheNextWait(t *testing.T) {
	bells(t, func(t *testing.T, b bell) {
		b.ring()
		b.ring()
		if !b.wait(-1) {
			t.Error("not rung")
		}
		if b.wait(0) {
			t.Error("rung twice")
		}
	})
}

func TestAWaitEndsWithItsLimit(t *testing.T) {
	bells(t, func(t *testing.T, b bell) {
		const limit = 5 * time.Millisecond
		for start := time.Now(); time.Since(start) < limit; {
			if b.wait(time.Until(start.Add(limit))) {
				t.Error("rung by nobody")
			}
		}
	})
}

// Whoever leaves work and rings is served, however the two meet.
func TestNoRingIsMissed(t *testing.T) {
	bells(t, func(t *testing.T, b bell) {
		const works, ringers = 2000, 4
		var left, done atomic.Int64
		over := make(chan struct{})
		go func() {
			defer close(over)
			for done.Load() < works*ringers {
				if n := left.Swap(0); n > 0 {
					done.Add(n)
					continue
				}
				b.wait(-1)
			}
		}()
		for range ringers {
			go func() {
				for i := range works {
					left.Add(1)
					b.ring()
					for i%8 == 0 && left.Load() > 0 { // so that it waits now and then
						runtime.Gosched()
					}
				}
			}()
		}
		select {
		case <-over:
		case <-time.After(30 * time.Second):
			t.Fatalf("%d of %d", done.Load(), works*ringers)
		}
	})
}
