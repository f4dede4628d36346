package stan

import (
	"context"
	"math"
	"sync"
)

// maxTasks bounds what waits in a lane. What does not fit is dropped: clients ask
// again, or give up.
const maxTasks = 64 << 10

// lane does tasks one after the other on a goroutine of its own. A task may wait for
// the log.
type lane struct {
	wake chan struct{}

	mu    sync.Mutex
	tasks []func() // guarded by mu
}

func newLane() *lane { return &lane{wake: make(chan struct{}, 1)} }

// post adds a task that somebody asked for; it never waits. It says whether there was
// room.
func (l *lane) post(task func()) bool { return l.add(task, maxTasks) }

// push adds a task of the door's own, of which there are no more than clients.
func (l *lane) push(task func()) { l.add(task, math.MaxInt) }

func (l *lane) add(task func(), limit int) bool {
	l.mu.Lock()
	ok := len(l.tasks) < limit
	if ok {
		l.tasks = append(l.tasks, task)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return ok
}

func (l *lane) run(ctx context.Context) error {
	for {
		l.mu.Lock()
		tasks := l.tasks
		l.tasks = nil
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
