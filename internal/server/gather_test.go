package server

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// addressed keeps the answers by the subject that they came to.
type addressed struct {
	mu   sync.Mutex
	by   map[string]string
	some chan struct{}
}

func (a *addressed) OpenStage(*broker.Publisher) broker.Stage { return a }

func (a *addressed) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	a.mu.Lock()
	a.by[string(m.Subject)] = string(m.Data)
	a.mu.Unlock()
	return broker.Staged
}

func (a *addressed) HandOver() {
	select {
	case a.some <- struct{}{}:
	default:
	}
}

// await waits for n answers and gives them.
func (a *addressed) await(t *testing.T, n int) map[string]string {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		a.mu.Lock()
		got := len(a.by)
		a.mu.Unlock()
		if got == n {
			return a.by
		}
		select {
		case <-a.some:
		case <-late:
			t.Fatalf("%d answers of %d", got, n)
		}
	}
}

// One publisher that brings a record to each of many streams, again and again, is told
// of each what became of it, and what it asks for after that comes after it.
func TestRecordsOfOnePublisherForManyStreamsKeepTheirOrder(t *testing.T) {
	const streams, rounds = 50, 20
	n := open(t, t.TempDir())
	defer n.shut()
	for i := range streams {
		n.request(fmt.Sprintf("$JS.API.STREAM.CREATE.S%d", i), fmt.Sprintf(`{"name":"S%d","subjects":["s.%d"],"storage":"file"}`, i, i))
	}
	in := &addressed{by: map[string]string{}, some: make(chan struct{}, 1)}
	sub := &broker.Subscription{Subject: "_INBOX.many.>", Kind: broker.KindClient, Sink: in}
	n.space.Subscribe(sub)
	defer n.space.Unsubscribe(sub)
	pub := broker.NewPublisher(n.space, broker.PublisherOptions{Echo: true})
	defer pub.Release()
	for k := range rounds {
		for i := range streams {
			pub.Publish(&broker.Message{
				Subject: fmt.Appendf(nil, "s.%d", i), Reply: fmt.Appendf(nil, "_INBOX.many.%d.%d", i, k+1), Data: fmt.Appendf(nil, "%d", k),
			})
		}
		if k == rounds-1 {
			pub.Publish(&broker.Message{Subject: []byte("$JS.API.STREAM.PURGE.S7"), Reply: []byte("_INBOX.many.purge")})
		}
		pub.HandOver()
	}
	for to, text := range in.await(t, streams*rounds+1) {
		if to == "_INBOX.many.purge" {
			continue
		}
		var stream, k int
		if _, err := fmt.Sscanf(to, "_INBOX.many.%d.%d", &stream, &k); err != nil {
			t.Fatal(err)
		}
		var ack struct {
			Stream string `json:"stream"`
			Seq    int    `json:"seq"`
		}
		if err := json.Unmarshal([]byte(text), &ack); err != nil || ack.Stream != fmt.Sprintf("S%d", stream) || ack.Seq != k {
			t.Fatalf("%s: %s, %v", to, text, err)
		}
	}
	for i := range streams {
		want := uint64(rounds)
		if i == 7 {
			want = 0
		}
		part := n.streams.Find("$G", fmt.Sprintf("S%d", i)).Partition()
		if got := part.Status().Records; got != want {
			t.Errorf("stream %d has %d records, want %d", i, got, want)
		}
		r := part.Reader(1)
		for k := range want {
			if v, err := r.Next(); err != nil || string(v.Data) != fmt.Sprint(k) {
				t.Errorf("stream %d: record %d is %q, %v", i, k+1, v.Data, err)
			}
		}
		r.Close()
	}
}
