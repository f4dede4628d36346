package seglog

import (
	"context"
	"time"
)

// flushTurns is how many times FlushBytes a log may write before the next one's
// turn.
const flushTurns = 4

// Run writes behind until ctx ends: each log that holds FlushBytes in memory
// only, in turn, a few large writes at a time. It syncs nothing but the first
// manifest of a log. A failed write is repeated after RetryEvery. While it runs,
// readers have their files read ahead.
func (v *Volume) Run(ctx context.Context) error {
	v.pieces.start()
	defer v.pieces.stop()
	timer := time.NewTimer(v.retryEvery)
	defer timer.Stop()
	for {
		v.makeExtents()
		if l := v.dequeue(); l != nil {
			v.behind(l)
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-v.wake:
		case <-timer.C:
			v.requeue()
			v.retryExtents()
			timer.Reset(v.retryEvery)
		}
	}
}

// enqueue asks the flusher to look after a log.
func (v *Volume) enqueue(l *Log) {
	v.mu.Lock()
	v.queue = append(v.queue, l)
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *Volume) dequeue() *Log {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == 0 {
		return nil
	}
	l := v.queue[0]
	v.queue[0] = nil
	v.queue = v.queue[1:]
	return l
}

// requeue puts the logs whose write failed back.
func (v *Volume) requeue() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.queue = append(v.queue, v.retry...)
	v.retry = nil
}

// behind gives a log its turn. One that is being written already is left to its
// writer, which asks again where more is left.
func (v *Volume) behind(l *Log) {
	more := false
	if l.turn.TryLock() {
		_, err := l.flush(l.last.Load(), flushTurns*v.flushBytes)
		failed := l.out.failed
		l.turn.Unlock()
		v.report(l, err)
		if err != nil && failed == nil {
			v.mu.Lock()
			v.retry = append(v.retry, l)
			v.mu.Unlock()
			return
		}
		more = failed == nil
	}
	l.mu.Lock()
	more = more && l.unflushed >= v.flushBytes && !l.closed
	l.queued = more
	l.mu.Unlock()
	if more {
		v.enqueue(l)
	}
}

// cache notes that l has written frames in memory, and drops such frames, of
// each log in turn, while there are too many.
func (v *Volume) cache(l *Log) {
	v.cacheMu.Lock()
	v.rememberLocked(l)
	v.cacheMu.Unlock()
	for v.cached.Load() > max(v.tailCache, 0) {
		v.cacheMu.Lock()
		e := v.caching.Front()
		if e == nil {
			v.cacheMu.Unlock()
			return
		}
		victim := v.caching.Remove(e).(*Log)
		victim.cacheElem = nil
		v.cacheMu.Unlock()
		if victim.evict(v.flushBytes) {
			v.cacheMu.Lock()
			v.rememberLocked(victim)
			v.cacheMu.Unlock()
		}
	}
}

func (v *Volume) rememberLocked(l *Log) {
	if l.cacheElem == nil {
		l.cacheElem = v.caching.PushBack(l)
	}
}
