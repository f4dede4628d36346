package consumer

import (
	"math"
	"testing"
	"time"
)

func TestHugeTimesDoNotOverflow(t *testing.T) {
	c := New(Config{AckWait: math.MaxInt64}, StartAt(1))
	src, out := &endless{last: 2}, &Output{}
	c.Request(Request{Reply: "A", Batch: 9, Expires: math.MaxInt64}, epoch)
	c.Step(epoch, src, everyone, out)
	c.Ack(Ack{Kind: Nak, Seq: 1, DSeq: 1, Delay: math.MaxInt64}, epoch)
	c.Step(epoch+int64(time.Hour), src, everyone, out)
	if len(out.Deliveries) != 0 || len(out.Statuses) != 0 || c.Deadline() < epoch {
		t.Errorf("%d deliveries, %d statuses, deadline %d", len(out.Deliveries), len(out.Statuses), c.Deadline())
	}
}

func TestHugeBatchIsServedInBoundedSteps(t *testing.T) {
	c := New(Config{}, StartAt(1))
	src, out := &endless{last: 3 * MaxStep}, &Output{}
	c.Request(Request{Reply: "A", Batch: math.MaxInt, MaxBytes: math.MaxInt}, epoch)
	r := NewReplica(StartAt(1))
	for steps := 1; ; steps++ {
		c.Step(epoch, src, everyone, out)
		if len(out.Changes) > 0 {
			if err := r.Apply(out.Changes, nil); err != nil {
				t.Fatal(err)
			}
		}
		if len(out.Deliveries) > MaxStep {
			t.Fatalf("%d deliveries in a Step", len(out.Deliveries))
		}
		if !out.More {
			if steps < 3 {
				t.Fatalf("%d steps", steps)
			}
			break
		}
	}
	sameState(t, "live and replica", c.State(), r.State())
}

func TestRequestsBetweenStepsAreBounded(t *testing.T) {
	c := New(Config{}, StartAt(1))
	for range 3 * maxFresh {
		c.Request(Request{Reply: "A"}, epoch)
	}
	var out Output
	c.Step(epoch, &endless{}, everyone, &out)
	if n := c.Info().Waiting; n != DefaultMaxWaiting {
		t.Errorf("%d requests wait", n)
	}
	if n := len(out.Statuses); n > 2*maxFresh {
		t.Errorf("%d statuses", n)
	}
}

// A delay that an acknowledgement made void leaves its deadline in the heap. Such
// deadlines must not pile up.
func TestVoidDelaysAreSwept(t *testing.T) {
	c := New(Config{AckWait: time.Hour}, StartAt(1))
	src, out, now := &endless{}, &Output{}, epoch
	for range 3000 {
		src.last++
		now++
		c.Request(Request{Reply: "A"}, now)
		c.Step(now, src, everyone, out)
		d := out.Deliveries[0]
		c.Ack(Ack{Kind: Nak, Seq: d.Seq, DSeq: d.DSeq, Delay: time.Hour}, now)
		c.Ack(Ack{Seq: d.Seq, DSeq: d.DSeq}, now)
	}
	if len(c.late) > 200 {
		t.Errorf("%d deadlines for nothing pending", len(c.late))
	}
}

func TestClockMayGoBack(t *testing.T) {
	c := New(Config{AckWait: 1000}, StartAt(1))
	src, out := &endless{last: 2}, &Output{}
	c.Request(Request{Reply: "A", Batch: 1}, epoch)
	c.Step(epoch, src, everyone, out)
	c.Request(Request{Reply: "A", Batch: 1}, epoch-5000)
	c.Step(epoch-5000, src, everyone, out)
	c.check(t)
	if at := c.Deadline(); at != epoch+1000 {
		t.Errorf("deadline %d after the epoch", at-epoch)
	}
}

func TestMemoryOfABurstIsGivenBack(t *testing.T) {
	c := New(Config{}, StartAt(1))
	src, out := &endless{}, &Output{}
	round(c, src, out, epoch, 5000)
	c.Step(epoch+memoryLinger+1, src, everyone, out)
	if cap(c.tab.ents) != 0 {
		t.Errorf("%d places are kept", cap(c.tab.ents))
	}
	round(c, src, out, epoch+2*memoryLinger, 10)
	c.check(t)
}

func TestScanningIsWrittenDownRarely(t *testing.T) {
	c := New(Config{}, StartAt(1))
	src, out := &stored{last: scanEvery - 2}, &Output{}
	r := NewReplica(StartAt(1))
	c.Request(Request{Reply: "A"}, epoch)
	c.Step(epoch, src, everyone, out)
	if len(out.Changes) != 0 || c.Next() != scanEvery-1 {
		t.Fatalf("next %d, %d bytes of changes", c.Next(), len(out.Changes))
	}
	src.last = 10 * scanEvery
	c.Step(epoch, src, everyone, out)
	if err := r.Apply(out.Changes, nil); err != nil {
		t.Fatal(err)
	}
	if got := r.State().Next; got != 10*scanEvery+1 || r.State().Delivered.Stream != 0 {
		t.Fatalf("next %d", got)
	}
}
