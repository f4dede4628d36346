package nats

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

func TestInfoComesFirstAndSaysWhoWeAre(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.dial(), r.dial()
	i := a.info
	if i.ServerID != "NID" || i.Proto != 1 || !i.Headers || i.MaxPayload != 1<<20 || i.ClientIP != "127.0.0.1" || i.Version != "2.12.0" {
		t.Errorf("got %+v", i)
	}
	if i.AuthRequired || i.Nonce != "" || i.ConnectInfo {
		t.Errorf("got %+v", i)
	}
	if b.info.ClientID <= i.ClientID {
		t.Errorf("client ids %d, %d", i.ClientID, b.info.ClientID)
	}
}

func TestFirstPongIsFollowedByConnectInfo(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect()
	if !c.info.ConnectInfo || c.info.RemoteAccount != "$G" || c.info.SystemAccount {
		t.Errorf("got %+v", c.info)
	}
	c.flush()
	c.expectSilence()
}

func TestOldProtocolGetsNoSecondInfo(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	c.send(`CONNECT {"verbose":false,"protocol":0}` + "\r\nPING\r\n")
	c.expect("PONG\r\n")
	c.expectSilence()
}

func TestTelnetIsVerboseWithoutConnect(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial()
	c.send("PING\r\n")
	c.expect("PONG\r\n")
	c.send("SUB foo 1\r\n")
	c.expect("+OK\r\n")
	c.send("SUB foo 1\r\n")
	c.expect("+OK\r\n")
	c.send("PUB foo 2\r\nhi\r\n")
	c.expect("+OK\r\nMSG foo 1 2\r\nhi\r\n")
	c.send("UNSUB 99\r\n")
	c.expect("+OK\r\n")
	c.send("pub foo.* 1\r\nx\r\n")
	c.expect("-ERR 'Invalid Publish Subject'\r\n+OK\r\n")
	c.send("FOO\r\n")
	c.expect("-ERR 'Unknown Protocol Operation'\r\n")
	c.expectEnd()
}

func TestDeliveryForms(t *testing.T) {
	r := newRig(t, nil)
	sub, pub := r.connect(), r.connect()
	sub.send("SUB a.* 7\r\n")
	sub.flush()
	for _, c := range []struct{ in, want string }{
		{"PUB a.b 5\r\nhello\r\n", "MSG a.b 7 5\r\nhello\r\n"},
		{"PUB a.b 0\r\n\r\n", "MSG a.b 7 0\r\n\r\n"},
		{"PUB a.b re.ply 2\r\nhi\r\n", "MSG a.b 7 re.ply 2\r\nhi\r\n"},
		{"pub  a.b\tre.ply   02 \nhi\r\n", "MSG a.b 7 re.ply 2\r\nhi\r\n"},
		{"HPUB a.b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "HMSG a.b 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"},
		{"HPUB a.b r 12 12\r\nNATS/1.0\r\n\r\n\r\n", "HMSG a.b 7 r 12 12\r\nNATS/1.0\r\n\r\n\r\n"},
		{"PUB a.> 1\r\nx\r\n", "MSG a.> 7 1\r\nx\r\n"},
	} {
		pub.send(c.in)
		sub.expect(c.want)
	}
	pub.flush()
}

func TestHeadersAreStrippedForClientsWithoutThem(t *testing.T) {
	r := newRig(t, nil)
	old, pub := r.connect(`"headers":false`, `"no_responders":false`), r.connect()
	old.send("SUB a 1\r\n")
	old.flush()
	pub.send("HPUB a re 19 24\r\nNATS/1.0\r\nA: bc\r\n\r\nhello\r\n")
	old.expect("MSG a 1 re 5\r\nhello\r\n")
	old.send("HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n")
	old.expectEnd()
}

func TestEachOverlappingSubscriptionGetsItsCopyInOrder(t *testing.T) {
	r := newRig(t, nil)
	sub, pub := r.connect(), r.connect()
	sub.send("SUB a.b 1\r\nSUB a.* 2\r\nSUB > 3\r\n")
	sub.flush()
	pub.send("PUB a.b 1\r\nx\r\n")
	sub.expect("MSG a.b 1 1\r\nx\r\nMSG a.b 2 1\r\nx\r\nMSG a.b 3 1\r\nx\r\n")
}

func TestEchoFalseSkipsOwnSubscriptionsAndQueueMembers(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.connect(`"echo":false`), r.connect()
	a.send("SUB x 1\r\nSUB x q 2\r\n")
	b.send("SUB x q 9\r\n")
	a.flush()
	b.flush()
	for range 20 {
		a.send("PUB x 1\r\n.\r\n")
	}
	a.flush()
	b.expect(strings.Repeat("MSG x 9 1\r\n.\r\n", 20))
}

func TestQueueGroupGivesEachMessageToOneMemberFairly(t *testing.T) {
	r := newRig(t, nil)
	const members, msgs = 3, 3000
	subs := make([]*client, members)
	for i := range subs {
		subs[i] = r.connect()
		subject := []string{"q.a", "q.*", "q.a"}[i]
		subs[i].send("SUB " + subject + " g 1\r\n")
		subs[i].flush()
	}
	pub := r.connect()
	pub.send(strings.Repeat("PUB q.a 1\r\nx\r\n", msgs))
	pub.flush()
	total := 0
	for i, s := range subs {
		s.send("PING\r\n")
		n := 0
		for line := s.line(); line != "PONG\r\n"; line = s.line() {
			if line == "MSG q.a 1 1\r\n" {
				n++
			}
		}
		if n < msgs/members*8/10 || n > msgs/members*12/10 {
			t.Errorf("member %d got %d of %d", i, n, msgs)
		}
		total += n
	}
	if total != msgs {
		t.Errorf("%d deliveries of %d messages", total, msgs)
	}
}

func TestUnsubWithMaxCountsFromTheSubscription(t *testing.T) {
	r := newRig(t, nil)
	sub, pub := r.connect(), r.connect()
	sub.send("SUB a 1\r\nSUB b 2\r\n")
	sub.flush()
	pub.send("PUB a 1\r\n1\r\nPUB a 1\r\n2\r\n")
	sub.expect("MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\n")
	sub.send("UNSUB 1 3\r\n")
	sub.flush()
	pub.send("PUB a 1\r\n3\r\nPUB a 1\r\n4\r\nPUB b 1\r\n5\r\n")
	sub.expect("MSG a 1 1\r\n3\r\nMSG b 2 1\r\n5\r\n")
	sub.send("UNSUB 2 1\r\n") // already reached
	sub.flush()
	if n := r.space.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions left", n)
	}
}

func TestUnsubWithMaxIsExactUnderConcurrentPublishers(t *testing.T) {
	r := newRig(t, nil)
	const max, publishers, each = 500, 4, 1000
	sub := r.connect()
	sub.send(fmt.Sprintf("SUB a 1\r\nUNSUB 1 %d\r\n", max))
	sub.flush()
	for range publishers {
		go func(c *client) {
			_, _ = c.conn.Write([]byte(strings.Repeat("PUB a 1\r\nx\r\n", each)))
		}(r.connect())
	}
	sub.expect(strings.Repeat("MSG a 1 1\r\nx\r\n", max))
	r.eventually(func() bool { return r.door.Totals().InMsgs == publishers*each }, "publishes are missing")
	sub.flush()
	if n := r.space.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions left", n)
	}
}

func TestNoRespondersIsToldThroughTheRequestersSubscription(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect()
	c.send("SUB i.x 7\r\nUNSUB 7 1\r\nPUB nobody i.x 0\r\n\r\n")
	c.expect("HMSG i.x 7 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n")
	c.send("PUB nobody other 0\r\n\r\n") // no subscription to the reply
	c.flush()
	c.send("PUB i.x 0\r\n\r\n") // the 503 did not count
	c.expect("MSG i.x 7 0\r\n\r\n")
	quiet := r.connect(`"no_responders":false`)
	quiet.send("SUB i.y 1\r\nPUB nobody i.y 0\r\n\r\n")
	quiet.flush()
}

// swallow is a stream that captures everything.
type swallow struct{ verdict broker.Verdict }

func (s *swallow) OpenStage(*broker.Publisher) broker.Stage { return s }
func (s *swallow) HandOver()                                {}
func (s *swallow) Add(*broker.Subscription, *broker.Message) broker.Verdict {
	return s.verdict
}

func TestAStreamThatCapturesIsAResponder(t *testing.T) {
	r := newRig(t, nil)
	r.space.Subscribe(&broker.Subscription{Subject: "s.>", Kind: broker.KindStream, Sink: &swallow{broker.Staged}})
	c := r.connect()
	c.send("SUB i.x 7\r\nPUB s.a i.x 0\r\n\r\n")
	c.flush()
}

func TestAFullStreamStallsThePublisherOnceAndThenDrops(t *testing.T) {
	const stall = 50 * time.Millisecond
	r := newRig(t, func(o *Options, _ *broker.Spaces) { o.Limits.IngestStall = stall })
	r.space.Subscribe(&broker.Subscription{Subject: "s.>", Kind: broker.KindStream, Sink: &swallow{broker.Full}})
	sub, pub := r.connect(), r.connect()
	sub.send("SUB s.a 1\r\n")
	sub.flush()
	start := time.Now()
	pub.send("PUB s.a 1\r\nx\r\nPING\r\n")
	sub.expect("MSG s.a 1 1\r\nx\r\n") // core delivery does not wait
	pub.expect("PONG\r\n")
	if took := time.Since(start); took < stall {
		t.Errorf("the publisher was stalled for %v", took)
	}
	if n := r.door.Totals(); n.IngestStalls != 1 || n.IngestDropped != 1 {
		t.Errorf("%d stalls, %d drops", n.IngestStalls, n.IngestDropped)
	}
}

func TestWhatEndsAConnection(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) { o.Limits.MaxPayload = 1000 })
	for _, c := range []struct{ in, want, reason string }{
		{"CONNECT {\"protocol\":5}\r\n", "-ERR 'invalid client protocol'\r\n", "Bad Client Protocol Version"},
		{"CONNECT {\"no_responders\":true}\r\n", "-ERR 'no responders requires headers support'\r\n", "No Responders Requires Headers"},
		{"CONNECT {\"account\":\"X\"}\r\n", "-ERR 'Authorization Violation'\r\n", "Authentication Failure"},
		{"CONNECT {\r\n", "", "Protocol Violation"},
		{"PUB foo abc\r\n", "", "Protocol Violation"},
		{"PUB foo 2000\r\n", "-ERR 'Maximum Payload Violation'\r\n", "Maximum Message Payload Exceeded"},
		{"SUB " + strings.Repeat("x", 5000) + " 1\r\n", "-ERR 'maximum control line exceeded'\r\n", "Maximum Control Line Exceeded"},
		{"MSG a 1 0\r\n\r\n", "-ERR 'Unknown Protocol Operation'\r\n", "Protocol Violation"},
		{"+OK\r\nINFO {}\r\n-ERR 'x'\r\n", "", "Parse Error"},
		{"HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n", "", "Protocol Violation"},
		{"CONNECT {\"verbose\":false}\r\nPUB a 1\r\nxyz\r\n", "-ERR 'Unknown Protocol Operation'\r\n", "Protocol Violation"},
	} {
		k := r.dial()
		k.send(c.in)
		k.expect(c.want)
		k.expectEnd()
		_ = k.conn.Close()
		if got := r.closedReason(k.info.ClientID); got != c.reason {
			t.Errorf("%.40q: closed as %q, want %q", c.in, got, c.reason)
		}
	}
}

func TestAnErrorReachesAClientThatKeepsSending(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect()
	c.send("NONSENSE\r\n" + strings.Repeat("PUB a 1000\r\n", 1) + strings.Repeat("x", 300_000))
	c.expect("-ERR 'Unknown Protocol Operation'\r\n")
	c.expectEnd()
}

func TestWhatWasPublishedBeforeAnErrorIsDelivered(t *testing.T) {
	r := newRig(t, nil)
	sub, pub := r.connect(), r.connect()
	sub.send("SUB a 1\r\n")
	sub.flush()
	pub.send("PUB a 1\r\nx\r\nNONSENSE\r\n")
	sub.expect("MSG a 1 1\r\nx\r\n")
}

func TestTheEndOfTheStreamBehindDataIsSeen(t *testing.T) {
	r := newRig(t, nil)
	sub := r.connect()
	sub.send("SUB a 1\r\n")
	sub.flush()
	for range 20 {
		pub := r.connect()
		pub.send("PUB a 1\r\nx\r\n")
		_ = pub.conn.CloseWrite()
		sub.expect("MSG a 1 1\r\nx\r\n")
		pub.expectEnd()
		if got := r.closedReason(pub.info.ClientID); got != "Client Closed" {
			t.Fatalf("closed as %q", got)
		}
	}
}

func TestASubscriptionIsGoneOnceItsConnectionIs(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect()
	c.send("SUB a 1\r\nSUB b q 2\r\n")
	c.flush()
	if n := r.space.Subscriptions(); n != 2 {
		t.Fatalf("%d subscriptions", n)
	}
	_ = c.conn.Close()
	r.closedReason(c.info.ClientID)
	if n := r.space.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions left", n)
	}
}

func TestInvalidSubjectsAreRefusedAndTheConnectionStays(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) {
		o.Limits.MaxSubscriptions, o.Limits.MaxSubTokens = 3, 4
	})
	c := r.dial()
	c.send("CONNECT " + settings(`"verbose":true`) + "\r\n")
	c.expect("+OK\r\n")
	for _, k := range []struct{ in, want string }{
		{"SUB foo..bar 1\r\n", "-ERR 'Invalid Subject'\r\n"},
		{"SUB foo.>.bar 1\r\n", "-ERR 'Invalid Subject'\r\n"},
		{"SUB a.b.c.d.e 1\r\n", "-ERR 'Permissions Violation for Subscription to \"a.b.c.d.e\", too many tokens'\r\n"},
		{"SUB a _sys_ 1\r\n", "-ERR 'Permissions Violation for Subscription to \"a\" using queue \"_sys_\"'\r\n"},
		{"SUB foo*.bar 1\r\nSUB b 2\r\nSUB c 3\r\n", "+OK\r\n+OK\r\n+OK\r\n"},
		{"SUB d 4\r\n", "-ERR 'maximum subscriptions exceeded'\r\n"},
		{"UNSUB 3\r\nSUB d 4\r\n", "+OK\r\n+OK\r\n"},
		{"PUB a _R_.a.b 0\r\n\r\n", "-ERR 'Permissions Violation for Publish with Reply of \"_R_.a.b\"'\r\n"},
		{"PUB a $JS.ACK.a.b.c 0\r\n\r\n", "-ERR 'Permissions Violation for Publish with Reply of \"$JS.ACK.a.b.c\"'\r\n"},
		{"PUB $NRG.x 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"$NRG.x\"'\r\n"},
		{"PUB _R_.x 0\r\n\r\n", "+OK\r\n"},
	} {
		c.send(k.in)
		c.expect(k.want)
	}
	c.send("PING\r\n")
	c.expect("PONG\r\n")
}

func TestBytesMayComeOneByOne(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect()
	_ = c.conn.SetNoDelay(true)
	for _, b := range []byte("SUB a 1\r\nPUB a 3\r\nabc\r\n") {
		c.send(string(b))
	}
	c.expect("MSG a 1 3\r\nabc\r\n")
}

func TestLargeMessagesPassWhole(t *testing.T) {
	r := newRig(t, nil)
	sub, both, pub := r.connect(), r.connect(), r.connect()
	sub.send("SUB a.> 1\r\n")
	both.send("SUB a.two 1\r\n")
	sub.flush()
	both.flush()
	for _, size := range []int{large - 1, large, 100_000, 1 << 20} {
		body := strings.Repeat("0123456789", size/10+1)[:size]
		for range 3 {
			pub.send(fmt.Sprintf("PUB a.one %d\r\n%s\r\nPUB a.two %d\r\n%s\r\n", size, body, size, body))
			sub.expect(fmt.Sprintf("MSG a.one 1 %d\r\n%s\r\nMSG a.two 1 %d\r\n%s\r\n", size, body, size, body))
			both.expect(fmt.Sprintf("MSG a.two 1 %d\r\n%s\r\n", size, body))
		}
	}
}
