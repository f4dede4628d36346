package jetstream

import (
	"errors"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// TestAcknowledgedOnlyWhenDurable crashes a node after each message and looks for
// everything that was acknowledged.
func TestAcknowledgedOnlyWhenDurable(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	for i := range uint64(10) {
		r.stored(i+1, fmt.Sprintf("s.%d", i), "x")
		r = on(t, r.Crash(faultfs.DropUnsynced, i))
		if st := r.ok("STREAM.INFO.S", "").State; st.LastSeq != i+1 || st.Messages != i+1 {
			t.Fatalf("after %d acknowledgements and a crash there is %+v", i+1, st)
		}
	}
}

func TestNothingIsAcknowledgedBeforeTheSync(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	hold := make(chan struct{})
	r.FS.Inject(faultfs.OnName("journal", faultfs.Func("hold syncs", func(op faultfs.Op) *faultfs.Fault {
		if op.Kind == faultfs.Sync {
			<-hold
		}
		return nil
	})))
	in := streamtest.Send(t, r.space, "s", nil, []byte("x"))
	in.None(t)
	close(hold)
	if a := r.decode(in.Next(t).Data); a.Seq != 1 {
		t.Fatalf("acknowledged with %+v", a)
	}
}

func TestNothingIsAcknowledgedAfterAFailedSync(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	r.FS.Inject(faultfs.OnName("journal", faultfs.FailFrom(faultfs.Sync, 1, errors.New("disk"))))
	in := streamtest.Send(t, r.space, "s", nil, []byte("x"))
	streamtest.Await(t, "the log is dead", func() bool { return r.Streams.Find("A", "S").Partition().Err() != nil })
	r.denied(wire.CodeStoreFailed, "s", "y")
	in.None(t)
	r.refused(wire.CodeStreamCreate, "STREAM.CREATE.T", streamConfig("T", "t"))
	r.refused(wire.CodeConsumerCreate, "CONSUMER.DURABLE.CREATE.S.c", durableConfig("S", "c"))
}

func TestRefusalsNameTheirReason(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"max_msg_size":200`)
	r.stored(1, "s.a", "1", "Nats-Msg-Id", "one")
	r.denied(wire.CodeMessageExceedsMaximum, "s.a", string(make([]byte, 201)))
	r.denied(wire.CodeWrongLastSequence, "s.a", "2", "Nats-Expected-Last-Sequence", "7")
	r.denied(wire.CodeWrongLastSequence, "s.a", "2", "Nats-Expected-Last-Subject-Sequence", "0")
	r.denied(wire.CodeWrongLastMsgID, "s.a", "2", "Nats-Expected-Last-Msg-Id", "two")
	r.denied(wire.CodeExpectedStreamMismatch, "s.a", "2", "Nats-Expected-Stream", "T")
	r.denied(wire.CodeRollupFailed, "s.a", "2", "Nats-Rollup", "all")
	r.stored(2, "s.b", "2", "Nats-Expected-Last-Sequence", "1", "Nats-Expected-Last-Msg-Id", "one", "Nats-Expected-Stream", "S")
	r.stored(3, "s.b", "3", "Nats-Expected-Last-Subject-Sequence", "2")
	r.stream("N", "n", `"max_msgs":1`, `"discard":"new"`)
	r.stored(1, "n", "1")
	r.denied(wire.CodeStoreFailed, "n", "2")
}

func TestExpectedLastOfASubjectIsRightAfterItsLastWasDeleted(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.stored(1, "s.a", "1")
	r.stored(2, "s.b", "2")
	r.stored(3, "s.a", "3")
	r.ok("STREAM.MSG.DELETE.S", `{"seq":3}`)
	r.denied(wire.CodeWrongLastSequence, "s.a", "4", "Nats-Expected-Last-Subject-Sequence", "3")
	r.stored(4, "s.a", "4", "Nats-Expected-Last-Subject-Sequence", "1")
}

func TestDuplicatesAreKnownAfterARestart(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	r.stored(1, "s", "1", "Nats-Msg-Id", "one")
	again := func(how string, r *rig) {
		t.Helper()
		if a := r.publish("s", "1", "Nats-Msg-Id", "one"); !a.Duplicate || a.Seq != 1 {
			t.Fatalf("%s a duplicate got %+v", how, a)
		}
	}
	again("at once", r)
	r = on(t, r.Crash(faultfs.DropUnsynced, 1))
	again("after a crash", r)
	r = r.restart()
	again("after a stop", r)
	r.stored(2, "s", "2", "Nats-Msg-Id", "two")
}

func TestPublishesInFlightAreAnsweredWhenTheStreamIsDeleted(t *testing.T) {
	r := newRig(t)
	for round := range 20 {
		r.stream("S", "s")
		in := streamtest.NewInbox(t, r.space)
		const n = 200
		nobody := make(chan int)
		go func() {
			p := broker.NewPublisher(r.space, broker.PublisherOptions{Echo: true})
			lost := 0
			for range n {
				if res := p.Publish(&broker.Message{Subject: []byte("s"), Reply: []byte(in.Subject), Data: []byte("x")}); res.Nobody() {
					lost++ // the door says so: 503
				}
				if lost%3 == 0 {
					p.HandOver()
				}
			}
			p.HandOver()
			nobody <- lost
		}()
		r.ok("STREAM.DELETE.S", "")
		left := n - <-nobody
		for i := range left {
			if _, ok := within(t, in.C); !ok {
				t.Fatalf("round %d: %d of %d publishes got no answer", round, left-i, left)
			}
		}
		in.Close()
	}
}

func TestAMemoryStreamServesAndIsEmptyAfterARestart(t *testing.T) {
	r := newRig(t)
	r.stream("M", "m.>", `"storage":"memory"`, `"max_msgs":3`)
	for i := range uint64(5) {
		r.stored(i+1, fmt.Sprintf("m.%d", i), fmt.Sprint(i), "Nats-Msg-Id", fmt.Sprint(i))
	}
	r.consumer("M", "c")
	msgs := r.wantFetch("M", "c", 5, "m.2=2 m.3=3 m.4=4")
	r.ack(msgs[0], "")
	if i := r.info("M", "c"); i.NumAckPending != 2 || i.AckFloor.StreamSeq != 3 {
		t.Fatalf("consumer %+v", i)
	}
	r = r.restart()
	if st := r.ok("STREAM.INFO.M", "").State; st.Messages != 0 {
		t.Fatalf("after a restart there is %+v", st)
	}
	r.stored(1, "m.0", "0")
}
