package leaf

import (
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
)

func TestMessagesGoBothWays(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	in := n.subscribe("to.*", "")
	g.want("LS+ to.*")
	g.say("LMSG to.a 3", "one", "LMSG to.b re.ply 3", "two", "HMSG to.c re 17 22", "NATS/1.0\r\nK:v\r\n\r\nthree")
	in.want(t, `to.a||""|one`)
	in.want(t, `to.b|re.ply|""|two`)
	in.want(t, `to.c|re|"NATS/1.0\r\nK:v\r\n\r\n"|three`)

	g.say("LS+ from.*")
	n.interested(t, "from.x")
	n.publish("from.a", "", "one")
	g.want("LMSG from.a 3 one")
	n.publish("from.b", "re.ply", "two")
	g.want("LMSG from.b re.ply 3 two")
	n.space.Publish(&broker.Message{Subject: []byte("from.c"), Header: []byte("NATS/1.0\r\nK:v\r\n\r\n"), Data: []byte("x")})
	g.want("HMSG from.c 17 18 NATS/1.0\r\nK:v\r\n\r\nx")
	g.say("LS- from.*")
	await(t, "nobody wants it any more", func() bool { return n.space.Match([]byte("from.z")).Empty() })
	n.space.Unsubscribe(in.sub)
	g.want("LS- to.*")
}

func TestAMessageIsSentOnceWithAllItsGroups(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	g.say("LS+ a.>", "LS+ a.b", "LS+ a.b q1 2", "LS+ a.* q2 1", "LS+ only q3 1", "LS+ ready")
	n.interested(t, "ready")
	n.publish("a.b", "", "x")
	g.want("LMSG a.b | q1 q2 1 x")
	n.publish("a.b", "re", "x")
	g.want("LMSG a.b + re q1 q2 1 x")
	n.publish("a.c.d", "", "x")
	g.want("LMSG a.c.d 1 x")
	n.publish("only", "re", "x")
	g.want("LMSG only + re q3 1 x")

	// Several in one hand-over, the same subject among them.
	p := broker.NewPublisher(n.space, broker.PublisherOptions{Echo: true})
	for _, s := range []string{"a.b", "a.b", "a.c"} {
		p.Publish(&broker.Message{Subject: []byte(s), Data: []byte("y")})
	}
	p.Release()
	g.want("LMSG a.b | q1 q2 1 y")
	g.want("LMSG a.b | q1 q2 1 y")
	g.want("LMSG a.c | q2 1 y")

	// A member here is nearer.
	here := n.subscribe("only", "q3")
	n.publish("only", "", "near")
	here.want(t, `only||""|near`)
}

func TestQueueGroupsHereAreAnnouncedWithTheirWeight(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	a := n.subscribe("jobs", "w")
	g.want("LS+ jobs w 1")
	b := n.subscribe("jobs", "w")
	g.want("LS+ jobs w 2")
	plain := n.subscribe("jobs", "")
	g.want("LS+ jobs")
	n.subscribe("jobs", "v")
	g.want("LS+ jobs v 1")

	g.say("LMSG jobs 4", "none", "LMSG jobs | w 1", "w", "LMSG jobs + re w v 2", "wv")
	plain.want(t, `jobs||""|none`)
	plain.want(t, `jobs||""|w`)
	plain.want(t, `jobs|re|""|wv`)
	await(t, "one member of the group gets each", func() bool { return len(a.c)+len(b.c) == 2 })
	n.space.Unsubscribe(b.sub)
	g.want("LS+ jobs w 1")
	n.space.Unsubscribe(a.sub)
	g.want("LS- jobs w")
	again := n.subscribe("jobs", "")
	n.space.Unsubscribe(plain.sub)
	n.space.Unsubscribe(again.sub)
	g.want("LS- jobs")
}

func TestWhatCameOverALinkGoesOverNone(t *testing.T) {
	one, two := newHub(t), newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{one.url()}}, RemoteOptions{URLs: []string{two.url()}})
	a, b := one.guest(), two.guest()
	a.say("LS+ x.>", "LS+ here.a")
	b.say("LS+ x.>", "LS+ here.b")
	n.interested(t, "here.a")
	n.interested(t, "here.b")
	in := n.subscribe("x.*", "")
	a.want("LS+ x.*")
	b.want("LS+ x.*")
	a.say("LMSG x.1 2", "hi")
	in.want(t, `x.1||""|hi`)
	n.publish("x.2", "", "ours")
	a.want("LMSG x.2 4 ours") // and nothing before it
	b.want("LMSG x.2 4 ours")
}

func TestWhatStaysDoesNotCross(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}, DenyImports: []string{"in.no.>"}, DenyExports: []string{"out.no"}})
	g := h.guest()
	if want := []string{"in.no.>"}; !slices.Equal(g.hello.DenyPub, want) {
		t.Errorf("deny_pub is %q", g.hello.DenyPub)
	}
	n.subscribe("begin", "")
	g.want("LS+ begin")
	n.subscribe("$JS.API.INFO", "")
	n.subscribe("$KV.b.>", "")
	n.subscribe("$SYS.REQ.USER.INFO", "")
	n.subscribe("in.no.x", "")
	wide := n.subscribe("in.>", "")
	n.subscribe("end", "")
	var lines []string
	for line := range g.got {
		if lines = append(lines, line); line == "LS+ end" {
			break
		}
	}
	if len(lines) != 2 || lines[0] != "LS+ in.>" {
		t.Errorf("announced: %q", lines)
	}
	g.say("LMSG in.no.x 1", "x", "LMSG in.yes 1", "y")
	wide.want(t, `in.yes||""|y`)

	g.say("LS+ $SYS.REQ.USER.INFO", "LS+ out.no", "LS+ out.>", "LS+ >", "LS+ $JS.API.>")
	n.interested(t, "anything")
	for _, s := range []string{"$JS.API.INFO", "$KV.b.k", "$SYS.X", "$WEIR.API.GROUP.LIST", "out.no"} {
		n.publish(s, "", "no")
	}
	n.publish("out.yes", "", "yes")
	g.want("LMSG out.yes 3 yes")
	for _, s := range n.Links()[0].Subscriptions {
		if strings.HasPrefix(s, "$") || s == "out.no" {
			t.Errorf("subscribed to %s", s)
		}
	}
}
