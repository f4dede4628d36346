package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

func (f *fake) url() string { return "nats://" + f.ln.Addr().String() }

func TestMessagesGoBothWaysInOrder(t *testing.T) {
	f := newFake(t)
	c := run(t, Options{Servers: f.url()})
	in := newInbox()
	sub := &broker.Subscription{Subject: "a.*", Sink: in}
	c.Subscribe(sub)
	await(t, "the subscription is there", func() bool { return f.listening("a.*") })
	f.publish("a.b", "_R.1", "one")
	f.publish("a.c", "", "two")
	in.want(t, "a.b _R.1 one")
	in.want(t, "a.c  two")

	st := c.OpenStage(nil)
	for _, d := range []string{"x", "y"} {
		if v := st.Add(nil, &broker.Message{Subject: []byte("out." + d), Data: []byte(d)}); v != broker.Staged {
			t.Fatal(v)
		}
	}
	st.HandOver()
	if r := c.Publish(&broker.Message{Subject: []byte("out.z"), Reply: []byte("a.none"), Data: []byte("z")}); r.Nobody() {
		t.Error("nobody, with a connection")
	}
	f.wantSent("out.x  x")
	f.wantSent("out.y  y")
	f.wantSent("out.z a.none z")
	in.want(t, "a.none  NATS/1.0 503") // nobody answers, which is told
	c.Unsubscribe(sub)
	await(t, "the subscription is gone", func() bool { return !f.listening("a.*") })
}

func TestWhatIsSubscribedOutlivesTheConnection(t *testing.T) {
	f := newFake(t)
	c := run(t, Options{Servers: f.url()})
	in := newInbox()
	c.Subscribe(&broker.Subscription{Subject: "a", Sink: in})
	await(t, "the subscription is there", func() bool { return f.listening("a") })
	addr := f.ln.Addr().String()
	f.stop()
	await(t, "the connection is seen to be lost", func() bool {
		r := c.Publish(&broker.Message{Subject: []byte("lost")})
		return r.Nobody()
	})
	f.listen(addr)
	await(t, "the subscription is there again", func() bool { return f.listening("a") })
	f.publish("a", "", "again")
	in.want(t, "a  again")
}

func TestAnotherServerTheSystemToldOfIsUsed(t *testing.T) {
	second := newFake(t)
	first := newFake(t, func(f *fake) { f.info.ConnectURLs = []string{second.ln.Addr().String()} })
	c := run(t, Options{Servers: first.url()})
	c.Subscribe(&broker.Subscription{Subject: "a", Sink: newInbox()})
	await(t, "the first has it", func() bool { return first.listening("a") })
	first.stop()
	await(t, "the second has it", func() bool { return second.listening("a") })
}

func TestAMessageThatFindsNoRoomWaits(t *testing.T) {
	f := newFake(t)
	c := run(t, Options{Servers: f.url()})
	in := newInbox()
	tries := 0
	in.full = func() bool { tries++; return tries < 4 }
	c.Subscribe(&broker.Subscription{Subject: "a", Sink: in})
	await(t, "the subscription is there", func() bool { return f.listening("a") })
	f.publish("a", "", "one")
	f.publish("a", "", "two")
	in.want(t, "a  one")
	in.want(t, "a  two")
}

func TestWhatIsTooLargeForTheServerIsNotSent(t *testing.T) {
	f := newFake(t, func(f *fake) { f.info.MaxPayload = 4 })
	c := run(t, Options{Servers: f.url()})
	if r := c.Publish(&broker.Message{Subject: []byte("a"), Data: []byte("12345")}); !r.Nobody() {
		t.Errorf("%+v", r)
	}
	st := c.OpenStage(nil)
	for _, d := range []string{"12345", "1234"} {
		st.Add(nil, &broker.Message{Subject: []byte("a"), Data: []byte(d)})
	}
	st.HandOver()
	f.wantSent("a  1234")
}

// TestTheServerIsToldWhoTheClientIs goes through all ways.
func TestTheServerIsToldWhoTheClientIs(t *testing.T) {
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	seedFile := file("nkey", string(seed)+"\n")
	creds := file("creds", "-----BEGIN NATS USER JWT-----\nthe.jwt.text\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n"+string(seed)+"\n------END USER NKEY SEED------\n")
	f := newFake(t)
	at := f.ln.Addr().String()
	signed := func(c *wire.Connect) bool {
		sig, err := base64.RawURLEncoding.DecodeString(c.Sig)
		return err == nil && key.Verify([]byte("nonce"), sig) == nil
	}
	for name, it := range map[string]struct {
		o    Options
		good func(*wire.Connect) bool
	}{
		"nobody":      {Options{Servers: at, Name: "n"}, func(c *wire.Connect) bool { return c.User == "" && c.Sig == "" && c.Name == "n" && !c.Verbose }},
		"user":        {Options{Servers: at, User: "u", Password: "p"}, func(c *wire.Connect) bool { return c.User == "u" && c.Pass == "p" }},
		"token":       {Options{Servers: at, Token: "t"}, func(c *wire.Connect) bool { return c.Token == "t" && c.User == "" }},
		"url's user":  {Options{Servers: "nats://v:w@" + at, User: "u", Password: "p"}, func(c *wire.Connect) bool { return c.User == "v" && c.Pass == "w" }},
		"url's token": {Options{Servers: "nats://tok@" + at}, func(c *wire.Connect) bool { return c.User == "" && c.Token == "tok" }},
		"nkey":        {Options{Servers: at, NKeyFile: seedFile}, func(c *wire.Connect) bool { return c.NKey == public && signed(c) }},
		"credentials": {Options{Servers: at, Credentials: creds}, func(c *wire.Connect) bool { return c.JWT == "the.jwt.text" && c.NKey == "" && signed(c) }},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, it.o)
			f.mu.Lock()
			defer f.mu.Unlock()
			if c := f.hello[len(f.hello)-1]; !it.good(&c) {
				t.Errorf("%+v", c)
			}
		})
	}
	for _, o := range []Options{{Servers: at, NKeyFile: file("bad", "x")}, {Servers: at, Credentials: filepath.Join(dir, "none")}, {Servers: "http://x"}, {Servers: " ,"}, {Servers: "nats://a b"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func open(t *testing.T, o Options) error {
	t.Helper()
	o.Log, o.Retry = slog.New(slog.DiscardHandler), time.Millisecond
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err = c.Open(context.Background()); err == nil {
		t.Error("it is connected")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Run(ctx)
	}
	return err
}

func TestWhoIsNotReachedOrRefusesIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, Options{Servers: "nats://u:secret@" + gone, Patience: 20 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), gone) || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
	begun := time.Now()
	f := newFake(t, func(f *fake) { f.deny = func(*wire.Connect) string { return "Authorization Violation" } })
	if err := open(t, Options{Servers: f.url(), Patience: time.Hour}); err == nil || !strings.Contains(err.Error(), "Authorization Violation") {
		t.Errorf("refused: %v", err)
	}
	plain := newFake(t)
	if err := open(t, Options{Servers: plain.url(), Secure: true, Patience: time.Hour}); err == nil || !strings.Contains(err.Error(), "TLS is wanted") {
		t.Errorf("without TLS: %v", err)
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("refusals take %v", took)
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server.test"}, DNSNames: []string{"server.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestConnectionsAreSecuredAndTheServerIsVerified(t *testing.T) {
	pair, pool := certificate(t)
	f := newFake(t, func(f *fake) {
		f.info.TLSRequired = true
		f.tls = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	})
	at := f.ln.Addr().String()
	c := run(t, Options{Servers: "tls://" + at, TLS: &tls.Config{RootCAs: pool, ServerName: "server.test", Certificates: []tls.Certificate{pair}}})
	c.Publish(&broker.Message{Subject: []byte("a"), Data: []byte("1")})
	f.wantSent("a  1")
	for _, o := range []Options{
		{Servers: "tls://" + at, Patience: time.Hour},
		{Servers: at, TLS: &tls.Config{RootCAs: pool}, Patience: time.Hour}, // its name is another one
	} {
		if err := open(t, o); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("not verified: %v", err)
		}
	}
}

func TestAServerThatSendsNonsenseIsLeft(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example ESMTP\r\n"))
			_ = conn.Close()
		}
	}()
	if err := open(t, Options{Servers: ln.Addr().String(), Patience: 50 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "no NATS server") {
		t.Error(err)
	}
}
