package jetstream

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// TestAConsumerContinuesWhereAnotherOneStands has what the other one acknowledged not
// come, what it did not come first, and then what it was never sent; also after a crash.
func TestAConsumerContinuesWhereAnotherOneStands(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(6)
	r.consumer("S", "old")
	sent := r.wantFetch("S", "old", 4, "s.0=1 s.1=2 s.2=3 s.0=4")
	r.ack(sent[0], "+ACK")
	r.ack(sent[2], "+ACK")
	a := r.consumer("S", "new", `"metadata":{"weir.continues":"old"}`)
	if a.NumAckPending != 2 || a.NumPending != 2 || a.AckFloor.StreamSeq != 1 || a.Delivered.StreamSeq != 4 {
		t.Fatalf("%+v", a)
	}
	r.ack(sent[1], "+ACK") // it is the old one's
	r = on(t, r.Crash(faultfs.DropUnsynced, 1))
	got := r.wantFetch("S", "new", 9, "s.1=2 s.0=4 s.1=5 s.2=6")
	for i, count := range []string{"2", "2", "1", "1"} {
		if !strings.HasPrefix(got[i].Reply, "$JS.ACK.S.new."+count+".") {
			t.Errorf("acknowledged to %s", got[i].Reply)
		}
	}
	for _, m := range got {
		r.ack(m, "+ACK")
	}
	if a := r.info("S", "new"); a.AckFloor.StreamSeq != 6 || a.NumAckPending != 0 {
		t.Errorf("%+v", a)
	}
	if a := r.info("S", "old"); a.NumPending != 2 || a.NumAckPending != 1 || a.AckFloor.StreamSeq != 3 {
		t.Errorf("the old one: %+v", a)
	}
	// Made again it stays where it stands, also where the old one is gone.
	r.ok("CONSUMER.DELETE.S.old", "")
	if a := r.consumer("S", "new", `"metadata":{"weir.continues":"old"}`); a.AckFloor.StreamSeq != 6 {
		t.Errorf("made again: %+v", a)
	}
}

func TestWhatCannotBeContinuedIsRefused(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "old")
	r.consumer("S", "some", `"filter_subject":"s.0"`)
	r.consumer("S", "last", `"deliver_policy":"last_per_subject","filter_subject":"s.>"`)
	r.ok("CONSUMER.CREATE.S.none", `{"stream_name":"S","config":{"name":"none","ack_policy":"none"}}`)
	for of, more := range map[string]string{
		"gone": "", "new": "", "some": "", "none": "", "last": `,"filter_subject":"s.>"`,
		"old": `,"deliver_policy":"new"`,
	} {
		r.refused(10012, "CONSUMER.CREATE.S.new", `{"stream_name":"S","config":{"name":"new","durable_name":"new","ack_policy":"explicit","metadata":{"weir.continues":"`+of+`"}`+more+`}}`)
	}
	r.refused(10012, "CONSUMER.CREATE.S.new", `{"stream_name":"S","config":{"name":"new","durable_name":"new","ack_policy":"none","metadata":{"weir.continues":"old"}}}`)
	r.refused(10014, "CONSUMER.INFO.S.new", "")
}
