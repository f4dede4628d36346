package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// until lets the simulation go on until something holds, and fails if it does not
// come to be.
func (s *sim) until(what string, cond func() bool) {
	deadline := s.now + calmTime
	s.runUntil(func() bool { return cond() || s.now > deadline })
	if s.err == nil && !cond() {
		s.fail("it did not come to be that %s: %s", what, s.model.disagreement())
	}
}

// leads gives the copy of a group that leads and is not on the node; nil: none.
func (s *sim) leads(group uint64, but *node) *replica {
	for _, n := range s.nodes {
		if n != but && n.up && n.replicas[group-1].window.Term != 0 {
			return n.replicas[group-1]
		}
	}
	return nil
}

// isolate cuts a node off from all others, until the link is mended.
func (s *sim) isolate(n *node) {
	s.trace("node %d is cut off", n.id)
	for id := uint32(1); id <= nodeCount; id++ {
		if id != n.id {
			s.net.cut[n.id][id]++
			s.net.cut[id][n.id]++
		}
	}
}

func (s *sim) mendNetwork() {
	s.trace("all links are mended")
	s.net.cut = [nodeCount + 1][nodeCount + 1]int{}
}

// TestDedupNeverRejectsUnstored has leaders stage messages that they cannot commit,
// and gives the same ids to the next leader: an id counts as seen only if its message
// was committed, and then for every node that leads later, whatever its clock says.
func TestDedupNeverRejectsUnstored(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		res := perform(t, options{seed: seed, groups: 1}, stagedAndLost)
		if res.err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, res.err, strings.Join(res.last, "\n"))
		}
		if res.seen["no answer"] < 3 || res.seen["duplicate found"] < 3 {
			t.Errorf("seed %d proves little: %v", seed, res.seen)
		}
	}
}

func stagedAndLost(s *sim) {
	s.calm = true // no faults but those below
	s.nodes[1].clock, s.nodes[2].clock = 3*time.Minute, -3*time.Minute
	s.begin()
	g := s.model.of(1)
	var ids []message
	publish := func(r *replica, keys ...string) {
		var batch []message
		for _, k := range keys {
			batch = append(batch, message{group: 1, key: k, hasID: true})
		}
		s.client.send(r, batch)
	}
	acked := func(keys ...string) func() bool {
		return func() bool {
			for _, k := range keys {
				if g.acks[k] == 0 {
					return false
				}
			}
			return true
		}
	}
	for round := range 3 {
		s.until("somebody leads", func() bool { return s.leads(1, nil) != nil })
		if s.err != nil {
			return
		}
		old := s.leads(1, nil)
		before, after := fmt.Sprint("before ", round), fmt.Sprint("after ", round)
		publish(old, before)
		s.until("the first is stored", acked(before))
		lost := []string{fmt.Sprint("staged ", round), fmt.Sprint("staged too ", round)}
		s.isolate(old.n)
		publish(old, lost...)
		publish(old, lost[0], before) // duplicates of what is staged, and of what is stored
		s.until("another one leads", func() bool { return s.leads(1, old.n) != nil })
		if s.err != nil {
			return
		}
		if acked(lost[0])() || acked(lost[1])() {
			s.fail("%v were acknowledged by a node that is alone", lost)
			return
		}
		next := s.leads(1, old.n)
		publish(next, lost[1], lost[0], after)
		s.until("what was staged and lost is stored", acked(append(lost, after)...))
		s.mendNetwork()
		s.until("all are alike", s.model.agreed)
		for _, k := range append(lost, before, after) {
			ids = append(ids, message{group: 1, key: k, hasID: true})
		}
		// Whoever leads knows every id, with its sequence.
		for _, n := range s.nodes {
			s.lead(n)
			stored := n.replicas[0].p.Committed()
			found := s.seen["duplicate found"]
			s.client.send(n.replicas[0], ids)
			s.until("all are answered", func() bool { return s.seen["duplicate found"] == found+len(ids) })
			if now := n.replicas[0].p.Committed(); s.err == nil && now != stored {
				s.fail("node %d has stored %d more of what was stored", n.id, now-stored)
			}
		}
		s.until("all have applied the same", s.model.agreed)
		s.model.identical(1)
		if s.err != nil {
			return
		}
	}
	s.model.final()
}

// lead has a node lead all groups.
func (s *sim) lead(n *node) {
	leads := func() bool { return n.replicas[0].window.Term != 0 }
	for tries := 0; !leads() && tries < 20 && s.err == nil; tries++ {
		if r := s.leads(1, n); r != nil {
			r.g.Transfer(n.copyID())
			r.n.work()
		}
		at := s.now + time.Second
		s.runUntil(func() bool { return leads() || s.now > at })
	}
	if !leads() {
		s.fail("node %d does not come to lead", n.id)
	}
}
