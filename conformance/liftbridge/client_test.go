package liftbridge_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestCreatePublishSubscribe(t *testing.T) {
	s, _, c := start(t, "")
	if err := c.CreateStream(deadline(t), "orders", "orders", lift.Partitions(2)); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateStream(deadline(t), "orders", "orders"); !errors.Is(err, lift.ErrStreamExists) {
		t.Fatal(err)
	}
	got := receive(t, c, "orders", lift.Partition(1))
	ack, err := c.Publish(deadline(t), "orders", []byte("x"), lift.ToPartition(1), lift.Key([]byte{0, 1}), lift.Header("h", []byte{255}))
	if err != nil || ack.Offset() != 0 {
		t.Fatal(ack, err)
	}
	m := next(t, got)
	if string(m.Value()) != "x" || m.Offset() != 0 || string(m.Key()) != "\x00\x01" || string(m.Headers()["h"]) != "\xff" || m.Partition() != 1 {
		t.Fatal(m)
	}

	// The same log through JetStream, and an envelope from a NATS client.
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	part, err := js.Stream(deadline(t), "orders:1")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := part.GetMsg(deadline(t), 1)
	if err != nil || string(raw.Data) != "x" || raw.Subject != "orders.1" {
		t.Fatal(raw, err)
	}
	nc := s.Connect()
	inbox, err := nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("orders.1", lift.NewMessage([]byte("y"), lift.AckInbox(inbox.Subject), lift.CorrelationID("c"))); err != nil {
		t.Fatal(err)
	}
	answer, err := inbox.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := lift.UnmarshalAck(answer.Data); err != nil || a.Offset() != 1 || a.CorrelationID() != "c" {
		t.Fatal(a, err)
	}
	if m := next(t, got); string(m.Value()) != "y" {
		t.Fatal(m)
	}
	if ack, err := js.Publish(deadline(t), "orders.1", []byte("z"), jetstream.WithExpectStream("orders:1")); err != nil || ack.Sequence != 3 {
		t.Fatal(ack, err)
	}
	if m := next(t, got); string(m.Value()) != "z" || m.Offset() != 2 {
		t.Fatal(m)
	}
	meta, err := c.FetchMetadata(deadline(t))
	if err != nil || meta.PartitionCountForStream("orders") != 2 {
		t.Fatal(meta, err)
	}
	if err := c.DeleteStream(deadline(t), "orders"); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasAckedOutlivesAKill(t *testing.T) {
	s, _, c := start(t, "")
	if err := c.CreateStream(deadline(t), "s", "s"); err != nil {
		t.Fatal(err)
	}
	acked := make(chan string, 10_000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 250 {
				ack, err := c.Publish(deadline(t), "s", []byte(fmt.Sprint(i)))
				if err != nil {
					t.Error(err)
					return
				}
				acked <- fmt.Sprint(ack.Offset(), " ", i)
			}
		})
	}
	wg.Wait()
	close(acked)
	s.Kill()
	s.Run()
	there := map[string]bool{}
	got := receive(t, c, "s", lift.StartAtEarliestReceived())
	for range 1000 {
		m := next(t, got)
		there[fmt.Sprint(m.Offset(), " ", string(m.Value()))] = true
	}
	for a := range acked {
		if !there[a] {
			t.Fatalf("acked and lost: %s", a)
		}
	}
}

// TestAGroupOfThreeReadsEverythingThoughOneDies publishes by key to four partitions
// while one of three members goes without a word.
func TestAGroupOfThreeReadsEverythingThoughOneDies(t *testing.T) {
	_, addr, c := start(t, `groups.consumer.timeout: "4s"`)
	if err := c.CreateStream(deadline(t), "s", "s", lift.Partitions(4)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	all := make(chan struct{})
	const messages = 400
	member := func(id string) lift.Client {
		cl := connect(t, addr)
		con, err := cl.CreateConsumer("g", lift.ConsumerID(id), lift.AutoOffsetEarliest(), lift.FetchAssignmentsInterval(func(time.Duration) time.Duration { return 300 * time.Millisecond }))
		if err != nil {
			t.Fatal(err)
		}
		err = con.Subscribe(deadline(t), []string{"s"}, func(m *lift.Message, err error) {
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if v := string(m.Value()); !seen[v] {
				if seen[v] = true; len(seen) == messages {
					close(all)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return cl
	}
	victim := member("a")
	member("b")
	member("c")
	for i := range messages {
		if i == messages/2 {
			if err := victim.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Publish(deadline(t), "s", []byte(fmt.Sprint(i)), lift.Key([]byte(fmt.Sprint("k", i%17))), lift.PartitionByKey()); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-all:
	case <-time.After(patience):
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("%d of %d messages were read", len(seen), messages)
	}
}
