package multiraft

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// replayed is what only recovery needs to know.
type replayed struct {
	seen   bool  // a state was found
	staged State // a snapshot that may have been installed
}

// replay takes an entry of the storage in. Data is borrowed. The storage gives
// the end of what was ever appended, in that order: an entry voids those of its
// index and above that came before.
func (l *log) replay(e Entry) error {
	switch e.Kind {
	case KindHard, KindMark, KindStaged:
		return l.replayState(e)
	}
	if e.Index == 0 || e.Term == 0 {
		return fmt.Errorf("%w: an entry has no index or term", ErrDamaged)
	}
	if e.Index > l.last()+1 || e.Index <= l.base {
		// Entries before were released: their files may be gone or not. Whether
		// they were is seen when all is replayed.
		l.reset(e.Index-1, 0)
	}
	re := &raftpb.Entry{Term: &e.Term, Index: &e.Index}
	switch e.Kind {
	case KindEmpty:
	case KindMembers:
		re.Type, re.Data = raftpb.EntryConfChange.Enum(), slices.Clone(e.Data)
	default:
		re.Data = payload(e.Kind, [][]byte{e.Data})
	}
	l.append([]*raftpb.Entry{re})
	return nil
}

func (l *log) replayState(e Entry) error {
	s, err := DecodeState(e.Data)
	if err != nil {
		return fmt.Errorf("replay state at %d/%d: %w", e.Term, e.Index, err)
	}
	l.seen = true
	if e.Kind == KindStaged {
		l.staged = s
		s.Index, s.IndexTerm, s.Members = l.state.Index, l.state.IndexTerm, l.state.Members
	}
	l.state = s
	if e.Kind == KindMark {
		l.adopt(s.Index, s.IndexTerm)
	}
	return nil
}

// adopt takes a mark in: entries that do not agree with it, which a snapshot
// replaced, and what follows them are void.
func (l *log) adopt(index, term uint64) {
	if index < l.base {
		return
	}
	if index == l.base && l.baseTerm == 0 {
		// The entry itself was released; what follows it in the log stays.
		l.baseTerm = term
		return
	}
	if have, err := l.Term(index); err != nil || have != term {
		l.reset(index, term)
	}
}

// recovered settles what replay found, with what the machine has.
func (l *log) recovered(applied uint64) error {
	s := &l.state
	if l.staged.Index > s.Index && applied >= l.staged.Index {
		s.Index, s.IndexTerm, s.Members = l.staged.Index, l.staged.IndexTerm, l.staged.Members
		l.adopt(s.Index, s.IndexTerm)
	}
	if !l.seen && applied > 0 {
		l.wasSolo(applied)
	}
	if err := l.joinMark(); err != nil {
		return err
	}
	if applied < s.Index || applied > l.last() {
		return fmt.Errorf("%w: the machine has %d, the log %d to %d", ErrDamaged, applied, s.Index, l.last())
	}
	l.applied = applied
	lastTerm, err := l.Term(l.last())
	if err != nil {
		return err
	}
	// An entry may be durable when the term that came with it is not: no vote of
	// that term was sent then.
	if lastTerm > s.Term {
		s.Term, s.Vote = lastTerm, 0
	}
	s.Commit = max(min(s.Commit, l.last()), applied)
	return l.recoverMembers()
}

// wasSolo makes the mark of a group that was a Solo until now, which keeps none.
func (l *log) wasSolo(applied uint64) {
	s := &l.state
	s.Index, s.IndexTerm = applied, soloTerm
	if t, err := l.Term(applied); err == nil && t != 0 {
		s.IndexTerm = t
	}
}

// joinMark lets the entries begin behind the mark.
func (l *log) joinMark() error {
	s := &l.state
	switch {
	case l.last() <= s.Index:
		l.reset(s.Index, s.IndexTerm)
	case l.base > s.Index:
		return fmt.Errorf("%w: entries %d to %d are missing", ErrDamaged, s.Index+1, l.base)
	case l.base < s.Index:
		l.dropTo(s.Index)
	}
	l.baseTerm, l.terms = s.IndexTerm, nil
	return nil
}

// recoverMembers applies the changes between the mark and what is applied.
func (l *log) recoverMembers() error {
	l.members = l.state.Members.Clone()
	for _, e := range l.entries[:l.applied-l.base] {
		if e.GetType() == raftpb.EntryNormal {
			continue
		}
		c, err := decodeChange(e.GetData())
		if err != nil {
			return err
		}
		l.change(e.GetIndex(), l.members.after(c))
	}
	return nil
}
