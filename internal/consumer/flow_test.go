package consumer

import (
	"testing"
	"time"
)

// flowConsumer is one whose messages are acknowledged by flow control.
func flowConsumer() *Consumer {
	return New(Config{
		AckPolicy: AckAll, AckWait: 22 * time.Hour, MaxAckPending: 10,
		Push: &Push{Subject: "D", FlowControl: true, FlowAcks: true, Heartbeat: time.Second},
	}, StartAt(1))
}

func TestFlowAcksAreAskedForBeforeTheBoundIsReached(t *testing.T) {
	c, src, out := flowConsumer(), &endless{last: 100}, &Output{}
	c.Bound(true, epoch)
	sent := uint64(0)
	for sent < 100 {
		c.Step(epoch, src, everyone, out)
		if len(out.Deliveries) == 0 {
			t.Fatalf("nothing is sent behind %d", sent)
		}
		sent = out.Deliveries[len(out.Deliveries)-1].DSeq
		flow := uint64(0)
		for _, s := range out.Statuses {
			flow = s.Flow
		}
		if flow == 0 {
			t.Fatalf("the client is not asked behind %d", sent)
		}
		if n := c.Info().AckPending; n > 10 {
			t.Fatalf("%d messages wait for an acknowledgement", n)
		}
		if !c.Ack(Ack{Seq: sent, DSeq: sent}, epoch).Changed {
			t.Fatalf("the acknowledgement of %d changes nothing", sent)
		}
		c.FlowAnswered(flow, epoch)
	}
	if i := c.Info(); i.Floor.Stream != 100 || i.AckPending != 0 {
		t.Errorf("%+v", i)
	}
}

func TestAHeartbeatAsksForFlowAcksThatAreMissing(t *testing.T) {
	c, src, out := flowConsumer(), &endless{last: 1}, &Output{}
	c.Bound(true, epoch)
	c.Step(epoch, src, everyone, out)
	if len(out.Deliveries) != 1 || len(out.Statuses) != 0 {
		t.Fatalf("%+v", out)
	}
	c.Step(epoch+int64(time.Second), src, everyone, out)
	if len(out.Statuses) != 1 || out.Statuses[0].Flow == 0 || out.Statuses[0].Text != noticeHeartbeat.text {
		t.Fatalf("%+v", out.Statuses)
	}
	c.Ack(Ack{Seq: 1, DSeq: 1}, epoch)
	c.FlowAnswered(out.Statuses[0].Flow, epoch)
	c.Step(epoch+2*int64(time.Second), src, everyone, out)
	if len(out.Statuses) != 1 || out.Statuses[0].Flow != 0 {
		t.Errorf("%+v", out.Statuses)
	}
}

func TestWhoListensNextGetsWhatNobodyAcknowledged(t *testing.T) {
	c, src, out := flowConsumer(), &endless{last: 3}, &Output{}
	c.Bound(true, epoch)
	c.Step(epoch, src, everyone, out)
	c.Bound(false, epoch)
	c.Bound(true, epoch)
	c.Step(epoch, src, everyone, out)
	if len(out.Deliveries) != 3 || out.Deliveries[0].Seq != 1 || out.Deliveries[0].Delivered != 2 {
		t.Errorf("%+v", out.Deliveries)
	}
}
