package oracle_test

import (
	"context"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
)

func init() {
	tours["account"] = tourAccount
	tours["stream options"] = tourStreamOptions
	tours["stream life"] = tourStreamLife
	tours["stream lists"] = tourStreamLists
	tours["stream queries"] = tourStreamQueries
	tours["messages"] = tourMessages
	tours["direct"] = tourDirect
	tours["pager"] = tourPager
	tours["gaps"] = tourGaps
}

// publish sends messages to both and waits until they are stored.
func (t *tour) publish(subject string, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		t.call(request, t.conns(), &nats.Msg{Subject: subject, Data: []byte(p)})
	}
}

// request is the client's, for calls.
func request(nc *nats.Conn, m *nats.Msg) (*nats.Msg, error) {
	m.Reply = "" // the client fills it in
	answer, err := nc.RequestMsg(m, patience)
	if err == nil {
		answer.Subject, answer.Reply = "", ""
	}
	return answer, err
}

func (t *tour) conns() both { return both{t.weir.nc, t.ref.nc} }

func tourAccount(t *tour) {
	m := t.manager
	t.call((*jsm.Manager).JetStreamAccountInfo, m)
	t.call((*jsm.Manager).IsJetStreamEnabled, m)
	t.call((*jsm.Manager).IsStreamMaxBytesRequired, m)
	t.call((*jsm.Manager).MetaApiLevel, m, true)
	t.call((*jsm.Manager).MetaApiLevel, m, false)
	t.call((*jsm.Manager).IsPedantic, m)
	t.call((*jsm.Manager).NatsConn, m)
	t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	t.call((*jsm.Manager).NewStream, m, "M", jsm.Subjects("m.>"), jsm.MemoryStorage())
	t.call((*jsm.Manager).NewConsumer, m, "S", jsm.DurableName("c"))
	t.publish("s.1", "one")
	t.publish("m.1", "one")
	t.call((*jsm.Manager).JetStreamAccountInfo, m)
	t.fails((*jsm.Manager).JetStreamAccountInfo, t.newManager(jsm.WithAPIPrefix("js.elsewhere"), jsm.WithTimeout(time.Second)))
	t.call((*jsm.Manager).IsJetStreamEnabled, t.newManager(jsm.WithDomain("hub"), jsm.WithEventPrefix("js.events")))
}

// richStream is a stream on which nearly everything is set.
func richStream() []jsm.StreamOption {
	return []jsm.StreamOption{
		jsm.Subjects("rich.>"), jsm.StreamDescription("everything"), jsm.FileStorage(), jsm.LimitsRetention(), jsm.DiscardNew(),
		jsm.MaxConsumers(10), jsm.MaxMessages(1000), jsm.MaxMessagesPerSubject(10), jsm.DiscardNewPerSubject(),
		jsm.MaxBytes(1 << 20), jsm.MaxAge(time.Hour), jsm.MaxMessageSize(1 << 10), jsm.Replicas(1), jsm.DuplicateWindow(time.Minute),
		jsm.AllowRollup(), jsm.AllowDirect(), jsm.DenyDelete(), jsm.Compression(api.S2Compression),
		jsm.FirstSequence(100), jsm.AllowMsgTTL(), jsm.AllowAtomicBatchPublish(),
		jsm.StreamMetadata(map[string]string{"owner": "me"}),
		jsm.ConsumerLimits(api.StreamConsumerLimits{InactiveThreshold: time.Hour, MaxAckPending: 100}),
		jsm.Republish(&api.RePublish{Source: "rich.a", Destination: "copy.a", HeadersOnly: true}),
		jsm.SubjectTransform(&api.SubjectTransformConfig{Source: "rich.b.*", Destination: "rich.c.{{wildcard(1)}}"}),
	}
}

func tourStreamOptions(t *tour) {
	m := t.manager
	t.call((*jsm.Manager).NewStreamConfiguration, m, jsm.DefaultStream, richStream())
	t.call((*jsm.Manager).NewStream, m, "RICH", richStream())
	t.call((*jsm.Manager).NewStreamFromDefault, m, "QUEUE", jsm.DefaultWorkQueue, jsm.Subjects("queue"), jsm.WorkQueueRetention(), jsm.MemoryStorage())
	t.call((*jsm.Manager).NewStream, m, "INTEREST", jsm.Subjects("interest"), jsm.InterestRetention(), jsm.FileStorage(), jsm.NoAck(), jsm.DiscardOld(), jsm.DenyPurge())
	t.call((*jsm.Manager).NewStream, m, "COUNT", jsm.Subjects("count.>"), jsm.FileStorage(), jsm.AllowCounter(), jsm.AllowDirect())
	t.call((*jsm.Manager).NewStream, m, "ASYNC", jsm.Subjects("async.>"), jsm.FileStorage(), jsm.AsyncPersistence())
	t.call((*jsm.Manager).NewStream, m, "MARK", jsm.Subjects("mark.>"), jsm.FileStorage(), jsm.SubjectDeleteMarkerTTL(time.Minute), jsm.MaxMessagesPerSubject(1))
	t.call((*jsm.Manager).NewStream, m, "LATER", jsm.Subjects("later.>"), jsm.FileStorage(), jsm.AllowSchedules(), jsm.AllowMsgTTL(), jsm.AllowRollup())
	t.call((*jsm.Manager).NewStream, m, "OFF", jsm.Subjects("off"), jsm.FileStorage(), jsm.NoAllowDirect(), jsm.NoMirrorDirect(), jsm.NoAllowCounter(), jsm.NoAllowAtomicBatchPublish())
	t.call((*jsm.Manager).NewStream, m, "MIRROR", jsm.Mirror(&api.StreamSource{Name: "OFF"}), jsm.FileStorage(), jsm.MirrorDirect())
	t.call((*jsm.Manager).NewStream, m, "SOURCED", jsm.FileStorage(), jsm.Sources(&api.StreamSource{Name: "OFF"}), jsm.AppendSource(&api.StreamSource{Name: "QUEUE"}))
	for name, placed := range map[string]jsm.StreamOption{"PC": jsm.PlacementCluster("c1"), "PT": jsm.PlacementTags("ssd"), "PL": jsm.PlacementPreferredLeader("n2")} {
		_, _ = t.try((*jsm.Manager).NewStream, []any{m, name, jsm.Subjects(name), jsm.FileStorage(), placed})
	}
	t.fails((*jsm.Manager).NewStream, m, "MANY", jsm.Subjects("many"), jsm.FileStorage(), jsm.Replicas(3))
	t.fails((*jsm.Manager).NewStream, m, "OVER", jsm.Subjects("rich.>"), jsm.FileStorage())
	t.fails((*jsm.Manager).NewStream, m, "OFF", jsm.Subjects("another"), jsm.FileStorage())
	t.call((*jsm.Manager).NewStream, m, "OFF", jsm.Subjects("off"), jsm.FileStorage())
	t.fails((*jsm.Manager).NewStream, m, "a.b", jsm.Subjects("x"))
	pedantic := t.newManager(jsm.WithPedanticRequests())
	t.call((*jsm.Manager).IsPedantic, pedantic)
	t.fails((*jsm.Manager).NewStream, pedantic, "P", jsm.Subjects("p"), jsm.FileStorage(), jsm.MaxAge(time.Second), jsm.DuplicateWindow(time.Minute))
	for _, name := range []string{"RICH", "QUEUE", "INTEREST", "COUNT", "ASYNC", "MARK", "LATER", "OFF"} {
		t.call((*jsm.Manager).LoadStream, m, name)
	}
}

func tourStreamLife(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).LoadOrNewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage(), jsm.AllowDirect())
	t.call((*jsm.Manager).LoadOrNewStream, m, "S", jsm.Subjects("else"))
	t.call((*jsm.Manager).LoadOrNewStreamFromDefault, m, "T", jsm.DefaultStream, jsm.Subjects("t"), jsm.MemoryStorage())
	t.call((*jsm.Manager).LoadOrNewStreamFromDefault, m, "T", jsm.DefaultStream)
	t.call((*jsm.Manager).IsKnownStream, m, "S")
	t.call((*jsm.Manager).IsKnownStream, m, "none")
	t.publish("s.1", "one", "two")
	t.publish("s.2", "three")
	t.call((*jsm.Stream).LatestState, s)
	t.call((*jsm.Stream).State, s)
	t.call((*jsm.Stream).State, s, api.JSApiStreamInfoRequest{DeletedDetails: true, SubjectsFilter: ">"})
	t.call((*jsm.Stream).Information, s)
	t.call((*jsm.Stream).LatestInformation, s)
	t.call((*jsm.Stream).ContainedSubjects, s)
	t.call((*jsm.Stream).ContainedSubjects, s, "s.2")
	t.call((*jsm.Manager).StreamContainedSubjects, m, "S", "none")
	t.call((*jsm.Stream).UpdateConfiguration, s, each(func(e *end) any { return pick(s, e).Configuration() }), jsm.StreamDescription("new"), jsm.MaxMessages(100))
	t.fails((*jsm.Stream).UpdateConfiguration, s, each(func(e *end) any { return pick(s, e).Configuration() }), jsm.MemoryStorage())
	t.call((*jsm.Stream).Reset, s)
	t.call((*jsm.Manager).LoadFromStreamDetailBytes, m, each(func(e *end) any {
		answer, err := e.nc.Request("$JS.API.STREAM.INFO.S", nil, patience)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Data
	}))
	t.call((*jsm.Stream).ClusterInfo, s)
	t.fails((*jsm.Stream).LeaderStepDown, s)
	t.fails((*jsm.Stream).LeaderStepDown, s, &api.Placement{Cluster: "x"})
	t.fails((*jsm.Stream).RemoveRAFTPeer, s, "x")
	t.fails((*jsm.Stream).EvacuatePeer, s, "x")
	t.fails((*jsm.Stream).CancelMove, s)
	t.fails((*jsm.Manager).CancelStreamMove, m, "S")
	t.fails((*jsm.Manager).EvacuateStream, m, "S", "x")
	t.fails((*jsm.Manager).EvacuateConsumer, m, "S", "c", "x")
	t.call((*jsm.Stream).Purge, s, &api.JSApiStreamPurgeRequest{Subject: "s.1", Keep: 1})
	t.call((*jsm.Stream).PurgeExt, s, &api.JSApiStreamPurgeRequest{Sequence: 3})
	t.call((*jsm.Stream).PurgeExt, s, &api.JSApiStreamPurgeRequest{Subject: "none"})
	t.fails((*jsm.Stream).PurgeExt, s, &api.JSApiStreamPurgeRequest{Sequence: 3, Keep: 1})
	t.call((*jsm.Stream).Purge, s)
	t.publish("s.1", "four")
	t.call((*jsm.Stream).Seal, s)
	t.publish("s.1", "five")
	t.fails((*jsm.Stream).Purge, s)
	t.fails((*jsm.Stream).DeleteMessageRequest, s, api.JSApiMsgDeleteRequest{Seq: 4})
	t.call((*jsm.Stream).Delete, s)
	t.fails((*jsm.Stream).Delete, s)
	t.fails((*jsm.Stream).Information, s)
	t.call((*jsm.Manager).DeleteStream, m, "T")
	t.fails((*jsm.Manager).DeleteStream, m, "T")
}

// pick gives the one of a server.
func pick(b both, e *end) *jsm.Stream {
	if e.name == "weir" {
		return b.weir.(*jsm.Stream)
	}
	return b.ref.(*jsm.Stream)
}

func tourStreamLists(t *tour) {
	m := t.manager
	t.call((*jsm.Manager).StreamNames, m, nil)
	t.call((*jsm.Manager).Streams, m, nil)
	for _, name := range []string{"B", "A", "C"} {
		t.call((*jsm.Manager).NewStream, m, name, jsm.Subjects(name+".>"), jsm.FileStorage())
	}
	t.publish("A.1", "one")
	filter := &jsm.StreamNamesFilter{Subject: "A.1"}
	t.call((*jsm.Manager).StreamNames, m, nil)
	t.call((*jsm.Manager).StreamNames, m, filter)
	t.call((*jsm.Manager).Streams, m, nil)
	t.call((*jsm.Manager).Streams, m, filter)
	t.call((*jsm.Manager).EachStream, m, nil, each(func(e *end) any { return func(s *jsm.Stream) { e.note(s) } }))
	t.call((*jsm.Manager).QueryStreams, m)
}

func tourStreamQueries(t *tour) {
	m := t.manager
	t.call((*jsm.Manager).NewStream, m, "FULL", jsm.Subjects("full.*"), jsm.FileStorage())
	t.call((*jsm.Manager).NewStream, m, "EMPTY", jsm.Subjects("empty"), jsm.FileStorage(), jsm.AllowMsgTTL())
	t.call((*jsm.Manager).NewStream, m, "MIRROR", jsm.Mirror(&api.StreamSource{Name: "EMPTY"}), jsm.FileStorage())
	t.call((*jsm.Manager).NewStream, m, "SOURCED", jsm.Sources(&api.StreamSource{Name: "EMPTY"}), jsm.FileStorage())
	t.call((*jsm.Manager).NewConsumer, m, "FULL", jsm.DurableName("c"))
	t.publish("full.1", "one")
	for _, q := range []jsm.StreamQueryOpt{
		jsm.StreamQueryApiLevelMin(1), jsm.StreamQueryIsSourced(), jsm.StreamQueryIsMirror(), jsm.StreamQueryReplicas(1),
		jsm.StreamQuerySubjectWildcard("full.>"), jsm.StreamQueryServerName("conformance"), jsm.StreamQueryClusterName("c1"),
		jsm.StreamQueryFewerConsumersThan(0), jsm.StreamQueryWithoutMessages(), jsm.StreamQueryIdleLongerThan(time.Hour),
		jsm.StreamQueryOlderThan(time.Hour), jsm.StreamQueryLeaderServer("conformance"), jsm.StreamQueryExpression(`state.messages > 0`),
	} {
		t.call((*jsm.Manager).QueryStreams, m, q)
		t.call((*jsm.Manager).QueryStreams, m, q, jsm.StreamQueryInvert())
	}
}

func tourMessages(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	answer := t.call(request, t.conns(), &nats.Msg{Subject: "s.1", Data: []byte("one"), Header: nats.Header{"Nats-Msg-Id": {"1"}}})
	t.call(request, t.conns(), &nats.Msg{Subject: "s.0", Header: nats.Header{"Other": {"x", "y"}}})
	t.call(jsm.ParsePubAck, answer)
	t.call(jsm.IsOKResponse, answer)
	t.call(jsm.IsErrorResponse, answer)
	t.call(jsm.ParsePubAck, t.call(request, t.conns(), &nats.Msg{Subject: "s.1", Header: nats.Header{"Nats-Msg-Id": {"1"}}}))
	refused := t.call(request, t.conns(), &nats.Msg{Subject: "s.1", Header: nats.Header{"Nats-Expected-Last-Sequence": {"9"}}})
	t.fails(jsm.ParsePubAck, refused)
	t.fails(jsm.ParseErrorResponse, refused)
	t.call(jsm.IsErrorResponse, refused)
	t.publish("s.1", "two")
	t.publish("s.2", "three", "four", "five")
	for seq := range uint64(4) {
		_, _ = t.try((*jsm.Stream).ReadMessage, []any{s, seq})
	}
	t.fails((*jsm.Stream).ReadMessage, s, uint64(99))
	t.call((*jsm.Stream).ReadLastMessageForSubject, s, "s.1")
	t.call((*jsm.Manager).ReadLastMessageForSubject, m, "S", "s.*")
	t.fails((*jsm.Manager).ReadLastMessageForSubject, m, "S", "none")
	t.fails((*jsm.Manager).ReadLastMessageForSubject, m, "none", "none")
	t.call((*jsm.Stream).DeleteMessageRequest, s, api.JSApiMsgDeleteRequest{Seq: 1})
	t.call((*jsm.Stream).DeleteMessageRequest, s, api.JSApiMsgDeleteRequest{Seq: 2, NoErase: true})
	t.call((*jsm.Stream).DeleteMessageRequest, s, api.JSApiMsgDeleteRequest{Seq: 3})
	t.call((*jsm.Manager).DeleteStreamMessage, m, "S", uint64(4), true)
	t.fails((*jsm.Stream).DeleteMessageRequest, s, api.JSApiMsgDeleteRequest{Seq: 4})
	t.fails((*jsm.Manager).DeleteStreamMessage, m, "none", uint64(4), true)
	t.call((*jsm.Stream).Information, s, api.JSApiStreamInfoRequest{DeletedDetails: true})
}

func tourDirect(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage(), jsm.AllowDirect())
	for _, subject := range []string{"s.1", "s.2", "s.1", "s.3", "s.2"} {
		t.publish(subject, subject)
	}
	handler := each(func(e *end) any {
		return func(m *nats.Msg) {
			info, err := jsm.ParseJSMsgMetadataDirect(m.Header)
			e.note(m, info, err)
		}
	})
	get := func(req api.JSApiMsgGetRequest) (both, error) {
		return t.try((*jsm.Stream).DirectGet, []any{s, context.Background(), req, handler})
	}
	for _, req := range []api.JSApiMsgGetRequest{
		{Seq: 1, Batch: 3}, {Seq: 2, Batch: 10, NextFor: "s.1"}, {Batch: 2, NextFor: ">"}, {Seq: 1, Batch: 10, MaxBytes: 40},
		{MultiLastFor: []string{"s.>"}}, {MultiLastFor: []string{"s.1", "s.3"}, UpToSeq: 2}, {MultiLastFor: []string{"s.*"}, Batch: 1},
		{Seq: 99, Batch: 1}, {MultiLastFor: []string{"none"}},
	} {
		_, _ = get(req)
	}
	driven["ParseJSMsgMetadataDirect"] = true
	t.call(jsm.DirectSubject, "S")
	t.fails(jsm.DirectSubject, "a.b")
}

func tourPager(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	q := t.call((*jsm.Manager).NewStreamFromDefault, m, "Q", jsm.DefaultWorkQueue, jsm.Subjects("q.>"), jsm.FileStorage(), jsm.AllowDirect())
	for _, p := range []string{"1", "2", "3", "4", "5"} {
		t.publish("s."+p, p)
		t.publish("q."+p, p)
	}
	for _, opts := range [][]jsm.PagerOption{
		{jsm.PagerSize(2), jsm.PagerTimeout(time.Second)},
		{jsm.PagerStartId(4), jsm.PagerTimeout(time.Second)},
		{jsm.PagerFilterSubject("s.3"), jsm.PagerTimeout(time.Second)},
		{jsm.PagerStartDelta(time.Hour), jsm.PagerTimeout(time.Second)},
	} {
		t.page(t.call((*jsm.Stream).PageContents, s, opts), 6)
	}
	t.page(t.call((*jsm.Stream).PageContents, q, jsm.PagerFilterSubject("q.>"), jsm.PagerTimeout(time.Second)), 6)
	t.fails((*jsm.Stream).PageContents, t.call((*jsm.Manager).NewStreamFromDefault, m, "W", jsm.DefaultWorkQueue, jsm.Subjects("w"), jsm.FileStorage()))
	t.fails((*jsm.Stream).PageContents, s, jsm.PagerStartId(0))
}

// page reads a pager to its end, with n messages at most.
func (t *tour) page(pager both, n int) {
	t.Helper()
	for range n {
		if _, err := t.try((*jsm.StreamPager).NextMsg, []any{pager, context.Background()}); err != nil {
			break
		}
	}
	t.call((*jsm.StreamPager).Close, pager)
}

func tourGaps(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s"), jsm.FileStorage())
	t.publish("s", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	find := func() {
		t.call((*jsm.Stream).DetectGaps, s, context.Background(),
			each(func(e *end) any { return func(seq, pending uint64) { e.note(seq, pending) } }),
			each(func(e *end) any { return func(first, last uint64) { e.note(first, last) } }))
	}
	find()
	for _, seq := range []uint64{3, 4, 6, 8} {
		t.call((*jsm.Stream).DeleteMessageRequest, s, api.JSApiMsgDeleteRequest{Seq: seq})
		find()
	}
}
