package nats

import (
	"sync"
	"time"
)

const (
	sweepEvery = 10 * time.Millisecond
	sweepEach  = 10 * time.Microsecond // added to the interval for each connection
)

// sweeper looks after readers that went to wait after a read that returned less
// than there was room for. Such a read has emptied the socket, so a second one to
// see that can be saved. But the end of the stream may have come with the data:
// then no wake-up follows. A reader that was not woken for one interval is
// therefore woken once, to read again. Busy connections never are.
type sweeper struct {
	wg sync.WaitGroup

	mu      sync.Mutex
	conns   []watched     // guarded by mu
	running bool          // guarded by mu
	stopped bool          // guarded by mu
	quit    chan struct{} // guarded by mu; made with the first goroutine
}

type watched struct {
	conn  *Conn
	reads uint32
}

// watch notes a read that may have hidden the end of the stream.
func (s *sweeper) watch(c *Conn) {
	c.reads.Add(1)
	if c.watched.Load() {
		return
	}
	c.watched.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.conns = append(s.conns, watched{conn: c, reads: c.reads.Load()})
	if !s.running {
		s.running = true
		if s.quit == nil {
			s.quit = make(chan struct{})
		}
		s.wg.Add(1)
		go s.run(s.quit)
	}
}

// stop ends the sweeper's goroutine.
func (s *sweeper) stop() {
	s.mu.Lock()
	if !s.stopped && s.quit != nil {
		close(s.quit)
	}
	s.stopped = true
	s.mu.Unlock()
	s.wg.Wait()
}

// run sweeps until nobody is watched.
func (s *sweeper) run(quit <-chan struct{}) {
	defer s.wg.Done()
	timer := time.NewTimer(sweepEvery)
	defer timer.Stop()
	for {
		select {
		case <-quit:
			return
		case <-timer.C:
		}
		quiet, left := s.sweep()
		for _, c := range quiet {
			// The order counts: a reader that still sees itself watched is woken.
			c.watched.Store(false)
			_ = c.net.SetReadDeadline(past)
		}
		if left == 0 {
			return
		}
		timer.Reset(sweepEvery + time.Duration(left)*sweepEach)
	}
}

// sweep takes out those that were not woken since the last time. Once left is 0,
// another goroutine may be started.
func (s *sweeper) sweep() (quiet []*Conn, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.conns[:0]
	for _, w := range s.conns {
		switch now := w.conn.reads.Load(); {
		case w.conn.closing.Load() != nil:
		case now == w.reads:
			quiet = append(quiet, w.conn)
		default:
			kept = append(kept, watched{w.conn, now})
		}
	}
	clear(s.conns[len(kept):])
	s.conns = kept
	s.running = len(kept) > 0
	return quiet, len(kept)
}

// past is a deadline that wakes a reader at once.
var past = time.Unix(1, 0)
