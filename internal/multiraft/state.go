package multiraft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Kinds of entries that a Group keeps beside those of its machine, which are
// below FirstOwnKind.
const (
	FirstOwnKind = 240
	// KindEmpty is the entry with which a leader begins its term.
	KindEmpty = 240
	// KindHard says that the term or the vote changed.
	KindHard = 241
	// KindMark says that the machine has all up to an index elsewhere.
	KindMark = 242
	// KindStaged says that a snapshot is about to be installed: it counts if the
	// machine turns out to have it.
	KindStaged = 243
	// KindMembers is an entry that changes the members.
	KindMembers = 244
)

// ErrDamaged wraps what is wrong with bytes that a Group should have written.
var ErrDamaged = errors.New("raft state is damaged")

// State is what a group must not forget beside its entries. Each record has all
// of it, so that the last one is enough and older ones may go.
type State struct {
	Term, Vote uint64
	// Commit is an entry that was applied when this was written: it is committed,
	// and in the log.
	Commit uint64
	// Index and IndexTerm name the last entry that the machine has elsewhere, or
	// is about to have.
	Index, IndexTerm uint64
	// Members as of Index.
	Members Members
}

// A record of the state, little endian:
//
//	 0  1  version, 1
//	 1  8  term · 9 8 vote · 17 8 commit · 25 8 index · 33 8 term of the index
//	41  2  count of voters · 43 2 count of learners
//	45  8  each voter, then each learner
const (
	stateVersion = 1
	stateFixed   = 45
)

// AppendState encodes a state.
func AppendState(dst []byte, s *State) []byte {
	if len(s.Members.Voters) > math.MaxUint16 || len(s.Members.Learners) > math.MaxUint16 {
		panic("multiraft: too many members")
	}
	dst = append(dst, stateVersion)
	for _, v := range [...]uint64{s.Term, s.Vote, s.Commit, s.Index, s.IndexTerm} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s.Members.Voters)))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s.Members.Learners)))
	for _, list := range [...][]CopyID{s.Members.Voters, s.Members.Learners} {
		for _, id := range list {
			dst = binary.LittleEndian.AppendUint64(dst, id)
		}
	}
	return dst
}

// DecodeState is the reverse of AppendState. Its errors wrap ErrDamaged.
func DecodeState(b []byte) (State, error) {
	if len(b) < stateFixed {
		return State{}, fmt.Errorf("%w: %d bytes are too few", ErrDamaged, len(b))
	}
	if b[0] != stateVersion {
		return State{}, fmt.Errorf("%w: version %d is not known", ErrDamaged, b[0])
	}
	var s State
	for i, v := range []*uint64{&s.Term, &s.Vote, &s.Commit, &s.Index, &s.IndexTerm} {
		*v = binary.LittleEndian.Uint64(b[1+8*i:])
	}
	voters, learners := int(binary.LittleEndian.Uint16(b[41:])), int(binary.LittleEndian.Uint16(b[43:]))
	if len(b) != stateFixed+8*(voters+learners) {
		return State{}, fmt.Errorf("%w: %d bytes for %d members", ErrDamaged, len(b), voters+learners)
	}
	s.Members.Voters = decodeIDs(b[stateFixed:], voters)
	s.Members.Learners = decodeIDs(b[stateFixed+8*voters:], learners)
	if s.IndexTerm > s.Term {
		return State{}, fmt.Errorf("%w: term %d of the mark is above term %d", ErrDamaged, s.IndexTerm, s.Term)
	}
	return s, nil
}

func decodeIDs(b []byte, n int) []CopyID {
	var ids []CopyID
	for i := range n {
		ids = append(ids, binary.LittleEndian.Uint64(b[8*i:]))
	}
	return ids
}
