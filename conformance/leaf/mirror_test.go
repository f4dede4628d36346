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

func TestStreamsOfTheOtherSideAreReadFromHereByTheirDomain(t *testing.T) {
	addr := port(t)
	hub := startHub(t, addr, fmt.Sprintf("jetstream { store_dir: %q, domain: hub }", t.TempDir()))
	leaf := startLeaf(t, addr, "", "")
	there, here := hub.Connect(), leaf.Connect()
	linked(t, there, here)
	ctx := t.Context()
	ours, theirs := streams(t, here, ""), streams(t, here, "hub")
	// A stream and a consumer of the same names on both sides.
	consumers := map[string]jetstream.Consumer{}
	for name, js := range map[string]jetstream.JetStream{"ours": ours, "theirs": theirs} {
		s, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{name}})
		if err != nil {
			t.Fatal(err)
		}
		if consumers[name], err = s.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "C", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
		linked(t, there, here)
		if _, err := js.Publish(ctx, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	floor := func(name string) uint64 {
		i, err := consumers[name].Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return i.AckFloor.Stream
	}
	first := map[string]jetstream.Msg{}
	for name, c := range consumers {
		m, err := c.Next(jetstream.FetchMaxWait(patience))
		if err != nil || m.Subject() != name || string(m.Data()) != name {
			t.Fatalf("%v, %v", m, err)
		}
		first[name] = m
	}
	if meta, err := first["theirs"].Metadata(); err != nil || meta.Domain != "hub" || meta.Sequence.Stream != 1 {
		t.Errorf("%+v, %v", meta, err)
	}
	if err := first["theirs"].DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	if a, b := floor("theirs"), floor("ours"); a != 1 || b != 0 {
		t.Errorf("acknowledged there: %d, here: %d", a, b)
	}
	if err := first["ours"].DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	if got := floor("ours"); got != 1 {
		t.Errorf("acknowledged here: %d", got)
	}
	kv, err := theirs.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "B"})
	if err != nil {
		t.Fatal(err)
	}
	if seq, err := kv.Put(ctx, "k", nil); err != nil || seq != 1 {
		t.Errorf("%d, %v", seq, err)
	}
}
