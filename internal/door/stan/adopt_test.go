package stan

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

func (r *rig) adopt(q *wire.Adoption) wire.Adopted {
	r.t.Helper()
	b, err := json.Marshal(q)
	if err != nil {
		r.t.Fatal(err)
	}
	var a wire.Adopted
	if err := json.Unmarshal(streamtest.Request(r.t, r.space, wire.AdoptSubject("tc"), nil, b).Data, &a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

func TestAdoptedDurablesGoOnWhereTheyStood(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	p.put("foo", numbers(6)...)
	q := wire.Adoption{Channel: "foo", Client: "me", Durable: "d", MaxInFlight: 10, AckWait: 30, LastSent: 4, Pending: []uint64{2, 4}}
	if a := r.adopt(&q); a != (wire.Adopted{LastSent: 4, Pending: 2}) {
		t.Fatalf("%+v", a)
	}
	if a := r.adopt(&q); a != (wire.Adopted{LastSent: 4, Pending: 2, Kept: true}) {
		t.Fatalf("again: %+v", a)
	}
	g := wire.Adoption{Channel: "foo", Durable: "d", Queue: "q", MaxInFlight: 10, AckWait: 30, LastSent: 99, Pending: []uint64{1, 98}}
	if a := r.adopt(&g); a != (wire.Adopted{LastSent: 6, Pending: 1}) {
		t.Fatalf("a group: %+v", a)
	}
	n := wire.Adoption{Channel: "foo", Client: "me", Durable: "new", LastSent: 0}
	if a := r.adopt(&n); a != (wire.Adopted{}) {
		t.Fatalf("nothing was sent: %+v", a)
	}
	r.restart()
	p.r = r
	subs := r.door.Subscriptions(context.Background(), "foo")
	if len(subs) != 3 || !subs[0].Offline || subs[0].Client != "me" {
		t.Errorf("%+v", subs)
	}
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "d", StartPosition: wire.First})
	for _, seq := range []uint64{2, 4} {
		if m := s.want(seq); !m.Redelivered {
			t.Errorf("message %d comes as if for the first time", seq)
		}
	}
	if m := s.want(5, 6); m.Redelivered {
		t.Error("message 6 comes again")
	}
	s = p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "d", QGroup: "q", StartPosition: wire.First})
	s.want(1)
	s.quiet()
	p.subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "new"}).want(1, 2, 3, 4, 5, 6)
}

// TestAnImportMakesTheStreamsThatTheDoorMakes holds what a channel's metadata says
// against what the streams' protocol knows.
func TestAnImportMakesTheStreamsThatTheDoorMakes(t *testing.T) {
	m := wire.ChannelMetadata("foo", "tc")
	if m[jswire.MetaCapture] != jswire.CaptureNone || m[wire.MetaChannel] != "foo" || m[wire.MetaCluster] != "tc" {
		t.Errorf("%v", m)
	}
}

func TestDurablesThatCannotBeAreNotAdopted(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.MaxChannels, o.Limits.MaxSubs = 1, 1 })
	ok := wire.Adoption{Channel: "foo", Client: "me", Durable: "d", LastSent: 4}
	if a := r.adopt(&ok); a.Error != "" {
		t.Fatal(a.Error)
	}
	for want, q := range map[string]wire.Adoption{
		wire.InvalidSubject:     {Channel: "a..b", Client: "me", Durable: "d"},
		"needs a name":          {Channel: "foo", Client: "me"},
		"and a client":          {Channel: "foo", Client: "m.e", Durable: "x"},
		wire.InvalidDurableName: {Channel: "foo", Durable: "d:e", Queue: "q"},
		"not in order":          {Channel: "foo", Client: "me", Durable: "e", Pending: []uint64{2, 1}},
		wire.TooManySubs:        {Channel: "foo", Client: "me", Durable: "e"},
		wire.TooManyChannels:    {Channel: "bar", Client: "me", Durable: "e"},
	} {
		if a := r.adopt(&q); !strings.Contains(a.Error, want) {
			t.Errorf("%+v: %q, want %q", q, a.Error, want)
		}
	}
	if got := string(streamtest.Request(t, r.space, wire.AdoptSubject("tc"), nil, []byte("{")).Data); !strings.Contains(got, "error") {
		t.Error(got)
	}
}

// TestAdoptedClientsGoOnWithoutConnectingAgain: their publishes are taken, messages come to
// the inboxes that they have, and acknowledgements count that go to those of the other
// server; also after a restart.
func TestAdoptedClientsGoOnWithoutConnectingAgain(t *testing.T) {
	r := newRig(t)
	r.connect("me").put("foo", numbers(4)...)
	p := &peer{r: r, id: "old", conn: "old\xffconn", beats: streamtest.NewInbox(t, r.space), acks: streamtest.Subscribe(t, r.space, "_INBOX.acks.old")}
	session := wire.Adoption{Session: &wire.AdoptedSession{ID: p.id, HeartbeatInbox: p.beats.Subject, ConnID: []byte(p.conn), Protocol: 1, PingInterval: 5}}
	if a := r.adopt(&session); a != (wire.Adopted{}) {
		t.Fatalf("%+v", a)
	}
	if a := r.adopt(&session); a != (wire.Adopted{Kept: true}) {
		t.Fatalf("again: %+v", a)
	}
	member := func(name string) *sub {
		return &sub{p: p, channel: "foo", in: streamtest.Subscribe(t, r.space, "_INBOX.old."+name), ack: "_STAN.ack.tc.foo." + name}
	}
	subs := map[string]*sub{"plain": member("plain"), "dur": member("dur"), "group": member("group")}
	for name, q := range map[string]*wire.Adoption{
		"plain": {Client: "old", LastSent: 4, Pending: []uint64{3}},
		"dur":   {Client: "old", Durable: "d", LastSent: 3, Pending: []uint64{1, 2}},
		"group": {Client: "old", Queue: "q", LastSent: 4},
	} {
		s := subs[name]
		q.Channel, q.Members = "foo", []wire.AdoptedMember{{Client: "old", Inbox: s.in.Subject, AckInbox: s.ack, MaxInFlight: 10, AckWait: 3600}}
		want := wire.Adopted{LastSent: q.LastSent, Pending: len(q.Pending)}
		if a := r.adopt(q); a != want {
			t.Fatalf("%s: %+v", name, a)
		}
		if a := r.adopt(q); !a.Kept || a.Error != "" {
			t.Fatalf("%s again: %+v", name, a)
		}
	}
	if m := subs["plain"].want(3); !m.Redelivered {
		t.Error("message 3 comes as if for the first time")
	}
	subs["dur"].want(1, 2, 4)
	subs["dur"].acknowledge(1, 2)
	if text := p.ping(); text != "" {
		t.Errorf("ping: %q", text)
	}
	p.put("foo", "m5")
	for _, s := range subs {
		s.want(5)
		s.acknowledge(3, 4, 5)
	}
	subs["dur"].quiet()
	r.restart()
	p.move(r, subs["plain"], subs["dur"], subs["group"])
	p.put("foo", "m6")
	for _, s := range subs {
		s.want(6)
		s.acknowledge(6)
	}
	subs["plain"].unsubscribe()
	if text := p.close(); text != "" {
		t.Error(text)
	}
	s := r.connect("old").subscribe(wire.SubscriptionRequest{Subject: "foo", DurableName: "d"})
	s.quiet() // all was acknowledged

	other := session
	other.Session = &wire.AdoptedSession{ID: "old", HeartbeatInbox: "elsewhere"}
	if a := r.adopt(&other); a != (wire.Adopted{Kept: true, Another: true}) {
		t.Errorf("another session: %+v", a)
	}
	for what, q := range map[string]wire.Adoption{
		wire.InvalidConnReq: {Session: &wire.AdoptedSession{ID: "x", HeartbeatInbox: "a b"}},
		"no client":         {Channel: "foo", Client: "gone", Members: []wire.AdoptedMember{{Client: "gone", Inbox: "i", AckInbox: "a"}}},
		"inboxes":           {Channel: "foo", Client: "old", Members: []wire.AdoptedMember{{Client: "old", Inbox: "i"}}},
		"only queue groups": {Channel: "foo", Client: "old", Members: make([]wire.AdoptedMember, 2)},
	} {
		if a := r.adopt(&q); !strings.Contains(a.Error, what) {
			t.Errorf("%+v: %q", q, a.Error)
		}
	}
}
