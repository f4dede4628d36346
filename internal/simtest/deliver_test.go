package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// delivering are runs in which leaders end between sending a message and its commit, in
// every way in which they can.
func delivering(seed uint64) options {
	return options{
		seed: seed, length: 8 * time.Second, groups: 1, modes: faultfs.Modes, consumers: true,
		faults: faults{crash: true, split: true, oneWay: true, slowSync: true, transfers: true},
	}
}

// TestDeliverAfterReplicate ends leaders in the middle of deliveries. A message leaves
// only when the group knows that it does: so the next leader sends it again if nobody
// acknowledges, and never as if it were the first time.
func TestDeliverAfterReplicate(t *testing.T) {
	if repeated(t, delivering) {
		return
	}
	seen := map[string]int{}
	for seed := uint64(900); seed < 908; seed++ {
		res := try(t, delivering(seed))
		for what, n := range res.seen {
			seen[what] += n
		}
		if res.err != nil {
			return
		}
	}
	for _, what := range []string{"delivered", "delivered again", "leader deposed", "node cut off"} {
		if seen[what] == 0 {
			t.Errorf("nothing of this kind: %s", what)
		}
	}
}

// TestALeaderThatSendsTooEarlyIsFound takes the protection away.
func TestALeaderThatSendsTooEarlyIsFound(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		o := delivering(seed)
		o.weak.sendEarly = true
		if res := run(t, o); res.err != nil && strings.Contains(res.err.Error(), "as was done before") {
			t.Logf("seed %d: %v", seed, res.err)
			return
		}
	}
	t.Error("nothing found in 60 seeds")
}

// TestConsumerEventuallyDelivers changes the leader 200 times while messages are on their
// way and acknowledgements come back: all that is stored is delivered and acknowledged
// within five seconds of each change.
func TestConsumerEventuallyDelivers(t *testing.T) {
	res := perform(t, options{seed: 1, groups: 1, consumers: true}, manyLeaders)
	if res.err != nil {
		t.Fatalf("%v\n%s", res.err, strings.Join(res.last, "\n"))
	}
	if res.seen["delivered"] < 400 || res.seen["delivered again"] == 0 {
		t.Errorf("this proves little: %v", res.seen)
	}
}

func manyLeaders(s *sim) {
	const changes, patience = 200, 5 * time.Second
	s.calm = true // no faults but those below
	s.begin()
	s.consume()
	for round := range changes {
		s.until("somebody leads", func() bool { return s.leads(1, nil) != nil })
		if s.err != nil {
			return
		}
		old := s.leads(1, nil)
		var batch []message
		for i := range 3 {
			batch = append(batch, message{group: 1, key: fmt.Sprint(round, " ", i), hasID: true})
		}
		s.client.send(old, batch)
		soon := s.now + s.between(time.Millisecond, 100*time.Millisecond)
		s.runUntil(func() bool { return s.now >= soon })
		if round%2 == 0 {
			s.isolate(old.n)
		} else {
			s.giveUp(old)
		}
		s.until("another one leads", func() bool { return s.leads(1, old.n) != nil })
		s.mendNetwork()
		late := s.now + patience
		s.runUntil(func() bool { return s.drained() || s.now > late })
		if s.err == nil && !s.drained() {
			s.fail("after change %d of the leader the consumer stands still for %v", round, patience)
		}
	}
}

// giveUp has a leader give its lead to another node.
func (s *sim) giveUp(r *replica) {
	next := s.nodes[int(r.n.id)%nodeCount]
	for tries := 0; tries < 20 && s.err == nil && s.leads(1, r.n) == nil; tries++ {
		if r.window.Term != 0 {
			r.g.Transfer(multiraft.NewCopyID(next.id, 1))
			r.n.work()
		}
		at := s.now + time.Second
		s.runUntil(func() bool { return s.leads(1, r.n) != nil || s.now > at })
	}
}
