package simtest

import (
	"slices"

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

// loseDisk replaces a node's disk by an empty one. Its copies come back under new
// names. There is no second loss before the first is made good.
func (s *sim) loseDisk() {
	for _, n := range s.nodes {
		for _, r := range n.replicas {
			if !n.up || !r.complete() {
				return
			}
		}
	}
	n := s.nodes[s.rnd.IntN(nodeCount)]
	s.trace("node %d loses its disk", n.id)
	s.saw("disk lost")
	n.stop()
	n.fs = faultfs.New()
	if !s.weak.reuseCopy {
		n.copy++
	}
	n.comeBack()
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
