package multiraft

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Catch-up. Raft tells a follower that its next entries are gone from the
// leader's log by a snapshot, here without data. The follower answers with the
// position of its machine; the leader sends the same message again, with what the
// machine lacks. The follower writes that the snapshot is staged, installs it,
// and writes that it is in force; only then does the leader hear of it. After a
// crash in between, the machine itself tells whether it has the snapshot.

// receive takes a message of another copy.
func (g *Group) receive(m Message) {
	switch {
	case m.Raft == nil:
		g.serve(m)
	case m.Raft.GetType() == raftpb.MsgSnap:
		g.offered(m)
	default:
		g.step(m.Raft)
	}
}

// offered decides what a follower does with a snapshot.
func (g *Group) offered(m Message) {
	// Entries that are committed already change the position.
	g.advance()
	snap := m.Raft.GetSnapshot()
	if g.pipe.busyWithSnapshot() {
		return
	}
	if snap.GetMetadata().GetIndex() > g.log.applied && !g.samePosition(m.Since) {
		g.position = nonNil(g.replica.Position())
		g.o.Transport.Send(Message{Group: g.o.ID, From: g.o.Node, To: m.From, Position: g.position})
		return
	}
	g.position = nil
	g.step(m.Raft)
	// The snapshot is staged before anything else is looked at.
	g.advance()
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// busyWithSnapshot says that one is staged, waits to be, or is being installed.
func (p *pipeline) busyWithSnapshot() bool {
	if p.blocked {
		return true
	}
	for _, w := range p.queue {
		if w.install != nil {
			return true
		}
	}
	return false
}

// serve sends what a follower lacks, if raft waits for it.
func (g *Group) serve(m Message) {
	if !g.ready || m.Position == nil {
		return
	}
	waits := false
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		waits = waits || id == m.From && p.State == tracker.StateSnapshot
	})
	if !waits {
		return
	}
	data, err := g.replica.Snapshot(m.Position)
	if err != nil {
		g.logger.Warn("snapshot not made", "group", g.o.ID, "for", m.From, "error", err)
		return
	}
	snap, err := g.log.snapshot(data)
	if err != nil {
		return
	}
	g.stuck[m.From] = 0
	g.o.Transport.Send(Message{
		Group: g.o.ID, From: g.o.Node, To: m.From, Since: m.Position,
		Raft: &raftpb.Message{
			Type: raftpb.MsgSnap.Enum(), From: &g.o.Node, To: &m.From, Term: &g.term, Snapshot: snap,
		},
	})
}

// retrySnapshots lets raft try again where a snapshot may have been lost.
func (g *Group) retrySnapshots() {
	var again []uint64
	g.rn.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if p.State != tracker.StateSnapshot {
			delete(g.stuck, id)
			return
		}
		g.stuck[id]++
		if g.stuck[id] > 1 {
			again = append(again, id)
		}
	})
	for _, id := range again {
		delete(g.stuck, id)
		g.rn.ReportSnapshot(id, raft.SnapshotFailure)
	}
}

// stage writes that a snapshot is about to be installed. The log begins anew
// behind it at once; in the storage it does so with the mark.
func (g *Group) stage(w write, snap *raftpb.Snapshot) {
	if len(w.entries) > 0 {
		panic("multiraft: entries came with a snapshot")
	}
	l := g.log
	meta := snap.GetMetadata()
	s := l.state
	s.Index, s.IndexTerm = meta.GetIndex(), meta.GetTerm()
	w.records = []written{{s.Term, max(l.last(), s.Index) + 1, KindStaged, AppendState(nil, s)}}
	w.after, w.replies, w.install = w.replies, nil, snap
	l.reset(s.Index, s.IndexTerm)
	g.completed(g.pipe.push(w))
}

// install begins when the staged record is durable.
func (g *Group) install(w write) {
	snap := w.install
	g.pipe.staged = w.after
	g.replica.Install(snap.GetMetadata().GetIndex(), snap.GetData(), func(err error) {
		g.put(func(in *inbox) { in.installed = append(in.installed, installed{snap, err}) })
	})
}

// activate puts an installed snapshot in force.
func (g *Group) activate(i installed) {
	if i.err != nil {
		g.die(fmt.Errorf("install snapshot %d: %w", i.snap.GetMetadata().GetIndex(), i.err))
		return
	}
	l := g.log
	meta := i.snap.GetMetadata()
	l.applied = meta.GetIndex()
	l.state.Index, l.state.IndexTerm = meta.GetIndex(), meta.GetTerm()
	replies := g.pipe.staged
	g.pipe.staged = nil
	g.pipe.unblock(write{records: []written{g.record(KindMark)}, replies: replies, release: meta.GetIndex()})
}
