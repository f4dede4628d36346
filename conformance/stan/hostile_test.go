package stan_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go"
	"github.com/nats-io/stan.go/pb"
	"github.com/weirmq/weir/conformance/harness"
)

// mostMemory is how many bytes of memory a server may have under what is sent here.
const mostMemory = 256 << 20

// TestManyDistinctChannelsAreRefusedAtTheLimit publishes to far more channels than there
// may be. Each publish is answered, the server's memory is bounded, and the channels that
// are there go on. WEIR_STAN_CHANNELS=1000000 is the long form.
func TestManyDistinctChannelsAreRefusedAtTheLimit(t *testing.T) {
	channels := 50_000
	if s := os.Getenv("WEIR_STAN_CHANNELS"); s != "" {
		var err error
		if channels, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const limit = 50
	s := start(t, fmt.Sprintf("store_limits { max_channels: %d }", limit))
	c := connect(t, s.URL, "me")
	c.put("kept", 1, 3)
	nc := s.Connect()
	answers := answersTo(t, nc)
	begun := time.Now()
	go func() {
		for i := range channels {
			m := pb.PubMsg{ClientID: "me", Guid: strconv.Itoa(i), Subject: fmt.Sprintf("far.too.many.%d", i), Data: []byte("x")}
			data, err := m.Marshal()
			if err == nil {
				err = nc.PublishRequest("_STAN.pub.tc.x", answers.Subject, data)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
		if err := nc.Flush(); err != nil {
			t.Error(err)
		}
	}()
	stored, refused := 0, 0
	for range channels {
		var a pb.PubAck
		if err := a.Unmarshal(nextOf(t, answers).Data); err != nil {
			t.Fatal(err)
		}
		switch a.Error {
		case "":
			stored++
		case "too many channels":
			refused++
		default:
			t.Fatal(a.Error)
		}
	}
	if stored != limit-1 || stored+refused != channels {
		t.Errorf("%d are stored, %d refused", stored, refused)
	}
	t.Logf("%d publishes to as many channels in %v", channels, time.Since(begun))
	bounded(t, s)
	c.put("kept", 4, 5)
	c.put("far.too.many.0", 1, 1)
	c.subscribe("kept", "", stan.DeliverAllAvailable()).want(1, 5, all)
}

// TestFloodsOfHostileRequestsAreBounded sends more of every request than a server can
// keep, without waiting for an answer: with the largest fields that the connection lets
// through, for clients that are unknown, as acknowledgements for others, and as rubbish.
func TestFloodsOfHostileRequestsAreBounded(t *testing.T) {
	s := start(t, "")
	c := connect(t, s.URL, "me")
	d := c.subscribe("kept", "")
	c.put("kept", 1, 2)
	d.want(1, 2, none)
	huge := strings.Repeat("n", 900<<10)
	encode := func(m interface{ Marshal() ([]byte, error) }) []byte {
		t.Helper()
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	nc := s.Connect()
	answers := answersTo(t, nc)
	sent := 0
	flood := func(subject string, data []byte, times int) {
		t.Helper()
		for range times {
			if err := nc.PublishRequest(subject, answers.Subject, data); err != nil {
				t.Fatal(err)
			}
			sent += len(data)
		}
	}
	const many, few = 5000, 20
	sub := pb.SubscriptionRequest{ClientID: "unknown", Subject: "kept", Inbox: "i", MaxInFlight: 1, AckWaitInSecs: 1}
	flood("_STAN.sub.tc", encode(&sub), many)
	sub.DurableName = huge
	flood("_STAN.sub.tc", encode(&sub), few)
	unsub := pb.UnsubscribeRequest{ClientID: "unknown", Subject: "kept", Inbox: "nowhere"}
	flood("_STAN.unsub.tc", encode(&unsub), many)
	unsub.Inbox = huge
	flood("_STAN.subclose.tc", encode(&unsub), few)
	flood("_STAN.close.tc", encode(&pb.CloseRequest{ClientID: "unknown"}), many)
	flood("_STAN.close.tc", encode(&pb.CloseRequest{ClientID: huge}), few)
	flood("_STAN.discover.tc.pings", encode(&pb.Ping{ConnID: []byte("unknown")}), many)
	flood("_STAN.discover.tc", encode(&pb.ConnectRequest{ClientID: huge, HeartbeatInbox: "h"}), few)
	flood("_STAN.discover.tc", encode(&pb.ConnectRequest{ClientID: "you", HeartbeatInbox: huge}), few)
	pub := pb.PubMsg{ClientID: "unknown", Guid: "g", Subject: "kept"}
	flood("_STAN.pub.tc.kept", encode(&pub), many)
	pub.Subject = huge
	flood("_STAN.pub.tc.kept", encode(&pub), few)
	asked := 5*many + 6*few
	// These have no answer.
	for _, subject := range []string{"_INBOX.stan.tc.nobody", "_STAN.discover.tc.pings"} {
		for range many {
			if err := nc.Publish(subject, bytes.Repeat([]byte{0xff}, 16)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range asked {
		if m := nextOf(t, answers); len(m.Data) == 0 || !bytes.Contains(m.Data, []byte("stan: ")) && !bytes.Contains(m.Data, []byte("replaced")) {
			t.Fatalf("an answer is %.80q", m.Data)
		}
	}
	t.Logf("%d MB sent", sent>>20)
	bounded(t, s)
	// Nobody else has noticed.
	c.put("kept", 3, 4)
	d.want(3, 4, all)
	if err := d.Unsubscribe(); err != nil {
		t.Error(err)
	}
}

func answersTo(t *testing.T, nc *nats.Conn) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(nats.NewInbox())
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func nextOf(t *testing.T, s *nats.Subscription) *nats.Msg {
	t.Helper()
	m, err := s.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMaxInFlightWithoutEndIsBounded has a subscriber take a large channel at once and read
// nothing of it: no more than what may wait for a client is in memory, and others go on.
func TestMaxInFlightWithoutEndIsBounded(t *testing.T) {
	const messages, size, most = 300_000, 1000, 180 << 20
	s := start(t, "")
	p := connect(t, s.URL, "me")
	data := make([]byte, size)
	p.pour("foo", 1, messages, func(int) []byte { return data })
	before := s.PeakMemory()
	slow := s.Raw(`{"verbose":false}`)
	slow.Send("SUB in 1\r\nSUB hb 2\r\nPING\r\n")
	slow.Expect("PONG")
	request := func(subject string, m interface{ Marshal() ([]byte, error) }) {
		b, err := m.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		slow.Send(fmt.Sprintf("PUB %s %d\r\n%s\r\n", subject, len(b), b))
	}
	request("_STAN.discover.tc", &pb.ConnectRequest{ClientID: "slow", HeartbeatInbox: "hb"})
	// A subscribe request of the same client is handled behind that to connect.
	request("_STAN.sub.tc", &pb.SubscriptionRequest{
		ClientID: "slow", Subject: "foo", Inbox: "in", MaxInFlight: math.MaxInt32, AckWaitInSecs: 3600, StartPosition: pb.StartPosition_First,
	})
	fast := p.subscribe("foo", "", stan.DeliverAllAvailable(), stan.MaxInflight(2000))
	for i := range messages {
		if m := fast.next(); m.Sequence != uint64(i+1) || m.Ack() != nil {
			t.Fatalf("message %d, want %d", m.Sequence, i+1)
		}
	}
	p.put("bar", 1, 10)
	if grown := s.PeakMemory() - before; grown > most {
		t.Errorf("%d MB more for a subscriber that does not read", grown>>20)
	} else {
		t.Logf("%d MB more", grown>>20)
	}
}

// bounded checks the server's memory.
func bounded(t *testing.T, s *harness.Server) {
	t.Helper()
	n := s.PeakMemory()
	t.Logf("%d MB were resident at most", n>>20)
	if n > mostMemory {
		t.Errorf("that is more than %d MB", mostMemory>>20)
	}
}
