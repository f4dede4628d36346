package multiraft

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// run does all that waits in the inbox. Only one worker at a time runs a group.
func (g *Group) run() (again bool) {
	in := g.take()
	if in.failed != nil {
		g.die(in.failed)
	}
	if g.dead {
		g.refuseAll(in)
		return g.rest()
	}
	for _, upto := range in.durable {
		g.completed(g.pipe.durable(upto))
	}
	for _, err := range in.installed {
		g.activate(err)
	}
	g.completed(g.pipe.pump())
	g.advance()
	for _, m := range in.messages {
		g.receive(m)
	}
	g.catchUp(in)
	g.advance()
	for range in.ticks {
		g.tick()
	}
	g.advance()
	g.command(in)
	g.advance()
	if in.release > 0 {
		g.mark(in.release)
	}
	g.reopen()
	return g.rest()
}

// command does what callers asked of a leader.
func (g *Group) command(in *inbox) {
	if in.campaign {
		// Refused, somebody leads already or this copy has no vote.
		_ = g.rn.Campaign()
		g.advance()
	}
	g.propose(in.proposals)
	for _, c := range in.changes {
		if g.ready && !g.dead {
			// Refused, it is as if nobody had asked.
			_ = g.rn.ProposeConfChange(c.raft())
			g.advance()
		}
	}
	if in.transfer != 0 && g.term != 0 {
		g.rn.TransferLeader(in.transfer)
	}
}

// refuseAll gives back what waits for a group that is dead.
func (g *Group) refuseAll(in *inbox) {
	for _, p := range in.proposals {
		g.replica.Discard(p.entry)
	}
	for _, s := range in.streams {
		_ = s.body.Close() // nobody reads it
	}
}

// step gives raft a message. What raft refuses is like a message that was lost.
func (g *Group) step(m *raftpb.Message) {
	if err := g.rn.Step(m); err != nil && !errors.Is(err, raft.ErrProposalDropped) {
		g.logger.Debug("raft message refused", "type", m.GetType().String(), "error", err)
	}
}

func (g *Group) tick() {
	g.rn.Tick()
	if g.term != 0 {
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
	g.leader.Store(s.Lead)
	now := uint64(0)
	if s.RaftState == raft.StateLeader {
		now = g.rn.BasicStatus().GetTerm()
	}
	if now == g.term {
		return
	}
	g.depose()
	g.term = now
	g.catchup.lead()
}

// depose ends leadership.
func (g *Group) depose() {
	before, led := g.term, g.ready
	g.admits.Store(0)
	g.term, g.ready, g.refused = 0, false, false
	g.window.Opening++
	g.discard()
	if led {
		g.logger.Info("leadership lost", "term", before)
		g.replica.Deposed(before)
	}
}

// discard gives up everything in flight: whether it will be committed is not
// known here.
func (g *Group) discard() {
	lost := g.flight
	g.flight, g.fresh = nil, 0
	for _, e := range lost {
		g.replica.Discard(e)
	}
}

// propose gives entries to raft at once, if they were admitted in the present
// window. Where raft refuses them, whatever was admitted after them rests on what
// will never be: the window closes.
func (g *Group) propose(ps []proposal) {
	var es []*raftpb.Entry
	from := len(g.flight)
	for _, p := range ps {
		if g.dead || !g.ready || p.window != g.window {
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
	err := g.rn.Step(&raftpb.Message{Type: raftpb.MsgProp.Enum(), From: &g.o.Copy, Entries: es})
	if err == nil {
		return
	}
	lost := append([]Entry(nil), g.flight[from:]...)
	g.flight = g.flight[:from]
	g.fresh -= len(es)
	g.refused = true
	g.admits.Store(0)
	g.window.Opening++
	for _, e := range lost {
		g.replica.Discard(e)
	}
}

// reopen begins a new window once nothing of the old one is in flight.
func (g *Group) reopen() {
	if !g.refused || g.dead || len(g.flight) > 0 {
		return
	}
	g.refused = false
	g.replica.Deposed(g.term)
	g.lead()
}

// lead opens a window for proposals.
func (g *Group) lead() {
	g.window = Window{Term: g.term, Opening: g.window.Opening + 1}
	g.admits.Store(g.term)
	g.replica.Led(g.window)
}

// number learns the indexes of fresh proposals: raft hands entries out in the
// order in which it took them.
func (g *Group) number(es []*raftpb.Entry) {
	for _, e := range es {
		if g.fresh == 0 || e.GetTerm() != g.term || e.GetType() != raftpb.EntryNormal || len(e.GetData()) == 0 {
			continue
		}
		g.flight[len(g.flight)-g.fresh].Index = e.GetIndex()
		g.fresh--
	}
}

// store hands a message for the append thread to the storage.
func (g *Group) store(m *raftpb.Message) {
	l := g.log
	changed := m.GetTerm() != 0 && (m.GetTerm() != l.state.Term || m.GetVote() != l.state.Vote)
	if m.GetTerm() != 0 {
		l.state.Term, l.state.Vote = m.GetTerm(), m.GetVote()
	}
	w := write{replies: m.GetResponses()}
	if snap := m.GetSnapshot(); !raft.IsEmptySnap(snap) {
		if len(m.GetEntries()) > 0 {
			panic("multiraft: entries came with a snapshot")
		}
		g.stage(w, snap)
		return
	}
	l.append(m.GetEntries())
	for _, e := range m.GetEntries() {
		kind, data := split(e)
		w.records = append(w.records, written{e.GetTerm(), e.GetIndex(), kind, data})
	}
	if changed {
		w.records = append(w.records, g.record(KindHard))
	}
	g.completed(g.pipe.push(w))
}

// record is of the state as it is when it is written. Its index is above all that
// may be released before another record of the state is durable, so that the
// storage never frees the last one.
func (g *Group) record(kind uint8) written {
	return written{term: g.log.state.Term, index: g.log.last() + 1, kind: kind}
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
		if w.changed != nil {
			g.replica.Changed(w.changed.index, w.changed.members.Clone())
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
		if m.GetTo() == g.o.Copy {
			g.step(m)
		} else {
			g.send(m)
		}
	}
}

func (g *Group) send(m *raftpb.Message) {
	g.out.send(Message{Group: g.o.ID, From: g.o.Copy, To: m.GetTo(), Raft: m})
}

// apply gives committed entries to the machine.
func (g *Group) apply(m *raftpb.Message) {
	for _, e := range m.GetEntries() {
		g.applyOne(e)
		if g.dead {
			return
		}
	}
	g.settle = true
	g.reply(m.GetResponses())
}

func (g *Group) applyOne(e *raftpb.Entry) {
	if e.GetIndex() != g.log.applied+1 {
		panic(fmt.Sprintf("multiraft: entry %d is applied after %d", e.GetIndex(), g.log.applied))
	}
	g.log.applied = e.GetIndex()
	me := Entry{Term: e.GetTerm(), Index: e.GetIndex()}
	if me.Kind, me.Data = split(e); me.Kind >= FirstOwnKind {
		me.Data = nil
	}
	switch me.Kind {
	case KindMembers:
		g.applyChange(e)
	case KindEmpty:
	default:
		me.Value = g.land(e)
	}
	g.replica.Apply(me)
	if !g.ready && g.term != 0 && e.GetTerm() == g.term {
		g.ready = true
		g.logger.Info("leadership taken", "term", g.term)
		g.lead()
	}
}

// applyChange puts a change of members in force.
func (g *Group) applyChange(e *raftpb.Entry) {
	c, err := decodeChange(e.GetData())
	if err != nil {
		g.die(fmt.Errorf("apply entry %d: %w", e.GetIndex(), err))
		return
	}
	m := membersOf(g.rn.ApplyConfChange(c.raft()))
	g.log.change(e.GetIndex(), m)
	g.logger.Info("members changed", "index", e.GetIndex(), "voters", m.Voters, "learners", m.Learners)
	// A copy that forgets that the change was committed would ask the members
	// before it for votes: whoever is told may have taken those away.
	w := write{records: []written{g.record(KindHard)}, changed: &changed{e.GetIndex(), m}}
	g.completed(g.pipe.push(w))
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
	if g.dead || g.pipe.busyWithSnapshot() || !g.log.mark(index) {
		return
	}
	w := write{records: []written{g.record(KindMark)}, release: g.log.state.Index}
	g.completed(g.pipe.push(w))
	g.advance()
}

// die ends the group on this node.
func (g *Group) die(err error) {
	if g.dead {
		return
	}
	g.dead = true
	g.leader.Store(0)
	g.logger.Error("group failed", "error", err)
	g.replica.Failed(err)
	g.depose()
}
