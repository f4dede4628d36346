package stan

import (
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

func TestInactiveChannelIsDeletedWithItsOfflineDurables(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.MaxInactivity = 300 * time.Millisecond })
	p := r.connect("me")
	dur := wire.SubscriptionRequest{Subject: "foo", DurableName: "dur"}
	s := p.subscribe(dur)
	p.put("foo", "m1")
	s.want(1)
	p.put("bar", "m1") // nobody ever subscribes
	streamtest.Await(t, "the unused channel is deleted", func() bool { return r.door.channel("bar") == nil })
	if r.door.channel("foo") == nil {
		t.Fatal("a channel with an active subscription is deleted")
	}
	s.closeSub()
	streamtest.Await(t, "the channel is deleted", func() bool { return r.door.channel("foo") == nil })
	again := p.subscribe(dur)
	p.put("foo", "new")
	if m := again.want(1); string(m.Data) != "new" {
		t.Errorf("%q", m.Data)
	}
}

func TestRepublishedChannelIsHeardByPlainSubscribers(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Republish = []string{"foo.*"} })
	p := r.connect("me")
	in, other := streamtest.Subscribe(t, r.space, "foo.>"), streamtest.Subscribe(t, r.space, "bar")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo.a"})
	p.put("foo.a", "m1")
	p.put("bar", "m1")
	if m := in.Next(t); m.Subject != "foo.a" || string(m.Data) != "m1" {
		t.Errorf("%+v", m)
	}
	s.want(1)
	s.quiet()
	other.None(t)
}

func TestMessageKeepsItsReply(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	m := wire.PubMsg{ClientID: []byte("me"), GUID: []byte("g"), Subject: []byte("foo"), Reply: []byte("there"), Data: []byte("m")}
	streamtest.Request(t, r.space, "_STAN.pub.tc.foo", nil, m.Append(nil))
	if got := s.want(1); string(got.Reply) != "there" || string(got.Data) != "m" {
		t.Errorf("%+v", got)
	}
}

// TestChannelsMayHaveNamesThatAreNoSubjects: the protocol looks at little of a name, and
// PubMsg has it, so that a client need not publish to it. Others see a subject.
func TestChannelsMayHaveNamesThatAreNoSubjects(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	for _, name := range []string{"a b", "tab\there.x", "line\r\nend", "\x00"} {
		s := p.subscribe(wire.SubscriptionRequest{Subject: name, DurableName: "dur"})
		m := wire.PubMsg{ClientID: []byte("me"), GUID: []byte("g"), Subject: []byte(name), Data: []byte("m1")}
		var ack wire.PubAck
		if err := ack.Decode(streamtest.Request(t, r.space, "_STAN.pub.tc.x", nil, m.Append(nil)).Data); err != nil || ack.Error != "" {
			t.Errorf("%q: %q, %v", name, ack.Error, err)
		}
		if m := s.want(1); string(m.Subject) != name {
			t.Errorf("%q is told as %q", name, m.Subject)
		}
		s.acknowledge(1)
		got := streamtest.Request(t, r.space, "$JS.API.DIRECT.GET."+wire.StreamName(name), nil, []byte(`{"seq":1}`))
		if string(got.Data) != "m1" || !strings.Contains(string(got.Header), "Nats-Subject: "+wire.StreamName(name)+"\r\n") {
			t.Errorf("%q through JetStream: %q %q", name, got.Header, got.Data)
		}
	}
	p.stopBeats()
	r.restart()
	p.move(r)
	for _, name := range []string{"a b", "\x00"} {
		if ch := r.door.channel(name); ch == nil || len(ch.groups) != 1 {
			t.Errorf("%q is lost", name)
		}
	}
}

func TestNarrowestPatternLimitsAChannel(t *testing.T) {
	l := DefaultLimits()
	l.Channels = map[string]ChannelLimits{
		">": {MaxMsgs: 1, MaxSubs: 1}, "foo.>": {MaxMsgs: 2}, "foo.*": {MaxMsgs: 3, MaxBytes: -1}, "*.bar": {MaxMsgs: 9, MaxAge: time.Hour}, "foo.bar": {MaxMsgs: 4},
	}
	for name, want := range map[string]int64{"x": 1, "foo.a.b": 2, "foo.a": 3, "foo.bar": 4, "x.bar": 9} {
		if got := l.Of(name); got.MaxMsgs != want || got.MaxSubs != 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for pattern, want := range map[string]int64{"foo.>": 2, "foo.*": 3, "*.bar": 9, ">": 1} {
		if got := l.Of(pattern); got.MaxMsgs != want {
			t.Errorf("%s: %+v", pattern, got)
		}
	}
	if got := l.Of("foo.bar"); got.MaxBytes != 0 || got.MaxAge != time.Hour {
		t.Errorf("%+v", got)
	}
}
