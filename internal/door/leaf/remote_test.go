package leaf

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

func TestALostLinkWithdrawsWhatItAnnouncedAndIsMadeAgain(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	n.subscribe("to.*", "")
	g := h.guest()
	g.want("LS+ to.*")
	g.say("LS+ from.*", "LS+ one")
	n.interested(t, "one")
	_ = g.conn.Close()
	await(t, "what it wanted is withdrawn", func() bool { return n.space.Match([]byte("from.x")).Empty() })
	n.subscribe("new", "")
	g = h.guest()
	lines := []string{<-g.got, <-g.got, <-g.got, <-g.got, <-g.got}
	slices.Sort(lines[3:])
	if !strings.HasPrefix(lines[0], "LS+ $LDS.") || !slices.Equal(lines[3:], []string{"LS+ new", "LS+ to.*"}) {
		t.Errorf("announced again: %q", lines)
	}
	g.say("LS+ two")
	n.interested(t, "two")
	if !n.space.Match([]byte("one")).Empty() {
		t.Error("what the first connection wanted is still there")
	}
	if got := n.Totals(); got.Connects != 2 || got.Links != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAnotherServerTheSystemToldOfIsUsed(t *testing.T) {
	second := newHub(t)
	first := newHub(t, func(h *hub) { h.info.LeafURLs = []string{second.ln.Addr().String()} })
	join(t, nil, RemoteOptions{URLs: []string{first.url()}})
	g := first.guest()
	_ = first.ln.Close()
	_ = g.conn.Close()
	second.guest()
}

func TestALoopEndsTheLinkForAWhile(t *testing.T) {
	h := newHub(t)
	join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	loop := <-g.got
	g.say("LS+ $LDS.somebody", loop)
	if lines := g.gone(); !slices.ContainsFunc(lines, func(s string) bool {
		return strings.HasPrefix(s, "-ERR 'Loop detected for leafnode account=\"A\"")
	}) {
		t.Errorf("the other side is told %q", lines)
	}
	if got := delayAfter(errLoop); got != 30*time.Second {
		t.Errorf("the next attempt comes after %v", got)
	}
}

func TestWhatTheOtherSideSaysDelaysTheNextAttempt(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"Loop detected for leafnode account=\"X\"":                    30 * time.Second,
		"remote leafnode has same cluster name":                       30 * time.Second,
		"Permissions Violation for Publish to \"s\"":                  30 * time.Second,
		"connection rejected since minimum version required is \"9\"": 5 * time.Second,
		"Duplicate Remote LeafNode Connection":                        30 * time.Second,
		"Authorization Violation":                                     0,
	} {
		if got := delayAfter(&errTold{text}); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// logged is a log that tests read.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

func TestWhoIsNotReachedOrRefusesIsNamed(t *testing.T) {
	plain := newHub(t)
	refuses := newHub(t, func(h *hub) { h.deny = "Authorization Violation" })
	clients := newHub(t, func(h *hub) { h.info.ClientID = 0 })
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for name, it := range map[string]struct {
		remote RemoteOptions
		want   string
	}{
		"refused":        {RemoteOptions{URLs: []string{refuses.url()}}, "Authorization Violation"},
		"no leaf port":   {RemoteOptions{URLs: []string{clients.url()}}, "no listener for leaf nodes"},
		"no TLS":         {RemoteOptions{URLs: []string{strings.Replace(plain.url(), "nats:", "tls:", 1)}}, "TLS is wanted"},
		"nobody there":   {RemoteOptions{URLs: []string{"nats://u:secret@" + gone.Addr().String()}}, "refused"},
		"says nothing":   {RemoteOptions{URLs: []string{"nats://" + silent.Addr().String()}, FirstInfo: time.Millisecond}, "timeout"},
		"TLS not spoken": {RemoteOptions{URLs: []string{plain.url()}, TLS: &tls.Config{}, TLSFirst: true}, "TLS: "},
	} {
		t.Run(name, func(t *testing.T) {
			log := &logged{}
			join(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) }, it.remote)
			await(t, "it is told that "+it.want, func() bool { return log.has(it.want) })
			if log.has("secret") {
				t.Error("a password is told")
			}
		})
	}
}

// TestTheOtherSideIsToldWhoTheServerIs goes through all ways.
func TestTheOtherSideIsToldWhoTheServerIs(t *testing.T) {
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
	creds := filepath.Join(t.TempDir(), "creds")
	text := "-----BEGIN NATS USER JWT-----\nthe.jwt.text\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n"
	if err := os.WriteFile(creds, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	signed := func(c *wire.Connect) bool {
		sig, err := base64.RawURLEncoding.DecodeString(c.Sig)
		return err == nil && key.Verify([]byte("nonce"), sig) == nil
	}
	h := newHub(t)
	at := h.ln.Addr().String()
	for name, it := range map[string]struct {
		o    RemoteOptions
		good func(*wire.Connect) bool
	}{
		"nobody": {RemoteOptions{URLs: []string{"nats://" + at}}, func(c *wire.Connect) bool {
			return c.User == "" && c.Sig == "" && c.Name == "leaf" && c.Cluster == "leaf" && c.ID == "LEAF" && c.Domain == "here" &&
				c.JetStream && c.Headers && c.Compression == "off" && c.RemoteAccount == "A" && !c.Isolate
		}},
		"user":        {RemoteOptions{URLs: []string{"nats://v:w@" + at}}, func(c *wire.Connect) bool { return c.User == "v" && c.Pass == "w" && c.Token == "" }},
		"token":       {RemoteOptions{URLs: []string{"nats-leaf://tok@" + at}}, func(c *wire.Connect) bool { return c.User == "tok" && c.Token == "tok" }},
		"seed":        {RemoteOptions{URLs: []string{"nats://" + at}, Seed: string(seed)}, func(c *wire.Connect) bool { return c.NKey == public && signed(c) }},
		"credentials": {RemoteOptions{URLs: []string{"nats://" + at}, Credentials: creds}, func(c *wire.Connect) bool { return c.JWT == "the.jwt.text" && c.NKey == "" && signed(c) }},
		"isolated":    {RemoteOptions{URLs: []string{"nats://" + at}, Isolate: true}, func(c *wire.Connect) bool { return c.Isolate }},
	} {
		t.Run(name, func(t *testing.T) {
			join(t, nil, it.o)
			if g := h.guest(); !it.good(&g.hello) {
				t.Errorf("%+v", g.hello)
			}
		})
	}
}

func TestARemoteThatCanNotBeUsedIsRefused(t *testing.T) {
	for _, o := range []RemoteOptions{
		{}, {URLs: []string{"http://x"}}, {URLs: []string{"nats://a b"}}, {URLs: []string{"ws://x", "nats://x"}}, {URLs: []string{"nats://"}},
		{URLs: []string{"nats://x"}, Seed: "bad"}, {URLs: []string{"nats://x"}, Credentials: "/does/not/exist"},
		{URLs: []string{"nats://x"}, DenyImports: []string{"a..b"}}, {URLs: []string{"nats://x"}, Account: "other"},
	} {
		if o.Account == "" {
			o.Account = "A"
		}
		space := broker.NewSpace("A", nil)
		_, err := New(Options{Remotes: []RemoteOptions{o}, Log: slog.New(slog.DiscardHandler), Space: func(n string) *broker.Space {
			if n == "A" {
				return space
			}
			return nil
		}})
		if err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if s, err := parseServer("tls://u:p@host"); err != nil || s.host != "host:7422" || !s.secure {
		t.Errorf("%+v, %v", s, err)
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, pool
}

func TestLinksAreSecuredAndTheServerIsVerified(t *testing.T) {
	pair, pool := certificate(t)
	h := newHub(t, func(h *hub) {
		h.info.TLSRequired = true
		h.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	})
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}, TLS: &tls.Config{RootCAs: pool}})
	g := h.guest()
	g.say("LS+ from")
	n.interested(t, "from")
	n.publish("from", "", "x")
	g.want("LMSG from 1 x")
	if l := n.Links(); len(l) != 1 || !l[0].Secure || l[0].RemoteAccount != "THERE" || l[0].Port == 0 {
		t.Errorf("%+v", l)
	}
	log := &logged{}
	join(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) }, RemoteOptions{URLs: []string{h.url()}})
	await(t, "an unknown certificate is refused", func() bool { return log.has("certificate") })
}

func TestRulesOfTheOtherSideHold(t *testing.T) {
	h := newHub(t, func(h *hub) {
		h.last.Import = &wire.Rule{Allow: []string{"in.>"}, Deny: []string{"in.no"}}
		h.last.Export = &wire.Rule{Allow: []string{"out.>"}, Deny: []string{"out.no"}}
	})
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	for _, s := range []string{"other", ">", "in.no", "in.a", "in.*"} {
		n.subscribe(s, "")
	}
	g.want("LS+ in.*")
	g.say("LS+ >")
	await(t, "all is wanted", func() bool { return slices.Contains(n.Links()[0].Subscriptions, ">") })
	for _, s := range []string{"other", "out.no", "out.a"} {
		n.publish(s, "", "x")
	}
	g.want("LMSG out.a 1 x")
	close := func() []string { _ = g.conn.Close(); return g.gone() }
	if lines := close(); len(lines) != 0 {
		t.Errorf("sent too: %q", lines)
	}
}

func TestAcknowledgementsNameTheDomain(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	acks := &inbox{c: make(chan string, 8)}
	acks.sub = &broker.Subscription{Subject: "$JS.ACK.>", Kind: broker.KindService, Sink: acks}
	n.space.Subscribe(acks.sub)
	g.want("LS+ $JS.ACK.here.>")
	g.say("LS+ _INBOX.x", "LS+ $JS.ACK.theirs.>")
	n.interested(t, "_INBOX.x")
	n.space.Publish(&broker.Message{
		Subject: []byte("orders.1"), To: []byte("_INBOX.x"), Reply: []byte("$JS.ACK.S.C.1.5.6.77.0"), Data: []byte("hello"),
	})
	g.want("LMSG _INBOX.x $JS.ACK.here.weir.S.C.1.5.6.77.0@orders.1 5 hello")
	g.say("LMSG $JS.ACK.here.weir.S.C.1.5.6.77.0 4", "+ACK")
	acks.want(t, `$JS.ACK.here.weir.S.C.1.5.6.77.0||""|+ACK`)

	// A consumer there delivers to a client here.
	in := n.subscribe("_INBOX.y", "")
	g.want("LS+ _INBOX.y")
	g.say("LMSG _INBOX.y $JS.ACK.T.D.1.2.3.4.0@their.subject 2", "hi")
	in.want(t, `_INBOX.y<their.subject|$JS.ACK.T.D.1.2.3.4.0|""|hi`)
}

func TestAcknowledgementsOfTheirDeliveriesReachThemOnly(t *testing.T) {
	h := newHub(t, func(h *hub) { h.info.JetStream, h.info.Domain = true, "theirs" })
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	in := n.subscribe("_INBOX.y", "")
	g.want("LS+ _INBOX.y")
	g.say("LS+ $JS.ACK.T.D.*.*.*.*.*", "LS+ $JS.ACK.theirs.hash.T.D.*.*.*.*.>", "LS+ ready")
	n.interested(t, "ready")
	g.say("LMSG _INBOX.y $JS.ACK.T.D.1.2.3.4.0@their.subject 2", "hi", "LMSG _INBOX.y $JS.ACK.T.D.2.2.3.4.0@their.subject 2", "ho")
	in.want(t, `_INBOX.y<their.subject|$JS.ACK.theirs.weir.T.D.1.2.3.4.0|""|hi`)
	in.want(t, `_INBOX.y<their.subject|$JS.ACK.theirs.weir.T.D.2.2.3.4.0|""|ho`)
	n.publish("$JS.ACK.T.D.9.9.9.9.0", "", "ours") // of a consumer here
	n.publish("$JS.ACK.theirs.weir.T.D.1.2.3.4.0", "re", "+ACK")
	g.want("LMSG $JS.ACK.T.D.1.2.3.4.0 re 4 +ACK")
	n.publish("$JS.ACK.theirs.hash.T.D.1.2.3.4.0.x", "", "+ACK") // the form with a domain, as they send it
	g.want("LMSG $JS.ACK.theirs.hash.T.D.1.2.3.4.0.x 4 +ACK")
}

func TestWhatHasNoRoomIsDroppedAndCounted(t *testing.T) {
	h := newHub(t, func(h *hub) { h.last.MaxPayload = 4 })
	n := join(t, func(o *Options) { o.MaxPending = 64 }, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	full := n.subscribe("full", "")
	full.verdict = broker.Full
	in := n.subscribe("in", "")
	g.want("LS+ in")
	g.say("LMSG full 1", "x", "LMSG in 1", "x")
	in.want(t, `in||""|x`) // nothing waits for the full one
	if got := n.Totals(); got.Refused != 1 {
		t.Errorf("%+v", got)
	}
	g.say("LS+ out")
	n.interested(t, "out")
	if r := n.publish("out", "", "large"); !r.Nobody() {
		t.Errorf("%+v", r)
	}
	p := broker.NewPublisher(n.space, broker.PublisherOptions{Echo: true})
	for range 8 {
		p.Publish(&broker.Message{Subject: []byte("out"), Data: []byte("1234")})
	}
	p.HandOver() // more than may wait
	n.publish("out", "", "last")
	g.want("LMSG out 4 last")
	if got := n.Totals(); got.Dropped != 9 || got.OutMsgs != 1 || got.InMsgs != 2 {
		t.Errorf("%+v", got)
	}
}

func TestNonsenseEndsTheLink(t *testing.T) {
	for _, lines := range []string{"SUB a 1", "LS+ a..b", "LS+ ", "-ERR 'why'", "INFO {", "LMSG a 1\r\nxx"} {
		h := newHub(t)
		n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
		g := h.guest()
		g.say(lines)
		g.gone()
		h.guest() // it comes back
		await(t, "two connections are counted", func() bool { return n.Totals().Connects >= 2 })
	}
}

func TestAnOtherSideThatDoesNotAnswerIsLeft(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	info := wire.Info{ClientID: 7, LeafURLs: []string{ln.Addr().String()}}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			done.Go(func() {
				_, _ = conn.Write(wire.AppendInfo(nil, &info))
				_, _ = io.Copy(io.Discard, conn) // no PING is answered
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); done.Wait() })
	log := &logged{}
	join(t, func(o *Options) {
		o.Log, o.PingInterval, o.PingMax = slog.New(slog.NewTextHandler(log, nil)), time.Millisecond, 1
	}, RemoteOptions{URLs: []string{"nats://" + ln.Addr().String()}})
	await(t, "it is left", func() bool { return log.has(errStale.Error()) })
}
