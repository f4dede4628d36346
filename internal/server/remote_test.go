package server

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/listen"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	stanwire "github.com/weirmq/weir/internal/wire/stan"
)

// natsBeside is a NATS server that streaming servers stand beside.
type natsBeside struct {
	t     *testing.T
	ln    *listen.Listener
	rooms *rooms
	space *broker.Space
}

func startBeside(t *testing.T, addr, password string) *natsBeside {
	t.Helper()
	c := defaultConfig()
	c.settle()
	c.JetStream.Enabled = false
	if password != "" {
		c.Auth.User, c.Auth.Password = "stan", password
	}
	n := &natsBeside{t: t}
	var err error
	if n.rooms, err = build(c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	n.rooms.start(context.Background())
	if n.ln, err = listen.TCP(addr, nil); err != nil {
		t.Fatal(err)
	}
	go func() { _ = n.rooms.nats.Serve(n.ln) }() // it ends with Shutdown
	n.space = n.rooms.spaces.Get(account.Global)
	return n
}

func (n *natsBeside) addr() string { return n.ln.Addr().String() }

func (n *natsBeside) stop() {
	n.t.Helper()
	if err := n.rooms.close(context.Background()); err != nil {
		n.t.Error(err)
	}
}

// startAt starts a streaming server that serves in another NATS system.
func startAt(t *testing.T, disk *faultfs.FS, set func(*RemoteConfig)) (*rooms, error) {
	t.Helper()
	c := defaultConfig()
	c.Stan.Enabled, c.Stan.Door.Cluster, c.Stan.Door.Memory = true, "tc", false
	set(&c.Stan.Remote)
	c.settle()
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	r, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	r.start(context.Background())
	if err := r.startStan(context.Background()); err != nil {
		if err := r.close(context.Background()); err != nil {
			t.Error(err)
		}
		return nil, err
	}
	return r, nil
}

func closeRooms(t *testing.T, r *rooms) {
	t.Helper()
	if err := r.close(context.Background()); err != nil {
		t.Error(err)
	}
}

// ask sends a streaming request through the NATS server, again until it is answered.
func (n *natsBeside) ask(subject string, data []byte) []byte {
	n.t.Helper()
	in := streamtest.NewInbox(n.t, n.space)
	defer in.Close()
	streamtest.Await(n.t, "somebody listens on "+subject, func() bool {
		r := n.space.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(in.Subject), Data: data})
		return !r.Nobody()
	})
	return in.Next(n.t).Data
}

func (n *natsBeside) publish(channel, data string) {
	n.t.Helper()
	var ack stanwire.PubAck
	p := stanwire.PubMsg{ClientID: []byte("me"), GUID: []byte(data), Subject: []byte(channel), Data: []byte(data)}
	if err := ack.Decode(n.ask("_STAN.pub.tc."+channel, p.Append(nil))); err != nil || ack.Error != "" || ack.GUID != data {
		n.t.Fatalf("publish %s: %+v, %v", data, ack, err)
	}
}

func wantMsg(t *testing.T, in *streamtest.Inbox, seq uint64, data string) {
	t.Helper()
	var m stanwire.Msg
	if err := m.Decode(in.Next(t).Data); err != nil || m.Sequence != seq || string(m.Data) != data {
		t.Fatalf("%d %q, %v; want %d %q", m.Sequence, m.Data, err, seq, data)
	}
}

// TestStreamingServesInAnotherNATSSystem has clients, and a server that is started
// again, in a system that goes away for a while.
func TestStreamingServesInAnotherNATSSystem(t *testing.T) {
	beside := startBeside(t, "127.0.0.1:0", "")
	disk := faultfs.New()
	there := func(c *RemoteConfig) { c.Servers = "nats://" + beside.addr() }
	r, err := startAt(t, disk, there)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := startAt(t, faultfs.New(), there); err == nil || !strings.Contains(err.Error(), `discovered another streaming server with cluster ID "tc"`) {
		t.Errorf("a second server of the cluster: %v", err)
	}
	beats := streamtest.NewInbox(t, beside.space)
	var hello stanwire.ConnectResponse
	request := (&stanwire.ConnectRequest{ClientID: "me", HeartbeatInbox: beats.Subject, Protocol: 1, ConnID: []byte("c")}).Append(nil)
	if err := hello.Decode(beside.ask("_STAN.discover.tc", request)); err != nil || hello.Error != "" {
		t.Fatalf("%+v, %v", hello, err)
	}
	in := streamtest.NewInbox(t, beside.space)
	var sub stanwire.SubscriptionResponse
	q := stanwire.SubscriptionRequest{ClientID: "me", Subject: "foo", Inbox: in.Subject, MaxInFlight: 10, AckWaitInSecs: 30, DurableName: "d"}
	if err := sub.Decode(beside.ask("_STAN.sub.tc", q.Append(nil))); err != nil || sub.Error != "" {
		t.Fatalf("%+v, %v", sub, err)
	}
	beside.publish("foo", "one")
	wantMsg(t, in, 1, "one")
	beside.space.Publish(&broker.Message{Subject: []byte(sub.AckInbox), Data: (&stanwire.Ack{Subject: []byte("foo"), Sequence: 1}).Append(nil)})
	streamtest.Await(t, "the acknowledgement came", func() bool {
		s := r.stan.Subscriptions(context.Background(), "foo")
		return len(s) == 1 && s[0].Pending == 0
	})

	// The NATS server goes, and another one comes at its address.
	addr := beside.addr()
	beside.stop()
	beside = startBeside(t, addr, "")
	defer beside.stop()
	in2 := streamtest.Subscribe(t, beside.space, in.Subject)
	beside.publish("foo", "two")
	wantMsg(t, in2, 2, "two")

	// The streaming server starts again: what was not acknowledged comes again.
	closeRooms(t, r)
	if r, err = startAt(t, disk, there); err != nil {
		t.Fatal(err)
	}
	defer closeRooms(t, r)
	beside.publish("foo", "three")
	wantMsg(t, in2, 3, "three")

	// Nobody listens where the first client was: another one takes its place at once.
	least := time.Hour
	for range 5 {
		begun := time.Now()
		if err := hello.Decode(beside.ask("_STAN.discover.tc", request)); err != nil || hello.Error != "" {
			t.Fatalf("%+v, %v", hello, err)
		}
		least = min(least, time.Since(begun))
	}
	if least > 450*time.Millisecond { // one that may be there is waited for longer
		t.Errorf("replacing a client that is gone took %v", least)
	}
}

func TestStreamingSaysWhyItCannotServeElsewhere(t *testing.T) {
	beside := startBeside(t, "127.0.0.1:0", "right")
	defer beside.stop()
	url := "nats://" + beside.addr()
	_, err := startAt(t, faultfs.New(), func(c *RemoteConfig) { c.Servers, c.User, c.Password = url, "stan", "wrong" })
	if err == nil || !strings.Contains(err.Error(), "Authorization Violation") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
	r, err := startAt(t, faultfs.New(), func(c *RemoteConfig) { c.Servers, c.User, c.Password = url, "stan", "right" })
	if err != nil {
		t.Fatal(err)
	}
	closeRooms(t, r)
	for _, set := range []func(*RemoteConfig){
		func(c *RemoteConfig) { c.Servers, c.CAFile = url, "/does/not/exist" },
		func(c *RemoteConfig) { c.Servers, c.Credentials = url, "/does/not/exist" },
		func(c *RemoteConfig) { c.Servers = "ftp://x" },
	} {
		if _, err := startAt(t, faultfs.New(), set); err == nil {
			t.Error("it starts")
		}
	}
}

func TestKeysForAnotherNATSSystemAreRead(t *testing.T) {
	c, err := loadText(t, `streaming {
  nats_server_url: ["nats://a:1", "b"], username: u, password: p, secure: true
  tls { client_cert: c, client_key: k, client_ca: a, server_name: n, insecure: true }
}`)
	if err != nil {
		t.Fatal(err)
	}
	want := RemoteConfig{
		Servers: "nats://a:1,b", User: "u", Password: "p", Secure: true, CertFile: "c", KeyFile: "k", CAFile: "a", ServerName: "n", Insecure: true,
	}
	if c.Stan.Remote != want {
		t.Errorf("%+v", c.Stan.Remote)
	}
	if c, err = loadText(t, `nats_server: x, streaming { ns: "a:1", credentials: f }`); err == nil && c.Stan.Remote.Credentials != "f" {
		t.Errorf("%+v", c.Stan.Remote)
	}
	for text, want := range map[string]string{
		`stan { ns: a, username: u, token: t }`:                    "not several",
		`stan { ns: a, password: u }`:                              "needs a username",
		`stan { ns: a, tls { client_cert: u } }`:                   "belong together",
		`stan { ns: a, nkey_seed_file: u, credentials: "c.creds"}`: "not several",
	} {
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`stan { token: t }`:                   "nats_server_url names one",
		`stan { ns: a, tls {insecure: true}}`: "not verified",
	} {
		c, err := loadText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if told := strings.Join(c.Warnings, "\n"); !strings.Contains(told, want) {
			t.Errorf("%s: %q", text, told)
		}
	}
}

func TestAnAddressThatTheNATSServerHasIsLeftToIt(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, taken := listen.TCP(ln.Addr().String(), nil)
	p := &process{config: defaultConfig(), log: &logs{Logger: slog.New(slog.DiscardHandler)}}
	if p.beside(taken) {
		t.Error("the address of another server is taken for nothing")
	}
	p.config.Stan.Remote.Servers = "a"
	if !p.beside(taken) || p.beside(net.ErrClosed) {
		t.Errorf("%v", taken)
	}
	if p.natsAddr() != "" || p.unlisten() != nil || p.advertise() != nil {
		t.Error("nobody listens, and there is an address")
	}
}
