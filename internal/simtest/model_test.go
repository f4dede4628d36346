package simtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// model knows what may be seen, and says what must not have been.
type model struct {
	s      *sim
	groups []*groupModel
}

// groupModel is what is known of one partition.
type groupModel struct {
	entries map[uint64]uint64           // index to a hash of the entry there
	seqs    map[uint64]string           // sequence to content
	keys    map[string]uint64           // content to sequence
	removed map[uint64]bool             // sequences that were deleted
	trimmed uint64                      // all below went
	acks    map[string]uint64           // content to the sequence that was told
	offered map[string]message          // all that was ever published
	leaders map[uint64]multiraft.CopyID // by term
	votes   map[vote]multiraft.CopyID   // for whom
	told    map[multiraft.CopyID]uint64 // highest term that a copy answered with
	members map[uint64]string           // in force from an index on
	calmAck bool                        // something was acknowledged without faults
	ackedTo uint64                      // highest sequence that was told
	states  map[uint64]uint64           // index to a hash of what a copy showed then
	times   map[uint64]int64            // sequence to time
}

func (m *model) init(s *sim) {
	m.s = s
	for range s.groups {
		m.groups = append(m.groups, &groupModel{
			entries: map[uint64]uint64{}, seqs: map[uint64]string{}, keys: map[string]uint64{}, removed: map[uint64]bool{},
			acks: map[string]uint64{}, offered: map[string]message{}, leaders: map[uint64]multiraft.CopyID{}, votes: map[vote]multiraft.CopyID{},
			told: map[multiraft.CopyID]uint64{}, members: map[uint64]string{},
			states: map[uint64]uint64{}, times: map[uint64]int64{},
		})
	}
}

func (m *model) of(group uint64) *groupModel { return m.groups[group-1] }

func (m *model) offered(batch []message) {
	for _, msg := range batch {
		g := m.of(msg.group)
		if _, again := g.offered[msg.key]; !again {
			msg.after = g.ackedTo
			g.offered[msg.key] = msg
		}
	}
}

// leads notes who acts as a leader in a term: there is one at most.
func (m *model) leads(group, term uint64, id multiraft.CopyID) {
	g := m.of(group)
	if other, ok := g.leaders[term]; ok && other != id {
		m.s.fail("group %d has the leaders %x and %x in term %d", group, other, id, term)
	}
	// It need not have its own vote on disk, if those of others were enough.
	g.leaders[term] = id
}

// vote is what a copy has one of in a term.
type vote struct {
	id   multiraft.CopyID
	term uint64
}

// voted notes for whom a copy voted: for one only in each term.
func (m *model) voted(group uint64, id multiraft.CopyID, term uint64, whom multiraft.CopyID) {
	g, v := m.of(group), vote{id, term}
	if before, ok := g.votes[v]; ok && before != whom {
		m.s.fail("copy %x voted for %x and for %x in term %d of group %d", id, before, whom, term, group)
	}
	g.votes[v] = whom
}

// changed checks that the members in force at an entry are the same for all.
func (m *model) changed(r *replica, index uint64) {
	g, now := m.of(r.group), fmt.Sprint(r.members)
	if before, ok := g.members[index]; ok && before != now {
		m.s.fail("node %d has members %s of group %d at %d, others had %s", r.n.id, now, r.group, index, before)
	}
	g.members[index] = now
}

// sent looks at each message that leaves a node.
func (m *model) sent(from uint32, msg *multiraft.Message) {
	r := msg.Raft
	if r == nil {
		return
	}
	g, term := m.of(msg.Group), r.GetTerm()
	switch r.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		m.leads(msg.Group, term, msg.From)
	case raftpb.MsgVoteResp:
		g.told[msg.From] = max(g.told[msg.From], term)
		if !r.GetReject() {
			m.s.saw("vote")
			m.voted(msg.Group, msg.From, term, r.GetTo())
			m.synced(from, msg, r.GetTo())
		}
	case raftpb.MsgAppResp:
		g.told[msg.From] = max(g.told[msg.From], term)
		m.synced(from, msg, 0)
	}
}

// synced checks that a node says only what its disk has: the term, whom it votes
// for, entries.
func (m *model) synced(from uint32, msg *multiraft.Message, votes multiraft.CopyID) {
	if m.s.indirect {
		return
	}
	r, d := msg.Raft, m.s.nodes[from-1].replicas[msg.Group-1]
	term := max(d.hard.Term, d.lastTerm)
	switch {
	case r.GetTerm() > term:
		m.s.fail("node %d answers in term %d of group %d, and %d is durable", from, r.GetTerm(), msg.Group, term)
	case votes != 0 && term == r.GetTerm() && d.hard.Vote != votes:
		m.s.fail("node %d votes for %x in term %d of group %d, and its vote for %x is durable", from, votes, term, msg.Group, d.hard.Vote)
	case r.GetType() == raftpb.MsgAppResp && !r.GetReject() && r.GetIndex() > d.last:
		m.s.fail("node %d acknowledges entry %d of group %d, and %d are durable", from, r.GetIndex(), msg.Group, d.last)
	}
}

// started checks that a node did not go back behind what it said.
func (m *model) started(n *node) {
	for _, r := range n.replicas {
		// A snapshot that is staged and in the store counts without a mark.
		r.last = max(r.last, r.p.Index())
		g := m.of(r.group)
		term := max(r.hard.Term, r.lastTerm)
		if told := g.told[n.copyID()]; !m.s.indirect && term < told {
			m.s.fail("node %d has term %d of group %d after a restart, and answered in %d", n.id, term, r.group, told)
		}
		whom, ok := g.votes[vote{n.copyID(), term}]
		if !m.s.indirect && ok && r.hard.Term == term && r.hard.Vote != whom {
			m.s.fail("node %d voted for %x in term %d of group %d and has forgotten it", n.id, whom, term, r.group)
		}
		m.compare(r)
	}
}

// applied checks an entry that a copy is about to apply against what others had
// there.
func (m *model) applied(r *replica, e multiraft.Entry) {
	g := m.of(r.group)
	h := fnv.New64a()
	// A hash never fails to take bytes.
	_, _ = fmt.Fprint(h, e.Term, e.Kind, e.Data)
	sum := h.Sum64()
	if other, ok := g.entries[e.Index]; ok && other != sum {
		m.s.fail("node %d applies another entry %d of group %d than was applied before", r.n.id, e.Index, r.group)
	}
	g.entries[e.Index] = sum
	switch record.Kind(e.Kind) {
	case record.KindRemove:
		m.removal(g, e)
	case record.KindFrame:
		m.frame(r, g, e)
	}
	m.s.trace("node %d applies %d/%d of group %d: %x", r.n.id, e.Term, e.Index, r.group, sum)
}

func (m *model) removal(g *groupModel, e multiraft.Entry) {
	rm, err := partition.DecodeRemoval(e.Data)
	if err != nil {
		m.s.fail("decode removal: %v", err)
		return
	}
	g.trimmed = max(g.trimmed, rm.Below)
	for seq := range rm.Set.All() {
		g.removed[seq] = true
	}
}

// frame notes the records of a frame that takes effect: it was admitted in the
// entry's term, for this place.
func (m *model) frame(r *replica, g *groupModel, e multiraft.Entry) {
	f, _, err := record.Parse(e.Data)
	if err != nil {
		m.s.fail("parse frame: %v", err)
		return
	}
	if f.Term != e.Term || f.Base != r.p.Committed()+1 {
		m.s.saw("frame without effect")
		return
	}
	for i := range int(f.Count) {
		v, err := f.Record(i)
		if err != nil {
			m.s.fail("read record: %v", err)
			return
		}
		m.stored(r, g, &v)
	}
}

// stored checks one record: one content for each sequence, each message once, and
// none that nobody published.
func (m *model) stored(r *replica, g *groupModel, v *record.View) {
	key := string(v.Data)
	msg, published := g.offered[key]
	if !published {
		m.s.fail("node %d stores %q as %d, which nobody published", r.n.id, key, v.Seq)
	}
	if have, ok := g.seqs[v.Seq]; ok && have != key {
		m.s.fail("sequence %d of group %d is %q and %q", v.Seq, r.group, have, key)
	}
	if at, ok := g.keys[key]; ok && at != v.Seq {
		m.s.fail("%q is stored as %d and %d of group %d", key, at, v.Seq, r.group)
	}
	if msg.conditional && v.Seq <= msg.wants {
		m.s.fail("%q demands to follow %d and is %d of group %d", key, msg.wants, v.Seq, r.group)
	}
	if v.Seq <= msg.after {
		m.s.fail("%q is %d of group %d, and %d was acknowledged before it was published", key, v.Seq, r.group, msg.after)
	}
	if before, ok := g.times[v.Seq-1]; ok && before > v.Time {
		m.s.fail("time goes back with %d of group %d", v.Seq, r.group)
	}
	g.seqs[v.Seq], g.keys[key], g.times[v.Seq] = key, v.Seq, v.Time
}

// acked notes an acknowledgement.
func (m *model) acked(r *replica, msg message, seq uint64) {
	g := m.of(msg.group)
	m.s.saw("ack")
	m.s.trace("node %d acknowledges %q as %d", r.n.id, msg.key, seq)
	if before, ok := g.acks[msg.key]; ok && before != seq {
		m.s.fail("%q was acknowledged as %d and as %d", msg.key, before, seq)
	}
	g.acks[msg.key], g.ackedTo = seq, max(g.ackedTo, seq)
	g.calmAck = g.calmAck || m.s.calm
	if have := g.seqs[seq]; have != msg.key && !m.s.weak.ackAlone {
		m.s.fail("%q is acknowledged as %d of group %d, where %q is", msg.key, seq, r.group, have)
	}
}

// installed checks a copy that took over a snapshot.
func (m *model) installed(r *replica) { m.compare(r) }

// compare checks all that a copy shows against what was applied anywhere, and
// against what others showed at the same entry.
func (m *model) compare(r *replica) {
	g := m.of(r.group)
	shown := r.visible()
	h := fnv.New64a()
	for _, seq := range slices.Sorted(maps.Keys(shown)) {
		if g.seqs[seq] != shown[seq] {
			m.s.fail("node %d shows %q as %d of group %d, where %q was applied", r.n.id, shown[seq], seq, r.group, g.seqs[seq])
		}
		// A hash never fails to take bytes.
		_, _ = fmt.Fprintln(h, seq, shown[seq])
	}
	_, _ = fmt.Fprintln(h, r.p.First(), r.p.Committed())
	index, sum := r.p.Index(), h.Sum64()
	if other, ok := g.states[index]; ok && other != sum {
		m.s.fail("node %d shows another group %d at entry %d than was shown before", r.n.id, r.group, index)
	}
	g.states[index] = sum
}

// visible gives what a reader sees.
func (r *replica) visible() map[uint64]string {
	out := map[uint64]string{}
	rd := r.p.Reader(0)
	defer rd.Close()
	for {
		v, err := rd.Next()
		if err != nil {
			if err != io.EOF {
				r.n.s.fail("node %d: read group %d: %v", r.n.id, r.group, err)
			}
			return out
		}
		out[v.Seq] = string(v.Data)
	}
}

// agreed says whether all nodes have applied all there is, and publishing works.
func (m *model) agreed() bool { return m.disagreement() == "" }

func (m *model) disagreement() string {
	var why []string
	for group := uint64(1); group <= uint64(len(m.groups)); group++ {
		if !m.of(group).calmAck {
			why = append(why, fmt.Sprintf("nothing is acknowledged in group %d", group))
		}
		var at []uint64
		for _, n := range m.s.nodes {
			if !n.up {
				return "a node is down"
			}
			r := n.replicas[group-1]
			at = append(at, r.p.Index())
			if !r.complete() {
				why = append(why, fmt.Sprintf("node %d has members %x of group %d", n.id, r.members, group))
			}
		}
		if at[0] != at[1] || at[1] != at[2] {
			why = append(why, fmt.Sprintf("group %d is applied to %d", group, at))
		}
	}
	return strings.Join(why, ", ")
}

// final checks that all copies are alike and that nothing acknowledged is missing.
func (m *model) final() {
	for group := uint64(1); group <= uint64(len(m.groups)); group++ {
		g := m.of(group)
		first := m.s.nodes[0].replicas[group-1]
		m.identical(group)
		for _, n := range m.s.nodes {
			r := n.replicas[group-1]
			m.compare(r)
			m.alike(first, r)
			shown := r.visible()
			for key, seq := range g.acks {
				gone := seq < g.trimmed || g.removed[seq] || m.s.client.keepsFew(group) && seq < r.p.First()
				if shown[seq] != key && !gone {
					m.s.fail("%q was acknowledged as %d of group %d, and node %d shows %q there", key, seq, group, n.id, shown[seq])
					return
				}
			}
		}
	}
}

// headOf is a partition's saved state without the part about its subjects: where a
// subject's first record is is a bound there, which each copy makes exact when it is
// asked.
func headOf(state []byte) []byte {
	at := 1 + 6*8 + 1 + 16 // version, six numbers, the last id
	block := func() { at += 4 + int(binary.LittleEndian.Uint32(state[at:])) }
	block()                                                  // limits
	block()                                                  // deleted
	at += 4 + 32*int(binary.LittleEndian.Uint32(state[at:])) // ids that count as seen
	block()                                                  // expiry
	return state[:at+8]                                      // up to where it was compacted
}

// identical checks that copies which have applied the same entries have the same
// state, down to the byte: what is there, the limits, which ids count as seen.
func (m *model) identical(group uint64) {
	states := map[uint64][]byte{} // by index
	for _, n := range m.s.nodes {
		r := n.replicas[group-1]
		r.captured(func() {
			head := headOf(r.store.state)
			other, ok := states[r.p.Index()]
			if ok && !bytes.Equal(other, head) {
				m.s.fail("node %d has a state of group %d at %d that is not that of others:\n%x\n%x", n.id, group, r.p.Index(), head, other)
			}
			states[r.p.Index()] = bytes.Clone(head)
		})
	}
}

func (m *model) alike(a, b *replica) {
	x, y := a.visible(), b.visible()
	if len(x) != len(y) || a.p.First() != b.p.First() || a.p.Committed() != b.p.Committed() {
		m.s.fail("group %d: node %d shows %d records of %d to %d, node %d %d of %d to %d", a.group,
			a.n.id, len(x), a.p.First(), a.p.Committed(), b.n.id, len(y), b.p.First(), b.p.Committed())
	}
}
