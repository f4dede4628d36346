package stan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/stan.go"
)

// TestConnectedClientsGoOnAfterAnImport: applications that were connected to the old server
// when it ended find their sessions and subscriptions at its address again, in weir, and
// never learn that it is another server.
func TestConnectedClientsGoOnAfterAnImport(t *testing.T) {
	dir := t.TempDir()
	old := startOld(t, "-st", "FILE", "-dir", dir)
	pub, app := connect(t, old.url, "publisher"), connect(t, old.url, "app")
	wait := stan.AckWait(2 * time.Second)
	plain := app.subscribe("foo", "", wait)
	durable := app.subscribe("foo", "", wait, stan.DurableName("d"))
	group := app.subscribe("foo", "q", wait)
	closed := app.subscribe("foo", "", wait, stan.DurableName("closed"))
	pub.put("foo", 1, 4)
	odd := func(i int) bool { return i%2 == 1 }
	plain.want(1, 4, all)
	durable.want(1, 4, odd)
	group.want(1, 4, all)
	closed.want(1, 4, all)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	app.settled()
	old.stop()

	s := start(t, "")
	if f := importStan(t, s, 0, dir, "--clients")["foo"]; !f.Verified || f.Messages != 4 || len(f.Durables) != 2 {
		t.Fatalf("%+v", f)
	}
	if f := importStan(t, s, 0, dir, "--clients")["foo"]; !f.Verified || !strings.Contains(strings.Join(f.Notes, "\n"), "queue group q was there") {
		t.Fatalf("again: %+v", f)
	}
	s.Stop()
	s.Addr, s.URL = strings.TrimPrefix(old.url, "nats://"), old.url
	s.Configure(block(""))
	s.Run()
	pub.back()
	app.back()
	for seen := map[uint64]bool{}; len(seen) < 2; {
		m := durable.next()
		if m.Sequence%2 == 1 || m.Sequence > 4 || !m.Redelivered || m.Ack() != nil {
			t.Fatalf("%+v", m)
		}
		seen[m.Sequence] = true
	}
	pub.put("foo", 5, 6)
	for _, sub := range []*sub{plain, durable, group} {
		for i := uint64(5); i <= 6; {
			m := sub.next()
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
			if m.Sequence == i {
				i++
			} else if !m.Redelivered {
				t.Fatalf("message %d, want %d", m.Sequence, i)
			}
		}
	}
	if err := plain.Unsubscribe(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-app.lost:
		t.Error(err)
	default:
	}
	if err := app.Close(); err != nil {
		t.Error(err)
	}
	again := connect(t, s.URL, "app").subscribe("foo", "", stan.DurableName("closed"))
	again.want(5, 6, all)
}
