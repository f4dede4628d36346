package jetstream

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/subject"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// TestMirrorIsExact: an id that the origin has twice, as its window had passed, is
// twice in the mirror, although that has a window of its own and knows the id.
func TestMirrorIsExact(t *testing.T) {
	n := newNeighbours(t, true)
	n.a.stream("O", "o", `"duplicate_window":100000000`)
	const window = `"duplicate_window":3600000000000,`
	n.a.copied("M", window+`"mirror":{"name":"O"}`)
	n.b.copied("M", window+`"mirror":{"name":"O",`+external+`}`)
	n.a.stored(1, "o", "1", "Nats-Msg-Id", "x")
	n.a.holds("M", "1:o=1")
	n.b.holds("M", "1:o=1")
	streamtest.Await(t, "the window of the origin passes", func() bool {
		return !n.a.publish("o", "2", "Nats-Msg-Id", "x").Duplicate
	})
	n.a.stored(3, "o", "3", "Nats-Msg-Id", "y")
	for _, r := range []*rig{n.a, n.b} {
		r.holds("M", "1:o=1 2:o=2 3:o=3")
	}
	// A mirror that begins anew gets the same.
	n.a.ok("STREAM.DELETE.M", "")
	n.a.copied("M", window+`"mirror":{"name":"O"}`)
	n.a.holds("M", "1:o=1 2:o=2 3:o=3")
	r := on(t, n.a.Crash(faultfs.DropUnsynced, 1))
	r.stored(4, "o", "4", "Nats-Msg-Id", "z")
	r.holds("M", "1:o=1 2:o=2 3:o=3 4:o=4")
}

// link is the way from account A to account B, of which each part can be cut.
type link struct {
	t           *testing.T
	a, b        *rig
	api, answer func() // end the import of requests, of the answers to flow control
	open        bool   // A's messages come
}

func newLink(t *testing.T, n *streamtest.Node) *link {
	l := &link{t: t, a: on(t, n), b: &rig{t: t, Node: n, space: n.Space("B")}}
	l.mend()
	return l
}

func (l *link) mapping(theirs, ours string) *subject.Mapping {
	l.t.Helper()
	m, err := subject.ParseMapping(theirs, ours)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// mend opens every part that is cut.
func (l *link) mend() {
	service := func(stop *func(), theirs, ours string) {
		if *stop == nil {
			*stop = l.b.space.ImportService(broker.ServiceImport{From: l.a.space, Mapping: l.mapping(theirs, ours)})
		}
	}
	service(&l.api, "$JS.API.CONSUMER.>", "of.A.CONSUMER.>")
	service(&l.answer, "$JS.FC.>", "")
	if !l.open {
		l.b.space.ImportStreams([]broker.StreamImport{{From: l.a.space, Mapping: l.mapping("deliver.>", "")}})
		l.open = true
	}
}

// cut closes one part; what is closed stays so.
func (l *link) cut(part int) {
	service := func(stop *func()) {
		if *stop != nil {
			(*stop)()
			*stop = nil
		}
	}
	switch part {
	case 0:
		service(&l.api)
	case 1:
		service(&l.answer)
	case 2:
		l.b.space.ImportStreams(nil)
		l.open = false
	}
}

// TestSourceNoDup cuts the parts of the way to an origin one after the other and
// several at once, while the origin is published to, has the copy be full for a while,
// and kills the node: the source gets each message once, in order.
func TestSourceNoDup(t *testing.T) {
	o := rigOptions(&account.Account{JetStream: account.JetStream{Enabled: true}})
	o.Accounts = []string{"A", "B"}
	l := newLink(t, streamtest.Start(t, o))
	const copied = `{"name":"S","discard":"new","max_msgs":%d,"sources":[{"name":"O",` + external + `}]}`
	l.a.stream("O", "o")
	l.b.ok("STREAM.CREATE.S", fmt.Sprintf(copied, -1))
	rnd := rand.New(rand.NewPCG(31, 1))
	var want []string
	publish := func() {
		for range 1 + rnd.IntN(20) {
			n := len(want) + 1
			want = append(want, fmt.Sprintf("%d:o=%d", n, n))
			l.a.stored(uint64(n), "o", fmt.Sprint(n))
		}
	}
	for round := range 12 {
		publish()
		switch part := round % 5; part {
		case 3:
			l.cut(rnd.IntN(3))
			l.cut(rnd.IntN(3))
		case 4:
			// The proposal of a copy fails while there is no room.
			l.b.ok("STREAM.UPDATE.S", fmt.Sprintf(copied, len(want)))
		default:
			l.cut(part)
		}
		publish()
		if round%4 == 3 {
			l = newLink(t, l.a.Crash(faultfs.Modes[rnd.IntN(len(faultfs.Modes))], uint64(round)))
		}
		l.b.ok("STREAM.UPDATE.S", fmt.Sprintf(copied, -1))
		l.mend()
		if round%3 == 2 {
			l.b.holds("S", strings.Join(want, " "))
		}
	}
	publish()
	l.b.holds("S", strings.Join(want, " "))
}
