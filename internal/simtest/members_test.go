package simtest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// copies are those that should be the voters of each group.
func (s *sim) copies() (ids []multiraft.CopyID) {
	for _, n := range s.nodes {
		ids = append(ids, n.copyID())
	}
	return ids
}

// mayLose says whether a disk may be lost for good: not before an earlier loss is
// made good.
func (s *sim) mayLose() bool {
	if slices.ContainsFunc(s.nodes, func(n *node) bool { return n.rotten }) {
		return false
	}
	for _, n := range s.nodes {
		if !n.up || slices.ContainsFunc(n.replicas, func(r *replica) bool { return !r.complete() }) {
			return false
		}
	}
	return true
}

// loseDisk lets a node lose its disk.
func (s *sim) loseDisk() {
	if s.mayLose() {
		n := s.nodes[s.rnd.IntN(nodeCount)]
		s.saw("disk lost")
		n.replaceDisk()
		n.comeBack()
	}
}

// replaceDisk gives a node an empty disk. Its copies come back under new names.
func (n *node) replaceDisk() {
	n.s.trace("node %d gets an empty disk", n.id)
	n.stop()
	n.fs, n.rotten = faultfs.New(), false
	if !n.s.weak.reuseCopy {
		n.copy++
	}
}

// rot flips bits of a node's journal. When enough was written behind them that
// they cannot be taken for the last, torn batch, the node crashes: it must not
// take part then with what is left, but find the damage or not need the place.
func (s *sim) rot() {
	if !s.mayLose() {
		return
	}
	n := s.nodes[s.rnd.IntN(nodeCount)]
	names, err := n.fs.List("journal")
	if err != nil {
		s.fail("node %d: list the journal: %v", n.id, err)
		return
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".journal") })
	name := "journal/" + names[s.rnd.IntN(len(names))]
	for range 1 + s.rnd.IntN(8) {
		if err := n.fs.Corrupt(name, s.rnd.Int64N(journalFile), byte(1+s.rnd.IntN(255))); err != nil {
			s.fail("node %d: flip bits: %v", n.id, err)
			return
		}
	}
	s.trace("node %d: bits of %s flip", n.id, name)
	s.saw("bits flipped")
	n.rotten, n.provenAt = true, n.disk.batches+4
	life := n.life
	var later func()
	later = func() {
		switch {
		case n.life != life || s.calm:
		case n.disk.batches < n.provenAt:
			s.after(200*time.Millisecond, later)
		default:
			n.crash(faultfs.KeepAll)
			n.comeBack()
		}
	}
	s.after(200*time.Millisecond, later)
}

// damaged takes a node's disk away if what it says at start is damage.
func (n *node) damaged(err error) bool {
	var d *journal.DamageError
	if !n.rotten || !errors.As(err, &d) {
		return false
	}
	n.s.trace("node %d: %v", n.id, err)
	n.s.saw("damage found")
	n.replaceDisk()
	n.comeBack()
	return true
}

// complete says whether the copies that should vote do, and no others.
func (r *replica) complete() bool {
	return len(r.members.Learners) == 0 && slices.Equal(r.members.Voters, r.n.s.copies())
}

// mendMembers takes the next step towards that, in each group: a new copy learns,
// votes when it has caught up, and only then the lost one goes.
func (s *sim) mendMembers() {
	for group := uint64(1); group <= uint64(s.groups); group++ {
		if r := s.client.leader(group); r != nil && !r.complete() {
			if c, ok := r.nextChange(); ok {
				s.saw("change of members asked")
				r.g.Change(c)
				r.n.work()
			}
		}
	}
}

func (r *replica) nextChange() (c multiraft.Change, ok bool) {
	s := r.n.s
	for i, id := range s.copies() {
		n := s.nodes[i]
		switch {
		case slices.Contains(r.members.Voters, id):
		case !slices.Contains(r.members.Learners, id):
			return multiraft.Change{Step: multiraft.AddLearner, Copy: id}, true
		case n.up && n.replicas[r.group-1].p.Index()+20 > r.p.Index():
			return multiraft.Change{Step: multiraft.Promote, Copy: id}, true
		default:
			return c, false
		}
	}
	for _, id := range slices.Concat(r.members.Voters, r.members.Learners) {
		if !slices.Contains(s.copies(), id) {
			return multiraft.Change{Step: multiraft.Remove, Copy: id}, true
		}
	}
	return c, false
}
