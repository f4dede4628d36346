package poller

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A loop serves a crowd while it handles windowEvents in at most windowMost, from at
// least crowdFrom sockets, windowsMost times in a row.
const (
	windowEvents = 512
	windowMost   = 100 * time.Millisecond
	crowdFrom    = 16
	windowsMost  = 4
)

// window counts a loop's events, to tell a crowd from a few. It belongs to the loop's
// goroutine; the zero value is ready.
type window struct {
	events, sockets int
	number          uint32 // of this window; a socket keeps that of its last event
	began           time.Time
	against         int // windows in a row that say the contrary of crowded
	crowded         bool
}

// count notes an event. It says whether that has changed what the loop serves.
func (w *window) count(s *Socket) (changed bool) {
	if s.window != w.number+1 {
		s.window = w.number + 1
		w.sockets++
	}
	if w.events++; w.events < windowEvents {
		return false
	}
	return w.end(time.Now())
}

func (w *window) end(now time.Time) (changed bool) {
	crowd := w.sockets >= crowdFrom && now.Sub(w.began) <= windowMost
	w.began, w.events, w.sockets = now, 0, 0
	w.number++
	if crowd == w.crowded {
		w.against = 0
		return false
	}
	if w.against++; w.against < windowsMost {
		return false
	}
	w.crowded, w.against = crowd, 0
	return true
}

// manners has the system run the process's threads as it serves the clients best. A
// thread that is woken by one message takes the processor away from whoever sent it.
// With few clients that is the fastest answer. With many it makes two switches of
// threads for each message, where the next clients would have sent theirs in the
// meantime: then the threads wait until a processor is free (SCHED_BATCH, see
// sched(7)), and find more to do.
type manners struct {
	crowds int // guarded by mu: loops that serve a crowd
	mu     sync.Mutex
	change chan struct{} // one token: crowds is another one; closed at the end
}

// tell notes that a loop serves a crowd from now on, or none any more.
func (m *manners) tell(crowded bool) {
	m.mu.Lock()
	if crowded {
		m.crowds++
	} else {
		m.crowds--
	}
	m.mu.Unlock()
	signal(m.change)
}

// run follows the loops until change is closed. It returns where the system does
// not let it.
func (m *manners) run() {
	polite := false
	for range m.change {
		m.mu.Lock()
		want := m.crowds > 0
		m.mu.Unlock()
		if want == polite {
			continue
		}
		if setPolicies(want) != nil {
			break
		}
		polite = want
	}
	if polite {
		_ = setPolicies(false) // as it was found; at worst it stays
	}
}

// setPolicies makes threads of the normal policy batch threads, or the other way
// round. Threads with any other policy stay as they are. A thread that one of the
// others starts takes over its policy, so that looking again until nothing is left to
// change finds all.
func setPolicies(batch bool) error {
	from, to := uint32(unix.SCHED_BATCH), uint32(unix.SCHED_NORMAL)
	if batch {
		from, to = to, from
	}
	for changed := true; changed; {
		changed = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return fmt.Errorf("list threads: %w", err)
			}
			done, err := setPolicy(id, from, to)
			if err != nil {
				return fmt.Errorf("set policy of thread %d: %w", id, err)
			}
			changed = changed || done
		}
	}
	return nil
}

// setPolicy changes a thread's policy, if it is the one named. A thread that has
// ended counts as one with another policy.
func setPolicy(thread int, from, to uint32) (changed bool, err error) {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err == nil && attr.Policy == from {
		attr.Policy = to
		err = unix.SchedSetAttr(thread, attr, 0)
		changed = err == nil
	}
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return changed, err
}
