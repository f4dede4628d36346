package journal

import (
	"sync/atomic"
	"time"
)

// Whoever appends may write the batch itself, where nobody else is writing: a client that
// waits for each of its messages then waits for the disk only, not for the writer's thread
// to wake up as well. It says so before it appends (Expect), ends that when it has no more
// to append (Due), and helps holding no lock (Help). What it may keep waiting is its own
// business, but it is asked only for writes that are likely to be short.

// Help is for writes after one that took at most helpLatency, of at most helpBytes.
const (
	helpLatency = time.Millisecond
	helpBytes   = 64 << 10
)

// helpers is what those who append and help have in common with the writer.
type helpers struct {
	quick    atomic.Bool  // the last write was, and others may do the next
	expected atomic.Int32 // those between Expect and Due
	left     atomic.Bool  // the writer was not woken for their sake
}

// Expect says that the caller appends, and then calls Due. Until then the writer may not be
// woken, for the entries of others either, so that it must be soon. false: help is not
// wanted now, and Due is not to be called.
func (j *Journal) Expect() bool {
	if !j.helpers.quick.Load() {
		return false
	}
	j.helpers.expected.Add(1)
	return true
}

// Due ends what Expect has begun. true: there is something to write, and the caller, which
// now has to see to it, calls Help or Leave.
func (j *Journal) Due() bool {
	j.helpers.expected.Add(-1)
	return j.helpers.left.Swap(false)
}

// Leave has the writer write it, which anybody may do at any time.
func (j *Journal) Leave() { j.wake.ring() }

// Help writes it, and runs the completions, on the caller's goroutine; if somebody is
// writing already, or there is much, it leaves it to the writer. The caller holds no lock
// that a completion takes.
func (j *Journal) Help() {
	select {
	case <-j.pen:
	default:
		j.wake.ring()
		return
	}
	rest := true
	if j.w.failure == nil && j.isLittle() {
		_, j.w.failure = j.step()
		rest = j.w.failure != nil || !j.isDone()
	}
	j.pen <- struct{}{}
	if rest {
		j.wake.ring()
	}
}

// rouse wakes the writer, unless somebody has said that they are going to help.
func (j *Journal) rouse() {
	h := &j.helpers
	if h.expected.Load() > 0 {
		h.left.Store(true)
		// They may have ended before they could see it.
		if h.expected.Load() > 0 || !h.left.Swap(false) {
			return
		}
	}
	j.wake.ring()
}

// isLittle says whether all that waits fits into one short write, for which nothing has to
// be made ready.
func (j *Journal) isLittle() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.extents.open > 0 || j.bytes > helpBytes || j.closed || j.noSpace != nil || len(j.files) == 0 {
		return false
	}
	f := j.files[len(j.files)-1]
	return f.written+headerSize+j.bytes+2*blockSize <= f.size
}

// isDone says whether nothing is left for the writer, which goes on sleeping then.
func (j *Journal) isDone() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.idle = j.bytes == 0 && j.gathered == 0
	return j.idle
}
