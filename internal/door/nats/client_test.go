package nats

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/poller"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// polled says whether rigs give their doors a poller, where the system has one.
var polled bool

// TestMain runs all tests twice: with a goroutine for each connection, and with
// the poller.
func TestMain(m *testing.M) {
	code := m.Run()
	if polled = runtime.GOOS == "linux"; polled && code == 0 {
		code = m.Run()
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const patience = 5 * time.Second

// rig is a door on loopback with one open account.
type rig struct {
	t      *testing.T
	door   *Door
	spaces *broker.Spaces
	space  *broker.Space
	addr   string
	log    *syncBuffer
}

// newRig starts a door. change may set its options.
func newRig(t *testing.T, change func(*Options, *broker.Spaces)) *rig {
	t.Helper()
	workers := broker.NewWorkers(2, 0)
	spaces := broker.NewSpaces(workers)
	r := &rig{t: t, spaces: spaces, space: spaces.Get("$G"), log: &syncBuffer{}}
	o := Options{
		Info: wire.Info{ServerID: "NID", ServerName: "rig", Version: "2.12.0", Go: "go", Host: "127.0.0.1", Port: 4222, Headers: true, XKey: "XK", APILevel: 2},
		Auth: &Open{Account: "$G", Space: r.space},
		Log:  slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if polled {
		p, err := poller.Open(1, func() poller.Round { return new(broker.Round) }, nil)
		if err != nil {
			t.Fatal(err)
		}
		o.Poller = p
	}
	if change != nil {
		change(&o, spaces)
	}
	r.door = New(o)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.door.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.door.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if o.Poller != nil {
			if err := o.Poller.Close(); err != nil {
				t.Errorf("close poller: %v", err)
			}
		}
		workers.Close()
	})
	return r
}

// client is a raw socket that has read its INFO.
type client struct {
	t    *testing.T
	conn *net.TCPConn
	br   *bufio.Reader
	info wire.Info
}

// dial connects and reads INFO.
func (r *rig) dial() *client {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c := &client{t: r.t, conn: conn.(*net.TCPConn), br: bufio.NewReaderSize(conn, 64<<10)}
	r.t.Cleanup(func() { _ = conn.Close() })
	c.info = c.readInfo()
	return c
}

// connect is dial and a CONNECT with the usual settings, changed by the JSON
// members in extra, and the PONG and INFO that follow.
func (r *rig) connect(extra ...string) *client {
	r.t.Helper()
	c := r.dial()
	c.send("CONNECT " + settings(extra...) + "\r\nPING\r\n")
	c.expect("PONG\r\n")
	c.info = c.readInfo()
	return c
}

// settings gives a CONNECT document.
func settings(extra ...string) string {
	base := []string{`"verbose":false`, `"pedantic":false`, `"protocol":1`, `"headers":true`, `"no_responders":true`}
	return "{" + strings.Join(append(base, extra...), ",") + "}"
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(s)); err != nil {
		c.t.Fatalf("send %.60q: %v", s, err)
	}
}

// expect reads exactly want. On a slow machine the server's first PING may come
// before it; that is answered.
func (c *client) expect(want string) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for done := 0; done < len(want); {
		if done == 0 && !strings.HasPrefix(want, "PING") {
			if ping, _ := c.br.Peek(min(len(want), len("PING\r\n"))); string(ping) == "PING\r\n" {
				_, _ = c.br.Discard(len(ping))
				c.send("PONG\r\n")
			}
		}
		if _, err := c.br.Peek(1); err != nil {
			c.t.Fatalf("want %.300q; after %d bytes: %v", want[done:], done, err)
		}
		got, _ := c.br.Peek(min(c.br.Buffered(), len(want)-done))
		if string(got) != want[done:done+len(got)] {
			c.t.Fatalf("after %d bytes want %.300q, got %.300q", done, want[done:], got)
		}
		_, _ = c.br.Discard(len(got))
		done += len(got)
	}
}

func (c *client) line() string {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := c.br.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read line, got %q: %v", line, err)
	}
	return line
}

func (c *client) readInfo() wire.Info {
	c.t.Helper()
	line := c.line()
	if line == "PING\r\n" {
		c.send("PONG\r\n")
		line = c.line()
	}
	if !strings.HasPrefix(line, "INFO {") || !strings.HasSuffix(line, "} \r\n") {
		c.t.Fatalf("not an INFO: %q", line)
	}
	var info wire.Info
	if err := json.Unmarshal([]byte(line[5:]), &info); err != nil {
		c.t.Fatal(err)
	}
	return info
}

// flush sends PING and expects nothing before its PONG.
func (c *client) flush() {
	c.t.Helper()
	c.send("PING\r\n")
	c.expect("PONG\r\n")
}

// expectEnd expects the stream to end properly, without a reset.
func (c *client) expectEnd() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.ReadAll(c.br)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("want the end, got %q, %v", rest, err)
	}
}

// expectSilence expects nothing to come for a moment.
func (c *client) expectSilence() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	b, err := c.br.ReadByte()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("want silence, got %q, %v", b, err)
	}
}

// closedReason waits for a connection to be among the closed.
func (r *rig) closedReason(id uint64) string {
	r.t.Helper()
	var reason string
	r.eventually(func() bool {
		for _, c := range r.door.Closed() {
			if c.ID == id {
				reason = c.Reason
				return true
			}
		}
		return false
	}, "connection %d was not closed", id)
	return reason
}

// eventually waits for a condition.
func (r *rig) eventually(ok func() bool, format string, args ...any) {
	r.t.Helper()
	limit := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(limit) {
			r.t.Fatalf(format, args...)
		}
		<-tick.C
	}
}

// syncBuffer is a log that tests read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
