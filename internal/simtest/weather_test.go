package simtest

import (
	"time"

	"github.com/weirmq/weir/internal/multiraft"
)

// beginFaults plans the faults that are on.
func (s *sim) beginFaults() {
	f := s.faults
	s.planNetwork()
	s.plan(f.crash, 1200*time.Millisecond, func() { s.crashSome(1) })
	s.plan(f.powerLoss, 5*time.Second, func() { s.crashSome(nodeCount) })
	s.plan(f.crash, 5*time.Second, func() { s.crashSome(2) })
	s.plan(f.transfers, 2*time.Second, s.transfer)
	s.plan(f.clockJumps, time.Second, func() {
		n := s.nodes[s.rnd.IntN(nodeCount)]
		s.saw("clock jump")
		n.clock += s.between(-time.Minute, time.Minute)
	})
	s.plan(f.loseDisks, 4*time.Second, s.loseDisk)
	s.plan(f.rot, 2*time.Second, s.rot)
	s.plan(true, 400*time.Millisecond, s.checkpoint)
}

// planNetwork plans the cuts.
func (s *sim) planNetwork() {
	s.plan(s.faults.split, 800*time.Millisecond, s.splitOff)
	s.plan(s.faults.oneWay, 800*time.Millisecond, s.cutOneWay)
}

// plan does something at random times, about every d.
func (s *sim) plan(on bool, d time.Duration, do func()) {
	if !on {
		return
	}
	s.after(s.between(d/4, 2*d), func() {
		if !s.calm {
			do()
			s.plan(true, d, do)
		}
	})
}

// heal ends all faults.
func (s *sim) heal() {
	s.calm = true
	s.net.cut = [nodeCount + 1][nodeCount + 1]int{}
	s.trace("all faults end")
	for _, n := range s.nodes {
		if !n.up {
			n.start()
		}
	}
}

// sever keeps what a node sends from another, for a while.
func (s *sim) sever(from, to uint32, d time.Duration) {
	s.net.cut[from][to]++
	s.after(d, func() {
		if !s.calm {
			s.net.cut[from][to]--
		}
	})
}

func (s *sim) splitOff() {
	n := uint32(s.rnd.IntN(nodeCount) + 1)
	d := s.between(50*time.Millisecond, 3*time.Second)
	s.trace("node %d is cut off for %v", n, d)
	s.saw("node cut off")
	for other := uint32(1); other <= nodeCount; other++ {
		if other != n {
			s.sever(n, other, d)
			s.sever(other, n, d)
		}
	}
}

func (s *sim) cutOneWay() {
	from := uint32(s.rnd.IntN(nodeCount) + 1)
	to := (from+uint32(s.rnd.IntN(nodeCount-1)))%nodeCount + 1
	if from == to {
		to = to%nodeCount + 1
	}
	d := s.between(50*time.Millisecond, 2*time.Second)
	s.trace("node %d does not reach %d for %v", from, to, d)
	s.saw("one way cut")
	s.sever(from, to, d)
}

// crashSome lets nodes lose their power at once, and come back one by one.
func (s *sim) crashSome(count int) {
	mode := s.modes[s.rnd.IntN(len(s.modes))]
	for _, i := range s.rnd.Perm(nodeCount)[:count] {
		n := s.nodes[i]
		if !n.up {
			continue
		}
		n.crash(mode)
		n.comeBack()
	}
}

// checkpoint lets a partition be checkpointed; sometimes the node crashes within.
func (s *sim) checkpoint() {
	n := s.nodes[s.rnd.IntN(nodeCount)]
	if !n.up {
		return
	}
	r := n.replicas[s.rnd.IntN(len(n.replicas))]
	if !s.faults.crashInside || !s.chance(4) {
		r.checkpoint()
		n.work()
		return
	}
	s.saw("crash inside a checkpoint")
	n.fs.StopAfter(n.fs.Ops() + uint64(s.rnd.IntN(6)))
	r.checkpoint()
	n.crash(s.modes[s.rnd.IntN(len(s.modes))])
	n.comeBack()
}

func (s *sim) transfer() {
	n := s.nodes[s.rnd.IntN(nodeCount)]
	to := multiraft.NewCopyID(uint32(s.rnd.IntN(nodeCount)+1), 1)
	if !n.up {
		return
	}
	for _, r := range n.replicas {
		r.g.Transfer(to)
	}
	s.saw("transfer asked")
	n.work()
}
