package jetstream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/subject"
)

// neighbours are two accounts: B has the API of A, and what A sends below "deliver".
type neighbours struct{ a, b *rig }

func newNeighbours(t *testing.T, flow bool) *neighbours {
	t.Helper()
	o := rigOptions(&account.Account{JetStream: account.JetStream{Enabled: true}})
	o.Accounts = []string{"A", "B"}
	n := streamtest.Start(t, o)
	r := &neighbours{a: on(t, n), b: &rig{t: t, Node: n, space: n.Space("B")}}
	m := func(theirs, ours string) *subject.Mapping {
		m, err := subject.ParseMapping(theirs, ours)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	r.b.space.ImportService(broker.ServiceImport{From: r.a.space, Mapping: m("$JS.API.CONSUMER.>", "of.A.CONSUMER.>")})
	if flow {
		r.b.space.ImportService(broker.ServiceImport{From: r.a.space, Mapping: m("$JS.FC.>", "")})
	}
	r.b.space.ImportStreams([]broker.StreamImport{{From: r.a.space, Mapping: m("deliver.>", "")}})
	return r
}

const external = `"external":{"api":"of.A","deliver":"deliver.b"}`

func TestStreamsOfAnotherAccountAreCopied(t *testing.T) {
	r := newNeighbours(t, false)
	r.a.stream("O", "o.>")
	for i := range 5 {
		r.a.publish(fmt.Sprintf("o.%d", i%2), fmt.Sprint(i))
	}
	r.b.copied("M", `"mirror":{"name":"O",`+external+`}`)
	r.b.copied("S", `"sources":[{"name":"O","filter_subject":"o.1",`+external+`}]`)
	r.b.holds("M", "1:o.0=0 2:o.1=1 3:o.0=2 4:o.1=3 5:o.0=4")
	r.b.holds("S", "1:o.1=1 2:o.1=3")
	r.a.publish("o.1", "later")
	r.b.holds("M", "1:o.0=0 2:o.1=1 3:o.0=2 4:o.1=3 5:o.0=4 6:o.1=later")
	r.b.holds("S", "1:o.1=1 2:o.1=3 3:o.1=later")
	if o := r.b.origins("M"); o.Mirror == nil || o.Mirror.Error != nil || o.Mirror.Lag != 0 {
		t.Errorf("%+v", o.Mirror)
	}
}

func TestAnOriginThatSendsMuchAsksOrIsAskedAgain(t *testing.T) {
	for _, flow := range []bool{true, false} {
		r := newNeighbours(t, flow)
		r.a.stream("O", "o")
		const n, size = 40, 100 << 10 // more than the first window
		for range n {
			r.a.publish("o", strings.Repeat("x", size))
		}
		r.b.copied("M", `"mirror":{"name":"O",`+external+`}`)
		streamtest.Await(t, "all is copied", func() bool { return r.b.origins("M").State.Messages == n })
	}
}

func TestACopySaysWhyItsOriginIsNotReached(t *testing.T) {
	r := newNeighbours(t, true)
	r.b.copied("M", `"mirror":{"name":"O",`+external+`}`)
	r.b.copied("N", `"mirror":{"name":"O","external":{"api":"nobody","deliver":"deliver.b"}}`)
	for name, code := range map[string]int{"M": 10059, "N": 10029} {
		streamtest.Await(t, name+" says why", func() bool {
			o := r.b.origins(name)
			return o.Mirror != nil && o.Mirror.Error != nil && o.Mirror.Error.ErrCode == code
		})
	}
	r.a.stream("O", "o")
	r.a.publish("o", "x")
	r.b.holds("M", "1:o=x")
}

func TestACopySaysWhatIsWrongWithTheConsumerThatItNames(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.consumer("O", "c", `"deliver_subject":"to"`)
	r.copied("M", `"mirror":{"name":"O","consumer":{"name":"c","deliver_subject":"to"}}`)
	r.copied("S", `"sources":[{"name":"O","consumer":{"name":"c","deliver_subject":"to"}}]`)
	r.copied("N", `"mirror":{"name":"O","consumer":{"name":"none","deliver_subject":"to"}}`)
	says := func(code int, of func() *originAnswer) {
		t.Helper()
		streamtest.Await(t, fmt.Sprint("error ", code), func() bool {
			o := of()
			return o != nil && o.Error != nil && o.Error.ErrCode == code
		})
	}
	says(10214, func() *originAnswer { return r.origins("M").Mirror })
	says(10217, func() *originAnswer { return &r.origins("S").Sources[0] })
	says(10014, func() *originAnswer { return r.origins("N").Mirror })
}

func TestASourceGoesThroughAConsumerMadeBeforehand(t *testing.T) {
	r := newRig(t)
	r.stream("O", "o")
	r.ok("CONSUMER.DURABLE.CREATE.O.C", `{"stream_name":"O","config":{"durable_name":"C","deliver_subject":"to","ack_policy":"flow_control","idle_heartbeat":1000000000}}`)
	r.publish("o", "1")
	r.copied("S", `"sources":[{"name":"O","consumer":{"name":"C","deliver_subject":"to"}}]`)
	r.holds("S", "1:o=1")
	r.publish("o", "2")
	r.holds("S", "1:o=1 2:o=2")
	// What is stored in the copy is acknowledged.
	streamtest.Await(t, "it is acknowledged", func() bool { return r.info("O", "C").NumAckPending == 0 && r.info("O", "C").AckFloor.StreamSeq == 2 })
}
