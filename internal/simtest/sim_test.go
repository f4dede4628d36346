package simtest

import (
	"container/heap"
	"crypto/rand"
	"fmt"
	"hash"
	"hash/fnv"
	mrand "math/rand/v2"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// options say what happens in a run, beside its seed.
type options struct {
	seed   uint64
	length time.Duration // of the part with faults, in virtual time
	groups int
	faults faults
	modes  []faultfs.Mode // of crashes
	weak   weakness
	// indirect leaves out the invariants that look into a node, so that only what
	// clients and peers could see counts.
	indirect bool
	// consumers has each partition have a consumer.
	consumers bool
	// gates has each partition keep whether it is paused.
	gates   bool
	history func(line string) // nil: nobody wants it
}

// faults are the injectors that are on.
type faults struct {
	drop, double, reorder, split, oneWay bool
	crash, powerLoss, crashInside        bool
	slowSync, cutSnapshots, transfers    bool
	clockJumps, loseDisks, rot           bool
	readErrors                           bool
}

// weakness is a protection that is off.
type weakness struct {
	ackBeforeSync  bool // entries count as durable when they are handed over
	forgetVotes    bool // the vote is left out of what is written
	ackAlone       bool // clients hear of success at admission
	trustSnapshots bool // a snapshot is not checked for being whole
	skipUnread     bool // what cannot be read is left out of a snapshot
	lazyStore      bool // a checkpoint is not synced before the journal lets go
	storeInPlace   bool // a checkpoint is written over the last one
	reuseCopy      bool // a copy whose disk was lost comes back under its name
	ignoreDamage   bool // a damaged journal is read over
	staleWindow    bool // a leader goes on admitting behind a refused entry
	lyingDisk      bool // syncs do nothing
	sendEarly      bool // a consumer sends and confirms before the group knows
}

const nodeCount = 3

// sim is one run.
type sim struct {
	options
	rnd    *mrand.Rand
	now    time.Duration
	events events
	serial uint64
	digest hash.Hash64
	last   []string // lines of history, the newest at the end
	steps  int
	err    error
	calm   bool // no new faults

	nodes  []*node
	net    network
	model  model
	seen   map[string]int // what happened how often
	client client

	consumed map[uint64]*consumed // by group
}

// result is what a run came to.
type result struct {
	err    error
	digest uint64
	steps  int
	seen   map[string]int
	last   []string
}

// run does one run in a bubble of its own.
func run(t *testing.T, o options) result { return perform(t, o, (*sim).play) }

// perform does what play says, in a bubble.
func perform(t *testing.T, o options, play func(*sim)) (res result) {
	reader := rand.Reader
	defer func() { rand.Reader = reader }()
	synctest.Test(t, func(*testing.T) {
		s := newSim(o)
		rand.Reader = draws{mrand.New(mrand.NewPCG(o.seed, 3))}
		s.guarded(play)
		for _, n := range s.nodes {
			n.stop()
		}
		res = result{s.err, s.digest.Sum64(), s.steps, s.seen, s.last}
	})
	return res
}

// draws gives raft its chance.
type draws struct{ rnd *mrand.Rand }

func (d draws) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(d.rnd.Uint32())
	}
	return len(p), nil
}

func newSim(o options) *sim {
	s := &sim{options: o, rnd: mrand.New(mrand.NewPCG(o.seed, 1)), digest: fnv.New64a(), seen: map[string]int{}}
	s.model.init(s)
	s.net.init(s)
	s.client.init(s)
	for i := range nodeCount {
		s.nodes = append(s.nodes, newNode(s, uint32(i+1)))
	}
	return s
}

// guarded makes a panic a failure.
func (s *sim) guarded(play func(*sim)) {
	defer func() {
		if r := recover(); r != nil {
			s.fail("panic: %v\n%s", r, debug.Stack())
		}
	}()
	play(s)
}

// begin starts the nodes and their clocks.
func (s *sim) begin() {
	for _, n := range s.nodes {
		n.start()
	}
	s.every(tickTime, func() {
		for _, n := range s.nodes {
			n.tick()
		}
	})
}

// play runs the whole: faults, then calm, then the last checks.
func (s *sim) play() {
	s.begin()
	s.client.begin()
	if s.faults.loseDisks || s.faults.rot {
		s.every(100*time.Millisecond, s.mendMembers)
	}
	if s.consumers {
		s.consume()
	}
	s.beginFaults()
	s.runUntil(func() bool { return s.now >= s.length })
	if s.err != nil {
		return
	}
	s.heal()
	deadline := s.now + calmTime
	settled := func() bool { return s.model.agreed() && (!s.consumers || s.drained()) }
	s.runUntil(func() bool { return s.now >= deadline || settled() })
	if s.err == nil && !settled() {
		s.fail("no progress in %v without faults: %s", calmTime, s.model.disagreement())
	}
	if s.err == nil {
		s.model.final()
	}
}

const (
	tickTime = 20 * time.Millisecond
	calmTime = 30 * time.Second
)

// runUntil does events until it is time to stop.
func (s *sim) runUntil(stop func() bool) {
	for s.err == nil && !stop() {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		s.steps++
		e.do()
	}
}

// fail notes the first thing that must not be.
func (s *sim) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
		s.trace("FAIL %v", s.err)
	}
}

const keptLines = 120

// trace adds a line to the history.
func (s *sim) trace(format string, args ...any) {
	line := fmt.Appendf(nil, "%10.4f ", s.now.Seconds())
	line = fmt.Appendf(line, format, args...)
	// A hash never fails to take bytes.
	_, _ = s.digest.Write(append(line, '\n'))
	if s.history != nil {
		s.history(string(line))
		return
	}
	if len(s.last) == 2*keptLines {
		s.last = append(s.last[:0], s.last[keptLines:]...)
	}
	s.last = append(s.last, string(line))
}

// saw counts that something happened: a run in which it never does proves little.
func (s *sim) saw(what string) { s.seen[what]++ }

// event is something that will happen.
type event struct {
	at     time.Duration
	serial uint64
	do     func()
}

// events are in order of time, and of making where that is the same.
type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].serial < e[j].serial
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	(*e)[len(*e)-1] = event{}
	*e = (*e)[:len(*e)-1]
	return last
}

// after does something later.
func (s *sim) after(d time.Duration, do func()) {
	s.serial++
	heap.Push(&s.events, event{s.now + d, s.serial, do})
}

// every does something again and again.
func (s *sim) every(d time.Duration, do func()) {
	s.after(d, func() {
		do()
		s.every(d, do)
	})
}

// between draws a duration.
func (s *sim) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.rnd.Int64N(int64(to-from)+1))
}

// chance is true once in n times.
func (s *sim) chance(n int) bool { return s.rnd.IntN(n) == 0 }
