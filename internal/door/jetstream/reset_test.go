package jetstream

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

func TestResetDeliversAgainAlsoAfterACrash(t *testing.T) {
	for _, more := range []string{"", `"filter_subject":"s.*"`} {
		r := newRig(t)
		r.stream("S", "s.>")
		r.fill(6)
		if more == "" {
			r.consumer("S", "c")
		} else {
			r.consumer("S", "c", more)
		}
		for _, m := range r.wantFetch("S", "c", 4, "s.0=1 s.1=2 s.2=3 s.0=4")[:2] {
			r.ack(m, "")
		}
		a := r.ok("CONSUMER.RESET.S.c", "")
		if a.ResetSeq != 3 || a.Name != "c" || a.NumPending != 4 || a.NumAckPending != 0 || a.Delivered.StreamSeq != 2 || a.Delivered.ConsumerSeq != 0 {
			t.Fatalf("%+v", a)
		}
		if a := r.ok("CONSUMER.RESET.S.c", `{"seq":2}`); a.ResetSeq != 2 || a.NumPending != 5 || a.AckFloor.StreamSeq != 1 {
			t.Fatalf("%+v", a)
		}
		r = on(t, r.Crash(faultfs.DropUnsynced, 1))
		if a := r.info("S", "c"); a.NumPending != 5 || a.NumAckPending != 0 {
			t.Fatalf("%+v", a)
		}
		m := r.wantFetch("S", "c", 9, "s.1=2 s.2=3 s.0=4 s.1=5 s.2=6")[0]
		if !strings.HasPrefix(m.Reply, "$JS.ACK.S.c.1.2.1.") {
			t.Fatalf("acknowledged to %s", m.Reply)
		}
	}
}

func TestResetOfLastPerSubject(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(5)
	r.consumer("S", "c", `"deliver_policy":"last_per_subject","filter_subject":"s.*"`)
	r.ack(r.wantFetch("S", "c", 9, "s.2=3 s.0=4 s.1=5")[0], "")
	if a := r.ok("CONSUMER.RESET.S.c", `{"seq":0}`); a.ResetSeq != 4 || a.NumPending != 2 {
		t.Fatalf("%+v", a)
	}
	r.wantFetch("S", "c", 9, "s.0=4 s.1=5")
	r.refused(10204, "CONSUMER.RESET.S.c", `{"seq":4}`)
}

func TestResetIsRefusedWithItsReason(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(5)
	r.consumer("S", "from", `"deliver_policy":"by_start_sequence","opt_start_seq":3`)
	r.refused(10204, "CONSUMER.RESET.S.from", `{"seq":2}`)
	r.refused(10025, "CONSUMER.RESET.S.from", `{"seq":-1}`)
	r.refused(10014, "CONSUMER.RESET.S.none", "")
	r.refused(10059, "CONSUMER.RESET.T.from", "")
	if a := r.ok("CONSUMER.RESET.S.from", `{"seq":4}`); a.ResetSeq != 4 {
		t.Fatalf("%+v", a)
	}
}

func TestResetOfAConsumerInMemoryServesWhoeverWaits(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.ok("CONSUMER.CREATE.S.e", `{"stream_name":"S","config":{"name":"e","ack_policy":"none"}}`)
	r.wantFetch("S", "e", 9, "s.0=1 s.1=2 s.2=3")
	in := r.pull("S", "e", `{"batch":2}`)
	streamtest.Await(t, "the request waits", func() bool { return r.info("S", "e").NumWaiting == 1 })
	r.ok("CONSUMER.RESET.S.e", `{"seq":2}`)
	if s := got([]streamtest.Msg{in.Next(t), in.Next(t)}); s != "s.1=2 s.2=3" {
		t.Fatal(s)
	}
}

func TestResetEndsTheInterestInWhatItPasses(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"retention":"interest"`)
	r.consumer("S", "c")
	r.consumer("S", "other", `"filter_subject":"s.1"`)
	r.fill(6)
	r.wantFetch("S", "c", 2, "s.0=1 s.1=2")
	r.ok("CONSUMER.RESET.S.c", `{"seq":5}`)
	check := func(r *rig) {
		t.Helper()
		if st := r.ok("STREAM.INFO.S", "").State; st.Messages != 3 || st.FirstSeq != 2 {
			t.Fatalf("%+v", st)
		}
	}
	check(r)
	r = on(t, r.Crash(faultfs.DropUnsynced, 1))
	check(r)
	r.wantFetch("S", "other", 9, "s.1=2 s.1=5")
	r.wantFetch("S", "c", 9, "s.1=5 s.2=6")
}
