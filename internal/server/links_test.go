package server

import (
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// answering is a service that says who asks.
type answering string

func (a answering) Handle(r *broker.Request) { r.Respond(nil, []byte(a)) }

// heard takes what comes to a subscription.
type heard chan string

func (h heard) OpenStage(*broker.Publisher) broker.Stage { return h }
func (h heard) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	h <- string(m.Subject) + " " + string(m.Data)
	return broker.Staged
}
func (h heard) HandOver() {}

func (h heard) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-h:
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

const linkedAccounts = `accounts {
  A { exports: [ { service: "svc" }, { stream: "ev.>" } ] }
  B { imports: [ { service: { account: A, subject: svc }, to: ask }, { stream: { account: A, subject: "ev.>" }, prefix: imp } ] }
}`

func TestAReloadPutsOtherImportsInForce(t *testing.T) {
	load := func(text string) *Config {
		c, err := loadText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	r, err := newRooms(load(linkedAccounts), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.workers.Close()
	again := func(text string) {
		c := load(text)
		r.accounts.Replace(c.accountRegistry())
		if err := r.link(c.SystemAccount); err != nil {
			t.Fatal(err)
		}
	}
	a, b := r.spaces.Get("A"), r.spaces.Get("B")
	defer a.Serve("svc", answering("A"))()
	in := make(heard, 8)
	for _, s := range []string{"imp.>", "other.>", "in"} {
		b.Subscribe(&broker.Subscription{Subject: s, SID: s, Sink: in})
	}
	ask := func(subject string) bool {
		m := &broker.Message{Subject: []byte(subject), Reply: []byte("in")}
		took := b.Publish(m)
		return !took.Nobody()
	}
	tell := func() bool {
		took := a.Publish(&broker.Message{Subject: []byte("ev.x"), Data: []byte("hi")})
		return !took.Nobody()
	}
	for range 2 { // once more after a reload that changes nothing
		if !ask("ask") || in.next(t) != "in A" {
			t.Fatal("the service is not reached")
		}
		if !tell() || in.next(t) != "imp.ev.x hi" {
			t.Fatal("the stream is not imported")
		}
		kept := r.links.services
		again(linkedAccounts)
		if len(kept) != len(r.links.services) {
			t.Fatalf("%d imports became %d", len(kept), len(r.links.services))
		}
	}
	again(`accounts {
  A { exports: [ { service: "svc" }, { stream: "ev.>" } ] }
  B { imports: [ { service: { account: A, subject: svc }, to: other.ask }, { stream: { account: A, subject: "ev.>" }, prefix: other } ] }
}`)
	if ask("ask") || !ask("other.ask") {
		t.Error("the service is not where it was moved to")
	}
	if got := []string{in.next(t), in.next(t)}; !slices.Contains(got, "in A") {
		t.Errorf("got %q", got) // B itself listens to other.ask, too
	}
	if !tell() || in.next(t) != "other.ev.x hi" {
		t.Error("the stream is not where it was moved to")
	}
	again(`accounts { A { exports: [ { service: "svc" }, { stream: "ev.>" } ] }, B { } }`)
	if ask("ask") || tell() {
		t.Error("an import that ended is still there")
	}
	again(`accounts { A { } }`)
	if ask("ask") || tell() {
		t.Error("an account that ended imports")
	}
}
