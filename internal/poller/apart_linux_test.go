package poller

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A wake that comes while a goroutine begins to wait apart, or while it lifts the
// deadline that has woken it, must not be the last that is heard.
func TestNoWakeIsLostWhileAConnectionGoesApart(t *testing.T) {
	p := open(t, 1)
	var wanted, seen, calls atomic.Int64
	heard := make(chan struct{}, 1)
	buf := make([]byte, 64)
	s, far := adopt(t, p, inputFunc(func(s *Socket) Next {
		seen.Store(wanted.Load())
		signal(heard)
		if _, err := s.Read(buf); err != nil {
			return Done
		}
		if calls.Add(1)%5 == 0 {
			return Wait // so that it goes apart again and again
		}
		return Apart
	}))
	s.Start()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for i := range int64(3000) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				s.Wake()
				runtime.Gosched()
				s.Wake()
			})
		}
		write(t, far, []byte("input"))
		wanted.Store(i + 1)
		s.Wake()
		for seen.Load() != i+1 {
			select {
			case <-heard:
			case <-deadline.C:
				t.Fatalf("wake %d was lost in state %d", i, s.state.Load())
			}
		}
		wg.Wait()
	}
}
