package oracle_test

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
)

func init() {
	tours["consumer options"] = tourConsumerOptions
	tours["consumer from an age"] = func(t *tour) {
		t.call((*jsm.Manager).NewStream, t.manager, "S", jsm.Subjects("s.>"), jsm.FileStorage())
		t.publish("s.1", "one", "two")
		t.call((*jsm.Manager).NewConsumer, t.manager, "S", jsm.DurableName("c"), jsm.StartAtTimeDelta(time.Hour))
	}
	tours["consumer life"] = tourConsumerLife
	tours["consumer lists"] = tourConsumerLists
	tours["consumer queries"] = tourConsumerQueries
	tours["pulling"] = tourPulling
	tours["pausing and pinning"] = tourPausing
}

func tourConsumerOptions(t *tour) {
	m := t.manager
	t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	t.publish("s.1", "one", "two")
	at := time.Now().Add(-time.Hour).UTC()
	for _, c := range [][]jsm.ConsumerOption{
		{jsm.DurableName("pull"), jsm.ConsumerDescription("everything"), jsm.AckWait(time.Minute), jsm.MaxDeliveryAttempts(5), jsm.MaxAckPending(10),
			jsm.MaxWaiting(7), jsm.MaxRequestBatch(9), jsm.MaxRequestExpires(time.Minute), jsm.MaxRequestMaxBytes(1 << 10), jsm.SamplePercent(50),
			jsm.FilterStreamBySubject("s.1"), jsm.ConsumerMetadata(map[string]string{"owner": "me"}), jsm.InactiveThreshold(time.Hour),
			jsm.ConsumerOverrideReplicas(1), jsm.ConsumerOverrideMemoryStorage(), jsm.AcknowledgeExplicit(), jsm.DeliverAllAvailable(), jsm.ReplayInstantly()},
		{jsm.DurableName("push"), jsm.DeliverySubject("to.push"), jsm.DeliverGroup("g"), jsm.AcknowledgeAll(), jsm.ReplayAsReceived(), jsm.RateLimitBitsPerSecond(8000)},
		{jsm.DurableName("flow"), jsm.DeliverySubject("to.flow"), jsm.PushFlowControl(), jsm.IdleHeartbeat(5 * time.Second), jsm.AcknowledgeNone(), jsm.DeliverHeadersOnly()},
		{jsm.ConsumerName("named"), jsm.FilterStreamBySubject("s.1", "s.2"), jsm.DeliverBodies(), jsm.StartAtSequence(2)},
		{jsm.DurableName("last"), jsm.StartWithLastReceived(), jsm.BackoffIntervals(time.Second, time.Minute), jsm.MaxDeliveryAttempts(3)},
		{jsm.DurableName("new"), jsm.StartWithNextReceived(), jsm.BackoffPolicy([]time.Duration{time.Second}), jsm.MaxDeliveryAttempts(3)},
		{jsm.DurableName("each"), jsm.DeliverLastPerSubject(), jsm.FilterStreamBySubject("s.*"), jsm.LinearBackoffPolicy(3, time.Second, time.Minute), jsm.MaxDeliveryAttempts(4)},
		{jsm.DurableName("time"), jsm.StartAtTime(at)},
		{jsm.DurableName("paused"), jsm.PauseUntil(time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC))},
		{jsm.DurableName("pinned"), jsm.PinnedClientPriorityGroups(time.Minute, "g")},
		{jsm.DurableName("over"), jsm.OverflowPriorityGroups("g")},
		{jsm.DurableName("prio"), jsm.PrioritizedPriorityGroups("g")},
	} {
		t.call(jsm.NewConsumerConfiguration, jsm.DefaultConsumer, slices.Concat(c, []jsm.ConsumerOption{named("x")}))
		t.call((*jsm.Manager).NewConsumer, m, "S", c)
	}
	t.call((*jsm.Manager).NewConsumerFromDefault, m, "S", jsm.SampledDefaultConsumer, jsm.DurableName("sampled"))
	for _, c := range [][]jsm.ConsumerOption{
		{jsm.DurableName("pull"), jsm.DeliverySubject("to.pull")},
		{jsm.DurableName("p"), jsm.ConsumerOverrideReplicas(3)},
		{jsm.DurableName("p"), jsm.AcknowledgeFlowControl()},
		{jsm.DurableName("p"), jsm.FilterStreamBySubject("other")},
		{jsm.DurableName("p"), jsm.FilterStreamBySubject("s.1", "s.*")},
		{jsm.DurableName("p"), jsm.StartAtSequence(1), jsm.StartAtTime(at)},
		{jsm.DurableName("p"), jsm.BackoffIntervals(time.Second, time.Minute), jsm.MaxDeliveryAttempts(1)},
		{jsm.DurableName("p"), jsm.DeliverySubject("s.1")},
		{jsm.DurableName("p"), jsm.DeliverySubject("to.p"), jsm.MaxWaiting(3)},
		{jsm.DurableName("p"), jsm.RateLimitBitsPerSecond(8000)},
	} {
		_, _ = t.try((*jsm.Manager).NewConsumer, []any{m, "S", c})
	}
	t.fails((*jsm.Manager).NewConsumer, m, "none", jsm.DurableName("c"))
	t.fails((*jsm.Manager).NewConsumer, t.newManager(jsm.WithPedanticRequests()), "S", jsm.DurableName("p"), jsm.BackoffIntervals(time.Second))
	t.call((*jsm.Manager).Consumers, m, "S")
}

// named gives a consumer a name, as the library makes one up otherwise.
func named(name string) jsm.ConsumerOption {
	return func(c *api.ConsumerConfig) error {
		if c.Durable == "" && c.Name == "" {
			c.Name = name
		}
		return nil
	}
}

func tourConsumerLife(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	t.publish("s.1", "one", "two", "three")
	c := t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("a"), jsm.SamplePercent(100))
	t.call((*jsm.Stream).NewConsumerFromDefault, s, jsm.DefaultConsumer, jsm.DurableName("b"))
	t.call((*jsm.Stream).LoadConsumer, s, "a")
	t.fails((*jsm.Stream).LoadConsumer, s, "none")
	t.call((*jsm.Stream).LoadOrNewConsumer, s, "c", jsm.DurableName("c"))
	t.call((*jsm.Stream).LoadOrNewConsumer, s, "c", jsm.DurableName("c"), jsm.MaxAckPending(3))
	t.call((*jsm.Stream).LoadOrNewConsumerFromDefault, s, "d", jsm.DefaultConsumer, jsm.DurableName("d"))
	t.call((*jsm.Manager).LoadOrNewConsumer, m, "S", "e", jsm.DurableName("e"))
	t.call((*jsm.Manager).LoadOrNewConsumerFromDefault, m, "S", "f", jsm.DefaultConsumer, jsm.DurableName("f"))
	t.call((*jsm.Manager).LoadConsumer, m, "S", "f")
	t.fails((*jsm.Manager).LoadConsumer, m, "none", "f")
	t.call((*jsm.Manager).IsKnownConsumer, m, "S", "a")
	t.call((*jsm.Manager).IsKnownConsumer, m, "S", "none")
	t.call((*jsm.Consumer).UpdateConfiguration, c, jsm.ConsumerDescription("new"), jsm.MaxAckPending(5))
	t.fails((*jsm.Consumer).UpdateConfiguration, c, jsm.AcknowledgeNone())
	t.fails((*jsm.Consumer).UpdateConfiguration, c, jsm.DeliverySubject("to"))
	t.call((*jsm.Consumer).Reset, c)
	t.call((*jsm.Consumer).LatestState, c)
	t.state(c)
	t.fails((*jsm.Consumer).ClusterInfo, c)
	t.fails((*jsm.Consumer).LeaderStepDown, c)
	t.fails((*jsm.Consumer).LeaderStepDown, c, &api.Placement{Preferred: "x"})
	t.fails((*jsm.Consumer).EvacuatePeer, c, "x")
	t.call((*jsm.Consumer).ResetConsumerState, c, uint64(2))
	t.call((*jsm.Consumer).ResetConsumerState, c, uint64(0))
	t.call((*jsm.Consumer).Delete, c)
	t.fails((*jsm.Consumer).Delete, c)
	t.fails((*jsm.Consumer).State, c)
	t.call((*jsm.Manager).DeleteConsumer, m, "S", "b")
	t.fails((*jsm.Manager).DeleteConsumer, m, "S", "b")
	t.fails((*jsm.Manager).DeleteConsumer, m, "none", "b")
	t.call((*jsm.Stream).ConsumerNames, s)
}

// state asks for a consumer's state in every way.
func (t *tour) state(c both) {
	t.Helper()
	for _, f := range []any{
		(*jsm.Consumer).State, (*jsm.Consumer).DeliveredState, (*jsm.Consumer).AcknowledgedFloor, (*jsm.Consumer).PendingAcknowledgement,
		(*jsm.Consumer).PendingMessages, (*jsm.Consumer).WaitingClientPulls, (*jsm.Consumer).RedeliveryCount,
	} {
		t.call(f, c)
	}
}

func tourConsumerLists(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	list := func() {
		t.call((*jsm.Stream).ConsumerNames, s)
		t.call((*jsm.Manager).ConsumerNames, m, "S")
		t.call((*jsm.Manager).Consumers, m, "S")
		t.call((*jsm.Stream).EachConsumer, s, each(func(e *end) any { return func(c *jsm.Consumer) { e.note(c) } }))
	}
	list()
	for _, name := range []string{"b", "a", "c"} {
		t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName(name))
	}
	list()
	t.fails((*jsm.Manager).Consumers, m, "none")
	t.fails((*jsm.Manager).ConsumerNames, m, "none")
}

func tourConsumerQueries(t *tour) {
	m := t.manager
	s := t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	t.publish("s.1", "one", "two", "three")
	t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("pull"))
	t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("push"), jsm.DeliverySubject("to.push"))
	t.call((*jsm.Stream).NewConsumer, s, jsm.DurableName("pinned"), jsm.PinnedClientPriorityGroups(time.Minute, "g"))
	t.ask("pull", api.JSApiConsumerGetNextRequest{Batch: 1}, 1)
	for _, q := range []jsm.ConsumerQueryOpt{
		jsm.ConsumerQueryApiLevelMin(1), jsm.ConsumerQueryExpression(`config.durable_name == "pull"`), jsm.ConsumerQueryIsBound(), jsm.ConsumerQueryIsPinned(),
		jsm.ConsumerQueryIsPull(), jsm.ConsumerQueryIsPush(), jsm.ConsumerQueryLeaderServer("conformance"), jsm.ConsumerQueryOlderThan(time.Hour),
		jsm.ConsumerQueryReplicas(1), jsm.ConsumerQueryWithDeliverySince(time.Hour), jsm.ConsumerQueryWithFewerAckPending(1),
		jsm.ConsumerQueryWithFewerPending(3), jsm.ConsumerQueryWithFewerWaiting(1),
	} {
		t.call((*jsm.Stream).QueryConsumers, s, q)
		t.call((*jsm.Stream).QueryConsumers, s, q, jsm.ConsumerQueryInvert())
	}
}

// ask pulls from a consumer of S with the manager and takes n answers.
func (t *tour) ask(consumer string, req api.JSApiConsumerGetNextRequest, n int) both {
	t.Helper()
	return t.call(pull, each(func(e *end) any { return e }), t.manager, consumer, &req, n)
}

// pull asks with an inbox of its own.
func pull(e *end, m *jsm.Manager, consumer string, req *api.JSApiConsumerGetNextRequest, n int) ([]*nats.Msg, error) {
	driven["Manager.NextMsgRequest"] = true
	sub, err := e.nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := m.NextMsgRequest("S", consumer, sub.Subject, req); err != nil {
		return nil, err
	}
	return e.receive(sub, n)
}

func tourPulling(t *tour) {
	m := t.manager
	t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	c := t.call((*jsm.Manager).NewConsumer, m, "S", jsm.DurableName("c"), jsm.AckWait(time.Hour))
	t.publish("s.1", "one", "two", "three", "four", "five")
	t.call((*jsm.Manager).NextSubject, m, "S", "c")
	t.fails((*jsm.Manager).NextSubject, m, "S", "a.b")
	t.call(jsm.NextSubject, "S", "c")
	t.fails((*jsm.Consumer).NextMsg, c) // a connection of the new style
	old := t.call(jsm.New, t.as(nats.UseOldRequestStyle()), jsm.WithTrace())
	first := t.call((*jsm.Manager).NextMsg, old, "S", "c")
	t.call(jsm.ParseJSMsgMetadata, first)
	t.call(settle, first, t.conns(), "+ACK")
	mine := t.call((*jsm.Manager).LoadConsumer, old, "S", "c")
	t.call(settle, t.call((*jsm.Consumer).NextMsg, mine), t.conns(), `-NAK {"delay":3600000000000}`)
	t.call(settle, t.call((*jsm.Consumer).NextMsgContext, mine, context.Background()), t.conns(), "+TERM enough")
	t.call((*jsm.Manager).NextMsgContext, old, context.Background(), "S", "c")
	t.call(jsm.ParseJSMsgMetadataReply, "$JS.ACK.S.c.1.2.3.4.5")
	t.state(c)
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 5, NoWait: true}, 2)
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 5, NoWait: true}, 1)
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 5, Expires: 50 * time.Millisecond}, 1)
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 1, MaxBytes: 1, Expires: 50 * time.Millisecond}, 1)
	t.call(nextMsgRequest, c, each(func(e *end) any { return e }))
	t.state(c)
	t.call((*jsm.Stream).Purge, t.call((*jsm.Manager).LoadStream, m, "S"))
	t.state(c)
}

// settle acknowledges a message in one way or another, and waits until it is done.
func settle(m *nats.Msg, nc *nats.Conn, how string) error {
	_, err := nc.Request(m.Reply, []byte(how), patience)
	return err
}

// nextMsgRequest asks by way of the consumer, for a message that does not come.
func nextMsgRequest(c *jsm.Consumer, e *end) ([]*nats.Msg, error) {
	driven["Consumer.NextMsgRequest"] = true
	sub, err := e.nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.NextMsgRequest(sub.Subject, &api.JSApiConsumerGetNextRequest{Batch: 1, NoWait: true}); err != nil {
		return nil, err
	}
	return e.receive(sub, 1)
}

func tourPausing(t *tour) {
	m := t.manager
	t.call((*jsm.Manager).NewStream, m, "S", jsm.Subjects("s.>"), jsm.FileStorage())
	c := t.call((*jsm.Manager).NewConsumer, m, "S", jsm.DurableName("c"))
	t.publish("s.1", "one", "two")
	t.call((*jsm.Consumer).Pause, c, time.Date(2091, 1, 1, 0, 0, 0, 0, time.UTC))
	t.call((*jsm.Consumer).State, c)
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 1, NoWait: true}, 1)
	t.call((*jsm.Consumer).Resume, c)
	t.call((*jsm.Consumer).Resume, c)
	t.fails((*jsm.Consumer).Pause, c, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	t.ask("c", api.JSApiConsumerGetNextRequest{Batch: 1}, 1)
	t.fails((*jsm.Consumer).Unpin, c, "g")
	p := t.call((*jsm.Manager).NewConsumer, m, "S", jsm.DurableName("p"), jsm.PinnedClientPriorityGroups(time.Minute, "g"))
	t.ask("p", api.JSApiConsumerGetNextRequest{Batch: 1, Group: "g"}, 1)
	t.call((*jsm.Consumer).State, p)
	t.call((*jsm.Consumer).Unpin, p, "g")
	t.call((*jsm.Consumer).State, p)
	t.fails((*jsm.Consumer).Unpin, p, "h")
	o := t.call((*jsm.Manager).NewConsumer, m, "S", jsm.DurableName("o"), jsm.OverflowPriorityGroups("g"))
	t.ask("o", api.JSApiConsumerGetNextRequest{Batch: 1, Group: "g", MinPending: 100, NoWait: true}, 1)
	t.ask("o", api.JSApiConsumerGetNextRequest{Batch: 1, Group: "g", MinPending: 1}, 1)
	t.call((*jsm.Consumer).State, o)
	r := t.call((*jsm.Manager).NewConsumer, m, "S", jsm.DurableName("r"), jsm.PrioritizedPriorityGroups("g"))
	t.ask("r", api.JSApiConsumerGetNextRequest{Batch: 1, Group: "g", Priority: 3}, 1)
	t.call((*jsm.Consumer).State, r)
}
