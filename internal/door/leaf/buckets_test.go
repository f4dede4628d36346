package leaf

import (
	"testing"

	"github.com/weirmq/weir/internal/broker"
)

func TestBucketsAreReachedByTheirDomain(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	kv := &inbox{c: make(chan string, 8)}
	kv.sub = &broker.Subscription{Subject: "$KV.b.>", Kind: broker.KindStream, Sink: kv}
	n.space.Subscribe(kv.sub)
	g.want("LS+ $JS.here.API.$KV.>")
	g.want("LS+ $JS.here.API.$OBJ.>")
	g.say("LMSG $KV.b.k 2", "no", "LMSG $JS.here.API.$KV.b.k re.ply 1", "v", "LMSG $JS.there.API.$KV.b.k 2", "no", "LMSG $JS.here.API.$KV.b.k2 1", "w")
	kv.want(t, `$KV.b.k|re.ply|""|v`)
	kv.want(t, `$KV.b.k2||""|w`)
	full := &inbox{verdict: broker.Full}
	n.space.Subscribe(&broker.Subscription{Subject: "$KV.full.>", Kind: broker.KindStream, Sink: full})
	g.say("LMSG $JS.here.API.$KV.full.k 2", "no")
	await(t, "it is counted", func() bool { return n.Totals().Refused == 1 })
}

func TestWithoutJetStreamNoBucketsAreAnnounced(t *testing.T) {
	h := newHub(t)
	n := join(t, func(o *Options) { o.Domain, o.JetStream = "", false }, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	n.subscribe("end", "")
	if a, b := <-g.got, <-g.got; b != "LS+ end" {
		t.Errorf("%q, %q", a, b)
	}
}
