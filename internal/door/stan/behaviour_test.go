package stan

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

func TestConnectIsRefusedInTheProtocolsWords(t *testing.T) {
	r := newRig(t)
	r.connect("me")
	for _, c := range []struct {
		q    wire.ConnectRequest
		want string
	}{
		{wire.ConnectRequest{ClientID: "a"}, wire.InvalidConnReq},
		{wire.ConnectRequest{HeartbeatInbox: "h"}, wire.InvalidClientID},
		{wire.ConnectRequest{ClientID: "a.b", HeartbeatInbox: "h"}, wire.InvalidClientID},
		{wire.ConnectRequest{ClientID: "me", HeartbeatInbox: "h"}, wire.ClientRegistered},
	} {
		if resp := r.ask(&c.q); resp.Error != c.want {
			t.Errorf("%+v: %q", c.q, resp.Error)
		}
	}
	var resp wire.ConnectResponse
	if err := resp.Decode(streamtest.Request(t, r.space, "_STAN.discover.tc", nil, []byte("x")).Data); err != nil || resp.Error != wire.InvalidConnReq {
		t.Errorf("%+v, %v", resp, err)
	}
}

func TestPingValuesAreEchoedToThoseWhoPing(t *testing.T) {
	r := newRig(t)
	resp := r.ask(&wire.ConnectRequest{ClientID: "new", HeartbeatInbox: "h", Protocol: 1, ConnID: []byte("c"), PingInterval: -50, PingMaxOut: 3})
	if resp.PingRequests != "_STAN.discover.tc.pings" || resp.PingInterval != -50 || resp.PingMaxOut != 3 || resp.Protocol != 1 {
		t.Errorf("%+v", resp)
	}
	resp = r.ask(&wire.ConnectRequest{ClientID: "old", HeartbeatInbox: "h"})
	if resp.PingRequests != "" || resp.PingInterval != 0 || resp.PingMaxOut != 0 || resp.PubPrefix != "_STAN.pub.tc" || resp.SubCloseRequests != "_STAN.subclose.tc" {
		t.Errorf("%+v", resp)
	}
}

func TestPublishIsRefusedInTheProtocolsWords(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.MaxChannels = 2 })
	p := r.connect("me")
	p.put("foo", "m")
	publish := func(m wire.PubMsg) string {
		t.Helper()
		var a wire.PubAck
		if err := a.Decode(streamtest.Request(t, r.space, "_STAN.pub.tc.x", nil, m.Append(nil)).Data); err != nil {
			t.Fatal(err)
		}
		return a.Error
	}
	b := func(s string) []byte { return []byte(s) }
	for _, c := range []struct {
		name string
		m    wire.PubMsg
		want string
	}{
		{"no guid", wire.PubMsg{ClientID: b("me"), Subject: b("foo")}, wire.InvalidPubReq},
		{"wildcard", wire.PubMsg{ClientID: b("me"), GUID: b("g"), Subject: b("foo.*")}, wire.InvalidPubReq},
		{"unknown client", wire.PubMsg{ClientID: b("you"), GUID: b("g"), Subject: b("foo")}, wire.InvalidPubReq},
		{"unknown connection of a known client", wire.PubMsg{ClientID: b("me"), ConnID: b("x"), GUID: b("g"), Subject: b("foo")}, wire.InvalidPubReq},
		{"known client, old protocol", wire.PubMsg{ClientID: b("me"), GUID: b("g"), Subject: b("foo")}, ""},
		{"the message names the channel", wire.PubMsg{ClientID: b("me"), GUID: b("g"), Subject: b("bar")}, ""},
		{"other case", wire.PubMsg{ClientID: b("me"), GUID: b("g"), Subject: b("FOO")}, wire.CaseClash("FOO", "foo")},
		{"one too many", wire.PubMsg{ClientID: b("me"), GUID: b("g"), Subject: b("baz")}, wire.TooManyChannels},
	} {
		if got := publish(c.m); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	var a wire.PubAck
	if err := a.Decode(streamtest.Request(t, r.space, "_STAN.pub.tc.foo", nil, []byte("rubbish")).Data); err != nil || a.Error != wire.InvalidPubReq {
		t.Errorf("rubbish: %+v, %v", a, err)
	}
}

func TestManyDistinctChannelsAreRefusedAtTheLimit(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	const n = 5000
	for i := range n {
		p.publish(fmt.Sprintf("c%s.%d", strings.Repeat("x", i%50), i), "m")
	}
	stored := 0
	for range n {
		switch text := p.acked(); text {
		case "":
			stored++
		case wire.TooManyChannels:
		default:
			t.Fatal(text)
		}
	}
	if stored != 100 || len(r.door.channels) != 100 {
		t.Errorf("%d are stored, in %d channels", stored, len(r.door.channels))
	}
}

func TestSubscribeIsRefusedInTheProtocolsWords(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.MaxSubs = 2 })
	p := r.connect("me")
	ask := func(q wire.SubscriptionRequest) string {
		t.Helper()
		var resp wire.SubscriptionResponse
		if err := resp.Decode(streamtest.Request(t, r.space, "_STAN.sub.tc", nil, q.Append(nil)).Data); err != nil {
			t.Fatal(err)
		}
		return resp.Error
	}
	good := wire.SubscriptionRequest{ClientID: "me", Subject: "foo", Inbox: "i", MaxInFlight: 1, AckWaitInSecs: 1}
	for want, change := range map[string]func(q *wire.SubscriptionRequest){
		wire.MissingClient:      func(q *wire.SubscriptionRequest) { q.ClientID, q.AckWaitInSecs = "", 0 },
		wire.InvalidAckWait:     func(q *wire.SubscriptionRequest) { q.AckWaitInSecs, q.MaxInFlight = 0, 0 },
		wire.InvalidMaxInFlight: func(q *wire.SubscriptionRequest) { q.MaxInFlight, q.StartPosition = 0, 9 },
		wire.InvalidStart:       func(q *wire.SubscriptionRequest) { q.StartPosition, q.Subject = 5, "foo.>" },
		wire.InvalidSubject:     func(q *wire.SubscriptionRequest) { q.Subject, q.ClientID = "foo.>", "you" },
		wire.UnknownClient:      func(q *wire.SubscriptionRequest) { q.ClientID = "you" },
		wire.InvalidDurableName: func(q *wire.SubscriptionRequest) { q.DurableName, q.QGroup = "my:dur", "bar" },
	} {
		q := good
		if change(&q); ask(q) != want {
			t.Errorf("%+v is not answered with %q", q, want)
		}
	}
	dur := wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}
	p.subscribe(dur)
	if _, text := p.try(&dur); text != wire.DupDurable {
		t.Errorf("a second durable: %q", text)
	}
	dur.Subject = "bar"
	p.subscribe(dur)
	p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	if text := ask(good); text != wire.TooManySubs {
		t.Errorf("a third subscription: %q", text)
	}
}

func TestEndingASubscriptionIsRefusedInTheProtocolsWords(t *testing.T) {
	r := newRig(t)
	p, other := r.connect("me"), r.connect("other")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	for _, subject := range []string{"_STAN.unsub.tc", "_STAN.subclose.tc"} {
		for want, q := range map[string]wire.UnsubscribeRequest{
			wire.UnknownChannel: {ClientID: "me", Subject: "bar", Inbox: s.ack},
			wire.InvalidSub:     {ClientID: "me", Subject: "foo", Inbox: "nowhere"},
			wire.UnknownClient:  {ClientID: "foobar", Subject: "foo", Inbox: s.ack},
		} {
			if text := r.endSub(subject, &q); text != want {
				t.Errorf("%s: %q, want %q", subject, text, want)
			}
		}
		if text := r.endSub(subject, &wire.UnsubscribeRequest{ClientID: other.id, Subject: "foo", Inbox: s.ack}); text != wire.UnknownClient {
			t.Errorf("ended by somebody else: %q", text)
		}
		var resp wire.SubscriptionResponse
		if err := resp.Decode(streamtest.Request(t, r.space, subject, nil, []byte("x")).Data); err != nil || resp.Error != wire.InvalidUnsubReq {
			t.Errorf("%+v, %v", resp, err)
		}
	}
	if text, err := wire.DecodeText(streamtest.Request(t, r.space, "_STAN.close.tc", nil, []byte("x")).Data); err != nil || text != wire.InvalidCloseReq {
		t.Errorf("%q, %v", text, err)
	}
	s.unsubscribe()
}

func TestStartPositions(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	p.put("foo", numbers(3)...)
	between := time.Now()
	streamtest.Await(t, "the clock moves", func() bool { return time.Since(between) > 300*time.Millisecond })
	p.put("foo", "m4", "m5")
	subs := map[string]*sub{}
	first := map[string]uint64{}
	start := func(name string, want uint64, q wire.SubscriptionRequest) {
		q.Subject = "foo"
		subs[name], first[name] = p.subscribe(q), want
	}
	start("new only", 6, wire.SubscriptionRequest{})
	start("last", 5, wire.SubscriptionRequest{StartPosition: wire.LastReceived})
	start("time", 4, wire.SubscriptionRequest{StartPosition: wire.TimeDeltaStart, StartTimeDelta: int64(time.Since(between))})
	start("long ago", 1, wire.SubscriptionRequest{StartPosition: wire.TimeDeltaStart, StartTimeDelta: int64(time.Hour)})
	start("in the future", 6, wire.SubscriptionRequest{StartPosition: wire.TimeDeltaStart, StartTimeDelta: -int64(time.Hour)})
	start("in the farthest future", 6, wire.SubscriptionRequest{StartPosition: wire.TimeDeltaStart, StartTimeDelta: math.MinInt64})
	start("the longest ago", 1, wire.SubscriptionRequest{StartPosition: wire.TimeDeltaStart, StartTimeDelta: math.MaxInt64})
	start("sequence", 3, wire.SubscriptionRequest{StartPosition: wire.SequenceStart, StartSequence: 3})
	start("sequence 0", 1, wire.SubscriptionRequest{StartPosition: wire.SequenceStart})
	start("a sequence to come", 6, wire.SubscriptionRequest{StartPosition: wire.SequenceStart, StartSequence: 1000})
	start("the last sequence of all", 6, wire.SubscriptionRequest{StartPosition: wire.SequenceStart, StartSequence: math.MaxUint64})
	start("first", 1, wire.SubscriptionRequest{StartPosition: wire.First})
	p.put("foo", "m6")
	for name, s := range subs {
		t.Log(name)
		s.want(count(first[name], 6)...)
	}
	empty := p.subscribe(wire.SubscriptionRequest{Subject: "empty", StartPosition: wire.LastReceived})
	p.put("empty", "m1")
	empty.want(1)
}

func TestMaxInFlightHoldsBackWhatIsNew(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	p.put("foo", numbers(15)...)
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", MaxInFlight: 10, StartPosition: wire.First})
	s.want(count(1, 10)...)
	s.quiet()
	s.acknowledge(3)
	s.want(11)
	s.quiet()
	s.acknowledge(count(1, 11)...)
	s.want(12, 13, 14, 15)
}

func TestUnacknowledgedMessagesComeAgainWithFlagAndCount(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", AckWaitInSecs: 1})
	p.put("foo", numbers(6)...)
	s.want(count(1, 6)...)
	s.acknowledge(1, 3, 5)
	begun := time.Now()
	for _, n := range []uint32{1, 2} {
		for _, seq := range []uint64{2, 4, 6} {
			if m := s.want(seq); !m.Redelivered || m.RedeliveryCount != n {
				t.Errorf("%+v", m)
			}
		}
	}
	if took := time.Since(begun); took < 1900*time.Millisecond {
		t.Errorf("the second time is %v after the first", took)
	}
	s.acknowledge(2, 4, 6)
}

func TestAcksForOthersSubscriptionsAndUnknownMessagesAreIgnored(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	a := p.subscribe(wire.SubscriptionRequest{Subject: "foo", MaxInFlight: 1})
	b := p.subscribe(wire.SubscriptionRequest{Subject: "bar"})
	p.put("foo", "m1", "m2")
	a.want(1)
	b.acknowledge(1) // for another channel
	wrong := *a
	wrong.channel = "bar"
	wrong.acknowledge(1)
	a.acknowledge(0, 7, 2)
	r.space.Publish(&broker.Message{Subject: []byte(a.ack), Data: []byte("rubbish")})
	a.quiet()
	a.acknowledge(1)
	a.want(2)
}

func TestUnsubscribeForgetsADurableAndCloseKeepsIt(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	dur := wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}
	s := p.subscribe(dur)
	p.put("foo", "m1")
	s.want(1)
	s.acknowledge(1)
	s.closeSub()
	p.put("foo", "m2")
	s.quiet()
	s = p.subscribe(dur)
	s.want(2)
	s.unsubscribe()
	p.put("foo", "m3")
	s = p.subscribe(dur)
	p.put("foo", "m4")
	s.want(4)
}

func TestSubscriptionOfARequestThatTimedOutIsClosedWithoutAnAnswer(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	dur := wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}
	s := p.subscribe(dur)
	q := wire.UnsubscribeRequest{ClientID: "me", Subject: "foo", Inbox: s.in.Subject}
	r.space.Publish(&broker.Message{Subject: []byte("_STAN.subclose.tc"), Data: q.Append(nil)})
	p.subscribe(dur) // would be a duplicate
}

func TestReplaceDurableTakesItFromWhoeverHasIt(t *testing.T) {
	r := newRig(t, func(o *Options) { o.ReplaceDurable = true })
	p := r.connect("me")
	dur := wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}
	a := p.subscribe(dur)
	p.put("foo", "m1")
	a.want(1)
	b := p.subscribe(dur)
	if m := b.want(1); !m.Redelivered {
		t.Errorf("%+v", m)
	}
	p.put("foo", "m2")
	b.want(2)
	a.quiet()
	if text := a.leave("_STAN.unsub.tc"); text != wire.InvalidSub {
		t.Errorf("the one that lost it ends it: %q", text)
	}
	b.closeSub()
}

func TestHeartbeatsCloseAClientThatDoesNotAnswer(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.HeartbeatInterval, o.HeartbeatTimeout, o.HeartbeatFails = 100*time.Millisecond, 50*time.Millisecond, 3
	})
	alive, dead := r.connect("alive"), r.absent("dead")
	dead.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"})
	s := alive.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	streamtest.Await(t, "the dead client is closed", func() bool { return r.door.client("dead") == nil })
	if dead.ping() != wire.ClientReplaced || alive.ping() != "" {
		t.Error("pings do not tell them apart")
	}
	if n := len(dead.beats.C); n != 4 {
		t.Errorf("it was asked %d times", n)
	}
	alive.put("foo", "m1")
	s.want(1)
	again := r.connect("dead")
	again.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}).want(1)
}
