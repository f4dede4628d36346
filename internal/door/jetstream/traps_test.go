package jetstream

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// The traps of JetStream's semantics that conformance/oracle/testdata/traps.txt does
// not ask both servers about, under the same numbers. Trap 48 is no rule but the list
// of the client's own tests that are to pass.

// statusOf takes what must be a status, and gives its line.
func statusOf(t *testing.T, in *streamtest.Inbox) string {
	t.Helper()
	m := in.Next(t)
	line, ok := strings.CutPrefix(strings.SplitN(string(m.Header), "\r\n", 2)[0], "NATS/1.0 ")
	if !ok {
		t.Fatalf("message %s %q instead of a status", m.Subject, m.Data)
	}
	return line
}

func TestTrap22AFullQueueIsToldToRequestsWithoutHeartbeatsOnly(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c", `"max_waiting":2`)
	first, second := r.pull("S", "c", `{"expires":10000000000}`), r.pull("S", "c", `{"expires":10000000000}`)
	silent := r.pull("S", "c", `{"expires":10000000000,"idle_heartbeat":4000000000}`)
	told := r.pull("S", "c", `{"expires":10000000000}`)
	if s := statusOf(t, told); s != "409 Exceeded MaxWaiting" {
		t.Errorf("the fourth request is told %q", s)
	}
	if n := r.info("S", "c").NumWaiting; n != 2 {
		t.Errorf("%d requests wait", n)
	}
	r.fill(3)
	wantNext(t, first, "s.0=1")
	wantNext(t, second, "s.1=2")
	if n := r.info("S", "c").NumPending; n != 1 {
		t.Errorf("%d messages are pending", n)
	}
	silent.None(t)
}

func TestTrap23WaitingRequestsTakeTurnsAndThoseWhoLeftAreSkipped(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c")
	a, b := r.pull("S", "c", `{"batch":2,"expires":10000000000}`), r.pull("S", "c", `{"batch":3,"expires":10000000000}`)
	gone := r.pull("S", "c", `{"batch":9,"expires":10000000000}`)
	d := r.pull("S", "c", `{"batch":1,"expires":10000000000}`)
	gone.Close()
	r.fill(6)
	wantNext(t, a, "s.0=1", "s.0=4")
	wantNext(t, b, "s.1=2", "s.1=5", "s.2=6")
	wantNext(t, d, "s.2=3")
	gone.None(t)
	if i := r.info("S", "c"); i.NumWaiting != 0 || i.NumAckPending != 6 {
		t.Errorf("%d requests wait, %d messages for their acknowledgement", i.NumWaiting, i.NumAckPending)
	}
}

func TestTrap25WhoWaitsIsToldOfADeletion(t *testing.T) {
	for _, request := range []string{"CONSUMER.DELETE.S.c", "STREAM.DELETE.S"} {
		r := newRig(t)
		r.stream("S", "s.>")
		r.consumer("S", "c")
		r.consumer("S", "other")
		waiting := []*streamtest.Inbox{
			r.pull("S", "c", `{"batch":2,"expires":10000000000}`),
			r.pull("S", "c", `{"batch":2,"expires":10000000000,"idle_heartbeat":4000000000}`),
			r.pull("S", "c", `{"batch":2,"no_wait":true,"expires":10000000000}`),
		}
		other := r.pull("S", "other", `{"expires":10000000000}`)
		r.ok(request, "")
		for i, in := range waiting {
			if s := statusOf(t, in); s != "409 Consumer Deleted" {
				t.Errorf("%s: request %d is told %q", request, i, s)
			}
		}
		if strings.HasPrefix(request, "CONSUMER") {
			r.stored(1, "s.a", "1")
			wantNext(t, other, "s.a=1")
		} else if s := statusOf(t, other); s != "409 Consumer Deleted" {
			t.Errorf("%s: a request of the other consumer is told %q", request, s)
		}
	}
}

func TestTrap28HeartbeatsComeWhileAnActiveConsumerIsSilent(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	all := streamtest.Subscribe(t, r.space, "d.*") // no interest in either
	in := streamtest.Subscribe(t, r.space, "d.on")
	const beats = `"idle_heartbeat":100000000,"flow_control":true,"ack_policy":"none"`
	r.consumer("S", "off", `"deliver_subject":"d.off"`, beats)
	r.consumer("S", "on", `"deliver_subject":"d.on"`, beats)
	beat := func(want string) {
		t.Helper()
		if m := in.Next(t); string(m.Header) != "NATS/1.0 100 Idle Heartbeat\r\n"+want+"\r\n" {
			t.Fatalf("heartbeat %q, want %q", m.Header, want)
		}
	}
	for range 3 {
		beat("Nats-Last-Consumer: 0\r\nNats-Last-Stream: 0\r\n")
	}
	// Two large messages are more than half of the first window.
	big := strings.Repeat("x", 600<<10)
	r.stored(1, "s.a", big)
	r.stored(2, "s.a", big)
	var ask streamtest.Msg
	for got := 0; got < 2 || ask.Reply == ""; {
		switch m := in.Next(t); {
		case len(m.Data) > 0:
			got++
		case strings.Contains(string(m.Header), "FlowControl"):
			ask = m
		}
	}
	beat("Nats-Last-Consumer: 2\r\nNats-Last-Stream: 2\r\nNats-Consumer-Stalled: " + ask.Reply + "\r\n")
	r.answer(ask.Reply)
	streamtest.Await(t, "a heartbeat names no request", func() bool { return !strings.Contains(string(in.Next(t).Header), "Stalled") })
	for len(all.C) > 0 {
		if m := all.Next(t); m.Subject == "d.off" {
			t.Fatalf("a consumer without a listener sent %q", m.Header)
		}
	}
}

func TestTrap29AnUnusedPullConsumerGoesAndOneInUseStays(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(1)
	create := func(name string) {
		r.ok("CONSUMER.CREATE.S."+name, `{"stream_name":"S","config":{"name":"`+name+`","ack_policy":"explicit","inactive_threshold":300000000}}`)
	}
	gone := func(name string) func() bool {
		return func() bool { return r.api("CONSUMER.INFO.S."+name, "").Error != nil }
	}
	create("acks")
	msgs := r.wantFetch("S", "acks", 1, "s.0=1")
	create("waits")
	in := r.pull("S", "waits", `{"batch":2,"expires":60000000000}`)
	wantNext(t, in, "s.0=1")
	began := time.Now()
	create("unused")
	streamtest.Await(t, "the unused consumer is gone", gone("unused"))
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("the unused consumer went after %v", took)
	}
	if gone("acks")() {
		t.Error("a consumer went that waits for an acknowledgement")
	}
	if gone("waits")() {
		t.Error("a consumer went that has a request waiting")
	}
	r.ack(msgs[0], "+ACK")
	streamtest.Await(t, "the consumer is gone whose message is acknowledged", gone("acks"))
}

func TestTrap37RequestsAndErrorsAreCounted(t *testing.T) {
	r := newRig(t)
	stats := func() (total, errors int) {
		var a struct{ API struct{ Total, Errors int } }
		if err := json.Unmarshal(streamtest.Request(t, r.space, "$JS.API.INFO", nil, nil).Data, &a); err != nil {
			t.Fatal(err)
		}
		return a.API.Total, a.API.Errors
	}
	total, errors := stats()
	r.stream("S", "s.>", `"allow_direct":true`)
	r.consumer("S", "c")
	r.info("S", "c")
	r.refused(wire.CodeStreamNotFound, "STREAM.INFO.T", "")
	r.refused(wire.CodeConsumerNotFound, "CONSUMER.DELETE.S.d", "")
	r.refused(wire.CodeInvalidJSON, "STREAM.CREATE.T", "{")
	// What is answered otherwise is not counted.
	r.stored(1, "s.a", "1")
	r.ack(r.wantFetch("S", "c", 1, "s.a=1")[0], "+ACK")
	streamtest.Request(t, r.space, "$JS.API.DIRECT.GET.S.s.a", nil, nil)
	is, bad := stats()
	if is-total != 7 || bad-errors != 3 {
		t.Errorf("%d requests and %d errors are counted, want 7 and 3", is-total, bad-errors)
	}
}

func TestTrap43AcknowledgementsNameTheDomain(t *testing.T) {
	for _, domain := range []string{"", "hub"} {
		a := &account.Account{Name: "A"}
		a.JetStream.Enabled = true
		o := rigOptions(a)
		o.Dialects = map[string]stream.Dialect{DialectName: Dialect{Domain: domain}}
		o.Serve = func(d *stream.Directory, s *broker.Space) func() {
			door := New(Options{ServerName: "n", Version: "2.12.0", Domain: domain, MaxPayload: 1 << 20, Log: slog.New(slog.DiscardHandler)})
			door.Start(d)
			return door.Serve(s, func() *account.Account { return a })
		}
		r := on(t, streamtest.Start(t, o))
		r.stream("S", "s.>", `"allow_atomic":true`)
		named := ""
		if domain != "" {
			named = `,"domain":"hub"`
			r.ok(`STREAM.INFO.S`, "")
			if m := streamtest.Request(t, r.space, "$JS.hub.API.STREAM.INFO.S", nil, nil); !strings.Contains(string(m.Data), `"domain":"hub"`) {
				t.Errorf("the stream in the domain is %s", m.Data)
			}
		}
		for _, c := range []struct {
			header []string
			want   string
		}{
			{[]string{"Nats-Msg-Id", "x"}, `{"stream":"S","seq":1` + named + `}`},
			{[]string{"Nats-Msg-Id", "x"}, `{"stream":"S","seq":1` + named + `,"duplicate":true}`},
			{[]string{"Nats-Batch-Id", "b", "Nats-Batch-Sequence", "1", "Nats-Batch-Commit", "1"}, `{"stream":"S","seq":2` + named + `,"batch":"b","count":1}`},
		} {
			got := string(streamtest.Request(t, r.space, "s.a", header(c.header...), []byte("1")).Data)
			if got = strings.ReplaceAll(got, `": `, `":`); got != c.want {
				t.Errorf("domain %q: %v is acknowledged with %s, want %s", domain, c.header, got, c.want)
			}
		}
	}
}
