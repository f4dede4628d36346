package multiraft

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// CopyID names one copy of a group for ever: the node in the upper half, and in
// the lower one which of its lives this is. A node that lost what its copy had
// promised never uses the old life again: it joins as a new copy.
type CopyID = uint64

// NewCopyID names the copy of a node, both from 1.
func NewCopyID(node, life uint32) CopyID { return uint64(node)<<32 | uint64(life) }

// NodeOf is the node that a copy is on.
func NodeOf(id CopyID) uint32 { return uint32(id >> 32) }

// Members are the copies of a group: voters, and learners, which only follow.
type Members struct {
	Voters, Learners []CopyID
}

// Clone shares nothing with m.
func (m Members) Clone() Members {
	return Members{Voters: slices.Clone(m.Voters), Learners: slices.Clone(m.Learners)}
}

// Step is what a change of members does.
type Step uint8

// The steps of a change. A copy that is to vote is added as a learner first, and
// promoted when it has caught up, so that it never delays a majority.
const (
	AddLearner Step = 1 + iota
	Promote
	Remove
)

// Change is one step for one copy.
type Change struct {
	Step Step
	Copy CopyID
}

// after gives the members as a change leaves them.
func (m Members) after(c Change) Members {
	n := m.Clone()
	gone := func(id CopyID) bool { return id == c.Copy }
	n.Voters = slices.DeleteFunc(n.Voters, gone)
	n.Learners = slices.DeleteFunc(n.Learners, gone)
	switch c.Step {
	case AddLearner:
		n.Learners = append(n.Learners, c.Copy)
	case Promote:
		n.Voters = append(n.Voters, c.Copy)
	}
	slices.Sort(n.Voters)
	slices.Sort(n.Learners)
	return n
}

// raftSteps are raft's words for the steps.
var raftSteps = map[Step]raftpb.ConfChangeType{
	AddLearner: raftpb.ConfChangeAddLearnerNode,
	Promote:    raftpb.ConfChangeAddNode,
	Remove:     raftpb.ConfChangeRemoveNode,
}

func (c Change) raft() *raftpb.ConfChange {
	return &raftpb.ConfChange{Type: raftSteps[c.Step].Enum(), NodeId: &c.Copy}
}

// decodeChange reads the data of a raft entry that changes members.
func decodeChange(b []byte) (Change, error) {
	var cc raftpb.ConfChange
	if err := proto.Unmarshal(b, &cc); err != nil {
		return Change{}, fmt.Errorf("%w: change of members: %w", ErrDamaged, err)
	}
	for step, t := range raftSteps {
		if cc.GetType() == t && cc.GetNodeId() != 0 {
			return Change{step, cc.GetNodeId()}, nil
		}
	}
	return Change{}, fmt.Errorf("%w: change of members of type %d", ErrDamaged, cc.GetType())
}

func (m Members) conf() *raftpb.ConfState {
	n := m.Clone()
	return &raftpb.ConfState{Voters: n.Voters, Learners: n.Learners}
}

func membersOf(cs *raftpb.ConfState) Members {
	m := Members{Voters: cs.GetVoters(), Learners: cs.GetLearners()}.Clone()
	slices.Sort(m.Voters)
	slices.Sort(m.Learners)
	return m
}
