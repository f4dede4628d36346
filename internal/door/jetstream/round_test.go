package jetstream

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// roundPublisher publishes as one of several connections that a goroutine serves in
// turn.
func (r *rig) roundPublisher(round *broker.Round) func(subject string, header, data []byte) *streamtest.Inbox {
	p := broker.NewPublisher(r.space, broker.PublisherOptions{})
	p.Join(round)
	return func(subject string, header, data []byte) *streamtest.Inbox {
		in := streamtest.NewInbox(r.t, r.space)
		m := &broker.Message{Subject: []byte(subject), Reply: []byte(in.Subject), Data: data}
		m.Header = header
		p.Publish(m)
		p.HandOver()
		return in
	}
}

func TestPublishersOfOneRoundGetEachTheirOwnAnswer(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.stream("T", "t.>")
	round := new(broker.Round)
	const publishers, each = 7, 6
	var pubs []func(string, []byte, []byte) *streamtest.Inbox
	for range publishers {
		pubs = append(pubs, r.roundPublisher(round))
	}
	var in []*streamtest.Inbox
	want := map[string]uint64{}
	var wanted []string
	for i := range each {
		for k, publish := range pubs {
			name := "S"
			if (i+k)%3 == 0 {
				name = "T"
			}
			// A publisher sends one, or so many that its answers are sent together.
			for range 1 + k {
				subject := map[string]string{"S": "s.a", "T": "t.a"}[name]
				var header []byte
				if k == 2 && i == 3 {
					header = []byte("NATS/1.0\r\nNats-Expected-Stream: Other\r\n\r\n")
				}
				in = append(in, publish(subject, header, []byte("x")))
				if header != nil {
					wanted = append(wanted, "refused")
					continue
				}
				want[name]++
				wanted = append(wanted, fmt.Sprint(name, want[name]))
			}
		}
		if i%2 == 0 {
			round.End()
		}
	}
	round.End()
	for i, inbox := range in {
		a := r.decode(inbox.Next(t).Data)
		got := fmt.Sprint(a.Stream, a.Seq)
		if a.Error != nil {
			got = "refused"
		}
		if got != wanted[i] {
			t.Fatalf("message %d: %s, want %s", i, got, wanted[i])
		}
		inbox.None(t)
	}
}
