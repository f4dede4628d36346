package jetstream

import (
	"fmt"
	"math/rand"
	"strconv"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
)

// TestFilteredConsumersOverManySegments runs random histories of a log that is mostly on
// disk, where readers of few subjects pass over segments: what is pending is always what
// counting gives, and each message that stays is delivered once, in order.
func TestFilteredConsumersOverManySegments(t *testing.T) {
	for seed := range int64(2) {
		h := &filtered{rig: newRig(t), rnd: rand.New(rand.NewSource(seed)), filters: map[string]string{}, from: map[string]uint64{}, last: map[string]uint64{}, seen: map[string]map[uint64]bool{}}
		h.stream("S", "s.>", []string{`"max_msgs":300`, `"max_msgs":-1`}[seed])
		for step := range 120 {
			h.step()
			switch step % 20 {
			case 9:
				h.Checkpoint()
			case 19:
				h.checkPending(seed, step, h.filters)
			}
			if step == 70 {
				h.rig = h.restart()
			}
		}
		h.end(seed)
	}
}

// filtered is a stream whose subjects change as time goes, and consumers of some.
type filtered struct {
	*rig
	rnd     *rand.Rand
	subject string
	filters map[string]string
	from    map[string]uint64          // where each consumer begins
	last    map[string]uint64          // the sequence that it got last
	seen    map[string]map[uint64]bool // all that it got
}

func (h *filtered) step() {
	last := h.Streams.Find("A", "S").Partition().Committed()
	if h.subject == "" || h.rnd.Intn(6) == 0 {
		h.subject = "s." + strconv.Itoa(h.rnd.Intn(5))
	}
	for range h.rnd.Intn(10) {
		h.publish(h.subject, strings.Repeat("x", 3000))
	}
	switch n := h.rnd.Intn(12); {
	case n < 2 && last > 0:
		h.api("STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d}`, 1+h.rnd.Int63n(int64(last))))
	case n == 2 && h.rnd.Intn(3) == 0:
		h.ok("STREAM.PURGE.S", []string{`{"filter":"s.1"}`, `{"filter":"s.2","keep":1}`}[h.rnd.Intn(2)])
	case n < 6 && len(h.filters) < 12 && last > 0:
		name := fmt.Sprintf("c%d", len(h.filters))
		h.filters[name] = []string{"s.0", "s.1", "s.2", "s.x", "s.*"}[h.rnd.Intn(5)]
		h.seen[name] = map[uint64]bool{}
		start := 1 + h.rnd.Int63n(int64(last))
		h.from[name], h.last[name] = uint64(start), uint64(start)-1
		h.consumer("S", name, fmt.Sprintf(`"filter_subject":%q,"ack_policy":"none","deliver_policy":"by_start_sequence","opt_start_seq":%d`, h.filters[name], start))
	default:
		for name := range h.filters {
			if h.rnd.Intn(3) == 0 {
				h.deliver(name, 1+h.rnd.Intn(30))
			}
		}
	}
}

// deliver has a consumer get some messages, and gives how many came.
func (h *filtered) deliver(name string, n int) int {
	h.t.Helper()
	msgs := h.fetch("S", name, n)
	for _, m := range msgs {
		seq := sequenceOf(h.t, m)
		if seq <= h.last[name] || h.filters[name] != "s.*" && m.Subject != h.filters[name] {
			h.t.Fatalf("%s (%s) got %d (%s) after %d", name, h.filters[name], seq, m.Subject, h.last[name])
		}
		h.last[name], h.seen[name][seq] = seq, true
	}
	return len(msgs)
}

// sequenceOf is the stream's sequence of a message that was delivered.
func sequenceOf(t *testing.T, m streamtest.Msg) uint64 {
	t.Helper()
	tokens := strings.Split(m.Reply, ".")
	if len(tokens) < 9 {
		t.Fatalf("reply %q", m.Reply)
	}
	seq, err := strconv.ParseUint(tokens[len(tokens)-4], 10, 64)
	if err != nil {
		t.Fatalf("reply %q: %v", m.Reply, err)
	}
	return seq
}

// end has each consumer get all, and looks for what it missed.
func (h *filtered) end(seed int64) {
	h.t.Helper()
	p := h.Streams.Find("A", "S").Partition()
	for name, f := range h.filters {
		for h.deliver(name, 100) == 100 {
		}
		for seq := h.from[name]; seq <= p.Committed(); seq++ {
			v, err := p.Get(seq)
			if err == nil && (f == "s.*" || f == string(v.Subject)) && !h.seen[name][seq] {
				h.t.Fatalf("seed %d: %s (%s) missed %d", seed, name, f, seq)
			}
		}
	}
	h.checkPending(seed, -1, h.filters)
}
