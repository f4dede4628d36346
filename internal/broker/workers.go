package broker

import (
	"sync"
	"sync/atomic"
)

const (
	requestWeight  = 128      // bytes that a request counts beside its own
	backlogBytes   = 64 << 20 // of one account's queued requests
	defaultBacklog = 16 << 10 // requests of one account
)

// Workers is a fixed pool of goroutines that handle requests to services. Each
// account has a bounded queue and they take turns, so that one account's flood
// delays only its own requests.
type Workers struct {
	limit   int
	wg      sync.WaitGroup
	dropped atomic.Uint64
	handled atomic.Uint64

	mu      sync.Mutex
	wake    sync.Cond
	ready   []*Space // guarded by mu: spaces with requests, each once, in turn
	stopped bool     // guarded by mu
}

// backlog is a space's queue of requests.
type backlog struct {
	requests []*Request
	bytes    int
	listed   bool // the space is in ready
}

// NewWorkers starts a pool of n goroutines that queues at most limit requests
// of each account (0: 16384). Close ends it.
func NewWorkers(n, limit int) *Workers {
	if limit == 0 {
		limit = defaultBacklog
	}
	w := &Workers{limit: limit}
	w.wake.L = &w.mu
	w.wg.Add(n)
	for range n {
		go w.work()
	}
	return w
}

// Dropped is how many requests found their account's queue full.
func (w *Workers) Dropped() uint64 { return w.dropped.Load() }

// Handled is how many requests were handled.
func (w *Workers) Handled() uint64 { return w.handled.Load() }

// Close waits for the requests being handled, drops the queued ones and ends the
// goroutines.
func (w *Workers) Close() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.wake.Broadcast()
	w.wg.Wait()
}

// submit queues requests of a space and counts those that there is no room for.
func (w *Workers) submit(s *Space, requests []*Request) {
	if w == nil {
		return
	}
	w.mu.Lock()
	queued := 0
	for _, r := range requests {
		b := &s.backlog
		if w.stopped || len(b.requests) >= w.limit || b.bytes+r.size() > backlogBytes {
			w.dropped.Add(1)
			continue
		}
		b.requests = append(b.requests, r)
		b.bytes += r.size()
		queued++
	}
	if queued > 0 && !s.backlog.listed {
		s.backlog.listed = true
		w.ready = append(w.ready, s)
	}
	w.mu.Unlock()
	if queued > 1 {
		w.wake.Broadcast()
	} else if queued == 1 {
		w.wake.Signal()
	}
}

func (w *Workers) work() {
	defer w.wg.Done()
	for {
		r := w.next()
		if r == nil {
			return
		}
		r.service.Handle(r)
		w.handled.Add(1)
	}
}

// next waits for a request; nil says that the pool has stopped.
func (w *Workers) next() *Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.ready) == 0 && !w.stopped {
		w.wake.Wait()
	}
	if w.stopped {
		return nil
	}
	s := w.ready[0]
	w.ready[0] = nil
	w.ready = w.ready[1:]
	b := &s.backlog
	r := b.requests[0]
	b.requests[0] = nil
	b.requests = b.requests[1:]
	b.bytes -= r.size()
	if len(b.requests) > 0 {
		w.ready = append(w.ready, s)
	} else {
		b.requests, b.listed = nil, false
	}
	return r
}
