package seglog

import (
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// vacate is Reclaim without pace: what it gives lets go of segments, and of frames that
// are in memory only, in which nothing is live. nil: there are none.
func (l *Log) vacate(c *chooser) func() bool {
	c.look()
	group := c.allDead()
	l.mu.Lock()
	idle := !l.deadTailLocked(c.dead, c.first)
	l.mu.Unlock()
	if len(group) == 0 && idle {
		return nil
	}
	r := rewriter{l: l, dead: c.dead, first: c.first, group: group}
	return func() bool {
		dropped := l.dropTail(c.dead, c.first)
		return len(group) > 0 && r.install() || dropped
	}
}

// deadTailLocked says whether there are frames in memory only in which nothing is live.
func (l *Log) deadTailLocked(dead *seqset.Set, first uint64) bool {
	for i := l.tail.Find(l.written + 1); i < l.tail.Len(); i++ {
		if f := l.tail.At(i); allDead(dead, first, f.Base, f.Last()) {
			return true
		}
	}
	return false
}

// dropTail forgets the frames that are in memory only in which nothing is live: they
// are never written. It says whether there were any.
func (l *Log) dropTail(dead *seqset.Set, first uint64) bool {
	l.turn.Lock() // none of them is being written
	defer l.turn.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.deadTailLocked(dead, first) {
		return false
	}
	var kept record.Queue
	for i := range l.tail.Len() {
		f := l.tail.At(i)
		if f.Last() > l.written && allDead(dead, first, f.Base, f.Last()) {
			l.unflushed -= int64(f.Len())
			continue
		}
		kept.Push(f)
	}
	l.tail = kept
	return true
}
