package streams_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestRetentionFollowsTheConsumers(t *testing.T) {
	for _, policy := range []jetstream.RetentionPolicy{jetstream.WorkQueuePolicy, jetstream.InterestPolicy} {
		b := start(t)
		s, err := b.js.CreateStream(b.ctx, jetstream.StreamConfig{Name: "R", Subjects: []string{"r.>"}, Retention: policy})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.CreateConsumer(b.ctx, jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "r.a"})
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"r.a", "r.b", "r.a"} {
			if _, err := b.js.Publish(b.ctx, subject, nil); err != nil {
				t.Fatal(err)
			}
		}
		want := map[jetstream.RetentionPolicy]uint64{jetstream.WorkQueuePolicy: 3, jetstream.InterestPolicy: 2}[policy]
		for range 2 {
			info, err := s.Info(b.ctx)
			if err != nil || info.State.Msgs != want || info.State.LastSeq != 3 {
				t.Fatalf("%v: %+v, %v, want %d messages", policy, info.State, err, want)
			}
			m, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if err := m.DoubleAck(b.ctx); err != nil {
				t.Fatal(err)
			}
			want--
		}
	}
}
