package http2_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// windowed has a client that gives the server so much for each stream, and gives nothing
// back by itself.
func windowed(t *testing.T, addr string, initial uint32) *client {
	t.Helper()
	c := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: initial})
	c.keepsWindows = true
	return c
}

// quiet has the server acknowledge settings, twice: what it had to say before has come. A
// PING would do, but gRPC's servers take few of them.
func (c *client) quiet() {
	c.t.Helper()
	c.settle()
	c.settle()
}

// settle has the server take settings.
func (c *client) settle(settings ...http2.Setting) {
	c.t.Helper()
	n := c.settled
	c.configure(settings...)
	c.until("the settings are acknowledged", func() bool { return c.settled > n })
}

func initialWindow(n uint32) http2.Setting {
	return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n}
}

// fill publishes values of a kilobyte, together.
func fill(t *testing.T, addr string, n int) {
	t.Helper()
	c := dial(t, addr)
	s := c.open(api + "PublishAsync")
	for i := range n {
		c.send(s, i == n-1, message(publishing(bytes.Repeat([]byte{byte('a' + i%26)}, 1000))))
	}
	if code, said := c.finish(s); code != codes.OK || len(s.acks(t)) != n {
		t.Fatal(code, said, len(s.acks(t)))
	}
}

func TestAnswersFitInAWindowOfOneByte(t *testing.T) {
	_, addr := served(t, "")
	c := windowed(t, addr, 1)
	s := c.open(api + "PublishAsync")
	c.send(s, true, slices.Concat(message(publishing([]byte("x"))), message(publishing([]byte("y")))))
	for !s.over() {
		had := len(s.body)
		c.until("one byte comes", func() bool { return s.over() || len(s.body) > had })
		if len(s.body) > had+1 {
			t.Fatalf("%d bytes came for a window of one", len(s.body)-had)
		}
		if !s.over() {
			c.widen(s.id, 1)
		}
	}
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	c.awaitAcks(s, 2, 0)
}

func TestNothingComesThroughAnEmptyWindowUntilItIsWidened(t *testing.T) {
	_, addr := served(t, "")
	c := windowed(t, addr, 0)
	s := c.open(api + "PublishAsync")
	c.send(s, true, slices.Concat(message(publishing([]byte("x"))), message(publishing([]byte("y")))))
	c.quiet()
	// The publishes are stored: only their answers wait.
	d := dial(t, addr)
	read := d.open(api + "Subscribe")
	d.data(read, true, message(reading(false)))
	d.until("both are there", func() bool { return len(read.values(t)) == 2 })
	c.quiet()
	if len(s.body) > 0 || s.over() {
		t.Fatalf("%d bytes, over: %v", len(s.body), s.over())
	}
	c.widen(s.id, 3)
	c.until("three bytes come", func() bool { return len(s.body) > 0 })
	c.quiet()
	if len(s.body) != 3 {
		t.Errorf("%d bytes came for a window of three", len(s.body))
	}
	c.widen(s.id, 1<<20)
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	c.awaitAcks(s, 2, 0)
}

// TestAnEmptyWindowHoldsNoTrailers has a call without a message, whose refusal needs no window.
func TestAnEmptyWindowHoldsNoTrailers(t *testing.T) {
	_, addr := served(t, "")
	c := windowed(t, addr, 0)
	s := c.open(api + "Subscribe")
	c.data(s, true, message(&pb.SubscribeRequest{Stream: "none"}))
	code, said := c.finish(s)
	wantStatus(t, code, said, codes.NotFound, "No such partition")
}

// TestTheInitialWindowMayChangeWhileCallsGoOn has it become more, less, so that windows are
// negative, and more again.
func TestTheInitialWindowMayChangeWhileCallsGoOn(t *testing.T) {
	_, addr := served(t, "")
	fill(t, addr, 100)
	c := windowed(t, addr, 5000)
	open := func() *call {
		s := c.open(api + "Subscribe")
		c.data(s, true, message(reading(false)))
		return s
	}
	exactly := func(s *call, n int) {
		t.Helper()
		c.until(fmt.Sprintf("%d bytes come", n), func() bool { return len(s.body) >= n })
		c.quiet()
		if len(s.body) != n {
			t.Fatalf("%d bytes came, not %d", len(s.body), n)
		}
	}
	a, b := open(), open()
	exactly(a, 5000)
	exactly(b, 5000)
	c.settle(initialWindow(7000)) // 2,000 more for each
	exactly(a, 7000)
	exactly(b, 7000)
	c.settle(initialWindow(1000)) // -6,000 for each
	c.widen(a.id, 5000)           // -1,000
	c.quiet()
	exactly(a, 7000)
	c.widen(a.id, 1500) // 500
	exactly(a, 7500)
	late := open()
	exactly(late, 1000)
	c.settle(initialWindow(20_000)) // 19,000 more: 19,000; 13,000; 19,000
	exactly(a, 26_500)
	exactly(b, 20_000)
	exactly(late, 20_000)
	c.settle(initialWindow(0), initialWindow(21_000)) // in one frame: the last counts, 1,000 more
	exactly(b, 21_000)
	c.settle(initialWindow(1 << 20))
	for _, s := range []*call{a, b, late} {
		c.until("all comes", func() bool { return len(s.values(t)) == 100 })
		if list := s.values(t); len(list[99]) != 1000 {
			t.Error(len(list[99]))
		}
	}
}

// TestACallWithoutAWindowHoldsUpNoOther has one call take all of the connection's window
// but a little, and wait for its own stream's; others go on in what is left.
func TestACallWithoutAWindowHoldsUpNoOther(t *testing.T) {
	_, addr := served(t, "")
	fill(t, addr, 100)
	c := windowed(t, addr, 10_000)
	waits := c.open(api + "Subscribe")
	c.data(waits, true, message(reading(false)))
	c.until("its window is used up", func() bool { return len(waits.body) == 10_000 })
	for range 20 {
		c.publish([]byte("beside"))
	}
	s := c.open(api + "PublishAsync")
	for i := range 20 {
		c.data(s, false, message(publishing([]byte("beside"))))
		c.awaitAcks(s, i+1, 120)
	}
	if len(waits.body) != 10_000 {
		t.Errorf("%d bytes", len(waits.body))
	}
	c.widen(waits.id, 1<<20)
	c.until("all comes", func() bool { return len(waits.values(t)) == 140 })
}

// TestTheConnectionsWindowIsUsedUpByOneCallAndSharedWhenThereIsMore has a client whose
// connection gives only what HTTP/2 begins with.
func TestTheConnectionsWindowIsUsedUpByOneCallAndSharedWhenThereIsMore(t *testing.T) {
	_, addr := served(t, "")
	fill(t, addr, 200)
	c := connect(t, addr, initialWindow(wideWindow))
	c.keepsWindows = true
	reads := c.open(api + "Subscribe")
	c.data(reads, true, message(reading(false)))
	c.until("the connection's window is used up", func() bool { return len(reads.body) == 65535 })
	s := c.open(api + "PublishAsync")
	c.data(s, true, message(publishing([]byte("beside"))))
	none := c.open(api + "Subscribe") // no message: it needs no window
	c.data(none, true, message(&pb.SubscribeRequest{Stream: "none"}))
	code, said := c.finish(none)
	wantStatus(t, code, said, codes.NotFound, "No such partition")
	if len(s.body) > 0 || len(reads.body) != 65535 {
		t.Fatal(len(s.body), len(reads.body))
	}
	// A little at a time: each of both has some in the end.
	for given := 0; !s.over(); given += 1000 {
		if given > 1<<20 {
			t.Fatal("one call takes all of the connection's window")
		}
		before := len(s.body) + len(reads.body)
		c.widen(0, 1000)
		c.until("it is used", func() bool { return s.over() || len(s.body)+len(reads.body) == before+1000 })
	}
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	c.awaitAcks(s, 1, 200)
	// A call that is reset leaves the rest to others.
	c.write("RST_STREAM", func() error { return c.fr.WriteRSTStream(reads.id, http2.ErrCodeCancel) })
	c.widen(0, 100_000)
	c.publish([]byte("beside"))
}

// TestTheServerGivesItsWindowsBack has a call send many times what the windows let through,
// and calls that are reset in the middle of a message.
func TestTheServerGivesItsWindowsBack(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	stream, conn := int64(c.sendWindow()), c.window
	s := c.open(api + "PublishAsync")
	one := message(publishing(bytes.Repeat([]byte("0123456789abcdef"), 1<<12)))
	n := int(2*(stream+conn)/int64(len(one))) + 1
	for i := range n {
		c.send(s, i == n-1, one)
	}
	if code, said := c.finish(s); code != codes.OK || len(s.acks(t)) != n {
		t.Fatal(code, said, len(s.acks(t)))
	}
	for range 20 { // a megabyte each of messages that never end
		s := c.open(api + "Publish")
		c.data(s, false, []byte{0, 0, 0x3f, 0xff, 0xff})
		for range 63 {
			c.until("the connection has a window", func() bool { return c.window >= 16384 })
			c.data(s, false, make([]byte, 16384))
		}
		c.write("RST_STREAM", func() error { return c.fr.WriteRSTStream(s.id, http2.ErrCodeCancel) })
	}
	c.publish([]byte("as before"))
	c.quiet()
	if c.window < conn/4 {
		t.Errorf("the connection's window is %d of %d", c.window, conn)
	}
}

// TestMoreThanTheWindowIsAnError has a call that publishes and takes no answers until the
// server takes no more of it, and goes on nevertheless.
func TestMoreThanTheWindowIsAnError(t *testing.T) {
	server, addr := served(t, "")
	c := windowed(t, addr, 0)
	s := c.open(api + "PublishAsync")
	// Each answer is as long as what it answers: it says the correlation id.
	p := publishing(nil)
	p.CorrelationId = strings.Repeat("c", 12_000)
	one := message(p)
	const most = 10_000 // 120 MB
	sent := 0
	for ; sent < most; sent++ {
		if !c.within(time.Second, func() bool { return s.over() || s.window >= int64(len(one)) && c.window >= int64(len(one)) }) {
			break
		}
		c.send(s, false, one)
	}
	if sent == most || s.over() {
		t.Fatalf("%d publishes of 12 kB are taken of a client that takes no answers; %v", sent, s.trailer)
	}
	if n := len(s.body); n > 0 {
		t.Errorf("%d bytes came for a window of none", n)
	}
	if c.window < 16384 {
		t.Errorf("a call that waits leaves %d of the connection's window", c.window)
	}
	for range s.window/16384 + 1 {
		c.data(s, false, make([]byte, 16384))
	}
	c.until("that is refused", func() bool { return s.over() || c.goaway != nil })
	if (c.goaway == nil || c.goaway.ErrCode != http2.ErrCodeFlowControl) && (s.reset == nil || *s.reset != http2.ErrCodeFlowControl) {
		t.Errorf("reset %v, GOAWAY %v %q", s.reset, c.goaway, c.debug)
	}
	fit(t, addr)
	boundMemory(t, server)
}
