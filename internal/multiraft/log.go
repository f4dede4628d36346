package multiraft

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// log is what a group knows of its entries: those in memory, which followers can
// be sent, and the state. It is raft's view of the storage, and may be ahead of
// what is durable: raft itself waits for that. Only the group's goroutine uses it.
type log struct {
	keep    int // bytes of applied entries that are kept
	state   State
	applied uint64  // by the machine
	members Members // as of applied
	// changes are those of the members above state.Index, up to applied.
	changes []changed
	replayed

	base, baseTerm uint64          // of the entry before the first
	entries        []*raftpb.Entry // consecutive
	bytes          int
	// terms are those of entries above state.Index that left memory.
	terms []termRun
}

type changed struct {
	index   uint64
	members Members
}

// termRun says that entries have a term from an index on.
type termRun struct{ from, term uint64 }

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
	if e.GetType() != raftpb.EntryNormal {
		return KindMembers, e.GetData()
	}
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
	if at == uint64(len(l.entries)) {
		l.entries = append(l.entries, es...)
		return
	}
	// What was handed out of the old list stays as it is.
	l.entries = append(l.entries[:at:at], es...)
}

// reset begins anew behind an index.
func (l *log) reset(index, term uint64) {
	l.base, l.baseTerm, l.entries, l.bytes, l.terms = index, term, nil, 0, nil
}

// dropTo forgets entries up to an index.
func (l *log) dropTo(index uint64) {
	if index <= l.base {
		return
	}
	n := min(index, l.last()) - l.base
	for _, e := range l.entries[:n] {
		l.bytes -= len(e.GetData())
		if k := len(l.terms); k == 0 || l.terms[k-1].term != e.GetTerm() {
			l.terms = append(l.terms, termRun{e.GetIndex(), e.GetTerm()})
		}
		l.baseTerm = e.GetTerm()
	}
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

// mark moves the state on to an applied index; false if it is there already.
func (l *log) mark(index uint64) bool {
	s := &l.state
	if index = min(index, l.applied); index <= s.Index {
		return false
	}
	s.IndexTerm, s.Index = l.termOf(index), index
	for len(l.changes) > 0 && l.changes[0].index <= index {
		s.Members = l.changes[0].members
		l.changes = l.changes[1:]
	}
	for len(l.terms) > 1 && l.terms[1].from <= index {
		l.terms = l.terms[1:]
	}
	return true
}

// termOf gives the term of any entry from state.Index on.
func (l *log) termOf(index uint64) uint64 {
	if index == l.state.Index {
		return l.state.IndexTerm
	}
	if t, err := l.Term(index); err == nil {
		return t
	}
	for i := len(l.terms) - 1; i >= 0; i-- {
		if l.terms[i].from <= index {
			return l.terms[i].term
		}
	}
	panic(fmt.Sprintf("multiraft: the term of entry %d is not known", index))
}

// change puts members in force that an applied entry brought.
func (l *log) change(index uint64, m Members) {
	l.members = m
	l.changes = append(l.changes, changed{index, m})
}

// activate puts a snapshot in force, behind which the log begins anew already.
func (l *log) activate(index, term uint64, m Members) {
	l.applied, l.members, l.changes = index, m, nil
	l.state.Index, l.state.IndexTerm, l.state.Members = index, term, m
}

// InitialState is part of raft.Storage, as all that follows.
func (l *log) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	s := l.state
	return &raftpb.HardState{Term: &s.Term, Vote: &s.Vote, Commit: &s.Commit}, l.members.conf(), nil
}

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
	index := l.applied
	term, err := l.Term(index)
	if err != nil || index == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: l.members.conf(), Index: &index, Term: &term}}, nil
}
