package jetstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

const (
	workqueue = `"retention":"workqueue"`
	interest  = `"retention":"interest"`
)

// holds fails unless the stream has just these sequences.
func (r *rig) keeps(name string, want ...uint64) {
	r.t.Helper()
	if got := r.live(name); !slices.Equal(got, want) {
		r.t.Fatalf("the stream holds %v, want %v", got, want)
	}
}

func (r *rig) live(name string) (got []uint64) {
	p := r.Streams.Find("A", name).Partition()
	for seq := p.First(); seq <= p.Committed(); seq++ {
		if _, err := p.Get(seq); err == nil {
			got = append(got, seq)
		}
	}
	return got
}

func TestAWorkQueueLosesWhatIsAcknowledged(t *testing.T) {
	for _, storage := range []string{"file", "memory"} {
		r := newRig(t)
		r.stream("S", "s.>", workqueue, `"storage":"`+storage+`"`)
		r.fill(5) // kept without a consumer
		r.consumer("S", "c")
		msgs := r.fetch("S", "c", 4)
		r.ack(msgs[1], "+ACK")
		r.keeps("S", 1, 3, 4, 5)
		r.ack(msgs[2], "+TERM")
		r.ack(msgs[0], "-NAK")
		r.keeps("S", 1, 4, 5)
		r.ok("CONSUMER.DELETE.S.c", "")
		r.keeps("S", 1, 4, 5)
		r.consumer("S", "c")
		for _, m := range r.wantFetch("S", "c", 9, "s.0=1 s.0=4 s.1=5") {
			r.ack(m, "+ACK")
		}
		r.keeps("S")
		r.stored(6, "s.1", "6")
	}
}

func TestAWorkQueueRefusesConsumersThatWouldShare(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", workqueue)
	create := func(code int, name string, more ...string) {
		t.Helper()
		r.refused(code, "CONSUMER.DURABLE.CREATE.S."+name, durableConfig("S", name, more...))
	}
	create(10098, "none", `"ack_policy":"none","deliver_subject":"d"`)
	create(10098, "all", `"ack_policy":"all"`)
	create(10101, "new", `"deliver_policy":"new"`)
	r.consumer("S", "whole")
	create(10099, "second")
	create(10100, "part", `"filter_subject":"s.a"`)
	r.ok("CONSUMER.DELETE.S.whole", "")
	r.consumer("S", "a", `"filter_subject":"s.a.*"`)
	r.consumer("S", "b", `"filter_subjects":["s.b","s.c"]`)
	create(10099, "whole")
	create(10100, "a2", `"filter_subject":"s.*.x"`)
	create(10100, "b", `"filter_subject":"s.a.y"`) // an update
	r.consumer("S", "b", `"filter_subject":"s.c"`)
	r.consumer("S", "b2", `"filter_subject":"s.b"`)
	r = r.restart()
	create(10100, "a2", `"filter_subject":"s.>"`)
}

func TestInterestKeepsWhatAConsumerNeeds(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", interest)
	r.stored(1, "s.a", "nobody's")
	r.keeps("S")
	r.consumer("S", "a", `"filter_subject":"s.a"`)
	r.stored(2, "s.b", "nobody's")
	r.stored(3, "s.a", "a's", "Nats-Msg-Id", "x")
	r.consumer("S", "all", `"ack_policy":"all"`)
	r.stored(4, "s.a", "4")
	r.stored(5, "s.b", "5")
	r.keeps("S", 3, 4, 5)
	msgs := r.fetch("S", "all", 9)
	r.ack(msgs[1], "+ACK")
	r.keeps("S", 3, 4, 5)
	a := r.wantFetch("S", "a", 9, "s.a=a's s.a=4")
	r.ack(a[1], "+ACK")
	r.keeps("S", 3, 5)
	r.ack(a[0], "+ACK")
	r.keeps("S", 5)
	r = r.restart()
	r.keeps("S", 5)
	r.ok("CONSUMER.DELETE.S.a", "")
	r.stored(6, "s.a", "6")
	r.keeps("S", 5, 6)
	r.ok("CONSUMER.DELETE.S.all", "")
	r.keeps("S")
	if got := r.publish("s.a", "again", "Nats-Msg-Id", "x"); !got.Duplicate || got.Seq != 3 {
		t.Fatalf("an id was forgotten: %+v", got)
	}
}

func TestWithoutAcknowledgementsADeliveryIsEnough(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", interest)
	in := streamtest.Subscribe(t, r.space, "d")
	r.ok("CONSUMER.CREATE.S", `{"stream_name":"S","config":{"ack_policy":"none","deliver_subject":"d","mem_storage":true}}`)
	r.stored(1, "s.a", "1")
	in.Next(t)
	streamtest.Await(t, "what was delivered is gone", func() bool { return len(r.live("S")) == 0 })
}

func TestLastPerSubjectNeedsNoOlderOnes(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", interest)
	r.consumer("S", "first")
	r.fill(6)
	r.consumer("S", "last", `"deliver_policy":"last_per_subject","filter_subject":"s.*"`)
	for _, m := range r.fetch("S", "first", 9) {
		r.ack(m, "+ACK")
	}
	for _, m := range r.wantFetch("S", "last", 9, "s.0=4 s.1=5 s.2=6") {
		r.ack(m, "+ACK")
	}
	r.keeps("S")
}

func TestWhatWasGivenUpStaysUntilItIsAcknowledged(t *testing.T) {
	for _, retention := range []string{workqueue, interest} {
		r := newRig(t)
		r.stream("S", "s.>", retention)
		r.consumer("S", "c", `"max_deliver":1,"ack_wait":1000000`)
		r.fill(2)
		msgs := r.fetch("S", "c", 2)
		streamtest.Await(t, "both are given up", func() bool { return r.info("S", "c").NumAckPending == 0 })
		r.keeps("S", 1, 2)
		r.ack(msgs[1], "+ACK")
		r.keeps("S", 1)
		r = r.restart()
		r.keeps("S", 1)
	}
}

func TestAChangeOfAFilterFreesWhatNobodyNeeds(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", interest)
	r.consumer("S", "c")
	r.consumer("S", "d", `"filter_subject":"s.2"`)
	r.fill(6)
	r.fetch("S", "c", 1)
	r.consumer("S", "c", `"filter_subject":"s.1"`)
	r.keeps("S", 1, 2, 3, 5, 6) // 1 was delivered
	r = r.restart()
	r.keeps("S", 1, 2, 3, 5, 6)
}

func TestInterestMayBeTurnedOnAndOff(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c")
	r.ack(r.fetch("S", "c", 2)[0], "+ACK")
	r.refused(10052, "STREAM.UPDATE.S", streamConfig("S", "s.>", workqueue))
	r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", interest))
	r.keeps("S", 2, 3)
	r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>"))
	r.ok("CONSUMER.DELETE.S.c", "")
	r.keeps("S", 2, 3)
}

func TestAFullWorkQueueTakesMoreWhenSomeIsAcknowledged(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", workqueue, `"discard":"new"`, `"max_msgs":2`)
	r.fill(2)
	r.denied(10077, "s.a", "3")
	r.consumer("S", "c")
	r.ack(r.fetch("S", "c", 1)[0], "+ACK")
	r.stored(3, "s.a", "3")
	r.denied(10077, "s.a", "4")
}

// retained is the reference model of a stream whose consumers decide.
type retained struct {
	queue   bool
	last    uint64
	subject map[uint64]string
	live    map[uint64]bool
	needs   map[string]map[uint64]bool // of each consumer
	filters map[string]string          // of each consumer
	held    map[string]streamtest.Msg  // delivered, by consumer and sequence
}

func (m *retained) matches(consumer, subject string) bool {
	return m.filters[consumer] == "" || m.filters[consumer] == subject
}

// settle removes what nobody needs of those.
func (m *retained) settle(seqs ...uint64) {
	for _, seq := range seqs {
		wanted := false
		for _, n := range m.needs {
			wanted = wanted || n[seq]
		}
		if !wanted {
			delete(m.live, seq)
		}
	}
}

func (m *retained) sorted() []uint64 {
	out := []uint64{}
	for seq := range m.live {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}

func TestRetentionOnlyAfterAck(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { retentionHistory(t, seed) })
	}
}

// retentionHistory publishes, delivers, acknowledges, makes and deletes consumers,
// and restarts and crashes the node at random. After each step the stream holds
// what the model holds.
func retentionHistory(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 5))
	m := &retained{
		queue: seed%2 == 0, subject: map[uint64]string{}, live: map[uint64]bool{}, needs: map[string]map[uint64]bool{},
		filters: map[string]string{}, held: map[string]streamtest.Msg{},
	}
	a := &account.Account{Name: "A"}
	a.JetStream.Enabled = true
	r := on(t, streamtest.Start(t, rigOptions(a)))
	if m.queue {
		r.stream("S", "s.>", workqueue)
	} else {
		r.stream("S", "s.>", interest)
	}
	for range 200 {
		r = m.act(r, rnd)
		if got := append([]uint64{}, r.live("S")...); !slices.Equal(got, m.sorted()) {
			t.Fatalf("the stream holds %v, want %v", got, m.sorted())
		}
	}
}

func (m *retained) act(r *rig, rnd *rand.Rand) *rig {
	switch k := rnd.IntN(20); {
	case k < 8:
		m.publish(r, fmt.Sprintf("s.%d", rnd.IntN(3)))
	case k < 11:
		m.create(r, rnd.IntN(3), rnd.IntN(2) == 0)
	case k < 14:
		m.fetch(r, rnd.IntN(3))
	case k < 17:
		m.ack(r, rnd)
	case k < 18:
		m.drop(r, fmt.Sprintf("c%d", rnd.IntN(3)))
	case k < 19:
		if rnd.IntN(2) == 0 {
			r.Checkpoint()
			return r
		}
		return r.restart()
	default:
		clear(m.held) // that they were delivered may be lost
		return on(r.t, r.Node.Crash([]faultfs.Mode{faultfs.DropUnsynced, faultfs.KeepAll}[rnd.IntN(2)], rnd.Uint64()))
	}
	return r
}

func (m *retained) publish(r *rig, subject string) {
	m.last++
	r.stored(m.last, subject, fmt.Sprint(m.last))
	m.subject[m.last], m.live[m.last] = subject, true
	for c, n := range m.needs {
		n[m.last] = m.matches(c, subject)
	}
	if !m.queue {
		m.settle(m.last)
	}
}

// create makes consumer ci of s.i, or of all where that is allowed.
func (m *retained) create(r *rig, i int, all bool) {
	name, filter := fmt.Sprintf("c%d", i), fmt.Sprintf("s.%d", i)
	if m.needs[name] != nil {
		return
	}
	if all && !m.queue {
		filter = ""
		r.consumer("S", name, `"ack_wait":600000000000`)
	} else {
		r.consumer("S", name, `"ack_wait":600000000000`, fmt.Sprintf(`"filter_subject":%q`, filter))
	}
	m.filters[name], m.needs[name] = filter, map[uint64]bool{}
	for seq := range m.live {
		m.needs[name][seq] = m.matches(name, m.subject[seq])
	}
}

func (m *retained) fetch(r *rig, i int) {
	name := fmt.Sprintf("c%d", i)
	if m.needs[name] == nil {
		return
	}
	for _, msg := range r.fetch("S", name, 2) {
		var seq uint64
		if _, err := fmt.Sscan(string(msg.Data), &seq); err != nil {
			r.t.Fatal(err)
		}
		if !m.needs[name][seq] {
			r.t.Fatalf("%s got %d, which it does not need", name, seq)
		}
		m.held[fmt.Sprint(name, " ", seq)] = msg
	}
}

func (m *retained) ack(r *rig, rnd *rand.Rand) {
	if len(m.held) == 0 {
		return
	}
	keys := []string{}
	for k := range m.held {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	k := keys[rnd.IntN(len(keys))]
	msg := m.held[k]
	delete(m.held, k)
	name, num, _ := strings.Cut(k, " ")
	var seq uint64
	if _, err := fmt.Sscan(num, &seq); err != nil {
		r.t.Fatal(err)
	}
	r.ack(msg, "+ACK")
	delete(m.needs[name], seq)
	m.settle(seq)
}

func (m *retained) drop(r *rig, name string) {
	n := m.needs[name]
	if n == nil {
		return
	}
	r.ok("CONSUMER.DELETE.S."+name, "")
	delete(m.needs, name)
	for k := range m.held {
		if strings.HasPrefix(k, name+" ") {
			delete(m.held, k)
		}
	}
	if m.queue {
		return
	}
	for seq := range n {
		m.settle(seq)
	}
}
