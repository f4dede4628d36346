package jetstream

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// TestPendingSubsetOfStored: a message that goes, or that is given up, makes room
// below max_ack_pending, without any word of a client. Otherwise a consumer whose
// messages all went would be full for ever.
func TestPendingSubsetOfStored(t *testing.T) {
	const n = 4
	for how, c := range map[string]struct {
		stream, consumer string
		header           []string
		lose             func(r *rig)
	}{
		"deletion": {lose: func(r *rig) {
			for seq := range n {
				r.ok("STREAM.MSG.DELETE.S", fmt.Sprintf(`{"seq":%d}`, seq+1))
			}
		}},
		"purge":            {lose: func(r *rig) { r.ok("STREAM.PURGE.S", "") }},
		"purge by subject": {lose: func(r *rig) { r.ok("STREAM.PURGE.S", `{"filter":"s.old"}`) }},
		"purge up to":      {lose: func(r *rig) { r.ok("STREAM.PURGE.S", fmt.Sprintf(`{"seq":%d}`, n+1)) }},
		"age": {stream: `"max_age":100000000,"duplicate_window":100000000`, lose: func(r *rig) {
			streamtest.Await(r.t, "all are too old", func() bool { return r.ok("STREAM.INFO.S", "").State.Messages == 0 })
		}},
		"time to live": {stream: `"allow_msg_ttl":true`, header: []string{"Nats-TTL", "1s"}},
		"limit": {stream: `"max_msgs":4`, lose: func(r *rig) {
			for range n {
				r.publish("s.more", "x")
			}
		}},
		"limit of bytes": {stream: `"max_bytes":4096`, lose: func(r *rig) { r.publish("s.more", string(make([]byte, 4050))) }},
		"limit of a subject": {stream: `"max_msgs_per_subject":4`, lose: func(r *rig) {
			for range n {
				r.publish("s.old", "x")
			}
		}},
		"smaller limit": {lose: func(r *rig) {
			r.publish("s.more", "x")
			r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", `"max_msgs":1`))
		}},
		"rollup":                              {stream: `"allow_rollup_hdrs":true`, lose: func(r *rig) { r.publish("s.more", "x", "Nats-Rollup", "all") }},
		"rollup of subject":                   {stream: `"allow_rollup_hdrs":true`, lose: func(r *rig) { r.publish("s.old", "x", "Nats-Rollup", "sub") }},
		"max deliver":                         {consumer: `"max_deliver":1,"ack_wait":1000000`},
		"max deliver where interest keeps it": {stream: interest, consumer: `"max_deliver":1,"ack_wait":1000000`},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			r := newRigFor(t, &account.Account{Name: "A", JetStream: account.JetStream{MaxStorage: -1}})
			r.ok("STREAM.CREATE.S", streamConfig("S", "s.>", optional(c.stream)...))
			r.consumer("S", "c", append(optional(c.consumer), `"max_ack_pending":4`)...)
			for i := range uint64(n) {
				r.stored(i+1, "s.old", "x", c.header...)
			}
			if got := len(r.fetch("S", "c", n)); got != n {
				t.Fatalf("%d messages came", got)
			}
			in := r.pull("S", "c", `{"expires":60000000000}`)
			if c.lose != nil {
				c.lose(r)
			}
			r.publish("s.last", "the next one")
			m := in.Next(t)
			if len(m.Data) == 0 {
				t.Fatalf("got %q", m.Header)
			}
			r.ack(m, "+ACK")
			streamtest.Await(t, "nothing is pending", func() bool { return r.info("S", "c").NumAckPending == 0 })
			r = r.restart()
			if i := r.info("S", "c"); i.NumAckPending != 0 {
				t.Errorf("after a restart %d are pending", i.NumAckPending)
			}
		})
	}
}

// optional is a list of what is not empty.
func optional(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
