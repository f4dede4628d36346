package stan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// What no client of good will sends: the answers are the protocol's, and everybody else
// is served as before.

// requests are the subjects that take one.
var requests = []string{
	"_STAN.discover.tc", "_STAN.discover.tc.pings", "_STAN.pub.tc.foo", "_STAN.sub.tc", "_STAN.unsub.tc", "_STAN.subclose.tc", "_STAN.close.tc",
}

func TestRubbishOnEverySubjectHarmsNobody(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	rubbish := [][]byte{nil, []byte("x"), {0xff}, []byte(strings.Repeat("\xff", 64)), {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 'x'}, {0x0b}, {0x0a, 0x00}, make([]byte, 1<<16)}
	answers := streamtest.Subscribe(t, r.space, "_INBOX.rubbish")
	for _, subject := range append(requests, s.ack, r.door.newInbox()) {
		for _, b := range rubbish {
			for _, reply := range []string{"", answers.Subject, subject} { // also to the door itself
				r.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(reply), Data: b})
			}
		}
	}
	p.put("foo", "m1")
	s.want(1)
	s.acknowledge(1)
	if text := p.ping(); text != "" {
		t.Error(text)
	}
	for _, o := range []string{wire.InvalidConnReq, wire.InvalidPubReq, wire.InvalidSubReq, wire.InvalidUnsubReq, wire.InvalidCloseReq} {
		if !heard(answers, o) {
			t.Errorf("nobody is told %q", o)
		}
	}
	if n := len(r.door.channels); n != 1 {
		t.Errorf("%d channels", n)
	}
}

// heard waits until a text is in an answer.
func heard(in *streamtest.Inbox, text string) bool {
	for {
		select {
		case m := <-in.C:
			if strings.Contains(string(m.Data), text) {
				return true
			}
		default:
			return false
		}
	}
}

func TestFieldsThatAreTooLongAreRefused(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	long, huge := strings.Repeat("n", wire.MaxName+1), strings.Repeat("n", 1<<20)
	for _, n := range []string{long, huge} {
		for want, q := range map[string]wire.ConnectRequest{
			wire.InvalidClientID: {ClientID: n, HeartbeatInbox: "h"},
			wire.InvalidConnReq:  {ClientID: "a", HeartbeatInbox: n},
		} {
			if resp := r.ask(&q); resp.Error != want {
				t.Errorf("connect: %.60q, want %q", resp.Error, want)
			}
		}
		if resp := r.ask(&wire.ConnectRequest{ClientID: "a", HeartbeatInbox: "h", ConnID: []byte(n)}); resp.Error != wire.InvalidConnReq {
			t.Errorf("connection: %.60q", resp.Error)
		}
		for _, q := range []wire.SubscriptionRequest{{DurableName: n}, {QGroup: n}} {
			q.Subject = "foo"
			if _, text := p.try(&q); text != wire.InvalidSubReq {
				t.Errorf("subscribe: %.60q", text)
			}
		}
		if _, text := p.try(&wire.SubscriptionRequest{Subject: n}); text != wire.InvalidSubject {
			t.Errorf("subscribe to a channel: %.60q", text)
		}
		p.publish(n, "m")
		if text := p.acked(); text != wire.InvalidPubReq {
			t.Errorf("publish to a channel: %.60q", text)
		}
		if text := r.endSub("_STAN.unsub.tc", &wire.UnsubscribeRequest{ClientID: n, Subject: n, Inbox: n}); text != wire.UnknownChannel {
			t.Errorf("unsubscribe: %.60q", text)
		}
	}
	if len(r.door.clients) != 1 || len(r.door.channels) != 0 {
		t.Errorf("%d clients, %d channels", len(r.door.clients), len(r.door.channels))
	}
}

// TestInboxesThatAreNoSubjectsAreRefused: what a server sends there would be read as
// something else by whoever gets it.
func TestInboxesThatAreNoSubjectsAreRefused(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	for _, inbox := range []string{"a b", "a\r\nPUB b 1\r\nx", "a.*", ">", "a..b", ".", "a\xff"} {
		q := wire.SubscriptionRequest{ClientID: p.id, Subject: "foo", Inbox: inbox, MaxInFlight: 1, AckWaitInSecs: 1}
		var resp wire.SubscriptionResponse
		if err := resp.Decode(streamtest.Request(t, r.space, "_STAN.sub.tc", nil, q.Append(nil)).Data); err != nil || resp.Error != wire.InvalidSubReq {
			t.Errorf("inbox %q: %+v, %v", inbox, resp, err)
		}
		if resp := r.ask(&wire.ConnectRequest{ClientID: "you", HeartbeatInbox: inbox}); resp.Error != wire.InvalidConnReq {
			t.Errorf("inbox for heartbeats %q: %+v", inbox, resp)
		}
	}
	for _, channel := range []string{"a.*", ">", "a..b", ".", "a\xff"} {
		if _, text := p.try(&wire.SubscriptionRequest{Subject: channel}); text != wire.InvalidSubject {
			t.Errorf("channel %q: %q", channel, text)
		}
	}
}

// TestRequestsThatWaitAreBounded stops what handles requests: whoever asks on has to
// wait, and what was taken is answered.
func TestRequestsThatWaitAreBounded(t *testing.T) {
	r := newRig(t)
	r.connect("me")
	hold := make(chan struct{})
	lane := r.door.lane("nobody")
	lane.push(func() { <-hold })
	answers := streamtest.Subscribe(t, r.space, "_INBOX.bounded")
	q := wire.UnsubscribeRequest{ClientID: "nobody", Subject: strings.Repeat("x", 1<<16), Inbox: "i"}
	data := q.Append(nil)
	pub := broker.NewPublisher(r.space, broker.PublisherOptions{})
	taken := 0
	for full := false; !full; {
		if full = pub.Publish(&broker.Message{Subject: []byte("_STAN.unsub.tc"), Reply: []byte(answers.Subject), Data: data}).Full; !full {
			taken++
		}
		if taken > 1000 {
			t.Fatal("it takes as many as there are")
		}
	}
	lane.mu.Lock()
	waiting := lane.waiting
	lane.mu.Unlock()
	if waiting > maxWaiting+2*len(data) {
		t.Errorf("%d bytes wait", waiting)
	}
	r.connect("other" + otherLane(r, lane)) // is not held up
	close(hold)
	for range taken {
		var resp wire.SubscriptionResponse
		if err := resp.Decode(answers.Next(t).Data); err != nil || resp.Error != wire.UnknownChannel {
			t.Fatalf("%+v, %v", resp, err)
		}
	}
	streamtest.Await(t, "there is room again", func() bool {
		return !r.space.Publish(&broker.Message{Subject: []byte("_STAN.unsub.tc"), Data: data}).Full
	})
}

// otherLane gives the end of a client's id that has another lane.
func otherLane(r *rig, l *lane) string {
	end := ""
	for r.door.lane("other"+end) == l {
		end += "x"
	}
	return end
}

func TestRequestsWithoutAReplyTakeEffect(t *testing.T) {
	r := newRig(t)
	send := func(subject string, data []byte) {
		t.Helper()
		if res := r.space.Publish(&broker.Message{Subject: []byte(subject), Data: data}); res.Nobody() {
			t.Fatalf("nobody takes %s", subject)
		}
	}
	beats := streamtest.NewInbox(t, r.space)
	send("_STAN.discover.tc", (&wire.ConnectRequest{ClientID: "mute", HeartbeatInbox: beats.Subject}).Append(nil))
	streamtest.Await(t, "the client is connected", func() bool { return r.door.client("mute") != nil })
	in := streamtest.NewInbox(t, r.space)
	send("_STAN.sub.tc", (&wire.SubscriptionRequest{ClientID: "mute", Subject: "foo", Inbox: in.Subject, MaxInFlight: 9, AckWaitInSecs: 30, StartPosition: wire.First}).Append(nil))
	send("_STAN.pub.tc.foo", (&wire.PubMsg{ClientID: []byte("mute"), GUID: []byte("g"), Subject: []byte("foo"), Data: []byte("hello")}).Append(nil))
	var m wire.Msg
	if err := m.Decode(in.Next(t).Data); err != nil || string(m.Data) != "hello" {
		t.Fatalf("%+v, %v", m, err)
	}
	send("_STAN.discover.tc.pings", wire.AppendPing(nil, []byte("unknown")))
	send("_STAN.unsub.tc", (&wire.UnsubscribeRequest{ClientID: "mute", Subject: "foo", Inbox: in.Subject}).Append(nil))
	streamtest.Await(t, "the subscription is gone", func() bool { return len(r.door.Subscriptions(t.Context(), "foo")) == 0 })
	send("_STAN.close.tc", wire.AppendClose(nil, "mute"))
	streamtest.Await(t, "the client is gone", func() bool { return r.door.client("mute") == nil })
}

// TestChecksumsAreNotLookedAt: publishers may send one, which the old server ignored.
// Messages come with none.
func TestChecksumsAreNotLookedAt(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	m := wire.PubMsg{ClientID: []byte("me"), GUID: []byte("g"), Subject: []byte("foo"), Data: []byte("d"), ConnID: []byte(p.conn)}
	wrong := append(m.Append(nil), 10<<3|2, 4, 1, 2, 3, 4)
	var a wire.PubAck
	if err := a.Decode(streamtest.Request(t, r.space, "_STAN.pub.tc.foo", nil, wrong).Data); err != nil || a.Error != "" || a.GUID != "g" {
		t.Errorf("%+v, %v", a, err)
	}
	if m := s.want(1); m.CRC32 != 0 || string(m.Data) != "d" {
		t.Errorf("%+v", m)
	}
}

func TestPingsOfUnknownClientsAreRefused(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	for i := range 1000 {
		unknown := wire.AppendPing(nil, fmt.Appendf(nil, "conn-%d", i))
		text, err := wire.DecodeText(streamtest.Request(t, r.space, "_STAN.discover.tc.pings", nil, unknown).Data)
		if err != nil || text != wire.ClientReplaced {
			t.Fatalf("%q, %v", text, err)
		}
	}
	if text := p.ping(); text != "" {
		t.Error(text)
	}
	if n := len(r.door.waiting); n != 0 {
		t.Errorf("%d answers are waited for", n)
	}
}

// TestAClientThatAnswersItsProbeOftenIsThere: each answer costs nothing that stays.
func TestAClientThatAnswersItsProbeOftenIsThere(t *testing.T) {
	r := newRig(t)
	p := r.absent("me")
	hold := make(chan struct{})
	newcomer := streamtest.NewInbox(t, r.space)
	q := wire.ConnectRequest{ClientID: "me", HeartbeatInbox: newcomer.Subject}
	answer := streamtest.Send(t, r.space, "_STAN.discover.tc", nil, q.Append(nil))
	probe := p.beats.Next(t)
	lane := r.door.lane("me")
	held := make(chan struct{})
	lane.push(func() { close(held); <-hold })
	<-held
	for range 1000 {
		r.space.Publish(&broker.Message{Subject: []byte(probe.Reply)})
	}
	lane.mu.Lock()
	tasks := len(lane.tasks)
	lane.mu.Unlock()
	close(hold)
	if tasks > 2 { // of the answer, and of the time that it did not come in
		t.Errorf("%d tasks wait", tasks)
	}
	var resp wire.ConnectResponse
	if err := resp.Decode(answer.Next(t).Data); err != nil {
		t.Error(err)
	}
}

func TestConnectionIDsOfAnyBytesOutliveARestart(t *testing.T) {
	r := newRig(t)
	ids := []string{"plain", "\xff\x00\xfe", notText + "AAAA", "é"}
	for i, id := range ids {
		q := wire.ConnectRequest{ClientID: fmt.Sprint("c", i), HeartbeatInbox: streamtest.NewInbox(t, r.space).Subject, Protocol: 1, ConnID: []byte(id)}
		if resp := r.ask(&q); resp.Error != "" {
			t.Fatal(resp.Error)
		}
	}
	r.restart()
	for _, id := range ids {
		m := wire.PubMsg{ConnID: []byte(id), GUID: []byte("g"), Subject: []byte("foo")}
		var a wire.PubAck
		if err := a.Decode(streamtest.Request(t, r.space, "_STAN.pub.tc.foo", nil, m.Append(nil)).Data); err != nil || a.Error != "" {
			t.Errorf("connection %q: %+v, %v", id, a, err)
		}
	}
}
