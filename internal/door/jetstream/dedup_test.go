package jetstream

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// TestDedupSurvivesRestart: an id is known, with its sequence, whatever became of its
// message and however the node ended. Each way of losing a message has a stream of
// its own.
func TestDedupSurvivesRestart(t *testing.T) {
	const ids = 4
	lose := []struct {
		how, config string
		lose        func(r *rig, stream string)
	}{
		{how: "nothing happens"},
		{how: "purge", lose: func(r *rig, s string) { r.ok("STREAM.PURGE."+s, "") }},
		{how: "purge by subject", lose: func(r *rig, s string) { r.ok("STREAM.PURGE."+s, fmt.Sprintf(`{"filter":"%s.1"}`, s)) }},
		{how: "purge of the older ones", lose: func(r *rig, s string) { r.ok("STREAM.PURGE."+s, `{"keep":1}`) }},
		{how: "deletion", lose: func(r *rig, s string) {
			for seq := range ids {
				r.ok("STREAM.MSG.DELETE."+s, fmt.Sprintf(`{"seq":%d}`, seq+1))
			}
		}},
		{how: "acknowledgement", config: workqueue, lose: func(r *rig, s string) {
			r.consumer(s, "c")
			for _, m := range r.fetch(s, "c", ids) {
				r.ack(m, "+ACK")
			}
		}},
		{how: "no interest", config: interest},
		{how: "limit", config: `"max_msgs":1`},
		{how: "limit of a subject", config: `"max_msgs_per_subject":1`, lose: func(r *rig, s string) {
			for i := range ids {
				r.stored(ids+1+uint64(i), fmt.Sprintf("%s.%d", s, i), "next")
			}
		}},
		{how: "rollup", config: `"allow_rollup_hdrs":true`, lose: func(r *rig, s string) { r.stored(ids+1, s+".x", "all", "Nats-Rollup", "all") }},
	}
	r := newRig(t)
	for i, l := range lose {
		s := fmt.Sprint("S", i)
		config := []string{}
		if l.config != "" {
			config = append(config, l.config)
		}
		r.stream(s, s+".>", config...)
		for id := range ids {
			r.stored(uint64(id+1), fmt.Sprintf("%s.%d", s, id), "first", "Nats-Msg-Id", fmt.Sprint("id", id))
		}
		if l.lose != nil {
			l.lose(r, s)
		}
	}
	check := func(after string) {
		t.Helper()
		for i, l := range lose {
			for id := range ids {
				s := fmt.Sprint("S", i)
				a := r.publish(fmt.Sprintf("%s.%d", s, id), "again", "Nats-Msg-Id", fmt.Sprint("id", id))
				if a.Error != nil || !a.Duplicate || a.Seq != uint64(id+1) {
					t.Errorf("%s, %s: id %d gives %+v, error %+v", l.how, after, id, a, a.Error)
				}
			}
		}
	}
	check("at once")
	r = on(t, r.Crash(faultfs.DropUnsynced, 1))
	check("after a crash")
	r.Checkpoint()
	r = on(t, r.Crash(faultfs.KeepAll, 2))
	check("after a checkpoint and a crash")
	r = r.restart()
	check("after a stop")
	r = on(t, r.Crash(faultfs.RandomSectors, 3))
	check("after a stop and a crash")
	// What was no duplicate is not taken for one.
	a := r.publish("S0.new", "new", "Nats-Msg-Id", "new")
	if a.Error != nil || a.Duplicate || a.Seq != ids+1 {
		t.Errorf("another id gives %+v, error %+v", a, a.Error)
	}
}
