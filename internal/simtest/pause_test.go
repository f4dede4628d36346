package simtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// gate is a copy's part in whether its partition is paused: the owner's document of the
// configuration, which is in the group's log and in snapshots as in a server.
type gate struct {
	r      *replica
	paused bool
}

// Apply is part of partition.Ledger.
func (g *gate) Apply(kind record.Kind, data []byte, _ any) {
	if kind != record.KindConfig {
		return
	}
	doc, err := partition.ConfigDoc(data)
	if err != nil {
		g.r.n.s.fail("node %d: configuration of group %d: %v", g.r.n.id, g.r.group, err)
	}
	g.paused = string(doc) == "paused"
}

func (g *gate) Snapshot(dst []byte) []byte {
	if g.paused {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (g *gate) Restore(b []byte) error {
	if len(b) > 0 {
		g.paused = b[0] == 1
	}
	return nil
}

// pause pauses or resumes the partition of a group, by whoever leads, and waits until
// that holds on every node that is up.
func (s *sim) pause(paused bool) {
	s.until("somebody leads", func() bool { return s.leads(1, nil) != nil })
	if s.err != nil {
		return
	}
	r, doc := s.leads(1, nil), "open"
	l := s.client.limits(1)
	if l.Sealed = paused; paused {
		doc = "paused"
	}
	if err := r.p.ProposeLimits(l, []byte(doc), nil); err != nil {
		s.fail("node %d: propose limits: %v", r.n.id, err)
	}
	r.n.work()
	s.until("all that are up know that it is "+doc, func() bool {
		return !slices.ContainsFunc(s.nodes, func(n *node) bool { return n.up && n.replicas[0].gate.paused != paused })
	})
}

// TestMembersStayThroughAPause pauses and resumes a partition while one node is dead, in
// groups of whom one was replaced, too. Who is a member does not change by that: two
// acknowledge together, nobody does alone, and the dead one comes back to the same.
func TestMembersStayThroughAPause(t *testing.T) {
	for seed := uint64(1); seed <= 8; seed++ {
		res := perform(t, options{seed: seed, groups: 1, gates: true}, pausedWithoutOne)
		if res.err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, res.err, strings.Join(res.last, "\n"))
		}
		if res.seen["ack"] < 6 || res.seen["publish refused"] < 5 {
			t.Errorf("seed %d proves little: %v", seed, res.seen)
		}
	}
}

// TestALeaderThatAcknowledgesAloneIsFound takes the protection away.
func TestALeaderThatAcknowledgesAloneIsFound(t *testing.T) {
	res := perform(t, options{seed: 1, groups: 1, gates: true, indirect: true, weak: weakness{ackAlone: true}}, pausedWithoutOne)
	if res.err == nil || !strings.Contains(res.err.Error(), "by a node that is alone") {
		t.Error(res.err)
	}
}

func pausedWithoutOne(s *sim) {
	s.calm = true // no faults but those below
	s.begin()
	s.every(100*time.Millisecond, s.mendMembers)
	for round := 0; round < 3 && s.err == nil; round++ {
		s.publishOne(fmt.Sprint("before ", round))
		if round > 0 { // the members are others than at first
			n := s.nodes[s.rnd.IntN(nodeCount)]
			n.replaceDisk()
			n.start()
			s.until("a new copy is a member", s.model.agreed)
		}
		s.pauseWithoutOne(round)
	}
	if s.err == nil {
		s.model.final()
	}
}

// pauseWithoutOne is one round.
func (s *sim) pauseWithoutOne(round int) {
	if s.err != nil {
		return
	}
	dead := s.nodes[s.rnd.IntN(nodeCount)]
	dead.crash(faultfs.DropUnsynced)
	s.pause(true)
	s.refuseOne(fmt.Sprint("while paused ", round))
	if next := s.nodes[int(dead.id)%nodeCount]; s.err == nil && round > 0 {
		s.lead(next) // a pause is the group's, not its leader's
		s.refuseOne(fmt.Sprint("while paused still ", round))
	}
	s.pause(false)
	s.sameMembers()
	s.publishOne(fmt.Sprint("resumed ", round)) // two are enough
	s.nobodyAlone(fmt.Sprint("alone ", round))
	if s.err != nil {
		return
	}
	dead.start()
	s.publishOne(fmt.Sprint("all again ", round))
	s.until("all are alike", s.model.agreed)
	s.sameMembers()
	s.model.identical(1)
	if s.err == nil && dead.replicas[0].gate.paused {
		s.fail("node %d came back to a pause that is over", dead.id)
	}
}

// publishOne publishes until the message is acknowledged.
func (s *sim) publishOne(key string) {
	acked := func() bool { return s.model.of(1).acks[key] != 0 }
	s.until("somebody leads and acknowledges "+key, func() bool {
		if r := s.leads(1, nil); r != nil && len(s.client.again) == 0 && s.model.of(1).offered[key].key == "" {
			s.client.send(r, []message{{group: 1, key: key, hasID: true}})
		}
		if len(s.client.again) > 0 && s.leads(1, nil) != nil {
			again := s.client.again
			s.client.again = nil
			s.client.send(s.leads(1, nil), again)
		}
		return acked()
	})
}

// refuseOne publishes to the leader of a partition that is paused.
func (s *sim) refuseOne(key string) {
	s.until("somebody leads", func() bool { return s.leads(1, nil) != nil })
	if s.err != nil {
		return
	}
	refused := s.seen["publish refused"]
	s.client.send(s.leads(1, nil), []message{{group: 1, key: key}})
	s.until("it is refused", func() bool { return s.seen["publish refused"] > refused })
}

// nobodyAlone has a leader without anybody who is up publish: nobody is told of success.
func (s *sim) nobodyAlone(key string) {
	s.until("somebody leads", func() bool { return s.leads(1, nil) != nil })
	if s.err != nil {
		return
	}
	r := s.leads(1, nil)
	s.isolate(r.n)
	s.client.send(r, []message{{group: 1, key: key, hasID: true}})
	at := s.now + 5*time.Second
	s.runUntil(func() bool { return s.now > at })
	if s.model.of(1).acks[key] != 0 {
		s.fail("%q was acknowledged by a node that is alone", key)
	}
	s.mendNetwork()
}

// sameMembers checks that the members are those that there should be, the dead one
// included, for every node that is up.
func (s *sim) sameMembers() {
	for _, n := range s.nodes {
		if s.err == nil && n.up && !n.replicas[0].complete() {
			s.fail("node %d has the members %x after a pause, not %x", n.id, n.replicas[0].members, s.copies())
		}
	}
}
