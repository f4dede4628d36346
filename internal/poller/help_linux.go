package poller

import (
	"sync/atomic"
	"time"
)

// mostHelped is how much may be read before the helper is not helped: who brings more does
// not wait for each of its messages.
const mostHelped = 8 << 10

// Phases of a loop. Each time one begins the number above it is another one.
const (
	alone     = iota // it has nothing to do with the helper
	expecting        // the helper expects help
	helping          // its goroutine helps, and will not touch the loop if it finds another phase behind that

	phaseMask  = 3
	phaseCount = phaseMask + 1
)

// enter begins a phase and gives it with its number. Only the loop's goroutine.
func (l *loop) enter(phase uint64) uint64 {
	n := l.phase.Load()&^phaseMask + phaseCount + phase
	l.phase.Store(n)
	return n
}

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
	l.enter(expecting)
	l.p.watch.begin()
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
	t.loop.enter(alone)
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
		l.enter(alone)
		return
	}
	n := l.enter(helping)
	l.p.helper.Help()
	t.lost = !l.phase.CompareAndSwap(n, n&^phaseMask+alone)
}

// A helper may take long, where a disk does, and an Input may. The watch has another
// goroutine go on with a loop that has been helping for helpMost, and what is left to do
// done by others where one that is to help has not come to it for so long.
const (
	helpMost = 5 * time.Millisecond
	// watchesMost is how many times the watch looks and finds nothing before it waits for
	// the next help.
	watchesMost = 100
)

type watch struct {
	begun  chan struct{} // one token: a loop is going to help; closed at the end
	asleep atomic.Bool   // it waits for that
}

func newWatch() *watch {
	w := &watch{begun: make(chan struct{}, 1)}
	w.asleep.Store(true)
	return w
}

// begin has the watch look.
func (w *watch) begin() {
	if w.asleep.Load() && w.asleep.Swap(false) {
		signal(w.begun)
	}
}

// run watches loops until begun is closed.
func (w *watch) run(loops []*loop) {
	seen := make([]uint64, len(loops))
	for range w.begun {
		if !w.follow(loops, seen) {
			return
		}
		w.asleep.Store(true)
		if look(loops, seen) { // it began before it could see that the watch sleeps
			w.begin()
		}
	}
}

// follow looks until there is no help for a while. false: begun was closed.
func (w *watch) follow(loops []*loop, seen []uint64) bool {
	ticker := time.NewTicker(helpMost)
	defer ticker.Stop()
	for idle := 0; idle < watchesMost; idle++ {
		select {
		case <-ticker.C:
		case _, open := <-w.begun:
			if !open {
				return false
			}
		}
		if look(loops, seen) {
			idle = 0
		}
	}
	return true
}

// look sees to loops that are in the phase in which they were seen the last time. It says
// whether it is worth while to look again.
func look(loops []*loop, seen []uint64) (again bool) {
	for i, l := range loops {
		n := l.phase.Load()
		again = again || n != seen[i] || n&phaseMask != alone
		if n != seen[i] {
			seen[i] = n
			continue
		}
		switch n & phaseMask {
		case expecting:
			l.p.helper.Leave()
		case helping:
			if l.phase.CompareAndSwap(n, n&^phaseMask+alone) {
				l.p.wg.Add(1)
				go l.run()
			}
		}
	}
	return again
}
