package jetstream

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// event is what any event may have.
type event struct {
	Type, ID, Timestamp, Stream, Consumer, Action, Reason, Group string
	Paused                                                       bool
	ConsumerSeq, StreamSeq                                       uint64
	Deliveries                                                   int
	AckTime                                                      int64
	PinnedId, Account                                            string
}

// told waits for an event on a subject, after $JS.EVENT.
func told(t *testing.T, in *streamtest.Inbox, subject, kind string) event {
	t.Helper()
	m := in.Next(t)
	var e event
	if err := json.Unmarshal([]byte(withoutUnderscores(string(m.Data))), &e); err != nil {
		t.Fatalf("%s: %v in %s", m.Subject, err, m.Data)
	}
	if m.Subject != "$JS.EVENT."+subject || e.Type != "io.nats.jetstream."+kind || e.ID == "" || e.Timestamp == "" || e.Stream != "S" {
		t.Fatalf("%s: %s, want %s", m.Subject, m.Data, subject)
	}
	if parts := strings.Split(subject, "."); len(parts) > 4 && e.Consumer != parts[4] {
		t.Fatalf("%s: consumer %q", m.Subject, e.Consumer)
	}
	return e
}

func TestStreamsAndConsumersAreAnnounced(t *testing.T) {
	r := newRig(t)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.*.>") // without requests
	action := func(subject, kind, want string) {
		t.Helper()
		if e := told(t, in, subject, "advisory.v1."+kind+"_action"); e.Action != want {
			t.Fatalf("%+v, want %s", e, want)
		}
	}
	for range 2 { // the second one changes nothing
		r.stream("S", "s.>")
	}
	action("ADVISORY.STREAM.CREATED.S", "stream", "create")
	r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", `"max_msgs":9`))
	action("ADVISORY.STREAM.UPDATED.S", "stream", "modify")
	for range 2 {
		r.consumer("S", "c")
	}
	action("ADVISORY.CONSUMER.CREATED.S.c", "consumer", "create")
	r.ok("CONSUMER.PAUSE.S.c", `{"pause_until":"2999-01-01T00:00:00Z"}`)
	if e := told(t, in, "ADVISORY.CONSUMER.PAUSE.S.c", "advisory.v1.consumer_pause"); !e.Paused {
		t.Fatalf("%+v", e)
	}
	r.ok("CONSUMER.PAUSE.S.c", "")
	if e := told(t, in, "ADVISORY.CONSUMER.PAUSE.S.c", "advisory.v1.consumer_pause"); e.Paused {
		t.Fatalf("%+v", e)
	}
	r.ok("CONSUMER.DELETE.S.c", "")
	action("ADVISORY.CONSUMER.DELETED.S.c", "consumer", "delete")
	r.ok("CONSUMER.CREATE.S.e", `{"stream_name":"S","config":{"name":"e","ack_policy":"none","inactive_threshold":300000000}}`)
	action("ADVISORY.CONSUMER.CREATED.S.e", "consumer", "create")
	action("ADVISORY.CONSUMER.DELETED.S.e", "consumer", "delete")
	r.consumer("S", "d")
	action("ADVISORY.CONSUMER.CREATED.S.d", "consumer", "create")
	r.refused(10058, "STREAM.CREATE.S", streamConfig("S", "t.>"))
	r.ok("STREAM.DELETE.S", "")
	action("ADVISORY.CONSUMER.DELETED.S.d", "consumer", "delete")
	action("ADVISORY.STREAM.DELETED.S", "stream", "delete")
	in.None(t)
}

func TestWhatComesOfMessagesIsTold(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c", `"max_deliver":2`, `"sample_freq":"100"`)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.>")
	m := r.wantFetch("S", "c", 3, "s.0=1 s.1=2 s.2=3")
	r.ack(m[0], "+ACK")
	if e := told(t, in, "METRIC.CONSUMER.ACK.S.c", "metric.v1.consumer_ack"); e.StreamSeq != 1 || e.ConsumerSeq != 1 || e.Deliveries != 1 || e.AckTime <= 0 {
		t.Fatalf("%+v", e)
	}
	r.ack(m[1], "+TERM no use")
	if e := told(t, in, "ADVISORY.CONSUMER.MSG_TERMINATED.S.c", "advisory.v1.terminated"); e.StreamSeq != 2 || e.ConsumerSeq != 2 || e.Reason != "no use" {
		t.Fatalf("%+v", e)
	}
	r.ack(m[2], "-NAK")
	if e := told(t, in, "ADVISORY.CONSUMER.MSG_NAKED.S.c", "advisory.v1.nak"); e.StreamSeq != 3 || e.ConsumerSeq != 3 || e.Deliveries != 1 {
		t.Fatalf("%+v", e)
	}
	again := r.wantFetch("S", "c", 1, "s.2=3")[0]
	r.ack(again, "-NAK")
	told(t, in, "ADVISORY.CONSUMER.MSG_NAKED.S.c", "advisory.v1.nak")
	if e := told(t, in, "ADVISORY.CONSUMER.MAX_DELIVERIES.S.c", "advisory.v1.max_deliver"); e.StreamSeq != 3 || e.Deliveries != 2 {
		t.Fatalf("%+v", e)
	}
	in.None(t)
}

func TestPinsAreTold(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(2)
	r.consumer("S", "c", pinnedGroup, `"priority_timeout":50000000`)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.>")
	id := pinOf(r.pull("S", "c", `{"group":"g"}`).Next(t))
	e := told(t, in, "ADVISORY.CONSUMER.PINNED.S.c", "advisory.v1.consumer_group_pinned")
	if e.Group != "g" || e.PinnedId != id || e.Account != "A" {
		t.Fatalf("%+v", e)
	}
	if e := told(t, in, "ADVISORY.CONSUMER.UNPINNED.S.c", "advisory.v1.consumer_group_unpinned"); e.Group != "g" || e.Reason != "timeout" {
		t.Fatalf("%+v", e)
	}
}

func TestEventsAreStoredByAStreamThatCapturesThem(t *testing.T) {
	r := newRig(t)
	r.stream("E", "$JS.EVENT.ADVISORY.STREAM.>")
	r.stream("S", "s.>")
	streamtest.Await(t, "both creations are stored", func() bool { return r.ok("STREAM.INFO.E", "").State.Messages == 2 })
}

func TestRequestsAreAudited(t *testing.T) {
	r := newRig(t)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.API")
	body := streamConfig("S", "s.>")
	for _, c := range []struct{ subject, body string }{{"STREAM.CREATE.S", body}, {"STREAM.INFO.X", ""}} {
		answer := streamtest.Request(t, r.space, "$JS.API."+c.subject, nil, []byte(c.body))
		var e struct {
			Type, Server, Subject, Request, Response string
			Client                                   struct{ Acc string }
		}
		if err := json.Unmarshal(in.Next(t).Data, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "io.nats.jetstream.advisory.v1.api_audit" || e.Server != "n" || e.Subject != "$JS.API."+c.subject ||
			e.Request != c.body || e.Response != string(answer.Data) || e.Client.Acc != "A" {
			t.Errorf("%s: %+v, answered %s", c.subject, e, answer.Data)
		}
	}
	r.publish("s.1", "x")
	r.ok("STREAM.MSG.GET.S", `{"seq":1}`) // reading is not told
	in.None(t)
}

func TestEventsThatNobodyWantsCostNoMemory(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c")
	c := r.Streams.Find("A", "S").Consumer("c")
	o, p := new(Outlet), broker.NewPublisher(r.space, broker.PublisherOptions{})
	a := &consumer.Advisory{Kind: consumer.AdvisoryAcked, Seq: 1, DSeq: 1, Delivered: 1}
	o.Advise(p, c, a)
	if n := testing.AllocsPerRun(1000, func() { o.Advise(p, c, a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSnapshotsAndRestoresAreAnnounced(t *testing.T) {
	r := newRig(t)
	r.filled()
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.STREAM.*.S")
	s := r.take("S", "")
	told(t, in, "ADVISORY.STREAM.SNAPSHOT_CREATE.S", "advisory.v1.snapshot_create")
	told(t, in, "ADVISORY.STREAM.SNAPSHOT_COMPLETE.S", "advisory.v1.snapshot_complete")
	r.ok("STREAM.DELETE.S", "")
	told(t, in, "ADVISORY.STREAM.DELETED.S", "advisory.v1.stream_action")
	if a := r.upload("S", s.config, s.bytes, 1<<10); a.Error != nil {
		t.Fatalf("%+v", a.Error)
	}
	told(t, in, "ADVISORY.STREAM.RESTORE_CREATE.S", "advisory.v1.restore_create")
	told(t, in, "ADVISORY.STREAM.RESTORE_COMPLETE.S", "advisory.v1.restore_complete")
	told(t, in, "ADVISORY.STREAM.CREATED.S", "advisory.v1.stream_action")
}

func TestWhatShardsTellNamesTheDomain(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.consumer("S", "c")
	s := r.Streams.Find("A", "S")
	c := s.Consumer("c")
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.>")
	o, p := &Outlet{Domain: "hub"}, broker.NewPublisher(r.space, broker.PublisherOptions{})
	check := func(what string) {
		t.Helper()
		p.HandOver()
		if m := in.Next(t); !strings.Contains(string(m.Data), `"domain":"hub"`) {
			t.Errorf("%s: %s", what, m.Data)
		}
	}
	for kind := range adviceEvents {
		o.Advise(p, c, &consumer.Advisory{Kind: consumer.AdvisoryKind(kind), Seq: 1, DSeq: 1, Delivered: 1})
		check(string(adviceEvents[kind].AppendSubject(nil, "S", "c")))
	}
	o.Deleted(p, c)
	check("deleted")
	o.Abandoned(p, s, "b", stream.AbandonedTimeout)
	check("abandoned")
}
