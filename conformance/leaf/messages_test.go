package leaf_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

func TestMessagesCrossBothWays(t *testing.T) {
	p := newPair(t, "", "")
	for _, d := range []struct {
		name     string
		from, to *nats.Conn
	}{{"to the leaf", p.there, p.here}, {"to the hub", p.here, p.there}} {
		t.Run(d.name, func(t *testing.T) {
			c := p.subscribe(d.to, d.from, "news.*", "")
			m := nats.NewMsg("news.one")
			m.Header.Set("Kind", "a")
			m.Header.Add("Kind", "b")
			m.Data = []byte("hello")
			if err := d.from.PublishMsg(m); err != nil {
				t.Fatal(err)
			}
			got := next(t, c)
			if got.Subject != "news.one" || string(got.Data) != "hello" || len(got.Header["Kind"]) != 2 {
				t.Errorf("%+v", got)
			}
			large := make([]byte, 900_000)
			if err := d.from.Publish("news.large", large); err != nil {
				t.Fatal(err)
			}
			if got := next(t, c); len(got.Data) != len(large) {
				t.Errorf("%d bytes", len(got.Data))
			}
			// In order, and each once.
			const n = 5000
			for i := range n {
				if err := d.from.Publish("news.n", []byte{byte(i), byte(i >> 8)}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range n {
				if m := next(t, c); int(m.Data[0])|int(m.Data[1])<<8 != i {
					t.Fatalf("%v came, not %d", m.Data, i)
				}
			}
		})
	}
}

func TestRequestsAreAnsweredAcross(t *testing.T) {
	p := newPair(t, "", "")
	for _, d := range []struct {
		name           string
		asker, answers *nats.Conn
	}{{"there", p.here, p.there}, {"here", p.there, p.here}} {
		t.Run(d.name, func(t *testing.T) {
			sub, err := d.answers.Subscribe("help."+d.name, func(m *nats.Msg) { _ = m.Respond(append([]byte("re: "), m.Data...)) })
			if err != nil {
				t.Fatal(err)
			}
			p.known(d.answers, d.asker)
			for range 100 {
				if m, err := d.asker.Request("help."+d.name, []byte("x"), patience); err != nil || string(m.Data) != "re: x" {
					t.Fatal(m, err)
				}
			}
			if err := sub.Unsubscribe(); err != nil {
				t.Fatal(err)
			}
			p.known(d.answers, d.asker)
			if _, err := d.asker.Request("help."+d.name, nil, patience); !errors.Is(err, nats.ErrNoResponders) {
				t.Errorf("nobody is there: %v", err)
			}
		})
	}
}

func TestAQueueGroupSpansBothSides(t *testing.T) {
	p := newPair(t, "", "")
	const n = 200
	send := func(from, other *nats.Conn) {
		t.Helper()
		for range n {
			if err := from.Publish("jobs", nil); err != nil {
				t.Fatal(err)
			}
		}
		p.known(from, other) // what was published before has come
		p.known(other, from)
	}
	here := p.subscribe(p.here, p.there, "jobs", "workers")
	send(p.there, p.here)
	if got := len(here); got != n {
		t.Errorf("%d of %d jobs of the other side come to the only member", got, n)
	}
	there := p.subscribe(p.there, p.here, "jobs", "workers")
	audit := p.subscribe(p.there, p.here, "jobs", "")
	before := len(here)
	send(p.here, p.there)
	if a, b := len(here)-before, len(there); a != n || b != 0 {
		t.Errorf("of %d jobs from here %d came to the member here and %d to the one there", n, a, b)
	}
	if got := len(audit); got != n {
		t.Errorf("%d of %d come to who is in no group", got, n)
	}
	before = len(here)
	send(p.there, p.here)
	if got := len(here) - before + len(there); got != n {
		t.Errorf("%d jobs from there were done %d times", n, got)
	}
	// A second group has a member on each side: one of them gets each message.
	a, b := p.subscribe(p.here, p.there, "jobs", "others"), p.subscribe(p.there, p.here, "jobs", "others")
	send(p.here, p.there)
	if got := len(a) + len(b); got != n {
		t.Errorf("the second group did %d of %d", got, n)
	}
}

func TestDeniedSubjectsDoNotCross(t *testing.T) {
	p := newPair(t, `deny_imports: ["in.secret.>"], deny_exports: ["out.secret"]`, "")
	in := p.subscribe(p.here, p.there, "in.>", "")
	secret := p.subscribe(p.here, p.there, "in.secret.x", "")
	out := p.subscribe(p.there, p.here, "out.>", "")
	all := p.subscribe(p.there, p.here, ">", "")
	for _, s := range []string{"in.secret.x", "in.open"} {
		if err := p.there.Publish(s, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{"out.secret", "out.open"} {
		if err := p.here.Publish(s, nil); err != nil {
			t.Fatal(err)
		}
	}
	if m := next(t, in); m.Subject != "in.open" {
		t.Errorf("%s came in", m.Subject)
	}
	if m := next(t, out); m.Subject != "out.open" {
		t.Errorf("%s went out", m.Subject)
	}
	p.known(p.here, p.there)
	if len(secret)+len(in)+len(out) > 0 {
		t.Error("more came")
	}
	for len(all) > 0 {
		if m := next(t, all); m.Subject == "out.secret" {
			t.Error("it went out to who wants all")
		}
	}
}

func TestTwoSystemsAreJoinedToTwoAccounts(t *testing.T) {
	one, two := port(t), port(t)
	h1, h2 := startHub(t, one, ""), startHub(t, two, "server_name: hub2")
	leaf := harness.Start(t, `server_name: edge
accounts { A { users: [ {user: a, password: a} ] }, B { users: [ {user: b, password: b} ] } }
leafnodes { remotes [ { url: "nats://`+one+`", account: A }, { url: "nats://`+two+`", account: B } ] }`)
	a, b := leaf.Connect(nats.UserInfo("a", "a")), leaf.Connect(nats.UserInfo("b", "b"))
	n1, n2 := h1.Connect(), h2.Connect()
	linked(t, a, n1)
	linked(t, b, n2)
	c1, c2 := make(chan *nats.Msg, 8), make(chan *nats.Msg, 8)
	for nc, c := range map[*nats.Conn]chan *nats.Msg{n1: c1, n2: c2} {
		if _, err := nc.ChanSubscribe("x", c); err != nil {
			t.Fatal(err)
		}
	}
	linked(t, a, n1)
	linked(t, b, n2)
	if err := a.Publish("x", []byte("from A")); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish("x", []byte("from B")); err != nil {
		t.Fatal(err)
	}
	if m := next(t, c1); string(m.Data) != "from A" {
		t.Errorf("%s", m.Data)
	}
	if m := next(t, c2); string(m.Data) != "from B" {
		t.Errorf("%s", m.Data)
	}
}

func TestTwoLinksToOneSystemAreNoticed(t *testing.T) {
	addr := port(t)
	hub := startHub(t, addr, "")
	leaf := harness.Start(t, `server_name: edge
leafnodes { remotes [ { url: "nats://`+addr+`" }, { url: "nats-leaf://`+addr+`" } ] }`)
	harness.Eventually(t, "the log says so", func() bool {
		log := strings.ToLower(leaf.Log())
		return strings.Contains(log, "loop") || strings.Contains(log, "duplicate")
	})
	linked(t, hub.Connect(), leaf.Connect()) // over the one that stays
}

func TestALinkIsMadeAgainAfterTheHubIsKilled(t *testing.T) {
	p := newPair(t, "", "")
	c := p.subscribe(p.here, p.there, "after", "")
	for range 3 {
		p.hub.Kill()
		p.hub.Run()
		there := p.hub.Connect()
		linked(t, there, p.here)
		if err := there.Publish("after", nil); err != nil {
			t.Fatal(err)
		}
		next(t, c)
		there.Close()
	}
	select {
	case m := <-c:
		t.Errorf("%s came twice", m.Subject)
	case <-time.After(10 * time.Millisecond):
	}
}
