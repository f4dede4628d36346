package simtest

import (
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// book is a copy's part in the one consumer of its partition, a queue group of two: what
// is applied of it and, while the copy leads, the live consumer. What that does is
// proposed, and sent once it takes effect.
type book struct {
	r       *replica
	applied *consumer.Replica

	live  *consumer.Consumer // nil: the copy does not lead
	term  uint64             // in which it does
	out   consumer.Output
	acked []uint64 // to be confirmed with the next change
}

// sending is what a change has sent and confirmed when it takes effect.
type sending struct {
	term       uint64
	deliveries []consumer.Delivery
	confirms   []uint64
}

// consumed is what is known of a group's consumer.
type consumed struct {
	states    map[uint64]uint64   // index to a hash of the consumer's state there
	confirmed map[uint64]struct{} // sequences of acknowledgements that were confirmed
	done      map[uint64]struct{} // and of those that took effect
	sent      map[sent]struct{}   // what clients were sent
}

// sent is a message that was sent, for the count-th time.
type sent struct {
	seq   uint64
	count int
}

func (s *sim) consumedOf(group uint64) *consumed {
	if s.consumed == nil {
		s.consumed = map[uint64]*consumed{}
	}
	c := s.consumed[group]
	if c == nil {
		c = &consumed{map[uint64]uint64{}, map[uint64]struct{}{}, map[uint64]struct{}{}, map[sent]struct{}{}}
		s.consumed[group] = c
	}
	return c
}

func newBook(r *replica) *book {
	return &book{r: r, applied: consumer.NewReplica(consumer.StartAt(1)), out: consumer.Output{Limit: 4}}
}

// Apply is part of partition.Ledger.
func (b *book) Apply(kind record.Kind, data []byte, value any) {
	s := b.r.n.s
	if kind != record.KindConsumerState {
		return
	}
	known := s.consumedOf(b.r.group)
	if err := b.applied.Apply(data, func(seq uint64) { known.done[seq] = struct{}{} }); err != nil {
		s.fail("node %d: change of the consumer of group %d: %v", b.r.n.id, b.r.group, err)
	}
	if out, mine := value.(*sending); mine && b.r.window.Term == out.term {
		b.send(out)
	}
}

func (b *book) Snapshot(dst []byte) []byte { return b.applied.AppendState(dst) }

func (b *book) Restore(data []byte) error {
	st, err := consumer.DecodeState(data)
	if err != nil {
		return err
	}
	b.applied = consumer.NewReplica(st)
	return nil
}

// compare holds the consumer's state at an entry against that of other copies: neither a
// restart nor a snapshot sets it back.
func (b *book) compare(index uint64) {
	s := b.r.n.s
	h := fnv.New64a()
	_, _ = h.Write(b.applied.AppendState(nil)) // a hash never fails to take bytes
	known := s.consumedOf(b.r.group)
	if other, ok := known.states[index]; ok && other != h.Sum64() {
		s.fail("node %d has another state of group %d's consumer at entry %d than others had", b.r.n.id, b.r.group, index)
	}
	known.states[index] = h.Sum64()
}

// settings has members that wait for an acknowledgement less long than a node is cut off.
var settings = consumer.Config{Spread: &consumer.Spread{Group: true, Members: []consumer.Member{
	{ID: 1, MaxPending: 20, AckWait: 300 * time.Millisecond}, {ID: 2, MaxPending: 20, AckWait: 300 * time.Millisecond},
}}}

// step lets the leader's consumer do what it can.
func (b *book) step() {
	r := b.r
	if r.window.Term == 0 {
		b.live, b.acked = nil, nil
		return
	}
	if b.live == nil || b.term != r.window.Term {
		b.live, b.term, b.acked = consumer.New(settings, b.applied.State()), r.window.Term, nil
		for _, m := range settings.Spread.Members {
			b.live.Attend(m.ID, true, r.n.now())
		}
	}
	b.live.Step(r.n.now(), records{r.p}, func(string) bool { return true }, &b.out)
	if len(b.out.Changes) == 0 {
		return
	}
	out := &sending{b.term, slices.Clone(b.out.Deliveries), b.acked}
	b.acked = nil
	if r.n.s.weak.sendEarly {
		b.send(out)
		out = &sending{term: b.term}
	}
	if err := r.p.Propose(record.KindConsumerState, true, out, slices.Clone(b.out.Changes)); err != nil {
		r.n.s.fail("node %d: propose a change of the consumer of group %d: %v", r.n.id, r.group, err)
	}
	r.n.work()
}

// send delivers to the client and confirms what it has acknowledged. What was confirmed
// must not come again, and no two leaders send the same for the first time: each knows
// what was sent before.
func (b *book) send(out *sending) {
	s, known := b.r.n.s, b.r.n.s.consumedOf(b.r.group)
	for _, seq := range out.confirms {
		known.confirmed[seq] = struct{}{}
		s.saw("acknowledgement confirmed")
	}
	for _, d := range out.deliveries {
		if _, again := known.confirmed[d.Seq]; again {
			s.fail("node %d delivers message %d of group %d, whose acknowledgement was confirmed", b.r.n.id, d.Seq, b.r.group)
		}
		this := sent{d.Seq, int(d.Delivered)}
		if _, again := known.sent[this]; again {
			s.fail("node %d sends message %d of group %d for the %dth time, as was done before", b.r.n.id, d.Seq, b.r.group, d.Delivered)
		}
		known.sent[this] = struct{}{}
		s.saw("delivered")
		if d.Delivered > 1 {
			s.saw("delivered again")
		}
		if s.calm || !s.chance(4) {
			s.after(s.between(time.Millisecond, 80*time.Millisecond), func() { s.acknowledge(b.r.group, d.Seq) })
		}
	}
}

// acknowledge tells whoever says that it leads.
func (s *sim) acknowledge(group, seq uint64) {
	r := s.client.leader(group)
	if r == nil {
		return
	}
	if b := r.book; b.live != nil && b.term == r.window.Term {
		if b.live.Ack(consumer.Ack{Kind: consumer.Acked, Seq: seq}, r.n.now()).Changed {
			b.acked = append(b.acked, seq)
		}
		b.step()
	}
}

// consume lets the consumers run, on every node.
func (s *sim) consume() {
	s.every(10*time.Millisecond, func() {
		for _, n := range s.nodes {
			for i := 0; n.up && i < len(n.replicas); i++ {
				n.replicas[i].book.step()
			}
		}
	})
}

// drained says that all that is stored was delivered and acknowledged, on every node.
func (s *sim) drained() bool {
	for _, n := range s.nodes {
		for i := 0; n.up && i < len(n.replicas); i++ {
			r := n.replicas[i]
			st := r.book.applied.State()
			if len(st.Pending) > 0 || st.Delivered.Stream < r.lastStored() {
				return false
			}
		}
	}
	return true
}

// lastStored is the last sequence that is there; 0: none is.
func (r *replica) lastStored() uint64 {
	for seq := r.p.Committed(); seq >= max(r.p.First(), 1); seq-- {
		if _, err := r.p.Get(seq); err == nil {
			return seq
		}
	}
	return 0
}

// records is what a consumer reads.
type records struct{ p *partition.Partition }

func (s records) Peek(from uint64) (consumer.Item, consumer.Answer) {
	seq := max(from, s.p.First())
	for ; seq <= s.p.Committed(); seq++ {
		if item, answer := s.Get(seq); answer == consumer.Found {
			return item, consumer.Found
		}
	}
	return consumer.Item{Seq: seq}, consumer.End
}

func (s records) Get(seq uint64) (consumer.Item, consumer.Answer) {
	v, err := s.p.Get(seq)
	if err != nil {
		return consumer.Item{}, consumer.Gone
	}
	return consumer.Item{Seq: seq, Size: len(v.Data), Time: v.Time}, consumer.Found
}

func (s records) Count(uint64) uint64 { return 0 } // nobody asks how many are to come

// consuming are runs with a consumer, and with leaders that are cut off, crash, give their
// lead away and lose their disks.
func consuming(seed uint64) options {
	return options{
		seed: seed, length: 8 * time.Second, groups: 2, modes: faultfs.Modes, consumers: true,
		faults: faults{drop: true, double: true, reorder: true, split: true, oneWay: true, crash: true, slowSync: true, transfers: true, loseDisks: true},
	}
}

// TestAckedIsNotRedeliveredByAnyLeader has clients acknowledge to whoever leads, while
// leaders are cut off and come back. What was confirmed no leader sends again, an old one
// that does not know better included; what was not comes again; and a queue group's
// position is nowhere set back, by a snapshot neither.
func TestAckedIsNotRedeliveredByAnyLeader(t *testing.T) {
	if repeated(t, consuming) {
		return
	}
	seen := map[string]int{}
	seeds := uint64(12)
	if testing.Short() {
		seeds = 6
	}
	for seed := uint64(700); seed < 700+seeds; seed++ {
		res := try(t, consuming(seed))
		for what, n := range res.seen {
			seen[what] += n
		}
		if res.err != nil {
			return
		}
	}
	for _, what := range []string{"delivered", "delivered again", "acknowledgement confirmed", "leader deposed", "node cut off", "snapshot installed", "disk lost"} {
		if seen[what] == 0 {
			t.Errorf("nothing of this kind: %s", what)
		}
	}
	t.Log(seen)
}

// TestALeaderThatConfirmsTooEarlyIsFound takes the protection away: a leader sends and
// confirms before the group knows, and the next one does not.
func TestALeaderThatConfirmsTooEarlyIsFound(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		o := consuming(seed)
		o.weak.sendEarly, o.indirect = true, true
		if res := run(t, o); res.err != nil && strings.Contains(res.err.Error(), "whose acknowledgement was confirmed") {
			t.Logf("seed %d: %v", seed, res.err)
			return
		}
	}
	t.Error("nothing found in 60 seeds")
}
