package jetstream

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	natswire "github.com/weirmq/weir/internal/wire/nats"
)

func wantHeaders(t *testing.T, m streamtest.Msg, kv ...string) {
	t.Helper()
	for i := 0; i < len(kv); i += 2 {
		if got := string(natswire.HeaderValue(m.Header, kv[i])); got != kv[i+1] {
			t.Errorf("%s is %q, want %q, in %q", kv[i], got, kv[i+1], m.Header)
		}
	}
}

func TestWhatIsStoredIsPublishedAgain(t *testing.T) {
	for _, storage := range []string{"file", "memory"} {
		r := newRig(t)
		in := streamtest.Subscribe(t, r.space, "copy.>")
		r.stream("S", "s.*", `"republish":{"src":"s.*","dest":"copy.{{wildcard(1)}}"}`, `"max_msgs":1`, `"storage":"`+storage+`"`)
		r.stored(1, "s.a", "one", "X", "y")
		r.stored(2, "s.b", "two")
		r.stored(3, "s.b", "three")
		m := in.Next(t)
		if m.Subject != "copy.a" || string(m.Data) != "one" || !strings.HasPrefix(string(m.Header), "NATS/1.0\r\nX: y\r\nNats-Stream: S\r\n") {
			t.Fatalf("got %+v", m)
		}
		wantHeaders(t, m, "Nats-Subject", "s.a", "Nats-Sequence", "1", "Nats-Last-Sequence", "0", "Nats-Msg-Size", "")
		in.Next(t)
		m = in.Next(t)
		wantHeaders(t, m, "Nats-Subject", "s.b", "Nats-Sequence", "3", "Nats-Last-Sequence", "2")
		r.ok("STREAM.UPDATE.S", streamConfig("S", "s.*", `"republish":{"dest":"copy.>","headers_only":true}`, `"storage":"`+storage+`"`))
		r.stored(4, "s.b", "four")
		m = in.Next(t)
		wantHeaders(t, m, "Nats-Msg-Size", "4", "Nats-Sequence", "4")
		if len(m.Data) > 0 || m.Subject != "copy.s.b" {
			t.Fatalf("got %+v", m)
		}
		r.ok("STREAM.UPDATE.S", streamConfig("S", "s.*", `"storage":"`+storage+`"`))
		r.stored(5, "s.b", "five")
		in.None(t)
	}
}

func TestACopyPublishesAgainWhatItStores(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o.*")
	r.stored(1, "o.a", "one", "X", "y")
	r.stored(2, "o.b", "two")
	in := streamtest.Subscribe(t, r.space, "copy.>")
	r.ok("STREAM.CREATE.M", `{"name":"M","mirror":{"name":"O"},"republish":{"src":"o.*","dest":"copy.m.$1"}}`)
	m := in.Next(t)
	if m.Subject != "copy.m.a" || string(m.Data) != "one" {
		t.Fatalf("got %+v", m)
	}
	wantHeaders(t, m, "X", "y", "Nats-Stream", "M", "Nats-Subject", "o.a", "Nats-Sequence", "1", "Nats-Last-Sequence", "0")
	in.Next(t)
	r.publish("o.a", "three")
	wantHeaders(t, in.Next(t), "Nats-Sequence", "3", "Nats-Last-Sequence", "1")
	r.ok("STREAM.UPDATE.M", `{"name":"M","mirror":{"name":"O"},"republish":{"src":"o.b","dest":"copy.m","headers_only":true}}`)
	r.publish("o.a", "four")
	r.publish("o.b", "five")
	r.publish("o.b", "six")
	if m = in.Next(t); m.Subject != "copy.m" || len(m.Data) > 0 {
		t.Fatalf("got %+v", m)
	}
	wantHeaders(t, m, "Nats-Sequence", "5", "Nats-Last-Sequence", "2", "Nats-Msg-Size", "4")
	wantHeaders(t, in.Next(t), "Nats-Sequence", "6", "Nats-Last-Sequence", "5")
	r.ok("STREAM.DELETE.M", "")
	r.ok("STREAM.CREATE.S", `{"name":"S","sources":[{"name":"O","opt_start_seq":6}],"republish":{"src":"o.*","dest":"copy.s.$1"}}`)
	wantHeaders(t, in.Next(t), "Nats-Stream", "S", "Nats-Sequence", "1", "Nats-Last-Sequence", "0")
}

func TestRepublishingIntoACircleEnds(t *testing.T) {
	r := newRig(t)
	r.refused(10052, "STREAM.CREATE.S", streamConfig("S", "a.*", `"republish":{"src":"a.*","dest":"a.$1"}`))
	r.refused(10052, "STREAM.CREATE.S", streamConfig("S", "a.*", `"republish":{"src":">","dest":">"}`))
	r.refused(10052, "STREAM.CREATE.S", streamConfig("S", "a.*", `"republish":{"src":"a.*","dest":"b.$2"}`))
	r.stream("S", "a.*", `"republish":{"src":"a.*","dest":"b.$1"}`)
	r.stream("T", "b.*", `"republish":{"src":"b.*","dest":"a.$1"}`)
	r.stored(1, "a.x", "round")
	streamtest.Await(t, "it came back once", func() bool { return r.ok("STREAM.INFO.S", "").State.LastSeq == 2 })
	r.stored(3, "a.y", "again")
	streamtest.Await(t, "it came back once", func() bool { return r.ok("STREAM.INFO.S", "").State.LastSeq == 4 })
	if n := r.ok("STREAM.INFO.T", "").State.LastSeq; n != 2 {
		t.Fatalf("T has %d messages", n)
	}
}

func TestAMessageIsStoredUnderItsMappedSubject(t *testing.T) {
	r := newRig(t)
	r.refused(10155, "STREAM.CREATE.S", streamConfig("S", "a.>", `"subject_transform":{"src":"a..b","dest":"b"}`))
	r.refused(10156, "STREAM.CREATE.S", streamConfig("S", "a.>", `"subject_transform":{"src":"a.*","dest":"b.$2"}`))
	in := streamtest.Subscribe(t, r.space, "again.>")
	r.stream("S", "a.>", `"subject_transform":{"src":"a.*.*","dest":"b.{{wildcard(2)}}.$1"}`, `"republish":{"src":"b.>","dest":"again.>"}`)
	r.stored(1, "a.x.y", "1", "Nats-Expected-Last-Subject-Sequence", "0")
	r.stored(2, "a.x.y", "2", "Nats-Expected-Last-Subject-Sequence", "1")
	r.stored(3, "a.x", "3") // it does not match
	if m := in.Next(t); m.Subject != "again.y.x" {
		t.Fatalf("republished on %s", m.Subject)
	}
	r = r.restart()
	r.stored(4, "a.p.q", "4")
	r.consumer("S", "c")
	r.wantFetch("S", "c", 9, "b.y.x=1 b.y.x=2 a.x=3 b.q.p=4")
	r.ok("STREAM.UPDATE.S", streamConfig("S", "a.>"))
	r.stored(5, "a.p.q", "5")
	r.wantFetch("S", "c", 9, "a.p.q=5")
}
