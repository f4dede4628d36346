package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

func TestOrderOfAPublisherIsKept(t *testing.T) {
	s := harness.Start(t, "")
	const n = 20000
	sub := s.Connect()
	got, err := sub.SubscribeSync("seq.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(got.SetPendingLimits(-1, -1), sub.Flush()); err != nil {
		t.Fatal(err)
	}
	pub := s.Connect()
	for i := range n {
		if err := pub.Publish(fmt.Sprintf("seq.%d", i%7), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		m, err := got.NextMsg(10 * time.Second)
		if err != nil || string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d is %v, %v", i, m, err)
		}
	}
}

func TestQueueGroupSharesFairlyAndExactlyOnce(t *testing.T) {
	s := harness.Start(t, "")
	const members, n = 4, 12000
	var counts [members]atomic.Int64
	seen := sync.Map{}
	var twice atomic.Int64
	for i := range members {
		nc := s.Connect()
		// Members with different patterns are one group where they overlap.
		pattern := []string{"jobs.*", "jobs.>"}[i%2]
		if _, err := nc.QueueSubscribe(pattern, "workers", func(m *nats.Msg) {
			if _, dup := seen.LoadOrStore(string(m.Data), true); dup {
				twice.Add(1)
			}
			counts[i].Add(1)
		}); err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	pub := s.Connect()
	for i := range n {
		if err := pub.Publish("jobs.x", []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	total := func() (sum int64) {
		for i := range counts {
			sum += counts[i].Load()
		}
		return sum
	}
	harness.Eventually(t, "all jobs are done", func() bool { return total() >= n })
	if total() != n || twice.Load() != 0 {
		t.Errorf("%d deliveries of %d, %d twice", total(), n, twice.Load())
	}
	for i := range counts {
		if c := counts[i].Load(); c < n/members/2 {
			t.Errorf("member %d got %d of %d", i, c, n)
		}
	}
}

func TestPlainSubscribersAndEachGroupGetTheirOwn(t *testing.T) {
	r := harness.Start(t, "").Raw(quiet)
	r.Send("SUB a g1 1\r\nSUB a g2 2\r\nSUB a 3\r\nPUB a 1\r\nx\r\nPING\r\n")
	got := map[string]bool{}
	for range 3 {
		got[r.Line()] = true
		r.Expect("x")
	}
	r.Expect("PONG")
	if len(got) != 3 {
		t.Errorf("deliveries are %v", got)
	}
}

func TestRequestsAreAnswered(t *testing.T) {
	s := harness.Start(t, "")
	server := s.Connect()
	if _, err := server.Subscribe("upper", func(m *nats.Msg) {
		if err := m.Respond(bytes.ToUpper(m.Data)); err != nil {
			t.Errorf("respond: %v", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	client := s.Connect()
	for i := range 200 {
		want := fmt.Sprintf("REQUEST %d", i)
		m, err := client.Request("upper", []byte(fmt.Sprintf("request %d", i)), 5*time.Second)
		if err != nil || string(m.Data) != want {
			t.Fatalf("request %d: %v, %v", i, m, err)
		}
	}
	if _, err := client.Request("nobody.home", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a request to nobody: %v", err)
	}
}

func TestHeadersReachTheSubscriber(t *testing.T) {
	nc := harness.Start(t, "").Connect()
	sub, err := nc.SubscribeSync("h")
	if err != nil {
		t.Fatal(err)
	}
	m := nats.NewMsg("h")
	m.Header["a"] = []string{"1", "2"}
	m.Header["Empty"] = []string{""}
	m.Data = []byte("body")
	if err := nc.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	got, err := sub.NextMsg(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Header) != fmt.Sprint(m.Header) || string(got.Data) != "body" {
		t.Errorf("got %v %q", got.Header, got.Data)
	}
}

func TestDrainDeliversWhatIsOnItsWay(t *testing.T) {
	s := harness.Start(t, "")
	var got atomic.Int64
	closed := make(chan struct{})
	sub := s.Connect(nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if _, err := sub.Subscribe("d", func(*nats.Msg) { got.Add(1) }); err != nil {
		t.Fatal(err)
	}
	pub := s.Connect()
	if err := errors.Join(sub.Flush(), pub.Flush()); err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		if err := pub.Publish("d", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(pub.Flush(), sub.Drain()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("drain does not end")
	}
	if got.Load() != 5000 {
		t.Errorf("%d of 5000 came", got.Load())
	}
}

func TestLargeMessagesFanOutUnharmed(t *testing.T) {
	s := harness.Start(t, "")
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	const subscribers = 5
	subs := make([]*nats.Subscription, subscribers)
	for i := range subs {
		nc := s.Connect()
		var err error
		if subs[i], err = nc.SubscribeSync("big"); err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	pub := s.Connect()
	for range 4 {
		if err := pub.Publish("big", body); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range subs {
		for range 4 {
			m, err := sub.NextMsg(10 * time.Second)
			if err != nil || !bytes.Equal(m.Data, body) {
				t.Fatalf("large message: %v", err)
			}
		}
	}
}
