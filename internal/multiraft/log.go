package multiraft

import (
	"fmt"
	"math"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// log is what a group knows of its entries: those in memory, which followers can
// be sent, and the state. It is raft's view of the storage, and may be ahead of
// what is durable: raft itself waits for that. Only the group's goroutine uses it.
type log struct {
	voters  []uint64
	keep    int // bytes of applied entries that are kept
	state   State
	seen    bool   // a state was found
	staged  State  // a snapshot that may have been installed
	applied uint64 // by the machine

	base, baseTerm uint64          // of the entry before the first
	entries        []*raftpb.Entry // consecutive
	bytes          int
}

var _ raft.Storage = (*log)(nil)

func (l *log) last() uint64 { return l.base + uint64(len(l.entries)) }

// payload makes raft's data of an entry: its kind, then the parts.
func payload(kind uint8, parts [][]byte) []byte {
	n := 1
	for _, p := range parts {
		n += len(p)
	}
	b := append(make([]byte, 0, n), kind)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// split is the reverse of payload.
func split(e *raftpb.Entry) (kind uint8, data []byte) {
	if d := e.GetData(); len(d) > 0 {
		return d[0], d[1:]
	}
	return KindEmpty, nil
}

// append puts entries in, over those of the same and higher indexes.
func (l *log) append(es []*raftpb.Entry) {
	for len(es) > 0 && es[0].GetIndex() <= l.base {
		es = es[1:]
	}
	if len(es) == 0 {
		return
	}
	at := es[0].GetIndex() - l.base - 1
	if at > uint64(len(l.entries)) {
		panic(fmt.Sprintf("multiraft: entry %d does not follow %d", es[0].GetIndex(), l.last()))
	}
	for _, e := range l.entries[at:] {
		l.bytes -= len(e.GetData())
	}
	for _, e := range es {
		l.bytes += len(e.GetData())
	}
	// What was handed out of the old list stays as it is.
	l.entries = append(l.entries[:at:at], es...)
}

// reset begins anew behind an index.
func (l *log) reset(index, term uint64) {
	l.base, l.baseTerm, l.entries, l.bytes = index, term, nil, 0
}

// dropTo forgets entries up to an index.
func (l *log) dropTo(index uint64) {
	n := min(index, l.last()) - l.base
	if index <= l.base || n == 0 {
		return
	}
	for _, e := range l.entries[:n] {
		l.bytes -= len(e.GetData())
	}
	l.baseTerm = l.entries[n-1].GetTerm()
	l.base += n
	l.entries = slices.Clone(l.entries[n:])
}

// trim forgets applied entries above what is kept in memory: a follower that
// would need them gets a snapshot. It goes down to half, to be rare.
func (l *log) trim() {
	if l.bytes <= l.keep {
		return
	}
	left, to := l.bytes, l.base
	for _, e := range l.entries {
		if left <= l.keep/2 || e.GetIndex() > l.applied {
			break
		}
		left -= len(e.GetData())
		to = e.GetIndex()
	}
	l.dropTo(to)
}

// replay takes an entry of the storage in. Data is borrowed.
func (l *log) replay(e Entry) error {
	switch e.Kind {
	case KindHard, KindMark, KindStaged:
		s, err := DecodeState(e.Data)
		if err != nil {
			return fmt.Errorf("replay state at %d/%d: %w", e.Term, e.Index, err)
		}
		l.seen = true
		if e.Kind == KindStaged {
			l.staged = s
			s.Index, s.IndexTerm = l.state.Index, l.state.IndexTerm
		}
		l.state = s
		if e.Kind == KindMark {
			l.adopt(s.Index, s.IndexTerm)
		}
		return nil
	}
	if e.Index == 0 {
		return fmt.Errorf("%w: an entry has no index", ErrDamaged)
	}
	if e.Index > l.last()+1 || e.Index <= l.base {
		// Entries before were released: their files may be gone or not.
		l.reset(e.Index-1, 0)
	}
	re := &raftpb.Entry{Term: &e.Term, Index: &e.Index}
	if e.Kind != KindEmpty {
		re.Data = payload(e.Kind, [][]byte{e.Data})
	}
	l.append([]*raftpb.Entry{re})
	return nil
}

// adopt takes a mark in: entries that do not agree with it, which a snapshot
// replaced, and what follows them are void.
func (l *log) adopt(index, term uint64) {
	if index < l.base {
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
		s.Index, s.IndexTerm = l.staged.Index, l.staged.IndexTerm
		l.adopt(s.Index, s.IndexTerm)
	}
	if !l.seen && (len(l.entries) > 0 || applied > 0) {
		// Until now the group was a Solo, which keeps no marks.
		s.Index, s.IndexTerm = applied, soloTerm
	}
	switch {
	case l.last() <= s.Index:
		l.reset(s.Index, s.IndexTerm)
	case l.base > s.Index:
		return fmt.Errorf("%w: entries %d to %d are missing", ErrDamaged, s.Index+1, l.base)
	case l.base < s.Index:
		l.dropTo(s.Index)
	}
	if l.base == s.Index {
		l.baseTerm = s.IndexTerm
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
	return nil
}

// InitialState is part of raft.Storage, as all that follows.
func (l *log) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	s := l.state
	return &raftpb.HardState{Term: &s.Term, Vote: &s.Vote, Commit: &s.Commit}, l.conf(), nil
}

func (l *log) conf() *raftpb.ConfState { return &raftpb.ConfState{Voters: slices.Clone(l.voters)} }

// Entries gives at least one entry, and no more than size bytes beyond it.
func (l *log) Entries(lo, hi, size uint64) ([]*raftpb.Entry, error) {
	if lo <= l.base {
		return nil, raft.ErrCompacted
	}
	if hi > l.last()+1 || lo >= hi {
		return nil, raft.ErrUnavailable
	}
	es := l.entries[lo-l.base-1 : hi-l.base-1]
	var sum uint64
	for i, e := range es {
		sum += uint64(len(e.GetData())) + entryOverhead
		if i > 0 && sum > size {
			es = es[:i]
			break
		}
	}
	return es[:len(es):len(es)], nil
}

// entryOverhead is more than an entry takes beside its data.
const entryOverhead = 32

// Term of an entry in memory or the one before.
func (l *log) Term(i uint64) (uint64, error) {
	switch {
	case i < l.base:
		return 0, raft.ErrCompacted
	case i == l.base:
		return l.baseTerm, nil
	case i > l.last():
		return 0, raft.ErrUnavailable
	}
	return l.entries[i-l.base-1].GetTerm(), nil
}

// LastIndex of the log.
func (l *log) LastIndex() (uint64, error) { return l.last(), nil }

// FirstIndex is that of the first entry in memory.
func (l *log) FirstIndex() (uint64, error) { return l.base + 1, nil }

// Snapshot names the present state. It has no data: a follower asks for what it
// lacks.
func (l *log) Snapshot() (*raftpb.Snapshot, error) {
	return l.snapshot(nil)
}

func (l *log) snapshot(data []byte) (*raftpb.Snapshot, error) {
	index := l.applied
	term, err := l.Term(index)
	if err != nil || index == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{ConfState: l.conf(), Index: &index, Term: &term}}, nil
}

// unbounded is raft's word for no limit.
const unbounded = math.MaxUint64
