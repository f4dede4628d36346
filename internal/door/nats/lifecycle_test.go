package nats

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

func TestTooManyConnectionsGetInfoAndThenAnError(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) { o.Limits.MaxConnections = 1 })
	a := r.connect()
	b := r.dial()
	b.expect("-ERR 'maximum connections exceeded'\r\n")
	b.expectEnd()
	a.flush()
}

func TestNegativeMaxConnectionsLetsNobodyIn(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) { o.Limits.MaxConnections = -1 })
	c := r.dial()
	c.expect("-ERR 'maximum connections exceeded'\r\n")
	c.expectEnd()
}

func TestAClientThatDoesNotAnswerPingsIsStale(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) {
		o.Limits.PingInterval, o.Limits.PingMax = 40*time.Millisecond, 1
	})
	c := r.connect()
	c.expect("PING\r\n-ERR 'Stale Connection'\r\n")
	c.expectEnd()
	_ = c.conn.Close()
	if got := r.closedReason(c.info.ClientID); got != wire.ReasonStale {
		t.Errorf("closed as %q", got)
	}
	if n := r.door.Totals().Stale; n != 1 {
		t.Errorf("%d stale connections counted", n)
	}
}

func TestAClientThatAnswersPingsStaysAndIsMeasured(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) {
		o.Limits.PingInterval, o.Limits.PingMax = 40*time.Millisecond, 1
	})
	c := r.connect()
	for range 3 {
		c.expect("PING\r\n")
		c.send("PONG\r\n")
	}
	r.eventually(func() bool { return r.door.Connections()[0].RTT > 0 }, "no round-trip time")
}

// fill publishes to a subject until the connection that listens there is closed,
// and gives how long the slowest publish took.
func fill(r *rig, slow, pub *client, size int) time.Duration {
	body := strings.Repeat("x", size)
	var worst time.Duration
	for range 10_000 {
		start := time.Now()
		pub.send(fmt.Sprintf("PUB big %d\r\n%s\r\n", size, body))
		pub.flush()
		worst = max(worst, time.Since(start))
		for _, c := range r.door.Closed() {
			if c.ID == slow.info.ClientID {
				return worst
			}
		}
	}
	r.t.Fatal("the slow consumer was never closed")
	return worst
}

func TestASlowConsumerIsCutOffAndNobodyWaits(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) { o.Limits.MaxPending = 4 << 20 })
	slow, quick, pub := r.connect(`"name":"sleepy"`), r.connect(), r.connect()
	slow.send("SUB big 1\r\n")
	slow.flush()
	quick.send("SUB big 1\r\n")
	quick.flush()
	var got atomic.Int64
	go func() {
		n, _ := io.Copy(io.Discard, quick.br)
		got.Store(n)
	}()
	_ = quick.conn.SetReadDeadline(time.Time{})
	fill(r, slow, pub, 64<<10)
	if reason := r.closedReason(slow.info.ClientID); reason != wire.ReasonSlowPending {
		t.Errorf("closed as %q", reason)
	}
	n := r.door.Totals()
	if n.SlowPending != 1 || n.SlowDeadline != 0 {
		t.Errorf("%d and %d slow consumers counted", n.SlowPending, n.SlowDeadline)
	}
	if log := r.log.String(); !strings.Contains(log, "slow consumer") || !strings.Contains(log, "name=sleepy") || !strings.Contains(log, fmt.Sprintf("cid=%d", slow.info.ClientID)) {
		t.Errorf("log: %s", log)
	}
	if len(r.door.Connections()) != 2 {
		t.Errorf("%d connections left", len(r.door.Connections()))
	}
}

func TestAConsumerOverTheWriteDeadlineIsCutOff(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) { o.Limits.WriteDeadline = 50 * time.Millisecond })
	slow, pub := r.connect(), r.connect()
	slow.send("SUB big 1\r\n")
	slow.flush()
	fill(r, slow, pub, 256<<10)
	if reason := r.closedReason(slow.info.ClientID); reason != wire.ReasonSlowDeadline {
		t.Errorf("closed as %q", reason)
	}
}

func TestLimitsChangeForOpenConnections(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.connect(), r.connect()
	a.flush()
	r.door.UpdateLimits(Limits{MaxPayload: 10, MaxSubscriptions: 1})
	a.send("SUB a 1\r\nSUB b 2\r\n")
	a.expect("-ERR 'maximum subscriptions exceeded'\r\n")
	a.send("PUB a 11\r\n")
	a.expect("-ERR 'Maximum Payload Violation'\r\n")
	a.expectEnd()
	_ = a.conn.Close()
	r.closedReason(a.info.ClientID)
	r.door.UpdateLimits(Limits{MaxConnections: -1})
	b.expect("-ERR 'maximum connections exceeded'\r\n")
	b.expectEnd()
}

func TestInfoIsTheSameForAllAndToldOnlyWhereAsked(t *testing.T) {
	r := newRig(t, nil)
	c, fresh := r.connect(), r.dial()
	r.door.UpdateInfo(func(i *wire.Info) { i.ConnectURLs = []string{"127.0.0.1:1"} }, true)
	if got := c.readInfo().ConnectURLs; len(got) != 1 {
		t.Errorf("connect_urls %v", got)
	}
	fresh.expectSilence() // has not had its first PONG
	fresh.send("CONNECT " + settings() + "\r\nPING\r\n")
	fresh.expect("PONG\r\n")
	if got := fresh.readInfo().ConnectURLs; len(got) != 1 {
		t.Errorf("connect_urls %v", got)
	}
}

func TestLameDuckTellsAndThenClosesSilently(t *testing.T) {
	r := newRig(t, nil)
	c := r.connect()
	done := make(chan error, 1)
	go func() { done <- r.door.LameDuck(context.Background(), 50*time.Millisecond, 60*time.Millisecond) }()
	if !c.readInfo().LameDuck {
		t.Error("INFO does not say ldm")
	}
	c.expectEnd()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", r.addr); err == nil {
		_ = conn.Close()
		t.Error("still listening")
	}
	if got := r.closedReason(c.info.ClientID); got != wire.ReasonShutdown {
		t.Errorf("closed as %q", got)
	}
}

func TestShutdownWritesOutWhatWaits(t *testing.T) {
	r := newRig(t, nil)
	sub, pub := r.connect(), r.connect()
	sub.send("SUB a 1\r\n")
	sub.flush()
	const n, size = 64, 64 << 10 // more than sockets hold
	body := strings.Repeat("x", size)
	for range n {
		pub.send(fmt.Sprintf("PUB a %d\r\n%s\r\n", size, body))
	}
	pub.flush()
	done := make(chan error, 1)
	go func() { done <- r.door.Shutdown(context.Background()) }()
	frame := fmt.Sprintf("MSG a 1 %d\r\n%s\r\n", size, body)
	for range n {
		sub.expect(frame)
	}
	sub.expectEnd()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestKickClosesOneConnection(t *testing.T) {
	r := newRig(t, nil)
	a, b := r.connect(), r.connect()
	if !r.door.Kick(a.info.ClientID) || r.door.Kick(999) {
		t.Error("wrong answer")
	}
	a.expectEnd()
	b.flush()
}

func TestSnapshotsTellWhatAConnectionDid(t *testing.T) {
	r := newRig(t, func(o *Options, _ *broker.Spaces) { o.Limits.MaxClosed = 2 })
	c := r.connect(`"name":"n","lang":"go","version":"1.2"`)
	c.send("SUB a.* q 1\r\nSUB b 2\r\nUNSUB 2 5\r\nPUB b 3\r\nabc\r\nHPUB b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n")
	c.expect("MSG b 2 3\r\nabc\r\nHMSG b 2 12 14\r\nNATS/1.0\r\n\r\nhi\r\n")
	c.flush()
	i := r.door.Connections()[0]
	if i.InMsgs != 2 || i.InBytes != 17 || i.OutMsgs != 2 || i.OutBytes != 17 || i.Subscriptions != 2 {
		t.Errorf("got %+v", i)
	}
	if i.Name != "n" || i.Lang != "go" || i.Version != "1.2" || i.Account != "$G" || i.IP != "127.0.0.1" || i.Port == 0 {
		t.Errorf("got %+v", i)
	}
	subs := r.door.Subscriptions(i.ID)
	want := SubInfo{Subject: "b", SID: "2", Delivered: 2, Max: 5}
	if len(subs) != 2 || subs[0].Queue != "q" || subs[1] != want {
		t.Errorf("got %+v", subs)
	}
	n := r.door.Totals()
	if n.InMsgs != 2 || n.InBytes != 17 || n.OutMsgs != 2 || n.Connections != 1 || n.TotalConnections != 1 || n.Subscriptions != 2 {
		t.Errorf("got %+v", n)
	}
	for range 3 {
		k := r.connect()
		_ = k.conn.Close()
		r.closedReason(k.info.ClientID)
	}
	closed := r.door.Closed()
	if len(closed) != 2 || closed[0].ID >= closed[1].ID || closed[1].Stop.IsZero() {
		t.Errorf("got %+v", closed)
	}
}

func TestAnyConnectionCanBeServed(t *testing.T) {
	r := newRig(t, nil)
	near, far := net.Pipe() // no descriptor: no inline writes, no poller
	r.door.ServeConn(far)
	defer func() { _ = near.Close() }()
	out := make(chan string, 1)
	go func() {
		buf := make([]byte, 64<<10)
		n := 0
		for !strings.Contains(string(buf[:n]), "PONG\r\n") {
			k, err := near.Read(buf[n:])
			if err != nil {
				break
			}
			n += k
		}
		out <- string(buf[:n])
	}()
	if _, err := near.Write([]byte("CONNECT {\"verbose\":false}\r\nSUB a 1\r\nPUB a 2\r\nhi\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := <-out; !strings.HasSuffix(got, "MSG a 1 2\r\nhi\r\nPONG\r\n") {
		t.Errorf("got %q", got)
	}
}
