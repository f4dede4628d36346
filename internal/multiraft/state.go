package multiraft

import (
	"encoding/binary"
	"errors"
	"fmt"
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
)

// ErrDamaged wraps what is wrong with bytes that a Group should have written.
var ErrDamaged = errors.New("raft state is damaged")

// State is what a group must not forget beside its entries. Each record has all
// of it, so that the last one is enough and older ones may go.
type State struct {
	Term, Vote, Commit uint64
	// Index and IndexTerm name the last entry that the machine has elsewhere, or
	// is about to have.
	Index, IndexTerm uint64
}

const (
	stateVersion = 1
	stateSize    = 1 + 5*8
)

// AppendState encodes a state: a version byte, then its five numbers, each of
// eight bytes, little endian, in the order of the fields.
func AppendState(dst []byte, s State) []byte {
	dst = append(dst, stateVersion)
	for _, v := range [...]uint64{s.Term, s.Vote, s.Commit, s.Index, s.IndexTerm} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

// DecodeState is the reverse of AppendState.
func DecodeState(b []byte) (State, error) {
	if len(b) != stateSize {
		return State{}, fmt.Errorf("%w: %d bytes, not %d", ErrDamaged, len(b), stateSize)
	}
	if b[0] != stateVersion {
		return State{}, fmt.Errorf("%w: version %d is not known", ErrDamaged, b[0])
	}
	var s State
	for i, v := range []*uint64{&s.Term, &s.Vote, &s.Commit, &s.Index, &s.IndexTerm} {
		*v = binary.LittleEndian.Uint64(b[1+8*i:])
	}
	if s.IndexTerm > s.Term {
		return State{}, fmt.Errorf("%w: term %d of the mark is above term %d", ErrDamaged, s.IndexTerm, s.Term)
	}
	return s, nil
}
