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

// Help is for writes after one that took at most helpLatency, of at most helpBytes. Where
// who is to help does not come to it for guardEvery the writer is woken.
const (
	helpLatency = time.Millisecond
	helpBytes   = 64 << 10
	guardEvery  = 10 * time.Millisecond
	// guardMost is how many times the guard looks and finds nobody new before it waits.
	guardMost = 50
)

// helpers is what those who append and help have in common with the writer.
type helpers struct {
	quick    atomic.Bool  // the last write was, and others may do the next
	expected atomic.Int64 // those between Expect and Due, and expectOne for each that ever was
	left     atomic.Bool  // the writer was not woken for their sake

	asleep atomic.Bool   // the guard waits for begun
	begun  chan struct{} // to the guard, one deep: somebody is expected
}

// expectOne is more than there can be helpers at a time.
const (
	expectOne  = 1 << 20
	expectMask = expectOne - 1
)

// anybody says whether somebody is between Expect and Due.
func (h *helpers) anybody() bool { return h.expected.Load()&expectMask > 0 }

// Expect says that the caller appends, and then calls Due. Until then the writer may not be
// woken, for the entries of others either, so that it should be soon. false: help is not
// wanted now, and Due is not to be called.
func (j *Journal) Expect() bool {
	h := &j.helpers
	if !h.quick.Load() {
		return false
	}
	h.expected.Add(expectOne + 1)
	if h.asleep.Load() && h.asleep.Swap(false) {
		j.kick(h.begun)
	}
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
	if h.anybody() {
		h.left.Store(true)
		// They may have ended before they could see it.
		if h.anybody() || !h.left.Swap(false) {
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

// runGuard wakes the writer where those who are to help take long, until the writer ends.
func (j *Journal) runGuard() {
	defer j.done.Done()
	h := &j.helpers
	seen := int64(0) // of expected
	for {
		select {
		case <-j.quit:
			return
		case <-h.begun:
		}
		if !j.guard(&seen) {
			return
		}
		h.asleep.Store(true)
		if h.expected.Load() != seen && h.asleep.Swap(false) {
			j.kick(h.begun) // somebody came before they could see that the guard sleeps
		}
	}
}

// guard looks until nobody new is expected for a while. false: the writer has ended.
func (j *Journal) guard(seen *int64) bool {
	h := &j.helpers
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	left := false
	for idle := 0; idle < guardMost; idle++ {
		select {
		case <-j.quit:
			return false
		case <-ticker.C:
		}
		if left && h.left.Load() {
			j.wake.ring() // more often than needed does no harm
		}
		left = h.left.Load()
		if now := h.expected.Load(); left || now != *seen {
			idle, *seen = 0, now
		}
	}
	return true
}
