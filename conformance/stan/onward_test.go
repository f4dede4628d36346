package stan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/weirmq/weir/conformance/harness"
)

// fromDurable runs the command that makes a consumer of a durable.
func fromDurable(t *testing.T, s *harness.Server, status int, args ...string) (out, errs string) {
	t.Helper()
	got, out, errs := s.CLI(nil, append([]string{"consumer", "from-durable"}, args...)...)
	if got != status {
		t.Fatalf("status %d, want %d\n%s\n%s", got, status, out, errs)
	}
	return out, errs
}

// TestApplicationsGoOnWithJetStream moves the applications of a channel one by one: a
// durable's, a queue group's, at last the publisher.
func TestApplicationsGoOnWithJetStream(t *testing.T) {
	s := start(t, "capture: [\"or.>\"]")
	p := connect(t, s.URL, "publisher")
	p.put("or.ders", 1, 4)
	odd := func(i int) bool { return i%2 == 1 }
	one, two := connect(t, s.URL, "one"), connect(t, s.URL, "two")
	d := one.subscribe("or.ders", "", stan.DurableName("d"), stan.DeliverAllAvailable(), stan.MaxInflight(50), stan.AckWait(time.Minute))
	d.want(1, 4, odd)
	q := two.subscribe("or.ders", "workers", stan.DurableName("d"), stan.DeliverAllAvailable())
	q.want(1, 4, all)
	one.settled()
	two.settled()

	if _, errs := fromDurable(t, s, 1, "or.ders", "new", "--client", "one", "--durable", "d"); !strings.Contains(errs, "in use") {
		t.Errorf("a durable in use: %s", errs)
	}
	for _, c := range []*client{one, two} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	p.put("or.ders", 5, 6)
	fromDurable(t, s, 0, "or.ders", "new", "--client", "one", "--durable", "d", "--ack-wait", "1m", "--remove")
	if status, out, errs := s.CLI(nil, "consumer", "info", "or%2Eders", "q-d%3Aworkers"); status != 0 || !strings.Contains(out, "Acknowledged up to") {
		t.Errorf("a look at a durable: %d, %s, %s", status, out, errs)
	}
	fromDurable(t, s, 0, "or.ders", "workers", "--queue", "workers", "--durable", "d")
	fromDurable(t, s, 0, "or.ders", "new", "--client", "one", "--durable", "d") // once more: it is there, and stays
	if _, errs := fromDurable(t, s, 1, "or.ders", "other", "--client", "one", "--durable", "d"); !strings.Contains(errs, "has no durable d of client one") {
		t.Errorf("of one that was removed: %s", errs)
	}
	if _, errs := fromDurable(t, s, 1, "none", "other", "--client", "one", "--durable", "d"); !strings.Contains(errs, "no streaming channel none") {
		t.Errorf("of no channel: %s", errs)
	}

	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "or.ders", []byte("7")); err != nil { // the publisher goes, too
		t.Fatal(err)
	}
	again(s, true)
	if js, err = jetstream.New(s.Connect()); err != nil {
		t.Fatal(err)
	}
	if got := take(t, js, "or%2Eders", "new", 5); got != "2+ 4+ 5 6 7" {
		t.Errorf("the durable's consumer gets %s", got)
	}
	if got := take(t, js, "or%2Eders", "workers", 3); got != "5 6 7" {
		t.Errorf("the group's consumer gets %s", got)
	}
	names := ""
	list := js.ListStreams(t.Context())
	for i := range list.Info() {
		if i.Config.Name == "or%2Eders" {
			names = fmt.Sprint(i.State.Consumers)
		}
	}
	if names != "3" { // the group's own stayed
		t.Errorf("%s consumers", names)
	}
}

// take reads n messages and acknowledges them; a plus says that one came again.
func take(t *testing.T, js jetstream.JetStream, stream, consumer string, n int) string {
	t.Helper()
	c, err := js.Consumer(t.Context(), stream, consumer)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for range n {
		m, err := c.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		text := string(m.Data())
		if meta.NumDelivered > 1 {
			text += "+"
		}
		got = append(got, text)
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if i := c.CachedInfo(); i.NumPending+uint64(i.NumAckPending) != uint64(n) {
		t.Errorf("consumer %s began with %d and %d instead of %d", consumer, i.NumPending, i.NumAckPending, n)
	}
	return strings.Join(got, " ")
}
