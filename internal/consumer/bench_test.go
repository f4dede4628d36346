package consumer

import "testing"

// round delivers a batch and acknowledges it.
func round(c *Consumer, src *endless, out *Output, now int64, batch int) {
	src.last += uint64(batch)
	c.Request(Request{Reply: "_INBOX.x", Batch: batch, Expires: 1e9}, now)
	c.Step(now, src, everyone, out)
	for i := range out.Deliveries {
		d := &out.Deliveries[i]
		c.Ack(Ack{Seq: d.Seq, DSeq: d.DSeq, Delivered: d.Delivered}, now)
	}
}

func TestDeliveringAndAcknowledgingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, policy := range []AckPolicy{AckExplicit, AckAll, AckNone} {
		c := New(Config{AckPolicy: policy, AckWait: 1e9, MaxAckPending: 1000}, StartAt(1))
		src, out, now := &endless{}, &Output{}, epoch
		next := func() {
			now += 1e6
			round(c, src, out, now, 500)
		}
		next()
		next()
		if n := testing.AllocsPerRun(50, next); n != 0 {
			t.Errorf("policy %d: %v allocations for 500 messages", policy, n)
		}
	}
}

// A message that stays pending must not make the others' places pile up.
func TestOneStuckMessageCostsNoMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := New(Config{AckWait: 1e18, MaxAckPending: 1000}, StartAt(1))
	src, out, now := &endless{}, &Output{}, epoch
	c.Request(Request{Reply: "A", Batch: 1}, now)
	src.last = 1
	c.Step(now, src, everyone, out)
	next := func() { round(c, src, out, now, 300) }
	for range 20 {
		next()
	}
	if n := testing.AllocsPerRun(100, next); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if cap(c.tab.ents) > 1000 || c.tab.live != 1 {
		t.Errorf("%d places for %d pending", cap(c.tab.ents), c.tab.live)
	}
}

func TestPendingMessageTakesFortyBytes(t *testing.T) {
	const n = 100_000
	c := New(Config{AckWait: 1e18, MaxWaiting: 10}, StartAt(1))
	src, out := &endless{last: n}, &Output{}
	c.Request(Request{Reply: "A", Batch: n}, epoch)
	for c.tab.live < n {
		c.Step(epoch, src, everyone, out)
	}
	if got := cap(c.tab.ents); got > n*3/2 {
		t.Errorf("%d places of 40 bytes for %d pending", got, n)
	}
}

func BenchmarkDeliverAndAck(b *testing.B) {
	for _, tc := range []struct {
		name  string
		batch int
	}{{"batch1", 1}, {"batch100", 100}, {"batch1000", 1000}} {
		b.Run(tc.name, func(b *testing.B) {
			c := New(Config{AckWait: 30e9, MaxAckPending: 1000}, StartAt(1))
			src, out, now := &endless{}, &Output{}, epoch
			b.ReportAllocs()
			for i := 0; i < b.N; i += tc.batch {
				now += 1000
				round(c, src, out, now, tc.batch)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}

// BenchmarkAckOutOfOrder acknowledges a window of 1,000 messages backwards.
func BenchmarkAckOutOfOrder(b *testing.B) {
	c := New(Config{AckWait: 30e9, MaxAckPending: 1000}, StartAt(1))
	src, out, now := &endless{}, &Output{}, epoch
	for i := 0; i < b.N; i += 1000 {
		now += 1000
		src.last += 1000
		c.Request(Request{Reply: "_INBOX.x", Batch: 1000}, now)
		c.Step(now, src, everyone, out)
		for j := len(out.Deliveries) - 1; j >= 0; j-- {
			c.Ack(Ack{Seq: out.Deliveries[j].Seq, DSeq: out.Deliveries[j].DSeq}, now)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
}
