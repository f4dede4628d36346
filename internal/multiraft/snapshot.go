package multiraft

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Catch-up. Raft tells a follower that its next entries are gone from the
// leader's log by a snapshot, here without data: the offer. The follower answers
// with the position of its machine; the leader sends the same message again, with
// a stream behind it of what the machine lacks. The follower's machine keeps that
// apart (Stage). When it is whole, and the machine still at that position, raft
// gets the message; if raft takes it, the follower writes that the snapshot is
// staged, installs it, and writes that it is in force. Only then does the leader
// hear of it. After a crash in between, the machine itself tells whether it has
// the snapshot.

// catchup is a group's part in catching up. Only the group's worker uses it.
type catchup struct {
	// As a follower.
	position []byte // for which a snapshot was asked, nil if none is expected
	staging  bool   // the machine reads a stream

	// As a leader.
	streams map[CopyID]bool // copies to which one is being sent
	waited  map[CopyID]int  // ticks that others have been without one
}

func (c *catchup) init() {
	c.streams = map[CopyID]bool{}
	c.waited = map[CopyID]int{}
}

// lead forgets what an earlier term knew, but for streams that still run.
func (c *catchup) lead() { clear(c.waited) }

// catchUp does what the inbox has about snapshots.
func (g *Group) catchUp(in *inbox) {
	for _, id := range in.sent {
		delete(g.catchup.streams, id)
	}
	for _, s := range in.staged {
		g.catchup.staging = false
		g.staged(s)
	}
	for _, s := range in.streams {
		g.streamed(s)
	}
}

// receive takes a message of another copy. What only this node may tell raft is
// dropped.
func (g *Group) receive(m Message) {
	switch {
	case m.Raft != nil && (raft.IsLocalMsg(m.Raft.GetType()) || m.Raft.GetFrom() != m.From):
	case m.Raft == nil:
		g.serve(m)
	case m.Raft.GetType() == raftpb.MsgSnap:
		g.offered(m)
	case m.Raft.GetType() == raftpb.MsgHeartbeat && g.forgot(m.Raft):
		g.die(fmt.Errorf("%w: entry %d, of which the leader was told that it is here", ErrForgot, m.Raft.GetCommit()))
	default:
		g.step(m.Raft)
	}
}

// forgot says whether this copy lost what it had acknowledged: a heartbeat tells
// no more than was. It may not vote then, nor follow.
func (g *Group) forgot(m *raftpb.Message) bool {
	g.advance()
	return m.GetTerm() >= g.log.state.Term && m.GetCommit() > g.log.last()
}

// useful says whether a snapshot would bring the machine on. Entries that are
// committed already are applied first.
func (g *Group) useful(m *raftpb.Message) bool {
	g.advance()
	return !g.dead && !g.pipe.busyWithSnapshot() && m.GetTerm() >= g.log.state.Term &&
		m.GetSnapshot().GetMetadata().GetIndex() > g.log.applied
}

// offered answers an offer. Raft itself answers one that is of no use.
func (g *Group) offered(m Message) {
	c := &g.catchup
	switch {
	case c.staging:
	case g.useful(m.Raft):
		c.position = append([]byte{}, g.replica.Position()...)
		g.out.send(Message{Group: g.o.ID, From: g.o.Copy, To: m.From, Position: c.position})
	case !g.pipe.busyWithSnapshot() && m.Raft.GetSnapshot().GetMetadata().GetIndex() <= g.log.applied:
		g.step(m.Raft)
	}
}

// streamed lets the machine read a stream that was asked for.
func (g *Group) streamed(s stream) {
	if g.catchup.staging || !g.useful(s.Raft) || !g.samePosition(s.Since) {
		_ = s.body.Close() // it is of no use
		return
	}
	g.catchup.staging = true
	m := s.Message
	g.replica.Stage(m.Raft.GetSnapshot().GetMetadata().GetIndex(), s.body, func(err error) {
		g.put(func(in *inbox) { in.staged = append(in.staged, staged{m, err}) })
	})
}

// staged gives raft a snapshot that the machine could put in force.
func (g *Group) staged(s staged) {
	if s.err != nil {
		g.logger.Warn("snapshot not staged", "from", s.m.From, "error", s.err)
		return
	}
	if !g.useful(s.m.Raft) || !g.samePosition(s.m.Since) {
		return
	}
	g.catchup.position = nil
	g.step(s.m.Raft)
	// The snapshot is taken before anything else is looked at.
	g.advance()
}

// samePosition says whether the machine still is where a snapshot begins.
func (g *Group) samePosition(since []byte) bool {
	p := g.catchup.position
	return p != nil && bytes.Equal(p, since) && bytes.Equal(since, g.replica.Position())
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

// serve sends what a follower lacks, if raft waits for it and no stream runs. A
// leader that does not admit yet may need just that follower for a majority.
func (g *Group) serve(m Message) {
	c := &g.catchup
	if g.term == 0 || m.Position == nil || c.streams[m.From] || !g.waitsForSnapshot(m.From) {
		return
	}
	snap, err := g.log.Snapshot()
	if err != nil {
		return
	}
	body, err := g.replica.Snapshot(m.Position)
	if err != nil {
		g.logger.Warn("snapshot not made", "for", m.From, "error", err)
		return
	}
	c.streams[m.From] = true
	c.waited[m.From] = 0
	term, to := g.term, m.From
	offer := &raftpb.Message{Type: raftpb.MsgSnap.Enum(), From: &g.o.Copy, To: &to, Term: &term, Snapshot: snap}
	g.pool.transport.Stream(NodeOf(to), Message{
		Group: g.o.ID, From: g.o.Copy, To: to, Since: m.Position, Raft: offer,
	}, &sending{ReadCloser: body, done: func() { g.put(func(in *inbox) { in.sent = append(in.sent, to) }) }})
}

func (g *Group) waitsForSnapshot(id CopyID) (waits bool) {
	g.rn.WithProgress(func(of CopyID, _ raft.ProgressType, p tracker.Progress) {
		waits = waits || of == id && p.State == tracker.StateSnapshot
	})
	return waits
}

// sending is a stream's body that tells when the transport is done with it.
type sending struct {
	io.ReadCloser
	once sync.Once
	done func()
}

// Close may be called more than once.
func (s *sending) Close() error {
	err := s.ReadCloser.Close()
	s.once.Do(s.done)
	return err
}

// retrySnapshots lets raft try again where an offer, a stream or the answer may
// have been lost.
func (g *Group) retrySnapshots() {
	c := &g.catchup
	var again []CopyID
	g.rn.WithProgress(func(id CopyID, _ raft.ProgressType, p tracker.Progress) {
		switch {
		case p.State != tracker.StateSnapshot:
			delete(c.waited, id)
		case c.streams[id]:
			c.waited[id] = 0
		default:
			if c.waited[id]++; c.waited[id] > 2*g.o.ElectionTicks {
				again = append(again, id)
			}
		}
	})
	for _, id := range again {
		delete(c.waited, id)
		g.rn.ReportSnapshot(id, raft.SnapshotFailure)
	}
}

// stage writes that a snapshot is about to be installed. The log begins anew
// behind it at once; in the storage it does so with the mark.
func (g *Group) stage(w write, snap *raftpb.Snapshot) {
	l, meta := g.log, snap.GetMetadata()
	w.records = []written{{term: l.state.Term, index: max(l.last(), meta.GetIndex()) + 1, kind: KindStaged}}
	w.after, w.replies, w.install = w.replies, nil, snap
	l.reset(meta.GetIndex(), meta.GetTerm())
	g.completed(g.pipe.push(w))
}

// install begins when the staged record is durable.
func (g *Group) install(w write) {
	g.pipe.staged, g.pipe.installing = w.after, w.install
	g.replica.Install(w.install.GetMetadata().GetIndex(), func(err error) {
		g.put(func(in *inbox) { in.installed = append(in.installed, err) })
	})
}

// activate puts an installed snapshot in force.
func (g *Group) activate(err error) {
	meta := g.pipe.installing.GetMetadata()
	if err != nil {
		g.die(fmt.Errorf("install snapshot %d: %w", meta.GetIndex(), err))
		return
	}
	m := membersOf(meta.GetConfState())
	g.log.activate(meta.GetIndex(), meta.GetTerm(), m)
	g.logger.Info("snapshot installed", "index", meta.GetIndex())
	replies := g.pipe.staged
	g.pipe.staged, g.pipe.installing = nil, nil
	g.pipe.unblock(write{
		records: []written{g.record(KindMark)}, replies: replies, release: meta.GetIndex(),
		changed: &changed{meta.GetIndex(), m},
	})
}
