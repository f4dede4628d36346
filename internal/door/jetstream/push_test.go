package jetstream

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// wantNext takes messages that must come in order, as subject=data.
func wantNext(t *testing.T, in *streamtest.Inbox, want ...string) (last streamtest.Msg) {
	t.Helper()
	for _, w := range want {
		last = in.Next(t)
		if got := last.Subject + "=" + string(last.Data); got != w {
			t.Fatalf("got %s %s, want %s", got, last.Header, w)
		}
	}
	return last
}

func TestAConsumerPushesWhileSomebodyListens(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(2)
	r.consumer("S", "c", `"deliver_subject":"to.me"`)
	if i := r.info("S", "c"); i.PushBound || i.Delivered.StreamSeq != 0 {
		t.Fatalf("it delivers to nobody: %+v", i)
	}
	wild := streamtest.Subscribe(t, r.space, "to.*")
	if i := r.info("S", "c"); i.PushBound {
		t.Fatal("a wildcard counts as interest")
	}
	in := streamtest.Subscribe(t, r.space, "to.me")
	m := wantNext(t, in, "s.0=1", "s.1=2")
	if want := "$JS.ACK.S.c.1.2.2."; !strings.HasPrefix(m.Reply, want) {
		t.Errorf("reply %s", m.Reply)
	}
	if !r.info("S", "c").PushBound {
		t.Error("it is not bound")
	}
	r.stored(3, "s.2", "3")
	r.ack(wantNext(t, in, "s.2=3"), "+ACK")
	in.Close()
	streamtest.Await(t, "it is not bound", func() bool { return !r.info("S", "c").PushBound })
	r.stored(4, "s.0", "4")
	in = streamtest.Subscribe(t, r.space, "to.me")
	wantNext(t, in, "s.0=4")
	wild.Close()
	r = r.restart()
	in = streamtest.Subscribe(t, r.space, "to.me")
	r.stored(5, "s.1", "5")
	wantNext(t, in, "s.1=5") // the others wait for their acknowledgement
}

func TestAGroupConsumerPushesToItsGroupOnly(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c", `"deliver_subject":"d","deliver_group":"workers"`)
	streamtest.Subscribe(t, r.space, "d")
	streamtest.SubscribeGroup(t, r.space, "d", "others")
	if r.info("S", "c").PushBound {
		t.Fatal("a subscription outside of the group counts")
	}
	a, b := streamtest.SubscribeGroup(t, r.space, "d", "workers"), streamtest.SubscribeGroup(t, r.space, "d", "workers")
	r.fill(40)
	seen := map[string]int{}
	for range 40 {
		select {
		case m := <-a.C:
			seen[string(m.Data)]++
		case m := <-b.C:
			seen[string(m.Data)]++
		case <-time.After(streamtest.Patience):
			t.Fatalf("%d of 40 came", len(seen))
		}
	}
	for i := range 40 {
		if n := seen[strconv.Itoa(i+1)]; n != 1 {
			t.Errorf("message %d came %d times", i+1, n)
		}
	}
}

func TestPullRequestsToAPushConsumerAreRefused(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c", `"deliver_subject":"d"`)
	in := r.pull("S", "c", "")
	defer in.Close()
	if m := in.Next(t); string(m.Header) != "NATS/1.0 409 Consumer is push based\r\n\r\n" {
		t.Errorf("got %q", m.Header)
	}
}

func TestTheDeliverSubjectChangesOnlyWhileNobodyListens(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c", `"deliver_subject":"d"`)
	in := streamtest.Subscribe(t, r.space, "d")
	wantNext(t, in, "s.0=1", "s.1=2", "s.2=3")
	r.refused(wire.CodeConsumerNameExist, "CONSUMER.DURABLE.CREATE.S.c", durableConfig("S", "c", `"deliver_subject":"e"`))
	in.Close()
	other := streamtest.Subscribe(t, r.space, "e")
	streamtest.Await(t, "it is not bound", func() bool { return !r.info("S", "c").PushBound })
	r.consumer("S", "c", `"deliver_subject":"e"`)
	// What was not acknowledged goes to the new subject.
	wantNext(t, other, "s.0=1", "s.1=2", "s.2=3")
}

func TestFlowControlWaitsForItsAnswer(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	big := strings.Repeat("x", 700<<10)
	for i := range 8 {
		r.stored(uint64(i+1), "s.0", big)
	}
	r.consumer("S", "c", `"deliver_subject":"d","flow_control":true,"idle_heartbeat":200000000,"ack_policy":"none"`)
	in := streamtest.Subscribe(t, r.space, "d")
	next := func() streamtest.Msg {
		t.Helper()
		return in.Next(t)
	}
	// Two are more than half of the first window of 2 MiB, three more than all of it.
	for i := range 2 {
		if m := next(); len(m.Data) != len(big) {
			t.Fatalf("message %d is %q", i+1, m.Header)
		}
	}
	ask := next()
	if string(ask.Header) != "NATS/1.0 100 FlowControl Request\r\n\r\n" || !strings.HasPrefix(ask.Reply, "$JS.FC.S.c.") {
		t.Fatalf("request %q with reply %s", ask.Header, ask.Reply)
	}
	if m := next(); len(m.Data) != len(big) {
		t.Fatalf("third message is %q", m.Header)
	}
	// Then only heartbeats come, which name what was not answered.
	want := fmt.Sprintf("NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\nNats-Last-Stream: 3\r\nNats-Consumer-Stalled: %s\r\n\r\n", ask.Reply)
	if m := next(); string(m.Header) != want {
		t.Fatalf("heartbeat %q, want %q", m.Header, want)
	}
	r.answer(ask.Reply)
	for got := 3; got < 8; {
		switch m := next(); {
		case len(m.Data) == len(big):
			got++
		case strings.Contains(string(m.Header), "FlowControl"):
			r.answer(m.Reply)
		}
	}
}

func TestAPausedConsumerDeliversNothingUntilThen(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(1)
	r.consumer("S", "c", `"deliver_subject":"d"`)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)
	if a := r.ok("CONSUMER.PAUSE.S.c", `{"pause_until":"`+until+`"}`); !a.Paused {
		t.Error("the answer does not say that it is paused")
	}
	in := streamtest.Subscribe(t, r.space, "d")
	streamtest.Await(t, "it is bound", func() bool { return r.info("S", "c").PushBound })
	if i := r.info("S", "c"); !i.Paused || i.Delivered.StreamSeq != 0 {
		t.Errorf("paused: %+v", i)
	}
	in.None(t)
	if a := r.ok("CONSUMER.PAUSE.S.c", ""); a.Paused {
		t.Error("the answer says that it is paused")
	}
	wantNext(t, in, "s.0=1")
	r.refused(wire.CodeConsumerNotFound, "CONSUMER.PAUSE.S.none", "")
}

func TestAnEphemeralPushConsumerEndsWithoutAListener(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	in := streamtest.Subscribe(t, r.space, "d")
	a := r.ok("CONSUMER.CREATE.S", `{"stream_name":"S","config":{"deliver_subject":"d","ack_policy":"none","inactive_threshold":100000000}}`)
	streamtest.Await(t, "it is bound", func() bool { return r.info("S", a.Name).PushBound })
	in.Close()
	streamtest.Await(t, "it is gone", func() bool { return r.api("CONSUMER.INFO.S."+a.Name, "").Error != nil })
}

// answer publishes nothing to a subject.
func (r *rig) answer(subject string) { r.space.Publish(&broker.Message{Subject: []byte(subject)}) }
