package http2_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/conformance/harness"
	"golang.org/x/net/http2"
)

// TestClientsThatComeAndGoHurtNobody has some do what is allowed in any order: they begin
// calls of each kind, send bodies in pieces, leave them lying, reset them, change their
// windows and hang up in the middle. One that behaves is served all the while, and in the
// end nothing is left over. WEIR_SEED repeats a run.
func TestClientsThatComeAndGoHurtNobody(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WEIR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("WEIR_SEED=%d", seed)
	server, addr := served(t, "")
	until := time.Now().Add(1500 * time.Millisecond)
	var clients sync.WaitGroup
	for i := range uint64(8) {
		clients.Go(func() {
			w := &wanderer{t: t, r: rand.New(rand.NewPCG(seed, i)), addr: addr}
			for time.Now().Before(until) {
				w.step()
			}
			w.leave()
		})
	}
	c := dial(t, addr)
	s, last := c.open(api+"PublishAsync"), int64(-1)
	for time.Now().Before(until) {
		c.send(s, false, message(publishing([]byte("mine"))))
		c.until("it is acknowledged", func() bool { return s.over() || len(s.messages(t)) > 0 })
		list := s.acks(t)
		if len(list) != 1 || list[0].Ack.Offset <= last {
			t.Fatalf("%d acks, trailer %v, reset %v", len(list), s.trailer, s.reset)
		}
		s.body, last = nil, list[0].Ack.Offset
	}
	clients.Wait()
	fit(t, addr)
	boundMemory(t, server)
	wantFewGoroutines(t, server)
}

// wanderer is a client that does this and that.
type wanderer struct {
	t    *testing.T
	r    *rand.Rand
	addr string
	c    *client // nil: it is to connect
	open []*call // that it has begun and not ended
}

func (w *wanderer) step() {
	if w.c == nil {
		w.c, w.open = dial(w.t, w.addr, initialWindow(uint32(200+w.r.IntN(20_000)))), nil
	}
	c := w.c
	switch w.r.IntN(12) {
	case 0, 1, 2:
		c.publish(bytes.Repeat([]byte("u"), w.r.IntN(2000)))
	case 3, 4:
		s := c.open(api + "PublishAsync")
		w.open = append(w.open, s)
		for range w.r.IntN(20) {
			w.pieces(s, message(publishing(bytes.Repeat([]byte("a"), w.r.IntN(3000)))))
		}
	case 5:
		s := c.open(api + "Subscribe")
		c.data(s, true, message(reading(false)))
		w.open = append(w.open, s)
	case 6:
		s := c.open(api+"Publish", "grpc-timeout", "50m")
		b := message(publishing([]byte("never")))
		c.data(s, false, b[:w.r.IntN(len(b))])
		w.open = append(w.open, s)
	case 7:
		c.begin(w.r.IntN(2) == 0, "/no.Service/Do")
	case 8:
		c.settle(initialWindow(uint32(200 + w.r.IntN(20_000))))
	case 9:
		if w.r.IntN(4) == 0 {
			c.flush()
			c.hangUp()
			w.c = nil
		}
	default:
		w.end()
	}
}

// leave ends the client's side, and waits until the server has ended its own, for which it
// has to end the calls.
func (w *wanderer) leave() {
	if w.c == nil {
		return
	}
	w.c.flush()
	if err := w.c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		w.t.Error(err)
	}
	w.c.keepsWindows = true
	w.c.within(patience, func() bool { return false })
	if w.c.ended == nil {
		w.t.Error("the server keeps a connection that its client has ended")
	}
}

// pieces sends a body in frames of any size.
func (w *wanderer) pieces(s *call, b []byte) {
	for len(b) > 0 && !s.over() {
		n := 1 + w.r.IntN(len(b))
		w.c.send(s, false, b[:n])
		b = b[n:]
		if w.r.IntN(4) == 0 {
			w.c.flush()
		}
	}
}

// end resets a call, or ends its body, or leaves it.
func (w *wanderer) end() {
	if len(w.open) == 0 {
		return
	}
	i := w.r.IntN(len(w.open))
	s := w.open[i]
	w.open = append(w.open[:i], w.open[i+1:]...)
	switch {
	case s.over():
	case w.r.IntN(2) == 0:
		w.c.write("RST_STREAM", func() error { return w.c.fr.WriteRSTStream(s.id, http2.ErrCodeCancel) })
	default:
		w.c.settle()
		if !s.over() {
			w.c.widen(s.id, 1<<20)
		}
	}
}

// wantFewGoroutines ends the server with SIGQUIT, at which Go reports its goroutines, and
// fails if there are many: calls that have ended go on.
func wantFewGoroutines(t *testing.T, server *harness.Server) {
	t.Helper()
	server.Signal(syscall.SIGQUIT)
	server.ExitStatus()
	report, err := os.ReadFile(filepath.Join(server.Dir, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	all := len(regexp.MustCompile(`(?m)^goroutine \d+ `).FindAll(report, -1))
	t.Logf("%d goroutines", all)
	if all == 0 || all > 250 {
		t.Errorf("%d goroutines", all)
	}
	for _, of := range []string{"liftbridge.(*session)", "liftbridge.(*reading)"} {
		if n := bytes.Count(report, []byte(of)); n > 50 { // the last ones may be about to end
			t.Errorf("%s is mentioned %d times: calls go on", of, n)
		}
	}
}
