package streams_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestPublishIsAcknowledgedWithItsSequence(t *testing.T) {
	b := start(t)
	for want := uint64(1); want <= 5; want++ {
		ack, err := b.js.Publish(b.ctx, "s.a", []byte("x"))
		if err != nil || ack.Stream != "S" || ack.Sequence != want || ack.Duplicate || ack.Domain != "" {
			t.Errorf("ack is %+v, %v", ack, err)
		}
	}
}

func TestPublishWithoutReplyIsStoredToo(t *testing.T) {
	b := start(t)
	if err := errors.Join(b.nc.Publish("s.a", []byte("x")), b.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	if seq := b.publish("s.a", "y"); seq != 2 {
		t.Errorf("the next sequence is %d", seq)
	}
}

func TestStreamAndSubscribersBothGetTheMessage(t *testing.T) {
	b := start(t)
	sub, err := b.nc.SubscribeSync("s.a")
	if err != nil {
		t.Fatal(err)
	}
	b.publish("s.a", "x")
	if m, err := sub.NextMsg(5 * time.Second); err != nil || string(m.Data) != "x" {
		t.Errorf("subscriber got %v, %v", m, err)
	}
	b.expectState(1, 1, 1)
}

func TestAsyncPublishesKeepTheirOrder(t *testing.T) {
	b := start(t)
	const n = 5000
	futures := make([]jetstream.PubAckFuture, n)
	for i := range futures {
		var err error
		if futures[i], err = b.js.PublishAsync(fmt.Sprintf("s.%d", i%3), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range futures {
		select {
		case ack := <-f.Ok():
			if ack.Sequence != uint64(i+1) {
				t.Fatalf("message %d has sequence %d", i, ack.Sequence)
			}
		case err := <-f.Err():
			t.Fatalf("message %d: %v", i, err)
		case <-b.ctx.Done():
			t.Fatal("no acknowledgement")
		}
	}
	b.expectState(n, 1, n)
}

func TestRepeatedIdentifiersAreStoredOnce(t *testing.T) {
	b := start(t)
	b.publish("s.a", "1", jetstream.WithMsgID("one"))
	b.publish("s.a", "2", jetstream.WithMsgID("two"))
	ack, err := b.js.Publish(b.ctx, "s.b", []byte("other"), jetstream.WithMsgID("one"))
	if err != nil || !ack.Duplicate || ack.Sequence != 1 {
		t.Errorf("ack is %+v, %v", ack, err)
	}
	b.expectState(2, 1, 2)
}

func TestTheDuplicateWindowEnds(t *testing.T) {
	b := start(t, func(c *jetstream.StreamConfig) { c.Duplicates = 300 * time.Millisecond })
	b.publish("s.a", "1", jetstream.WithMsgID("one"))
	first := time.Now()
	for {
		ack, err := b.js.Publish(b.ctx, "s.a", []byte("1"), jetstream.WithMsgID("one"))
		if err != nil {
			t.Fatal(err)
		}
		if !ack.Duplicate {
			break
		}
		if time.Since(first) > 10*time.Second {
			t.Fatal("it never ends")
		}
	}
	if took := time.Since(first); took < 250*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
}

func TestExpectationsAreCheckedBeforeStoring(t *testing.T) {
	b := start(t)
	b.publish("s.a", "1", jetstream.WithMsgID("one"))
	b.publish("s.b", "2", jetstream.WithMsgID("two"))
	for name, c := range map[string]struct {
		opt  jetstream.PublishOpt
		code jetstream.ErrorCode
	}{
		"stream":                {jetstream.WithExpectStream("T"), 10060},
		"last sequence":         {jetstream.WithExpectLastSequence(1), 10071},
		"last subject sequence": {jetstream.WithExpectLastSequencePerSubject(2), 10071},
		"subject is new":        {jetstream.WithExpectLastSequencePerSubject(0), 10071},
		"last id":               {jetstream.WithExpectLastMsgID("one"), 10070},
		"sequence of a pattern": {jetstream.WithExpectLastSequenceForSubject(1, "s.*"), 10071},
	} {
		if _, err := b.js.Publish(b.ctx, "s.a", []byte("x"), c.opt); code(err) != c.code {
			t.Errorf("%s: %v, want error %d", name, err, c.code)
		}
	}
	b.expectState(2, 1, 2)
	for i, opt := range []jetstream.PublishOpt{
		jetstream.WithExpectStream("S"), jetstream.WithExpectLastSequence(3), jetstream.WithExpectLastSequencePerSubject(4),
		jetstream.WithExpectLastSequenceForSubject(2, "s.b"),
	} {
		if seq := b.publish("s.a", "x", opt); seq != uint64(i+3) {
			t.Errorf("expectation %d: sequence %d", i, seq)
		}
	}
	if seq := b.publish("s.new", "x", jetstream.WithExpectLastSequencePerSubject(0)); seq != 7 {
		t.Errorf("a new subject: sequence %d", seq)
	}
}

func TestConcurrentExpectationsHaveOneWinner(t *testing.T) {
	b := start(t)
	const rivals = 20
	futures := make([]jetstream.PubAckFuture, rivals)
	for i := range futures {
		var err error
		if futures[i], err = b.js.PublishAsync("s.a", []byte(fmt.Sprint(i)), jetstream.WithExpectLastSequence(0)); err != nil {
			t.Fatal(err)
		}
	}
	won := 0
	for _, f := range futures {
		select {
		case <-f.Ok():
			won++
		case err := <-f.Err():
			if code(err) != 10071 {
				t.Errorf("a loser is told %v", err)
			}
		case <-b.ctx.Done():
			t.Fatal("no answer")
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won", won, rivals)
	}
	b.expectState(1, 1, 1)
}

func TestMessagesAreReadBack(t *testing.T) {
	for _, direct := range []bool{true, false} {
		t.Run(fmt.Sprintf("direct=%v", direct), func(t *testing.T) {
			b := start(t, func(c *jetstream.StreamConfig) { c.AllowDirect = direct })
			m := nats.NewMsg("s.a")
			m.Header.Set("K", "v")
			m.Data = []byte("one")
			if _, err := b.js.PublishMsg(b.ctx, m); err != nil {
				t.Fatal(err)
			}
			b.publish("s.b", "two")
			b.publish("s.a", "three")
			got, err := b.stream.GetMsg(b.ctx, 1)
			if err != nil || got.Subject != "s.a" || string(got.Data) != "one" || got.Header.Get("K") != "v" || time.Since(got.Time) > time.Minute {
				t.Errorf("message 1 is %+v, %v", got, err)
			}
			if got, err := b.stream.GetLastMsgForSubject(b.ctx, "s.a"); err != nil || got.Sequence != 3 || string(got.Data) != "three" {
				t.Errorf("last of s.a is %+v, %v", got, err)
			}
			if got, err := b.stream.GetLastMsgForSubject(b.ctx, "s.*"); err != nil || got.Sequence != 3 {
				t.Errorf("last of s.* is %+v, %v", got, err)
			}
			if got, err := b.stream.GetMsg(b.ctx, 2, jetstream.WithGetMsgSubject("s.a")); err != nil || got.Sequence != 3 {
				t.Errorf("next of s.a from 2 is %+v, %v", got, err)
			}
			for _, seq := range []uint64{4, 1000} {
				if _, err := b.stream.GetMsg(b.ctx, seq); !errors.Is(err, jetstream.ErrMsgNotFound) {
					t.Errorf("message %d: %v", seq, err)
				}
			}
			if _, err := b.stream.GetLastMsgForSubject(b.ctx, "s.none"); !errors.Is(err, jetstream.ErrMsgNotFound) {
				t.Errorf("last of s.none: %v", err)
			}
		})
	}
}

func TestDeletedMessagesAreGone(t *testing.T) {
	b := start(t)
	b.fill(5)
	for _, seq := range []uint64{3, 1} {
		if err := b.stream.DeleteMsg(b.ctx, seq); err != nil {
			t.Fatal(err)
		}
	}
	b.expectState(3, 2, 5)
	info, err := b.stream.Info(b.ctx, jetstream.WithDeletedDetails(true))
	if err != nil || fmt.Sprint(info.State.Deleted) != "[3]" {
		t.Errorf("deleted are %v, %v", info.State.Deleted, err)
	}
	if _, err := b.stream.GetMsg(b.ctx, 3); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("message 3: %v", err)
	}
	if err := b.stream.DeleteMsg(b.ctx, 3); err == nil {
		t.Error("a deleted message can be deleted again")
	}
	if err := b.stream.SecureDeleteMsg(b.ctx, 4); err != nil {
		t.Errorf("secure delete: %v", err)
	}
	b.expectState(2, 2, 5)
}
