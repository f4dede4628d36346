package jetstream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// fill stores n messages on s.0, s.1, s.2, s.0 … with their sequence as data.
func (r *rig) fill(n int) {
	r.t.Helper()
	for i := range n {
		seq := i + 1
		r.stored(uint64(seq), fmt.Sprintf("s.%d", i%3), strconv.Itoa(seq))
	}
}

func TestDeliveryBeginsWhereThePolicySays(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(4)
	streamtest.Await(t, "time has passed", func() bool {
		return time.Now().UnixNano() > r.Streams.Find("A", "S").Partition().Status().LastTime+int64(2*time.Millisecond)
	})
	between := time.Now().UTC().Format(time.RFC3339Nano)
	for i := range uint64(2) {
		r.stored(5+i, "s.1", strconv.Itoa(int(5+i)))
	}
	for name, c := range map[string]struct{ config, want string }{
		"all":         {`"deliver_policy":"all"`, "1 2 3 4 5 6"},
		"last":        {`"deliver_policy":"last"`, "6"},
		"last-of":     {`"deliver_policy":"last","filter_subject":"s.0"`, "4"},
		"new":         {`"deliver_policy":"new"`, ""},
		"sequence":    {`"deliver_policy":"by_start_sequence","opt_start_seq":5`, "5 6"},
		"time":        {`"deliver_policy":"by_start_time","opt_start_time":"` + between + `"`, "5 6"},
		"subject":     {`"deliver_policy":"last_per_subject","filter_subject":"s.*"`, "3 4 6"},
		"filter":      {`"filter_subject":"s.1"`, "2 5 6"},
		"two-filters": {`"filter_subjects":["s.0","s.2"]`, "1 3 4"},
	} {
		r.consumer("S", name, c.config)
		want := strings.Fields(c.want)
		if i := r.info("S", name); i.NumPending != uint64(len(want)) {
			t.Errorf("%s: %d pending, want %d", name, i.NumPending, len(want))
		}
		var seqs []string
		for i, m := range r.fetch("S", name, 10) {
			seqs = append(seqs, string(m.Data))
			if left := m.Reply[strings.LastIndexByte(m.Reply, '.')+1:]; left != strconv.Itoa(len(want)-i-1) {
				t.Errorf("%s: message %d says %s pending", name, i, left)
			}
		}
		if !slices.Equal(seqs, want) {
			t.Errorf("%s: got %v, want %v", name, seqs, want)
		}
	}
}

func TestLastPerSubjectIsThatOfTheCreationAfterARestart(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(6)
	r.consumer("S", "c", `"deliver_policy":"last_per_subject","filter_subject":"s.*"`)
	r.stored(7, "s.1", "7")
	r = r.restart()
	r.wantFetch("S", "c", 10, "s.0=4 s.1=5 s.2=6 s.1=7")
}

func TestCreatingAConsumerAgainIsIdempotent(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c")
	r.wantFetch("S", "c", 1, "s.0=1")
	if a := r.consumer("S", "c"); a.Delivered.StreamSeq != 1 {
		t.Fatalf("the second creation gave %+v", a)
	}
	r.consumer("S", "c", `"max_ack_pending":7`)
	if a := r.info("S", "c"); !strings.Contains(string(a.Config), `"maxackpending":7`) || a.Delivered.StreamSeq != 1 {
		t.Fatalf("after the update it is %s, %+v", a.Config, a.Delivered)
	}
	r.refused(wire.CodeConsumerAlreadyExists, "CONSUMER.CREATE.S.c", `{"stream_name":"S","action":"create","config":{"durable_name":"c","name":"c","ack_policy":"explicit"}}`)
	r.refused(wire.CodeConsumerDoesNotExist, "CONSUMER.CREATE.S.d", `{"stream_name":"S","action":"update","config":{"durable_name":"d","name":"d","ack_policy":"explicit"}}`)
	for _, restarted := range []bool{false, true} {
		if restarted {
			r = r.restart()
		}
		if a := r.info("S", "c"); !strings.Contains(string(a.Config), `"maxackpending":7`) {
			t.Fatalf("restarted %v: %s", restarted, a.Config)
		}
	}
	r.ok("CONSUMER.DELETE.S.c", "")
	r.refused(wire.CodeConsumerNotFound, "CONSUMER.DELETE.S.c", "")
	r.refused(wire.CodeConsumerNotFound, "CONSUMER.INFO.S.c", "")
	r = r.restart()
	r.refused(wire.CodeConsumerNotFound, "CONSUMER.INFO.S.c", "")
}

func TestConcurrentCreationsMakeOneConsumer(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"max_consumers":2`)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			name := fmt.Sprintf("c%d", i%4)
			if a := r.api("CONSUMER.DURABLE.CREATE.S."+name, durableConfig("S", name)); a.Error != nil && a.Error.ErrCode != wire.CodeMaximumConsumers {
				t.Errorf("%+v", *a.Error)
			}
		}()
	}
	wg.Wait()
	count := func(r *rig) uint64 { return r.ok("STREAM.INFO.S", "").State.ConsumerCount }
	if n := count(r); n != 2 {
		t.Fatalf("%d consumers", n)
	}
	if n := count(on(t, r.Crash(faultfs.DropUnsynced, 1))); n != 2 {
		t.Fatalf("%d consumers after a crash", n)
	}
}

func TestTheAccountsConsumersAreBounded(t *testing.T) {
	a := &account.Account{Name: "A"}
	a.JetStream.MaxConsumers, a.JetStream.MaxStreams = 1, 1
	r := newRigFor(t, a)
	r.stream("S", "s")
	r.refused(wire.CodeMaximumStreams, "STREAM.CREATE.T", streamConfig("T", "t"))
	r.consumer("S", "c")
	r.refused(wire.CodeMaximumConsumers, "CONSUMER.DURABLE.CREATE.S.d", durableConfig("S", "d"))
}

func TestOneDurableIsSharedByItsClients(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c")
	a, b := r.pull("S", "c", `{"batch":50,"expires":10000000000}`), r.pull("S", "c", `{"batch":50,"expires":10000000000}`)
	r.fill(60)
	seen := map[string]int{}
	for range 60 {
		select {
		case m := <-a.C:
			seen[string(m.Data)]++
		case m := <-b.C:
			seen[string(m.Data)]++
		case <-time.After(streamtest.Patience):
			t.Fatalf("%d of 60 came", len(seen))
		}
	}
	if len(seen) != 60 {
		t.Fatalf("%d different messages of 60", len(seen))
	}
}

func TestWhatIsNotAcknowledgedComesAgainAfterARestart(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c", `"ack_wait":50000000`)
	msgs := r.wantFetch("S", "c", 3, "s.0=1 s.1=2 s.2=3")
	r.ack(msgs[1], "+ACK")
	r = r.restart()
	in := r.pull("S", "c", `{"batch":2,"expires":9000000000}`)
	for _, want := range []string{"1", "3"} {
		m := in.Next(t)
		if string(m.Data) != want || !strings.HasPrefix(m.Reply, "$JS.ACK.S.c.2.") {
			t.Fatalf("%s %q came again, want %s", m.Reply, m.Data, want)
		}
	}
}

func TestAConfirmedAcknowledgementSurvivesACrash(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(8)
	r.consumer("S", "c")
	for i := range 8 {
		m := r.fetch("S", "c", 1)
		r.ack(m[0], "+ACK")
		r.ack(m[0], "+ACK") // once more: it is confirmed as well
		r = on(t, r.Crash(faultfs.DropUnsynced, uint64(i)))
		if a := r.info("S", "c"); a.AckFloor.StreamSeq != uint64(i+1) || a.NumAckPending != 0 {
			t.Fatalf("after confirmation %d and a crash it is %+v", i+1, a)
		}
	}
}

func TestNakTermAndProgressDoWhatTheySay(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c", `"ack_wait":30000000000,"max_deliver":2`)
	msgs := r.wantFetch("S", "c", 3, "s.0=1 s.1=2 s.2=3")
	r.ack(msgs[0], "-NAK")
	r.ack(msgs[1], "+TERM for good")
	r.ack(msgs[2], "+WPI")
	again := r.wantFetch("S", "c", 3, "s.0=1")
	if a := r.info("S", "c"); a.NumAckPending != 2 || a.NumRedelivered != 1 {
		t.Fatalf("consumer %+v", a)
	}
	r.ack(again[0], "-NAK")
	r.wantFetch("S", "c", 3, "") // it was delivered as often as allowed
	r.ack(msgs[2], "+ACK")
}

func TestDeletedAndPurgedMessagesAreNotDelivered(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(9)
	r.consumer("S", "c", `"ack_wait":30000000000`)
	first := r.wantFetch("S", "c", 2, "s.0=1 s.1=2")
	r.ok("STREAM.MSG.DELETE.S", `{"seq":1}`)
	r.ok("STREAM.MSG.DELETE.S", `{"seq":3}`)
	r.refused(wire.CodeSequenceNotFound, "STREAM.MSG.DELETE.S", `{"seq":3}`)
	if a := r.ok("STREAM.PURGE.S", `{"filter":"s.0"}`); a.Purged != 2 {
		t.Fatalf("purged %d", a.Purged)
	}
	streamtest.Await(t, "the deleted message is not pending", func() bool { return r.info("S", "c").NumAckPending == 1 })
	r.ack(first[0], "-NAK")
	r.ack(first[1], "-NAK")
	r.wantFetch("S", "c", 10, "s.1=2 s.1=5 s.2=6 s.1=8 s.2=9")
	if a := r.ok("STREAM.PURGE.S", ""); a.Purged != 5 {
		t.Fatalf("purged %d", a.Purged)
	}
	streamtest.Await(t, "nothing is pending", func() bool { a := r.info("S", "c"); return a.NumAckPending == 0 && a.NumPending == 0 })
	r.stored(10, "s.0", "10")
	r.wantFetch("S", "c", 10, "s.0=10")
}

func TestAWaitingRequestGetsWhatComesLater(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c", `"filter_subject":"s.1"`)
	for i := range uint64(50) {
		in := r.pull("S", "c", `{"batch":1,"expires":10000000000}`)
		r.stored(2*i+1, "s.0", "no")
		r.stored(2*i+2, "s.1", "yes")
		if m := in.Next(t); string(m.Data) != "yes" {
			t.Fatalf("got %s %q", m.Header, m.Data)
		}
		in.Close()
	}
}

func TestARequestIsToldWhyItEnds(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c")
	status := func(in *streamtest.Inbox) string {
		t.Helper()
		return strings.TrimPrefix(strings.SplitN(string(in.Next(t).Header), "\r\n", 2)[0], "NATS/1.0 ")
	}
	if s := status(r.pull("S", "c", `{"batch":1,"no_wait":true}`)); s != "404 No Messages" {
		t.Errorf("no_wait: %s", s)
	}
	if s := status(r.pull("S", "c", `{"batch":1,"expires":1000000}`)); s != "408 Request Timeout" {
		t.Errorf("expires: %s", s)
	}
	if s := status(r.pull("S", "c", `{"batch":1,"expires":900000000,"idle_heartbeat":20000000}`)); s != "100 Idle Heartbeat" {
		t.Errorf("heartbeat: %s", s)
	}
	if s := status(r.pull("S", "c", `{"batch":`)); !strings.HasPrefix(s, "400 Bad Request") {
		t.Errorf("bad: %s", s)
	}
	in := r.pull("S", "c", `{"batch":1,"expires":10000000000}`)
	r.ok("CONSUMER.DELETE.S.c", "")
	if s := status(in); s != "409 Consumer Deleted" {
		t.Errorf("deletion of the consumer: %s", s)
	}
	r.consumer("S", "c")
	in = r.pull("S", "c", `{"batch":1,"expires":10000000000}`)
	r.ok("STREAM.DELETE.S", "")
	if s := status(in); s != "409 Consumer Deleted" {
		t.Errorf("deletion of the stream: %s", s)
	}
	r.stream("S", "s.>")
	r.consumer("S", "c")
	in = r.pull("S", "c", `{"batch":1,"expires":10000000000}`)
	r.Stop()
	if s := status(in); s != "409 Server Shutdown" {
		t.Errorf("end of the server: %s", s)
	}
}

func TestAnEphemeralConsumerGoesWhenNobodyUsesIt(t *testing.T) {
	for _, ack := range []string{"explicit", "none"} {
		r := newRig(t)
		r.stream("S", "s.>")
		a := r.ok("CONSUMER.CREATE.S", fmt.Sprintf(`{"stream_name":"S","config":{"ack_policy":%q,"inactive_threshold":20000000}}`, ack))
		if a.Name == "" {
			t.Fatal("it has no name")
		}
		streamtest.Await(t, "the consumer is gone", func() bool { return r.ok("STREAM.INFO.S", "").State.ConsumerCount == 0 })
		r = r.restart()
		r.refused(wire.CodeConsumerNotFound, "CONSUMER.INFO.S."+a.Name, "")
	}
}
