package leaf

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/leaf"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// hub is the listener of another system, played by a test.
type hub struct {
	t    testing.TB
	ln   net.Listener
	info wire.Info
	last wire.Info // with ConnectInfo, to let somebody in
	tls  *tls.Config
	deny string // what CONNECT is answered with
	done sync.WaitGroup

	come chan *guest
}

// guest is a connection to a hub that was let in.
type guest struct {
	t     testing.TB
	conn  net.Conn
	hello wire.Connect
	got   chan string // lines; of a message with its header and data behind it
}

func newHub(t testing.TB, change ...func(*hub)) *hub {
	t.Helper()
	h := &hub{
		t: t, come: make(chan *guest, 16),
		info: wire.Info{ServerID: "HUB", ServerName: "hub", Version: "2.15.2", Headers: true, ClientID: 7, Nonce: "nonce", MaxPayload: 1 << 20, InfoOnConnect: true},
		last: wire.Info{ServerID: "HUB", Headers: true, ClientID: 7, ConnectInfo: true, RemoteAccount: "THERE", MaxPayload: 1 << 20},
	}
	for _, c := range change {
		c(h)
	}
	h.listen("127.0.0.1:0")
	t.Cleanup(h.stop)
	return h
}

func (h *hub) listen(addr string) {
	h.t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.ln = ln
	if h.info.LeafURLs == nil {
		h.info.LeafURLs = []string{ln.Addr().String()}
	}
	h.done.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			h.done.Go(func() { h.serve(conn) })
		}
	})
}

func (h *hub) stop() {
	_ = h.ln.Close()
	h.done.Wait()
}

func (h *hub) url() string { return "nats://" + h.ln.Addr().String() }

func (h *hub) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(wire.AppendInfo(nil, &h.info)); err != nil {
		return
	}
	if h.tls != nil {
		conn = tls.Server(conn, h.tls)
	}
	in := bufio.NewReader(conn)
	g := &guest{t: h.t, conn: conn, got: make(chan string, 4096)}
	line, err := in.ReadString('\n')
	if err != nil || g.hello.Decode([]byte(strings.TrimPrefix(line, "CONNECT "))) != nil {
		return
	}
	if h.deny != "" {
		_, _ = conn.Write(wire.AppendErr(nil, h.deny))
		return
	}
	if _, err := conn.Write(wire.AppendInfo(nil, &h.last)); err != nil {
		return
	}
	h.come <- g
	g.read(in)
}

// read notes what comes until the connection ends.
func (g *guest) read(in *bufio.Reader) {
	defer close(g.got)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		args := strings.Fields(line)
		switch args[0] {
		case "PING":
			_, _ = g.conn.Write([]byte("PONG\r\n"))
			continue
		case "LMSG", "HMSG":
			size := 0
			if _, err := fmt.Sscan(args[len(args)-1], &size); err != nil {
				return
			}
			data := make([]byte, size+2)
			if _, err := io.ReadFull(in, data); err != nil {
				return
			}
			line += " " + string(bytes.TrimSuffix(data, []byte("\r\n")))
		}
		g.got <- line
	}
}

// guest waits for the next connection that is let in.
func (h *hub) guest() *guest {
	h.t.Helper()
	select {
	case g := <-h.come:
		return g
	case <-time.After(patience):
		h.t.Fatal("nobody connects")
		return nil
	}
}

// say sends lines to the leaf node.
func (g *guest) say(lines ...string) {
	g.t.Helper()
	if _, err := io.WriteString(g.conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		g.t.Fatal(err)
	}
}

// want waits for a line and passes over others until then, but not over a message.
func (g *guest) want(line string) {
	g.t.Helper()
	end := time.After(patience)
	for {
		select {
		case got, ok := <-g.got:
			switch {
			case !ok:
				g.t.Fatalf("the connection ended before %q", line)
			case got == line:
				return
			case strings.Contains(got, "MSG "):
				g.t.Fatalf("%q came, not %q", got, line)
			}
		case <-end:
			g.t.Fatalf("%q does not come", line)
		}
	}
}

// gone waits for the end of the connection and gives the lines before it.
func (g *guest) gone() []string {
	g.t.Helper()
	var lines []string
	end := time.After(patience)
	for {
		select {
		case got, ok := <-g.got:
			if !ok {
				return lines
			}
			lines = append(lines, got)
		case <-end:
			g.t.Fatal("the connection does not end")
		}
	}
}

// node is a leaf node of one account.
type node struct {
	*Door
	space *broker.Space
}

// join runs a leaf node of hubs until the test ends.
func join(t testing.TB, change func(*Options), remotes ...RemoteOptions) *node {
	t.Helper()
	n := &node{space: broker.NewSpace("A", nil)}
	for i := range remotes {
		remotes[i].Account = "A"
	}
	o := Options{
		ServerID: "LEAF", ServerName: "leaf", Version: "2.12.0", Domain: "here", JetStream: true, SystemAccount: "$SYS",
		Reconnect: time.Millisecond, Remotes: remotes, Log: slog.New(slog.DiscardHandler),
		Space: func(name string) *broker.Space {
			if name == "A" || name == "$SYS" {
				return n.space
			}
			return nil
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if n.Door, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return n
}

// inbox is a subscription here that keeps what comes.
type inbox struct {
	sub *broker.Subscription
	c   chan string
	// verdict is what a message is answered with.
	verdict broker.Verdict
}

func (n *node) subscribe(subject, queue string) *inbox {
	i := &inbox{c: make(chan string, 1024)}
	i.sub = &broker.Subscription{Subject: subject, Queue: queue, Sink: i}
	n.space.Subscribe(i.sub)
	return i
}

func (i *inbox) OpenStage(*broker.Publisher) broker.Stage { return i }

func (i *inbox) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	if i.verdict == broker.Staged {
		to := ""
		if m.To != nil {
			to = string(m.To) + "<"
		}
		i.c <- fmt.Sprintf("%s%s|%s|%q|%s", to, m.Subject, m.Reply, m.Header, m.Data)
	}
	return i.verdict
}

func (i *inbox) HandOver() {}

func (i *inbox) want(t testing.TB, what string) {
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

func (n *node) publish(subject, reply, data string) broker.Result {
	return n.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(reply), Data: []byte(data)})
}

// await waits for what a condition says.
func await(t testing.TB, what string, cond func() bool) {
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

// interested waits until somebody gets what is published to a subject.
func (n *node) interested(t testing.TB, subject string) {
	t.Helper()
	await(t, subject+" is wanted", func() bool { return !n.space.Match([]byte(subject)).Empty() })
}
