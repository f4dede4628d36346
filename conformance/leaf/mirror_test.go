package leaf_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
)

// TestStreamsOfTheOtherSideAreCopiedThroughItsDomain kills the hub meanwhile: a copy has
// no gap, unlike what is captured.
func TestStreamsOfTheOtherSideAreCopiedThroughItsDomain(t *testing.T) {
	addr := port(t)
	hub := startHub(t, addr, fmt.Sprintf("jetstream { store_dir: %q, domain: hub, sync_interval: always }", t.TempDir()))
	leaf := startLeaf(t, addr, "", "")
	there := hub.Connect(nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	here := leaf.Connect()
	linked(t, there, here)
	ctx := t.Context()
	theirs, ours := streams(t, there, ""), streams(t, here, "")
	if _, err := theirs.CreateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}}); err != nil {
		t.Fatal(err)
	}
	put := func(from, to int) {
		t.Helper()
		for i := from; i <= to; i++ {
			if _, err := theirs.Publish(ctx, "events.x", []byte(strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(1, 100)
	origin := &jetstream.StreamSource{Name: "EVENTS", External: &jetstream.ExternalStream{APIPrefix: "$JS.hub.API"}}
	mirror, err := ours.CreateStream(ctx, jetstream.StreamConfig{Name: "COPY", Mirror: origin})
	if err != nil {
		t.Fatal(err)
	}
	at := func(n uint64) func() bool {
		return func() bool {
			i, err := mirror.Info(ctx)
			return err == nil && i.State.LastSeq == n
		}
	}
	harness.Eventually(t, "the first are copied", at(100))
	hub.Kill()
	hub.Run()
	harness.Eventually(t, "the client is connected", there.IsConnected)
	put(101, 200)
	within(t, "the others are copied", at(200))
	for i := uint64(1); i <= 200; i++ {
		if m, err := mirror.GetMsg(ctx, i); err != nil || m.Subject != "events.x" || string(m.Data) != strconv.FormatUint(i, 10) {
			t.Fatalf("%d: %+v, %v", i, m, err)
		}
	}
}

// within waits for what takes longer than a moment: a copy waits before it asks again.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-end:
			t.Fatalf("it never came true that %s", what)
		case <-tick.C:
		}
	}
}
