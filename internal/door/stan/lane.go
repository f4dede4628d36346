package stan

import (
	"context"
	"sync"
)

// maxWaiting bounds the bytes of requests that wait in a lane, each counted as
// taskCost and what it brought.
const (
	maxWaiting = 4 << 20
	taskCost   = 512
)

// lane does tasks one after the other on a goroutine of its own. A task may wait for
// the log.
type lane struct {
	wake chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	tasks   []func()
	waiting int // bytes
}

func newLane() *lane { return &lane{wake: make(chan struct{}, 1)} }

// post adds a task that somebody asked for with so many bytes; it never waits. It says
// whether there was room.
func (l *lane) post(bytes int, task func()) bool {
	l.mu.Lock()
	ok := l.waiting <= maxWaiting
	if ok {
		l.waiting += taskCost + bytes
		l.tasks = append(l.tasks, task)
	}
	l.mu.Unlock()
	l.signal()
	return ok
}

// push adds a task of the door's own, of which there are no more than clients and
// channels.
func (l *lane) push(task func()) {
	l.mu.Lock()
	l.tasks = append(l.tasks, task)
	l.mu.Unlock()
	l.signal()
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) run(ctx context.Context) error {
	for {
		l.mu.Lock()
		tasks := l.tasks
		l.tasks, l.waiting = nil, 0
		l.mu.Unlock()
		for _, t := range tasks {
			if ctx.Err() != nil {
				return nil
			}
			t()
		}
		if len(tasks) > 0 {
			continue
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return nil
		}
	}
}
