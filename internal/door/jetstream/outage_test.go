package jetstream

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// outages is a stream with consumers whose node loses its power again and again, and
// what is known of them for sure.
type outages struct {
	r      *rig
	rnd    *rand.Rand
	stored uint64                     // last sequence that was acknowledged to its publisher
	acked  map[string]map[uint64]bool // confirmed, by consumer
	seen   map[string]map[uint64]bool // delivered, by consumer
	held   map[string]map[uint64]streamtest.Msg
}

// histories is how many are tried.
func histories() uint64 {
	if testing.Short() {
		return 1
	}
	return 2
}

// patient has nothing delivered again while the outages go on.
const patient = `"ack_wait":600000000000,"max_ack_pending":100000`

func newOutages(t *testing.T, seed uint64) *outages {
	o := &outages{
		r: newRig(t), rnd: rand.New(rand.NewPCG(seed, 33)),
		acked: map[string]map[uint64]bool{}, seen: map[string]map[uint64]bool{}, held: map[string]map[uint64]streamtest.Msg{},
	}
	o.r.stream("S", "s.>")
	for name, config := range map[string]string{"explicit": `"ack_policy":"explicit"`, "all": `"ack_policy":"all"`, "odd": `"ack_policy":"explicit","filter_subject":"s.1"`} {
		o.r.consumer("S", name, config, patient)
		o.acked[name], o.seen[name], o.held[name] = map[uint64]bool{}, map[uint64]bool{}, map[uint64]streamtest.Msg{}
	}
	return o
}

func (o *outages) names() []string { return slices.Sorted(maps.Keys(o.acked)) }

// matches says whether a consumer is to get a message.
func matches(consumer string, seq uint64) bool { return consumer != "odd" || seq%2 == 1 }

// work publishes, delivers and acknowledges; some of it without waiting for the answer.
func (o *outages) work() {
	r := o.r
	for range 20 + o.rnd.IntN(30) {
		switch name := o.names()[o.rnd.IntN(3)]; o.rnd.IntN(4) {
		case 0, 1:
			o.stored++
			r.stored(o.stored, fmt.Sprint("s.", o.stored%2), "x")
		case 2:
			for _, m := range r.fetch("S", name, 1+o.rnd.IntN(5)) {
				o.delivered(name, m)
			}
		default:
			o.ack(name, o.rnd.IntN(3) > 0)
		}
	}
}

// delivered notes a delivery, which must not be of what was confirmed.
func (o *outages) delivered(name string, m streamtest.Msg) {
	o.r.t.Helper()
	seq := ackedSeq(o.r.t, m)
	if o.acked[name][seq] {
		o.r.t.Fatalf("%s got %d again, whose acknowledgement was confirmed", name, seq)
	}
	o.seen[name][seq] = true
	o.held[name][seq] = m
}

// ackedSeq is the stream sequence in a reply.
func ackedSeq(t *testing.T, m streamtest.Msg) (seq uint64) {
	t.Helper()
	var stream, name string
	var count, dseq uint64
	if _, err := fmt.Sscanf(dotted(m.Reply), "$JS ACK %s %s %d %d %d", &stream, &name, &count, &seq, &dseq); err != nil {
		t.Fatalf("%s: %v", m.Reply, err)
	}
	return seq
}

func dotted(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c == '.' {
			b[i] = ' '
		}
	}
	return string(b)
}

// ack acknowledges something that was delivered, and waits for the answer or not.
func (o *outages) ack(name string, confirmed bool) {
	seqs := slices.Sorted(maps.Keys(o.held[name]))
	if len(seqs) == 0 {
		return
	}
	seq := seqs[o.rnd.IntN(len(seqs))]
	m := o.held[name][seq]
	if !confirmed {
		streamtest.Send(o.r.t, o.r.space, m.Reply, nil, nil).Close()
		return // it may still be delivered again
	}
	o.r.ack(m, "+ACK")
	for _, s := range seqs {
		if s == seq || name == "all" && s < seq {
			delete(o.held[name], s)
			o.acked[name][s] = true
		}
	}
	if name == "all" {
		for s := range seq {
			o.acked[name][s+1] = true
		}
	}
}

// outage takes the power away.
func (o *outages) outage(seed uint64) {
	switch o.rnd.IntN(4) {
	case 0:
		o.r.Checkpoint()
	case 1:
		o.r = o.r.restart()
		return
	}
	o.r = on(o.r.t, o.r.Crash(faultfs.Modes[o.rnd.IntN(len(faultfs.Modes))], seed))
	for _, name := range o.names() {
		at := o.r.info("S", name).Delivered.StreamSeq
		for seq := range o.held[name] {
			if seq > at {
				delete(o.held[name], seq) // that it was delivered is forgotten: it comes again
			}
		}
	}
}

// bound is the floor that a consumer has at least: everything up to it is confirmed.
func (o *outages) bound(name string) (floor uint64) {
	for seq := uint64(1); seq <= o.stored && (o.acked[name][seq] || !matches(name, seq)); seq++ {
		if o.acked[name][seq] {
			floor = seq
		}
	}
	return floor
}

// TestAckFloorBounded: whatever a power cut leaves, no consumer is ahead of its
// stream, and each gets the next message.
func TestAckFloorBounded(t *testing.T) {
	for seed := range histories() {
		o := newOutages(t, seed)
		for round := range uint64(5) {
			o.work()
			o.outage(seed<<8 | round)
			last := o.r.ok("STREAM.INFO.S", "").State.LastSeq
			if last != o.stored {
				t.Fatalf("the stream ends with %d, %d was acknowledged", last, o.stored)
			}
			for _, name := range o.names() {
				i := o.r.info("S", name)
				if f, d := i.AckFloor, i.Delivered; f.StreamSeq > d.StreamSeq || d.StreamSeq > last || f.ConsumerSeq > d.ConsumerSeq || i.NumPending > last {
					t.Fatalf("seed %d, round %d: %s has floor %+v, delivered %+v and %d pending of %d", seed, round, name, f, d, i.NumPending, last)
				}
			}
		}
		o.drain()
	}
}

// TestAckFloorNeverBack: what was confirmed stays below the floor and is not delivered
// again (AckedNotRedelivered), and nothing else is skipped (EveryMatchDelivered).
func TestAckFloorNeverBack(t *testing.T) {
	for seed := range histories() {
		o := newOutages(t, 100+seed)
		for round := range uint64(5) {
			o.work()
			o.outage(seed<<8 | round)
			for _, name := range o.names() {
				if f := o.r.info("S", name).AckFloor.StreamSeq; f < o.bound(name) {
					t.Fatalf("seed %d, round %d: %s has floor %d, confirmed is all up to %d", seed, round, name, f, o.bound(name))
				}
			}
		}
		o.drain()
	}
}

// drain has everything delivered that is to be, and acknowledges it.
func (o *outages) drain() {
	r := o.r
	r.t.Helper()
	o.stored++
	r.stored(o.stored, fmt.Sprint("s.", o.stored%2), "the last one")
	o.stored++
	r.stored(o.stored, fmt.Sprint("s.", o.stored%2), "the last one")
	for _, name := range o.names() {
		c := map[string]string{"explicit": `"ack_policy":"explicit"`, "all": `"ack_policy":"all"`, "odd": `"ack_policy":"explicit","filter_subject":"s.1"`}[name]
		r.consumer("S", name, c, `"ack_wait":1000000,"max_ack_pending":100000`)
		streamtest.Await(r.t, name+" has delivered everything", func() bool {
			for _, m := range r.fetch("S", name, 100) {
				o.delivered(name, m)
				if name != "all" {
					r.ack(m, "+ACK")
					o.acked[name][ackedSeq(r.t, m)] = true
				}
			}
			i := r.info("S", name)
			return i.NumPending == 0 && (name == "all" || i.NumAckPending == 0)
		})
		for seq := uint64(1); seq <= o.stored; seq++ {
			if matches(name, seq) && !o.seen[name][seq] {
				r.t.Fatalf("%s never got %d", name, seq)
			}
		}
	}
}
