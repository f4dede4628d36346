package jetstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// TestConsumerEventuallyDelivers ends the node in the middle of deliveries, of
// acknowledgements that nobody waits for and of unanswered flow control, again and
// again: each time the next message comes within five seconds, to a consumer that is
// asked and to one that sends by itself, although the former had as many messages
// pending as it may.
func TestConsumerEventuallyDelivers(t *testing.T) {
	rounds, rnd := uint64(10), rand.New(rand.NewPCG(35, 1))
	if testing.Short() {
		rounds = 4
	}
	r := newRig(t)
	r.stream("S", "s")
	r.consumer("S", "pull", `"ack_wait":100000000,"max_ack_pending":20`)
	r.consumer("S", "push", `"deliver_subject":"d","flow_control":true,"idle_heartbeat":500000000,"ack_wait":100000000,"max_ack_pending":20`)
	large, stored := strings.Repeat("x", 200<<10), 0
	for round := range rounds {
		in := streamtest.Subscribe(t, r.space, "d")
		for range 12 {
			stored++
			r.stored(uint64(stored), "s", large)
		}
		for _, m := range r.fetch("S", "pull", 1+rnd.IntN(12)) {
			r.tell(m, rnd)
		}
		for range 1 + rnd.IntN(6) {
			r.tell(in.Next(t), rnd) // flow control is left without an answer
		}
		in.Close()
		if round%3 == 2 {
			r = r.restart()
		} else {
			r = on(t, r.Crash(faultfs.Modes[rnd.IntN(len(faultfs.Modes))], round))
		}
		stored++
		in = streamtest.Subscribe(t, r.space, "d")
		last := fmt.Sprint("the one after end ", round)
		r.stored(uint64(stored), "s", last)
		began := time.Now()
		pull := r.pull("S", "pull", `{"batch":10000,"expires":60000000000}`)
		for name, from := range map[string]*streamtest.Inbox{"pull": pull, "push": in} {
			for {
				m := from.Next(t)
				if strings.Contains(string(m.Header), "FlowControl") {
					r.answer(m.Reply)
				}
				if len(m.Data) == 0 {
					continue
				}
				r.ack(m, "+ACK")
				if string(m.Data) == last {
					break
				}
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("round %d: %s took %v", round, name, took)
			}
		}
		pull.Close()
		in.Close()
	}
}

// tell says something about a delivery, or nothing, without waiting for an answer.
func (r *rig) tell(m streamtest.Msg, rnd *rand.Rand) {
	if len(m.Data) == 0 {
		return
	}
	if word := []string{"+ACK", "+ACK", "-NAK", "+WPI", ""}[rnd.IntN(5)]; word != "" {
		streamtest.Send(r.t, r.space, m.Reply, nil, []byte(word)).Close()
	}
}

// TestADeliveryThatIsForgottenIsMadeAgain: a delivery is sent before it is written
// down, as long as there is one copy of the stream. A crash between the two makes it
// come again; it is never taken for done.
func TestADeliveryThatIsForgottenIsMadeAgain(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c", `"ack_wait":50000000`)
	for round := range uint64(4) {
		msgs := r.fetch("S", "c", 3)
		if round > 0 {
			// Some may wait for their time, as their delivery was written down.
			in := r.pull("S", "c", `{"batch":3,"expires":9000000000}`)
			for len(msgs) < 3 {
				msgs = append(msgs, in.Next(t))
			}
			in.Close()
		}
		seen := map[string]bool{}
		for _, m := range msgs {
			seen[string(m.Data)] = true
		}
		if len(seen) != 3 {
			t.Fatalf("round %d: got %s", round, got(msgs))
		}
		r = on(t, r.Crash(faultfs.DropUnsynced, round))
		if i := r.info("S", "c"); i.AckFloor.StreamSeq != 0 || i.NumAckPending+int(i.NumPending) != 3 {
			t.Fatalf("round %d: %+v", round, i)
		}
	}
}
