package remote

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/nats"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// fake is a NATS server with as much as these tests need.
type fake struct {
	t    *testing.T
	ln   net.Listener
	info wire.Info
	tls  *tls.Config
	deny func(*wire.Connect) string
	done sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]*bufio.Writer // guarded by mu, as is what follows
	subs  map[string]map[string]net.Conn
	hello []wire.Connect
	got   chan string // "subject reply data" of each publish
}

func newFake(t *testing.T, change ...func(*fake)) *fake {
	t.Helper()
	f := &fake{t: t, info: wire.Info{Headers: true, MaxPayload: 1 << 20, Nonce: "nonce"}, conns: map[net.Conn]*bufio.Writer{}, subs: map[string]map[string]net.Conn{}, got: make(chan string, 1024)}
	for _, c := range change {
		c(f)
	}
	f.listen("127.0.0.1:0")
	t.Cleanup(f.stop)
	return f
}

func (f *fake) listen(addr string) {
	f.t.Helper()
	var err error
	if f.ln, err = net.Listen("tcp", addr); err != nil {
		f.t.Fatal(err)
	}
	ln := f.ln
	f.done.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			f.done.Go(func() { f.serve(conn) })
		}
	})
}

// stop ends the server with its connections.
func (f *fake) stop() {
	_ = f.ln.Close()
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.done.Wait()
}

func (f *fake) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(wire.AppendInfo(nil, &f.info)); err != nil {
		return
	}
	if f.tls != nil {
		conn = tls.Server(conn, f.tls)
	}
	w := bufio.NewWriter(conn)
	f.mu.Lock()
	f.conns[conn] = w
	f.mu.Unlock()
	defer f.leave(conn)
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		args := strings.Fields(line)
		var data []byte
		if args[0] == "PUB" {
			var n int
			for _, c := range args[len(args)-1] {
				n = 10*n + int(c-'0')
			}
			data = make([]byte, n+2)
			if _, err := io.ReadFull(in, data); err != nil {
				return
			}
		}
		f.mu.Lock()
		ok := f.do(conn, w, args, strings.TrimSpace(line), data)
		f.mu.Unlock()
		if !ok {
			return
		}
	}
}

// do does what a line says. The caller holds mu.
func (f *fake) do(conn net.Conn, w *bufio.Writer, args []string, line string, data []byte) bool {
	switch args[0] {
	case "CONNECT":
		c := wire.NewConnect()
		if err := c.Decode([]byte(strings.TrimPrefix(line, "CONNECT "))); err != nil {
			f.t.Error(err)
		}
		f.hello = append(f.hello, c)
		if f.deny != nil && f.deny(&c) != "" {
			_, _ = w.Write(wire.AppendErr(nil, f.deny(&c)))
			_ = w.Flush()
			return false
		}
	case "PING":
		_, _ = w.WriteString("PONG\r\n")
		_ = w.Flush()
	case "SUB":
		if f.subs[args[1]] == nil {
			f.subs[args[1]] = map[string]net.Conn{}
		}
		f.subs[args[1]][args[2]] = conn
	case "UNSUB":
		for _, s := range f.subs {
			if s[args[1]] == conn {
				delete(s, args[1])
			}
		}
	case "PUB":
		reply := ""
		if len(args) == 4 {
			reply = args[2]
		}
		f.got <- args[1] + " " + reply + " " + string(data[:len(data)-2])
		f.route(args[1], reply, data[:len(data)-2])
	}
	return true
}

// route delivers a message; the caller holds mu.
func (f *fake) route(to, reply string, data []byte) {
	none := true
	for pattern, subs := range f.subs {
		if pattern != to && !subject.Match(pattern, to) {
			continue
		}
		for sid, conn := range subs {
			if w := f.conns[conn]; w != nil {
				none = false
				_, _ = w.Write(wire.AppendMsg(nil, []byte(to), []byte(sid), []byte(reply), data))
				_ = w.Flush()
			}
		}
	}
	if none && reply != "" {
		for pattern, subs := range f.subs {
			for sid, conn := range subs {
				if w := f.conns[conn]; w != nil && (pattern == reply || subject.Match(pattern, reply)) {
					_, _ = w.Write(wire.AppendNoResponders(nil, []byte(reply), []byte(sid), []byte(to)))
					_ = w.Flush()
				}
			}
		}
	}
}

// publish is what another client does.
func (f *fake) publish(to, reply, data string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.route(to, reply, []byte(data))
}

func (f *fake) leave(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
	for _, s := range f.subs {
		for sid, c := range s {
			if c == conn {
				delete(s, sid)
			}
		}
	}
}

// listening says whether somebody is subscribed.
func (f *fake) listening(pattern string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subs[pattern]) > 0
}

// await waits for what a condition says.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it does not come to be that %s", what)
		}
	}
}

// run opens a client and has it work until the test ends.
func run(t *testing.T, o Options) *Client {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	if o.Retry == 0 {
		o.Retry = time.Millisecond
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := c.Open(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return c
}

// inbox is a sink that keeps what comes.
type inbox struct {
	c    chan string
	full func() bool
}

func newInbox() *inbox { return &inbox{c: make(chan string, 1024)} }

func (i *inbox) OpenStage(*broker.Publisher) broker.Stage { return i }

func (i *inbox) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	if i.full != nil && i.full() {
		return broker.Full
	}
	status, _, _ := strings.Cut(string(m.Header), "\r\n")
	i.c <- strings.TrimSpace(string(m.Subject) + " " + string(m.Reply) + " " + status + string(m.Data))
	return broker.Staged
}

func (i *inbox) HandOver() {}

func (i *inbox) want(t *testing.T, what string) {
	t.Helper()
	select {
	case got := <-i.c:
		if got != what {
			t.Fatalf("%q came, not %q", got, what)
		}
	case <-time.After(patience):
		t.Fatalf("%q does not come", what)
	}
}

// wantSent waits for what the server got.
func (f *fake) wantSent(what string) {
	f.t.Helper()
	select {
	case got := <-f.got:
		if got != what {
			f.t.Fatalf("the server got %q, not %q", got, what)
		}
	case <-time.After(patience):
		f.t.Fatalf("the server does not get %q", what)
	}
}
