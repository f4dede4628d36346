package jetstream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	natswire "github.com/weirmq/weir/internal/wire/nats"
)

// status gives the code of a message that is a status, "" of another.
func status(m streamtest.Msg) string {
	line, _, _ := strings.Cut(string(m.Header), "\r\n")
	code, _ := strings.CutPrefix(line, "NATS/1.0 ")
	if code == line {
		return ""
	}
	return code
}

func pinOf(m streamtest.Msg) string { return string(natswire.HeaderValue(m.Header, "Nats-Pin-Id")) }

const pinnedGroup = `"priority_policy":"pinned_client","priority_groups":["g"]`

func TestPinnedClientIsNamedInEachMessage(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c", pinnedGroup, `"headers_only":true`)
	if g := r.info("S", "c").PriorityGroups; len(g) != 1 || g[0].Group != "g" || g[0].PinnedClientId != "" {
		t.Fatalf("groups %+v", g)
	}
	first := r.pull("S", "c", `{"batch":2,"group":"g","expires":60000000000}`)
	a, b := first.Next(t), first.Next(t)
	id := pinOf(a)
	if id == "" || pinOf(b) != id || !strings.Contains(string(a.Header), "Nats-Msg-Size: 1") {
		t.Fatalf("headers %q %q", a.Header, b.Header)
	}
	if g := r.info("S", "c").PriorityGroups; len(g) != 1 || g[0].PinnedClientId != id || g[0].PinnedTs == "" {
		t.Fatalf("groups %+v", g)
	}
	if m := r.pull("S", "c", `{"group":"g","id":"other","expires":1000000000}`).Next(t); status(m) != "423 Nats-Pin-Id mismatch" {
		t.Fatalf("a foreign id gets %q", m.Header)
	}
	passive := r.pull("S", "c", `{"batch":5,"group":"g","expires":60000000000}`)
	if m := r.pull("S", "c", fmt.Sprintf(`{"group":"g","id":%q}`, id)).Next(t); pinOf(m) != id {
		t.Fatalf("the third message has %q", m.Header)
	}
	passive.None(t)
	r.ok("CONSUMER.UNPIN.S.c", `{"group":"g"}`)
	r.stored(4, "s.1", "4")
	if m := passive.Next(t); pinOf(m) == "" || pinOf(m) == id {
		t.Fatalf("the next client gets %q", m.Header)
	}
}

func TestUnpinIsRefusedForOtherGroups(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c", pinnedGroup)
	r.consumer("S", "plain")
	r.refused(10025, "CONSUMER.UNPIN.S.c", `{}`)
	r.refused(10162, "CONSUMER.UNPIN.S.c", `{"group":"a b"}`)
	r.refused(10160, "CONSUMER.UNPIN.S.c", `{"group":"other"}`)
	r.refused(10160, "CONSUMER.UNPIN.S.plain", `{"group":"g"}`)
	r.refused(10014, "CONSUMER.UNPIN.S.none", `{"group":"g"}`)
	r.refused(10059, "CONSUMER.UNPIN.T.c", `{"group":"g"}`)
}

func TestOverflowAndPrioritizedSurviveARestart(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(2)
	r.consumer("S", "over", `"priority_policy":"overflow","priority_groups":["g"]`)
	r.consumer("S", "rank", `"priority_policy":"prioritized","priority_groups":["g"]`)
	r = r.restart()
	many := r.pull("S", "over", `{"batch":5,"group":"g","min_pending":4}`)
	if m := r.pull("S", "over", `{"batch":5}`).Next(t); status(m) != "400 Bad Request - Priority Group missing" {
		t.Fatalf("no group gets %q", m.Header)
	}
	many.None(t)
	if r.info("S", "over").NumWaiting != 1 {
		t.Fatal("the request does not wait")
	}
	last := r.pull("S", "rank", `{"batch":9,"group":"g","priority":5,"min_pending":0}`)
	if got := got([]streamtest.Msg{last.Next(t), last.Next(t)}); got != "s.0=1 s.1=2" {
		t.Fatal(got)
	}
	front := r.pull("S", "rank", `{"batch":1,"group":"g","priority":1}`)
	streamtest.Await(t, "both wait", func() bool { return r.info("S", "rank").NumWaiting == 2 })
	r.stored(3, "s.2", "3")
	r.stored(4, "s.0", "4")
	if got := got([]streamtest.Msg{front.Next(t), last.Next(t)}); got != "s.2=3 s.0=4" {
		t.Fatal(got)
	}
	if m := many.Next(t); string(m.Data) != "1" {
		t.Fatalf("got %s", m.Data)
	}
}

func TestRequestsOfClientsThatLeftAreNotCounted(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c")
	in := r.pull("S", "c", `{"batch":5,"expires":60000000000}`)
	if n := r.info("S", "c").NumWaiting; n != 1 {
		t.Fatalf("%d wait", n)
	}
	in.Close()
	if n := r.info("S", "c").NumWaiting; n != 0 {
		t.Fatalf("%d wait", n)
	}
}
