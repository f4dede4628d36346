package poller

import (
	"sync/atomic"
	"time"
)

// mostHelped is how much may be read before the helper is not helped: who brings more does
// not wait for each of its messages.
const mostHelped = 8 << 10

// expect has the helper expect help if what has arrived is of the connection alone that was
// the only one the last time, too.
func (t *turn) expect() {
	l := t.loop
	last := l.last
	if l.last = -1; l.n != 1 {
		return
	}
	l.last = l.events[0].Fd
	if l.last != last || l.p.helper == nil || l.window.crowded || !l.p.helper.Expect() {
		return
	}
	t.expected, t.read = true, 0
}

// count notes that so many bytes were read.
func (t *turn) count(n int) {
	if t.read += n; t.read > mostHelped {
		t.leave()
	}
}

// leave helps nobody any more.
func (t *turn) leave() {
	if !t.expected {
		return
	}
	t.expected = false
	if h := t.loop.p.helper; h.Due() {
		h.Leave()
	}
}

// help helps, if that is expected. The turn may be lost then.
func (t *turn) help() {
	if !t.expected {
		return
	}
	t.expected = false
	l := t.loop
	if !l.p.helper.Due() {
		return
	}
	n := l.helping.Add(1)
	l.p.watch.begin()
	l.p.helper.Help()
	t.lost = !l.helping.CompareAndSwap(n, n+1)
}

// A helper may take long, where a disk does. The watch has another goroutine go on with a
// loop that has been helping for helpMost.
const (
	helpMost = 5 * time.Millisecond
	// watchesMost is how many times the watch looks and finds nothing before it waits for
	// the next help.
	watchesMost = 100
)

type watch struct {
	begun  chan struct{} // one token: a loop helps
	quit   chan struct{} // closed at the end
	asleep atomic.Bool   // it waits for that
}

func newWatch() *watch {
	w := &watch{begun: make(chan struct{}, 1), quit: make(chan struct{})}
	w.asleep.Store(true)
	return w
}

// begin has the watch look.
func (w *watch) begin() {
	if w.asleep.Load() && w.asleep.Swap(false) {
		signal(w.begun)
	}
}

// run watches loops until quit is closed.
func (w *watch) run(loops []*loop) {
	seen := make([]uint64, len(loops))
	for {
		select {
		case <-w.quit:
			return
		case <-w.begun:
		}
		if !w.follow(loops, seen) {
			return
		}
		w.asleep.Store(true)
		if look(loops, seen) { // it began before it could see that the watch sleeps
			w.begin()
		}
	}
}

// follow looks until there is no help for a while. false: quit was closed.
func (w *watch) follow(loops []*loop, seen []uint64) bool {
	ticker := time.NewTicker(helpMost)
	defer ticker.Stop()
	for idle := 0; idle < watchesMost; idle++ {
		select {
		case <-w.quit:
			return false
		case <-ticker.C:
		}
		if look(loops, seen) {
			idle = 0
		}
	}
	return true
}

// look takes over loops that are helping as they were when they were seen the last time. It
// says whether it is worth while to look again.
func look(loops []*loop, seen []uint64) (again bool) {
	for i, l := range loops {
		n := l.helping.Load()
		again = again || n != seen[i]
		if n == seen[i] && n%2 == 1 && l.helping.CompareAndSwap(n, n+1) {
			l.p.wg.Add(1)
			go l.run()
		}
		seen[i] = n
	}
	return again
}
