package jetstream

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func TestATTLNeedsAStreamThatAllowsIt(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.denied(wire.CodeTTLDisabled, "s.a", "1", "Nats-TTL", "1s")
	r.denied(wire.CodeTTLInvalid, "s.a", "1", "Nats-TTL", "soon")
	r.stream("T", "t.>", `"allow_msg_ttl":true`)
	r.denied(wire.CodeTTLInvalid, "t.a", "1", "Nats-TTL", "0")
	r.stored(1, "t.a", "1", "Nats-TTL", "never")
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.T", streamConfig("T", "t.>"))
}

func TestMessagesGoWhenTheirTTLEnds(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"allow_msg_ttl":true`, `"max_age":2000000000`)
	r.stored(1, "s.a", "stays", "Nats-TTL", "never")
	r.stored(2, "s.b", "goes", "Nats-TTL", "1")
	r.stored(3, "s.c", "by age")
	msgs := func() uint64 { return r.ok("STREAM.INFO.S", "").State.Messages }
	streamtest.Await(t, "the second message is gone", func() bool { return msgs() == 2 })
	// A restart in between forgets nothing.
	r = r.restart()
	streamtest.Await(t, "the third message is gone", func() bool { return msgs() == 1 })
	if a := r.ok("STREAM.MSG.GET.S", `{"seq":1}`); string(a.Message.Data) != "stays" {
		t.Errorf("left is %q", a.Message.Data)
	}
}

func TestTheLastOfASubjectLeavesAMarker(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"subject_delete_marker_ttl":1000000000`, `"max_age":1000000000`)
	if c := r.ok("STREAM.INFO.S", ""); !strings.Contains(string(c.Config), `"allowmsgttl":true`) || !strings.Contains(string(c.Config), `"allowrolluphdrs":true`) {
		t.Errorf("what markers need is not on: %s", c.Config)
	}
	in := streamtest.Subscribe(t, r.space, "d")
	r.consumer("S", "c", `"deliver_subject":"d"`, `"ack_policy":"none"`)
	r.stored(1, "s.a", "1")
	r.stored(2, "s.a", "2")
	r.stored(3, "s.b", "3")
	wantNext(t, in, "s.a=1", "s.a=2", "s.b=3")
	want := "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: 1s\r\nNats-Rollup: sub\r\n\r\n"
	seen := map[string]bool{}
	for range 2 {
		m := in.Next(t)
		if string(m.Header) != want || len(m.Data) > 0 {
			t.Errorf("%s: %q %q", m.Subject, m.Header, m.Data)
		}
		seen[m.Subject] = true
	}
	if !seen["s.a"] || !seen["s.b"] {
		t.Errorf("markers for %v", seen)
	}
	// The markers go, too, and leave nothing.
	streamtest.Await(t, "nothing is left", func() bool { return r.ok("STREAM.INFO.S", "").State.Messages == 0 })
	in.None(t)
	if a := r.ok("STREAM.INFO.S", ""); a.State.LastSeq != 5 {
		t.Errorf("%d records were stored", a.State.LastSeq)
	}
}

func TestATTLBelowThatOfMarkersIsRaised(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"subject_delete_marker_ttl":60000000000`)
	r.stored(1, "s.a", "1", "Nats-TTL", "5s")
	if a := r.ok("STREAM.MSG.GET.S", `{"seq":1}`); !strings.Contains(string(a.Message.Hdrs), "Nats-TTL: 60\r\n") {
		t.Errorf("header %q", a.Message.Hdrs)
	}
}
