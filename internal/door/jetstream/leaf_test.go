package jetstream

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// far is where another server's messages come from. Nothing is sent there.
type far struct{ broker.Sink }

func (*far) Link() {}

func TestWhatCameOverALinkIsAcknowledgedOnlyIfTheStreamSaysSo(t *testing.T) {
	r := newRig(t)
	r.stream("QUIET", "q.>")
	r.stream("LOUD", "l.>", `"metadata":{"weir.leaf.ack":"true"}`)
	p := broker.NewPublisher(r.space, broker.PublisherOptions{Origin: new(far), Echo: true})
	defer p.Release()
	send := func(subject string) *streamtest.Inbox {
		in := streamtest.NewInbox(t, r.space)
		if res := p.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(in.Subject), Data: []byte("x")}); res.Streams != 1 {
			t.Fatalf("%s: %+v", subject, res)
		}
		p.HandOver()
		return in
	}
	quiet := send("q.1")
	if a := r.decode(send("l.1").Next(t).Data); a.Stream != "LOUD" || a.Seq != 1 {
		t.Errorf("%+v", a)
	}
	r.stored(2, "q.2", "ours") // which is behind the one that came over the link
	quiet.None(t)

	// The stream may say otherwise later.
	r.ok("STREAM.UPDATE.QUIET", streamConfig("QUIET", "q.>", `"metadata":{"weir.leaf.ack":"true"}`))
	if a := r.decode(send("q.3").Next(t).Data); a.Stream != "QUIET" || a.Seq != 3 {
		t.Errorf("%+v", a)
	}
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.CREATE.BAD", streamConfig("BAD", "b", `"metadata":{"weir.leaf.ack":"maybe"}`))
}

func TestAnAcknowledgementForAnotherDomainIsNotTaken(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s")
	r.consumer("S", "C")
	r.stored(1, "s", "x")
	m := r.fetch("S", "C", 1)[0]
	rest := strings.TrimPrefix(m.Reply, wire.AckPrefix)
	if res := r.space.Publish(&broker.Message{Subject: []byte(wire.AckPrefix + "other.weir." + rest)}); !res.Nobody() {
		t.Errorf("%+v", res)
	}
	if i := r.info("S", "C"); i.NumAckPending != 1 {
		t.Errorf("%d wait for an acknowledgement", i.NumAckPending)
	}
	m.Reply = wire.AckPrefix + "_.weir." + rest
	r.ack(m, "+ACK")
	if i := r.info("S", "C"); i.NumAckPending != 0 {
		t.Errorf("%d wait for an acknowledgement", i.NumAckPending)
	}
}
