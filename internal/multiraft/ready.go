package multiraft

import (
	"bytes"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// run does all that waits in the inbox. Only one worker at a time runs a group.
func (g *Group) run() (again bool) {
	in := g.take()
	if g.dead {
		g.refuse(in.proposals)
		return g.rest()
	}
	if in.failed != nil {
		g.die(in.failed)
		g.refuse(in.proposals)
		return g.rest()
	}
	for _, upto := range in.durable {
		g.completed(g.pipe.durable(upto))
	}
	for _, i := range in.installed {
		g.activate(i)
	}
	g.completed(g.pipe.pump())
	g.advance()
	for _, m := range in.messages {
		g.receive(m)
	}
	g.advance()
	for range in.ticks {
		g.tick()
	}
	if in.campaign {
		g.step(&raftpb.Message{Type: raftpb.MsgHup.Enum()})
	}
	g.advance()
	g.propose(in.proposals)
	g.advance()
	if in.release > 0 {
		g.mark(in.release)
	}
	return g.rest()
}

// step gives raft a message. What raft refuses is like a message that was lost.
func (g *Group) step(m *raftpb.Message) {
	if err := g.rn.Step(m); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
		g.logger.Debug("raft message refused", "group", g.o.ID, "type", m.GetType().String(), "error", err)
	}
}

func (g *Group) tick() {
	g.rn.Tick()
	g.elapsed++
	if g.term != 0 && g.elapsed >= 2*g.o.ElectionTicks {
		g.elapsed = 0
		g.retrySnapshots()
	}
}

// advance does what raft wants done until it wants nothing.
func (g *Group) advance() {
	for !g.dead && g.rn.HasReady() {
		rd := g.rn.Ready()
		g.role(rd.SoftState)
		g.number(rd.Entries)
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				g.store(m)
			case raft.LocalApplyThread:
				g.apply(m)
			default:
				g.send(m)
			}
		}
	}
	if g.settle {
		g.settle = false
		g.log.trim()
		g.replica.Settled()
	}
}

// role follows who leads.
func (g *Group) role(s *raft.SoftState) {
	if s == nil {
		return
	}
	g.lead.Store(s.Lead)
	now := uint64(0)
	if s.RaftState == raft.StateLeader {
		now = g.rn.BasicStatus().GetTerm()
	}
	if now == g.term {
		return
	}
	if before := g.term; before != 0 {
		g.admits.Store(0)
		led := g.ready
		g.term, g.ready = 0, false
		g.discard()
		if led {
			g.logger.Info("leadership lost", "group", g.o.ID, "node", g.o.Node, "term", before)
			g.replica.Deposed(before)
		}
	}
	g.term = now
	g.elapsed = 0
	clear(g.stuck)
}

// discard gives up everything in flight: whether it will be committed is not
// known here.
func (g *Group) discard() {
	lost := g.flight
	g.flight, g.fresh = nil, 0
	g.refused(lost)
}

func (g *Group) refuse(ps []proposal) {
	for _, p := range ps {
		g.replica.Discard(p.entry)
	}
}

// propose gives entries to raft at once, if this node still leads in their term.
func (g *Group) propose(ps []proposal) {
	var es []*raftpb.Entry
	from := len(g.flight)
	for _, p := range ps {
		if g.dead || !g.ready || p.entry.Term != g.term {
			g.replica.Discard(p.entry)
			continue
		}
		es = append(es, &raftpb.Entry{Data: p.data})
		g.flight = append(g.flight, p.entry)
	}
	if len(es) == 0 {
		return
	}
	g.fresh += len(es)
	err := g.rn.Step(&raftpb.Message{Type: raftpb.MsgProp.Enum(), From: &g.o.Node, Entries: es})
	if err == nil {
		return
	}
	lost := append([]Entry(nil), g.flight[from:]...)
	g.flight = g.flight[:from]
	g.fresh -= len(es)
	g.refused(lost)
}

// refused gives back what raft does not take now.
func (g *Group) refused(lost []Entry) {
	for _, e := range lost {
		g.replica.Discard(e)
	}
}

// number learns the indexes of fresh proposals: raft hands entries out in the
// order in which it took them.
func (g *Group) number(es []*raftpb.Entry) {
	for _, e := range es {
		if g.fresh == 0 || e.GetTerm() != g.term || len(e.GetData()) == 0 {
			continue
		}
		g.flight[len(g.flight)-g.fresh].Index = e.GetIndex()
		g.fresh--
	}
}

// store hands a message for the append thread to the storage.
func (g *Group) store(m *raftpb.Message) {
	l := g.log
	w := write{replies: m.GetResponses(), entries: m.GetEntries()}
	changed := m.GetTerm() != 0 && (m.GetTerm() != l.state.Term || m.GetVote() != l.state.Vote)
	if m.GetTerm() != 0 {
		l.state.Term, l.state.Vote, l.state.Commit = m.GetTerm(), m.GetVote(), m.GetCommit()
	}
	if snap := m.GetSnapshot(); !raft.IsEmptySnap(snap) {
		g.stage(w, snap)
		return
	}
	l.append(w.entries)
	for _, e := range w.entries {
		kind, data := split(e)
		w.records = append(w.records, written{e.GetTerm(), e.GetIndex(), kind, data})
	}
	if changed {
		w.records = append(w.records, g.record(KindHard))
	}
	g.completed(g.pipe.push(w))
}

// record is of the state as it is when the record is written. Its index is above all that may be released
// before another state is durable.
func (g *Group) record(kind uint8) written {
	return written{g.log.state.Term, g.log.last() + 1, kind, nil}
}

// completed says what may be said of writes that are durable.
func (g *Group) completed(ws []write) {
	for len(ws) > 0 {
		w := ws[0]
		ws = ws[1:]
		g.reply(w.replies)
		if w.release > 0 {
			g.pipe.storage.Release(w.release)
		}
		if w.install != nil {
			g.install(w)
		}
		if len(ws) == 0 {
			ws = g.pipe.pump()
		}
	}
}

// reply delivers messages that waited for the storage.
func (g *Group) reply(ms []*raftpb.Message) {
	for _, m := range ms {
		if m.GetTo() == g.o.Node {
			g.step(m)
		} else {
			g.send(m)
		}
	}
}

func (g *Group) send(m *raftpb.Message) {
	g.o.Transport.Send(Message{Group: g.o.ID, From: g.o.Node, To: m.GetTo(), Raft: m})
}

// apply gives committed entries to the machine.
func (g *Group) apply(m *raftpb.Message) {
	for _, e := range m.GetEntries() {
		g.applyOne(e)
	}
	g.settle = true
	g.reply(m.GetResponses())
}

func (g *Group) applyOne(e *raftpb.Entry) {
	if e.GetIndex() != g.log.applied+1 {
		panic(fmt.Sprintf("multiraft: entry %d is applied after %d", e.GetIndex(), g.log.applied))
	}
	g.log.applied = e.GetIndex()
	kind, data := split(e)
	if kind != KindEmpty {
		g.replica.Apply(Entry{Term: e.GetTerm(), Index: e.GetIndex(), Kind: kind, Data: data, Value: g.land(e)})
	}
	if !g.ready && g.term != 0 && e.GetTerm() == g.term {
		g.ready = true
		g.logger.Info("leadership taken", "group", g.o.ID, "node", g.o.Node, "term", g.term)
		g.replica.Led(g.term)
		g.admits.Store(g.term)
	}
}

// land finds the value of a committed entry that was proposed here.
func (g *Group) land(e *raftpb.Entry) any {
	if len(g.flight) == g.fresh || g.flight[0].Index != e.GetIndex() || g.flight[0].Term != e.GetTerm() {
		return nil
	}
	v := g.flight[0].Value
	g.flight[0] = Entry{}
	g.flight = g.flight[1:]
	return v
}

// mark writes that the machine has entries elsewhere, and releases them then.
func (g *Group) mark(index uint64) {
	l := g.log
	index = min(index, l.applied)
	if g.dead || index <= l.state.Index {
		return
	}
	term, err := l.Term(index)
	if err != nil {
		// The entry left memory; the machine releases a later one in time.
		return
	}
	l.state.Index, l.state.IndexTerm = index, term
	g.completed(g.pipe.push(write{records: []written{g.record(KindMark)}, release: index}))
	g.advance()
}

// die ends the group on this node.
func (g *Group) die(err error) {
	if g.dead {
		return
	}
	g.dead = true
	g.admits.Store(0)
	g.lead.Store(0)
	g.logger.Error("group failed", "group", g.o.ID, "node", g.o.Node, "error", err)
	g.replica.Failed(err)
	g.discard()
	if g.ready {
		g.replica.Deposed(g.term)
	}
	g.term, g.ready = 0, false
}

// samePosition says whether the machine still is where a snapshot begins.
func (g *Group) samePosition(since []byte) bool {
	return g.position != nil && bytes.Equal(g.position, since) && bytes.Equal(since, g.replica.Position())
}
