package poller

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pass counts a window's worth of events, from so many sockets, that end after a time.
func (w *window) pass(sockets int, took time.Duration) (changed bool) {
	all := make([]Socket, sockets)
	w.began = time.Now().Add(-took)
	for i := range windowEvents {
		changed = w.count(&all[i%sockets])
	}
	return changed
}

func TestACrowdIsManySocketsInAShortTimeAndSeveralTimesInARow(t *testing.T) {
	const soon, late = 0, 2 * windowMost
	var w window
	for i, step := range []struct {
		sockets int
		took    time.Duration
		changed bool
		crowded bool
	}{
		{sockets: 2}, {sockets: 2}, {sockets: 2}, {sockets: 2}, {sockets: 2},
		{sockets: crowdFrom}, {sockets: crowdFrom}, {sockets: crowdFrom},
		{sockets: crowdFrom - 1}, // interrupts: it begins again
		{sockets: crowdFrom}, {sockets: crowdFrom}, {sockets: crowdFrom},
		{sockets: crowdFrom, took: late},
		{sockets: 64}, {sockets: 64}, {sockets: 64},
		{sockets: 64, changed: true, crowded: true},
		{sockets: 64, crowded: true},
		{sockets: 64, took: late, crowded: true}, {sockets: 1, crowded: true}, {sockets: 64, took: late, crowded: true},
		{sockets: 64, took: soon, crowded: true},
		{sockets: 1, crowded: true}, {sockets: 1, crowded: true}, {sockets: 1, crowded: true},
		{sockets: 1, changed: true},
	} {
		if changed := w.pass(step.sockets, step.took); changed != step.changed || w.crowded != step.crowded {
			t.Fatalf("step %d: changed %v, crowded %v", i, changed, w.crowded)
		}
	}
}

// policies counts the process's threads by their policy.
func policies(t *testing.T) map[uint32]int {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	n := make(map[uint32]int)
	for _, e := range threads {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if attr, err := unix.SchedGetAttr(id, 0); err == nil {
			n[attr.Policy]++
		}
	}
	return n
}

func TestThreadsWaitForAFreeProcessorWhileThereIsACrowd(t *testing.T) {
	if n := policies(t); n[unix.SCHED_NORMAL] == 0 || n[unix.SCHED_BATCH] > 0 {
		t.Skipf("the policies of this process are %v", n)
	}
	m := &manners{change: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() { defer close(ended); m.run() }()
	await := func(from, to uint32) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for n := policies(t); n[from] > 0 || n[to] == 0; n = policies(t) {
			if time.Now().After(deadline) {
				t.Fatalf("policies %v", n)
			}
		}
	}
	m.tell(true)
	await(unix.SCHED_NORMAL, unix.SCHED_BATCH)
	m.tell(true)
	m.tell(false)
	await(unix.SCHED_NORMAL, unix.SCHED_BATCH)
	m.tell(false)
	await(unix.SCHED_BATCH, unix.SCHED_NORMAL)
	m.tell(true)
	await(unix.SCHED_NORMAL, unix.SCHED_BATCH)
	close(m.change)
	<-ended
	if n := policies(t); n[unix.SCHED_BATCH] > 0 {
		t.Fatalf("after the end the policies are %v", n)
	}
}
