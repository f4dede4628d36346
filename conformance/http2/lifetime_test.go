package http2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// How calls and connections end.

func TestACallThatIsResetInAMessageLeavesTheOthersAlone(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	other := c.open(api + "PublishAsync")
	want := []string{}
	for cut := range 12 {
		s := c.open(api + "PublishAsync")
		whole := message(publishing([]byte("whole")))
		c.data(s, false, slices.Concat(whole, whole[:cut]))
		c.awaitAcks(s, 1, int64(2*cut))
		c.write("RST_STREAM", func() error { return c.fr.WriteRSTStream(s.id, http2.ErrCodeCancel) })
		c.data(other, false, message(publishing([]byte("other"))))
		want = append(want, "whole", "other")
		c.until("the other call's publish is acknowledged", func() bool { return len(other.acks(t)) == cut+1 })
	}
	c.data(other, true, nil)
	if code, said := c.finish(other); code != codes.OK {
		t.Error(code, said)
	}
	if got := stored(t, addr); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestACallThatIsResetWhileItIsAnsweredEnds has subscriptions without end; the bytes that
// were on their way may still come.
func TestACallThatIsResetWhileItIsAnsweredEnds(t *testing.T) {
	_, addr := served(t, "")
	fill(t, addr, 300)
	c := dial(t, addr)
	for range 20 {
		s := c.open(api + "Subscribe")
		c.data(s, true, message(reading(false)))
		c.until("something comes", func() bool { return len(s.body) > 0 })
		c.write("RST_STREAM", func() error { return c.fr.WriteRSTStream(s.id, http2.ErrCodeCancel) })
		c.quiet()
		had := len(s.body)
		dial(t, addr).publish([]byte("later"))
		c.quiet()
		if len(s.body) > had || s.over() {
			t.Fatalf("%d bytes more, over: %v", len(s.body)-had, s.over())
		}
	}
}

// TestACallEndsWhenItIsRefusedThoughItsBodyGoesOn has the status come at once. What the
// client still sends is taken as HTTP/2 says: the call may be reset, the connection goes on.
func TestACallEndsWhenItIsRefusedThoughItsBodyGoesOn(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	for what, first := range map[string][]byte{"damaged": prefixed(0, []byte{0xff, 0xff}), "compressed": prefixed(1, nil)} {
		t.Run(what, func(t *testing.T) {
			s := c.open(api + "PublishAsync")
			c.data(s, false, slices.Concat(message(publishing([]byte("good"))), first))
			if code, said := c.finish(s); code != codes.Internal {
				t.Error(code, said)
			}
			if s.reset != nil && *s.reset != http2.ErrCodeNo {
				t.Errorf("reset with %v", s.reset)
			}
			for range 100 {
				c.data(s, false, message(publishing([]byte("late"))))
			}
			c.data(s, true, nil)
			c.publish([]byte("as before"))
			c.quiet()
			if c.goaway != nil || s.reset != nil && *s.reset != http2.ErrCodeNo && *s.reset != http2.ErrCodeStreamClosed {
				t.Errorf("reset %v, GOAWAY %v", s.reset, c.goaway)
			}
		})
	}
	for _, v := range stored(t, addr) {
		if v == "late" {
			t.Fatal("what came behind the damage was published")
		}
	}
}

// TestACallGoesOnWhenItsClientHasSentAll has a subscription, whose body ends with its request.
func TestACallGoesOnWhenItsClientHasSentAll(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	s := c.open(api + "Subscribe")
	c.data(s, false, message(reading(false)))
	c.data(s, true, nil)
	for i := range 10 {
		c.publish([]byte(fmt.Sprint(i)))
		c.until("it is delivered", func() bool { return len(s.values(t)) == i+1 })
	}
	c.data(s, false, []byte("more"))
	c.until("that is refused", func() bool { return s.over() || c.goaway != nil })
	if (s.reset == nil || *s.reset != http2.ErrCodeStreamClosed) && (c.goaway == nil || c.goaway.ErrCode != http2.ErrCodeStreamClosed) {
		t.Errorf("reset %v, GOAWAY %v", s.reset, c.goaway)
	}
	fit(t, addr)
}

// TestAWindowThatIsTooWideIsRefusedOrStaysWide has the client give more than 2^31-1: HTTP/2
// has it end the stream; gRPC's own server does not look.
func TestAWindowThatIsTooWideIsRefusedOrStaysWide(t *testing.T) {
	_, addr := served(t, "")
	for what, stream := range map[string]bool{"of a stream": true, "of a connection": false} {
		t.Run(what, func(t *testing.T) {
			c := dial(t, addr)
			s := c.open(api + "PublishAsync")
			for range 3 {
				if stream {
					c.widen(s.id, 1<<31-1)
				} else {
					c.widen(0, 1<<31-1)
				}
			}
			c.data(s, false, message(publishing([]byte("x"))))
			c.until("an ack comes, or a refusal", func() bool { return len(s.body) > 0 || s.over() || c.goaway != nil })
			if s.reset != nil && *s.reset != http2.ErrCodeFlowControl || c.goaway != nil && c.goaway.ErrCode != http2.ErrCodeFlowControl {
				t.Errorf("reset %v, GOAWAY %v", s.reset, c.goaway)
			}
			fit(t, addr)
		})
	}
}

// TestAStopAnswersWhatIsAskedAndEndsWhatGoesOn has a client with all kinds of calls when
// SIGTERM comes: it is told with GOAWAY, and the connection ends when they have.
func TestAStopAnswersWhatIsAskedAndEndsWhatGoesOn(t *testing.T) {
	server, addr := served(t, "")
	idle := dial(t, addr)
	c := dial(t, addr)
	half := c.open(api+"Publish", patient...)
	body := message(publishing([]byte("half")))
	c.data(half, false, body[:9])
	sub := c.open(api + "Subscribe")
	c.data(sub, true, message(reading(false)))
	async := c.open(api + "PublishAsync")
	c.data(async, false, message(publishing([]byte("whole"))))
	c.awaitAcks(async, 1, 0)
	c.until("it is delivered", func() bool { return len(sub.values(t)) == 1 })
	idleEnded := make(chan struct{})
	go func() { // it answers the PING that goes with GOAWAY
		defer close(idleEnded)
		idle.within(patience, func() bool { return false })
	}()
	server.Signal(syscall.SIGTERM)
	c.until("GOAWAY comes", func() bool { return c.goaway != nil })
	if c.goaway.ErrCode != http2.ErrCodeNo {
		t.Errorf("GOAWAY %v %q", c.goaway.ErrCode, c.debug)
	}
	c.data(half, true, body[9:])
	if code, said := c.finish(half); code != codes.OK {
		t.Errorf("the publish that had begun: %v %q", code, said)
	} else if n := len(half.messages(t)); n != 1 {
		t.Errorf("%d answers", n)
	}
	for _, s := range []*call{sub, async} {
		if code, said := c.finish(s); code != codes.Unavailable {
			t.Errorf("%v %q", code, said)
		}
	}
	c.within(patience, func() bool { return false })
	<-idleEnded
	for _, each := range []*client{c, idle} {
		if each.ended != io.EOF {
			t.Errorf("the connection ended with %v", each.ended)
		}
		if each.goaway == nil || each.goaway.ErrCode != http2.ErrCodeNo {
			t.Errorf("GOAWAY %v", each.goaway)
		}
	}
	if c.goaway.LastStreamID < async.id {
		t.Errorf("the last GOAWAY says that stream %d is the last of which something was done", c.goaway.LastStreamID)
	}
	if n := server.ExitStatus(); n != 0 {
		t.Errorf("exit status %d", n)
	}
	server.Run()
	waitOpen(t, addr)
	if got := stored(t, addr); !slices.Equal(got, []string{"whole", "half"}) {
		t.Errorf("%q", got)
	}
}

// TestAStopDoesNotWaitForAClientThatTakesNothing has one that neither reads nor ends its calls.
func TestAStopDoesNotWaitForAClientThatTakesNothing(t *testing.T) {
	server, addr := served(t, "")
	fill(t, addr, 200)
	c := windowed(t, addr, 0)
	for range 3 {
		s := c.open(api + "Subscribe")
		c.data(s, true, message(reading(false)))
		half := c.open(api + "Publish")
		c.data(half, false, []byte{0, 0, 0})
	}
	c.quiet()
	began := time.Now()
	if n := server.Stop(); n != 0 {
		t.Errorf("exit status %d", n)
	}
	if d := time.Since(began); d > 8*time.Second {
		t.Errorf("the server took %v", d)
	}
}

// TestPingsAreAnsweredAndTooManyEndTheConnection has gRPC's rule for those that keep a
// connection alive: some that come too soon are forgiven, also after each answer, and one
// more is told so.
func TestPingsAreAnsweredAndTooManyEndTheConnection(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	for i := range 20 {
		c.ping(uint64(i))
		c.until("it is answered", func() bool { return len(c.pongs) == i+1 })
		if c.pongs[i] != [8]byte{7: byte(i)} {
			t.Fatal(c.pongs[i])
		}
		c.publish([]byte("x"))
	}
	s := c.open(api + "Subscribe")
	c.data(s, true, message(reading(false)))
	c.until("all is delivered", func() bool { return len(s.values(t)) == 20 })
	for i := range 10 {
		c.ping(uint64(i))
	}
	c.until("the connection ends", func() bool { return c.ended != nil || c.goaway != nil })
	c.within(patience, func() bool { return false })
	if c.goaway == nil || c.goaway.ErrCode != http2.ErrCodeEnhanceYourCalm || c.debug != "too_many_pings" {
		t.Errorf("GOAWAY %v %q", c.goaway, c.debug)
	}
	if n := len(c.pongs) - 20; n < 2 {
		t.Errorf("%d were answered before", n)
	}
	fit(t, addr)
}

// TestAClientThatGoesGetsItsAnswers sends GOAWAY with calls that go on.
func TestAClientThatGoesGetsItsAnswers(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	s := c.open(api + "PublishAsync")
	c.data(s, false, message(publishing([]byte("x"))))
	c.write("GOAWAY", func() error { return c.fr.WriteGoAway(0, http2.ErrCodeNo, nil) })
	c.data(s, true, message(publishing([]byte("y"))))
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	c.awaitAcks(s, 2, 0)
}

// TestABodyThatIsCutOffPublishesOnlyWhatIsWhole has the connection end in a message.
func TestABodyThatIsCutOffPublishesOnlyWhatIsWhole(t *testing.T) {
	_, addr := served(t, "")
	for cut := range 20 {
		c := dial(t, addr)
		s := c.open(api + "PublishAsync")
		whole := message(publishing([]byte("whole")))
		c.data(s, false, append(bytes.Clone(whole), whole[:cut]...))
		c.awaitAcks(s, 1, int64(cut))
		c.hangUp()
	}
	if got := stored(t, addr); len(got) != 20 {
		t.Errorf("%q", got)
	}
}

// TestWhatIsNotHTTP2IsTurnedAway has HTTP/1, nonsense, and a beginning without settings.
func TestWhatIsNotHTTP2IsTurnedAway(t *testing.T) {
	_, addr := served(t, "")
	for what, said := range map[string]string{
		"HTTP/1.1":                "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"nonsense":                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on, longer than a preface",
		"a preface that is wrong": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r.",
		"no settings":             http2.ClientPreface + "\x00\x00\x08\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		t.Run(what, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte(said)); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
		})
	}
	fit(t, addr)
}

// TestFramesOfNoKnownTypeAreIgnored has them around a call's own, and in its stream.
func TestFramesOfNoKnownTypeAreIgnored(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	odd := func(stream uint32) {
		c.write("an unknown frame", func() error { return c.fr.WriteRawFrame(0xbe, 0xff, stream, []byte("whatever")) })
	}
	odd(0)
	s := c.open(api+"Publish", patient...)
	odd(s.id)
	body := message(publishing([]byte("x")))
	c.data(s, false, body[:3])
	odd(s.id)
	odd(0)
	c.data(s, true, body[3:])
	odd(s.id)
	if code, said := c.finish(s); code != codes.OK {
		t.Fatal(code, said)
	}
	c.configure(http2.Setting{ID: 0xf00, Val: 1}, http2.Setting{ID: 0xffff, Val: 1 << 31})
	c.quiet()
	c.must(api+"FetchMetadata", &pb.FetchMetadataRequest{}, nil)
}

// TestManyCallsOfOneConnectionAreServedSideBySide opens them all before it sends the first body.
func TestManyCallsOfOneConnectionAreServedSideBySide(t *testing.T) {
	_, addr := served(t, "")
	c := dial(t, addr)
	var list []*call
	body := message(publishing([]byte("x")))
	for range 500 {
		list = append(list, c.open(api+"Publish", patient...))
	}
	for at := range body {
		for _, s := range list {
			c.data(s, at == len(body)-1, body[at:at+1])
		}
		c.flush()
	}
	seen := map[int64]bool{}
	for _, s := range list {
		if code, said := c.finish(s); code != codes.OK {
			t.Fatal(code, said)
		}
		seen[s.acks(t)[0].Ack.Offset] = true
	}
	if len(seen) != len(list) {
		t.Errorf("%d offsets", len(seen))
	}
}

// TestMoreCallsThanAllowedAreRefused opens as many as the server's settings say, and some
// more, which may be tried again later.
func TestMoreCallsThanAllowedAreRefused(t *testing.T) {
	server, addr := served(t, "")
	c := dial(t, addr)
	most, said := c.settings[http2.SettingMaxConcurrentStreams]
	if !said || most > 50_000 {
		t.Fatalf("the server allows %d calls (said: %v)", most, said)
	}
	list := make([]*call, most+10)
	for i := range list {
		list[i] = c.open(api + "Publish")
	}
	for _, s := range list[most:] {
		c.until("the call is refused", s.over)
		if s.reset == nil || *s.reset != http2.ErrCodeRefusedStream {
			t.Fatalf("reset %v, trailer %v", s.reset, s.trailer)
		}
	}
	for _, s := range list[:most] {
		if s.over() {
			t.Fatalf("call %d is over: reset %v, trailer %v", s.id, s.reset, s.trailer)
		}
	}
	for _, s := range list[:100] {
		c.data(s, true, message(publishing([]byte("x"))))
	}
	for _, s := range list[:100] {
		if code, said := c.finish(s); code != codes.OK {
			t.Fatal(code, said)
		}
	}
	c.publish([]byte("there is room again"))
	fit(t, addr)
	boundMemory(t, server)
}
