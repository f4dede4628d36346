package streams_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

func explicit(name string, change ...func(*jetstream.ConsumerConfig)) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy}
	for _, f := range change {
		f(&c)
	}
	return c
}

func TestDeliverPoliciesStartWhereTheySay(t *testing.T) {
	b := start(t)
	b.fill(6)
	harness.Eventually(t, "the clock moves on", func() bool { return time.Since(b.state().LastTime) > 5*time.Millisecond })
	middle := time.Now()
	for i := 6; i < 9; i++ {
		b.publish(fmt.Sprintf("s.%d", i%3), fmt.Sprint(i+1))
	}
	set := func(p jetstream.DeliverPolicy) func(*jetstream.ConsumerConfig) {
		return func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = p }
	}
	filter := func(s string) func(*jetstream.ConsumerConfig) {
		return func(c *jetstream.ConsumerConfig) { c.FilterSubject = s }
	}
	for name, c := range map[string]struct {
		config jetstream.ConsumerConfig
		want   []uint64
	}{
		"all":              {explicit("all"), []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"all-filtered":     {explicit("allf", filter("s.1")), []uint64{2, 5, 8}},
		"wildcard":         {explicit("wild", filter("s.*")), []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"last":             {explicit("last", set(jetstream.DeliverLastPolicy)), []uint64{9}},
		"last-filtered":    {explicit("lastf", set(jetstream.DeliverLastPolicy), filter("s.0")), []uint64{7}},
		"last-per-subject": {explicit("lps", set(jetstream.DeliverLastPerSubjectPolicy), filter("s.>")), []uint64{7, 8, 9}},
		"sequence":         {explicit("seq", set(jetstream.DeliverByStartSequencePolicy), func(c *jetstream.ConsumerConfig) { c.OptStartSeq = 8 }), []uint64{8, 9}},
		"time":             {explicit("time", set(jetstream.DeliverByStartTimePolicy), func(c *jetstream.ConsumerConfig) { c.OptStartTime = &middle }), []uint64{7, 8, 9}},
		"new":              {explicit("new", set(jetstream.DeliverNewPolicy)), nil},
	} {
		consumer := b.consumer(c.config)
		if pending := consumer.CachedInfo().NumPending; pending != uint64(len(c.want)) {
			t.Errorf("%s: %d to come, want %d", name, pending, len(c.want))
		}
		b.expectSequences(consumer, c.want...)
		b.none(consumer)
	}
	b.publish("s.0", "10")
	for _, name := range []string{"all", "last", "lps", "new"} {
		c, err := b.js.Consumer(b.ctx, "S", name)
		if err != nil {
			t.Fatal(err)
		}
		b.expectSequences(c, 10)
	}
}

func TestConsumersAreMadeListedAndDeleted(t *testing.T) {
	b := start(t)
	b.consumer(explicit("b"))
	b.consumer(explicit("a", func(c *jetstream.ConsumerConfig) { c.FilterSubject = "s.x" }))
	var names []string
	lister := b.stream.ConsumerNames(b.ctx)
	for n := range lister.Name() {
		names = append(names, n)
	}
	if slices.Sort(names); lister.Err() != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("names are %v, %v", names, lister.Err())
	}
	count := 0
	infos := b.stream.ListConsumers(b.ctx)
	for range infos.Info() {
		count++
	}
	if infos.Err() != nil || count != 2 {
		t.Errorf("%d are listed, %v", count, infos.Err())
	}
	if _, err := b.js.CreateConsumer(b.ctx, "S", explicit("b")); err != nil {
		t.Errorf("the same consumer again: %v", err)
	}
	if _, err := b.js.CreateConsumer(b.ctx, "S", explicit("b", func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 3 })); code(err) != 10148 {
		t.Errorf("another consumer of this name: %v", err)
	}
	if _, err := b.js.UpdateConsumer(b.ctx, "S", explicit("nope")); code(err) != 10149 {
		t.Errorf("update of no consumer: %v", err)
	}
	if c, err := b.js.UpdateConsumer(b.ctx, "S", explicit("b", func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 3 })); err != nil || c.CachedInfo().Config.MaxDeliver != 3 {
		t.Errorf("update: %v", err)
	}
	if err := b.js.DeleteConsumer(b.ctx, "S", "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Consumer(b.ctx, "S", "a"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("a deleted consumer: %v", err)
	}
	if _, err := b.js.CreateConsumer(b.ctx, "NOPE", explicit("c")); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("a consumer of no stream: %v", err)
	}
}

func TestConsumerDefaultsAreFilledIn(t *testing.T) {
	c := start(t).consumer(explicit("c")).CachedInfo().Config
	if c.AckWait != 30*time.Second || c.MaxDeliver != -1 || c.MaxAckPending != 1000 || c.MaxWaiting != 512 {
		t.Errorf("configuration is %+v", c)
	}
}

func TestUnusedEphemeralConsumersGo(t *testing.T) {
	b := start(t)
	c := b.consumer(jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: 300 * time.Millisecond})
	name := c.CachedInfo().Name
	harness.Eventually(t, "it is removed", func() bool {
		lister := b.stream.ConsumerNames(b.ctx)
		for n := range lister.Name() {
			if n == name {
				return false
			}
		}
		return lister.Err() == nil
	})
}

func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	b := start(t)
	b.fill(2)
	c := b.consumer(explicit("c", func(c *jetstream.ConsumerConfig) { c.AckWait = 300 * time.Millisecond }))
	first := b.fetch(c, 2)
	if err := first[1].DoubleAck(b.ctx); err != nil {
		t.Fatal(err)
	}
	again := b.fetch(c, 1)[0]
	if md := meta(t, again); md.Sequence.Stream != 1 || md.NumDelivered != 2 || md.Sequence.Consumer != 3 {
		t.Errorf("delivery is %+v", md)
	}
	if err := again.DoubleAck(b.ctx); err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(b.ctx)
	if err != nil || info.NumAckPending != 0 || info.AckFloor.Stream != 2 || info.NumPending != 0 {
		t.Errorf("info is %+v, %v", info, err)
	}
}

func TestNakTermAndProgressDoWhatTheySay(t *testing.T) {
	b := start(t)
	b.fill(4)
	c := b.consumer(explicit("c", func(c *jetstream.ConsumerConfig) { c.AckWait = time.Second }))
	list := b.fetch(c, 4)
	if err := list[0].Nak(); err != nil {
		t.Fatal(err)
	}
	again := b.fetch(c, 1)[0]
	if md := meta(t, again); md.Sequence.Stream != 1 || md.NumDelivered != 2 {
		t.Errorf("after nak comes %+v", md)
	}
	nacked := time.Now()
	if err := errors.Join(again.DoubleAck(b.ctx), list[1].NakWithDelay(300*time.Millisecond), list[2].TermWithReason("broken")); err != nil {
		t.Fatal(err)
	}
	delayed := b.fetch(c, 1)[0]
	if took := time.Since(nacked); sequence(t, delayed) != 2 || took < 250*time.Millisecond || took > 900*time.Millisecond {
		t.Errorf("sequence %d comes after %v", sequence(t, delayed), took)
	}
	if err := delayed.DoubleAck(b.ctx); err != nil {
		t.Fatal(err)
	}
	// Progress on the last one outlives ack_wait; nothing else is left to come.
	for until := time.Now().Add(1500 * time.Millisecond); time.Now().Before(until); {
		if err := list[3].InProgress(); err != nil {
			t.Fatal(err)
		}
		b.none(c)
	}
	if err := list[3].DoubleAck(b.ctx); err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(b.ctx)
	if err != nil || info.NumAckPending != 0 || info.AckFloor.Stream != 4 {
		t.Errorf("info is %+v, %v", info, err)
	}
}

func TestMaxDeliverEndsRedelivery(t *testing.T) {
	b := start(t)
	b.fill(2)
	c := b.consumer(explicit("c", func(c *jetstream.ConsumerConfig) {
		c.MaxDeliver, c.AckWait = 3, 100*time.Millisecond
		c.FilterSubject = "s.0"
	}))
	for want := uint64(1); want <= 3; want++ {
		if md := meta(t, b.fetch(c, 1)[0]); md.NumDelivered != want || md.Sequence.Stream != 1 {
			t.Errorf("delivery %d is %+v", want, md)
		}
	}
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for m := range batch.Messages() {
		t.Errorf("a further delivery: %+v", meta(t, m))
	}
	b.expectState(2, 1, 2)
}

func TestBackoffReplacesAckWait(t *testing.T) {
	b := start(t)
	b.fill(1)
	c := b.consumer(explicit("c", func(c *jetstream.ConsumerConfig) {
		c.BackOff, c.MaxDeliver = []time.Duration{100 * time.Millisecond, 600 * time.Millisecond}, 3
	}))
	b.fetch(c, 1)
	start := time.Now()
	b.fetch(c, 1)
	second := time.Since(start)
	b.fetch(c, 1)
	third := time.Since(start) - second
	if second > 450*time.Millisecond || third < 450*time.Millisecond {
		t.Errorf("redelivered after %v and %v", second, third)
	}
}

func TestMaxAckPendingHoldsBack(t *testing.T) {
	b := start(t)
	b.fill(6)
	c := b.consumer(explicit("c", func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 2 }))
	list := b.fetch(c, 2)
	// A request with an end: one without would wait on, and take what comes next.
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		t.Fatalf("fetch: %v", err)
	}
	for m := range batch.Messages() {
		t.Errorf("unexpected message %s %q", m.Subject(), m.Data())
	}
	if err := list[0].DoubleAck(b.ctx); err != nil {
		t.Fatal(err)
	}
	if seq := sequence(t, b.fetch(c, 1)[0]); seq != 3 {
		t.Errorf("then comes %d", seq)
	}
}

func TestTwoClientsShareAConsumer(t *testing.T) {
	b := start(t)
	const n = 600
	b.fill(n)
	b.consumer(explicit("c"))
	var mu sync.Mutex
	seen := map[uint64]int{}
	var by [2]int
	// Each waits with its first message until the other has one, too: one of them could be
	// given all before the other has asked.
	first := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	stop := make(chan struct{})
	for i := range by {
		nc := b.server.Connect()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		c, err := js.Consumer(b.ctx, "S", "c")
		if err != nil {
			t.Fatal(err)
		}
		run, err := c.Consume(func(m jetstream.Msg) {
			mu.Lock()
			seen[sequence(t, m)]++
			if by[i]++; by[i] == 1 {
				close(first[i])
			}
			done := len(seen) == n
			mu.Unlock()
			select {
			case <-first[1-i]:
			case <-b.ctx.Done():
			}
			if err := m.Ack(); err != nil {
				t.Errorf("acknowledge: %v", err)
			}
			if done {
				close(stop)
			}
		}, jetstream.PullMaxMessages(10))
		if err != nil {
			t.Fatal(err)
		}
		defer run.Stop()
	}
	select {
	case <-stop:
	case <-b.ctx.Done():
		t.Fatal("not all came")
	}
	mu.Lock()
	defer mu.Unlock()
	for seq, times := range seen {
		if times != 1 {
			t.Errorf("message %d came %d times", seq, times)
		}
	}
	if by[0] == 0 || by[1] == 0 {
		t.Errorf("the shares are %v", by)
	}
}

// pull sends a raw pull request and returns the subscription of its inbox.
func (b *bench) pull(consumer, request string) *nats.Subscription {
	b.t.Helper()
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.S."+consumer, inbox, []byte(request)); err != nil {
		b.t.Fatal(err)
	}
	return sub
}

func (b *bench) expectStatus(sub *nats.Subscription, status, text string) *nats.Msg {
	b.t.Helper()
	m, err := sub.NextMsg(10 * time.Second)
	if err != nil {
		b.t.Fatalf("no status %s: %v", status, err)
	}
	if m.Header.Get("Status") != status || m.Header.Get("Description") != text {
		b.t.Errorf("got %v %q, want %s %s", m.Header, m.Data, status, text)
	}
	return m
}

func (b *bench) expectData(sub *nats.Subscription, body string) {
	b.t.Helper()
	m, err := sub.NextMsg(10 * time.Second)
	if err != nil || string(m.Data) != body {
		b.t.Fatalf("got %v, %v; want %q", m, err, body)
	}
}

func TestPullRequestsEndWithTheirStatus(t *testing.T) {
	b := start(t)
	b.fill(3)
	b.consumer(explicit("c"))

	b.expectData(b.pull("c", ""), "1")
	sub := b.pull("c", `{"batch":5,"no_wait":true}`)
	b.expectData(sub, "2")
	b.expectData(sub, "3")
	b.expectStatus(sub, "404", "No Messages")

	m := b.expectStatus(b.pull("c", `{"batch":5,"expires":200000000}`), "408", "Request Timeout")
	if m.Header.Get("Nats-Pending-Messages") != "5" {
		t.Errorf("headers are %v", m.Header)
	}
	b.expectStatus(b.pull("c", `{"batch":1,"expires":100000000,"idle_heartbeat":90000000}`), "400", "Bad Request - heartbeat value too large")

	sub = b.pull("c", `{"batch":2,"expires":10000000000,"idle_heartbeat":150000000}`)
	b.expectStatus(sub, "100", "Idle Heartbeat")
	b.publish("s.x", "four")
	for {
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get("Status") == "100" {
			continue
		}
		if string(m.Data) != "four" {
			t.Errorf("got %q", m.Data)
		}
		break
	}
	waiting := b.pull("c", `{"batch":1,"expires":10000000000}`)
	harness.Eventually(t, "the request waits", func() bool {
		c, err := b.js.Consumer(b.ctx, "S", "c")
		return err == nil && c.CachedInfo().NumWaiting > 0
	})
	if err := b.js.DeleteConsumer(b.ctx, "S", "c"); err != nil {
		t.Fatal(err)
	}
	b.expectStatus(waiting, "409", "Consumer Deleted")
}

func TestMaxBytesBoundsARequest(t *testing.T) {
	b := start(t)
	b.publish("s.a", string(make([]byte, 1000)))
	b.consumer(explicit("c"))
	b.expectStatus(b.pull("c", `{"batch":5,"max_bytes":500,"expires":5000000000}`), "409", "Message Size Exceeds MaxBytes")
}

func TestWaitingRequestGetsANewMessageAtOnce(t *testing.T) {
	b := start(t)
	b.consumer(explicit("c"))
	sub := b.pull("c", `{"batch":1,"expires":30000000000}`)
	b.publish("s.x", "now")
	b.expectData(sub, "now")
}

func TestDeliveriesShowTheirOrigin(t *testing.T) {
	b := start(t)
	m := nats.NewMsg("s.a.b")
	m.Header.Set("K", "v")
	m.Data = []byte("body")
	if _, err := b.js.PublishMsg(b.ctx, m); err != nil {
		t.Fatal(err)
	}
	got := b.fetch(b.consumer(explicit("c")), 1)[0]
	md := meta(t, got)
	if got.Subject() != "s.a.b" || got.Headers().Get("K") != "v" || string(got.Data()) != "body" ||
		md.Stream != "S" || md.Consumer != "c" || md.NumDelivered != 1 || md.NumPending != 0 || time.Since(md.Timestamp) > time.Minute {
		t.Errorf("delivery is %s %v %q %+v", got.Subject(), got.Headers(), got.Data(), md)
	}
}

func TestOrderedReadingSeesEveryMessageInOrder(t *testing.T) {
	b := start(t)
	const n = 3000
	for i := range n {
		if _, err := b.js.PublishAsync(fmt.Sprintf("s.%d", i%3), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-b.js.PublishAsyncComplete():
	case <-b.ctx.Done():
		t.Fatal("not all were stored")
	}
	c, err := b.js.OrderedConsumer(b.ctx, "S", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"s.>"}})
	if err != nil {
		t.Fatal(err)
	}
	it, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Stop()
	for want := uint64(1); want <= n; want++ {
		m, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := sequence(t, m); got != want {
			t.Fatalf("sequence %d comes where %d is due", got, want)
		}
	}
}
