package jetstream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

const fast = `"allow_batched":true`

// flow is the client of a fast batch.
type flow struct {
	r     *rig
	in    *streamtest.Inbox
	id    string
	every int
	gaps  string
}

func (r *rig) flow(id string, every int, gaps string) *flow {
	r.t.Helper()
	prefix := fmt.Sprintf("_FI.%s", id)
	f := &flow{r: r, in: streamtest.Subscribe(r.t, r.space, prefix+".>"), id: id, every: every, gaps: gaps}
	r.t.Cleanup(f.in.Close)
	return f
}

// sends publishes messages in one go, of a subject and a body each.
func (f *flow) send(seq int, op wire.FastOp, subject, data string, kv ...string) {
	f.r.t.Helper()
	p := broker.NewPublisher(f.r.space, broker.PublisherOptions{Echo: true})
	f.add(p, seq, op, subject, data, kv...)
	p.HandOver()
}

func (f *flow) add(p *broker.Publisher, seq int, op wire.FastOp, subject, data string, kv ...string) {
	var h []byte
	if len(kv) > 0 {
		h = header(kv...)
	}
	reply := fmt.Sprintf("_FI.%s.%s.%d.%s.%d.%d.$FI", f.id, f.id, f.every, f.gaps, seq, op)
	p.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(reply), Header: h, Data: []byte(data)})
}

func (f *flow) next() answer {
	f.r.t.Helper()
	return f.r.decode(f.in.Next(f.r.t).Data)
}

func (f *flow) acked(seq uint64, msgs int) {
	f.r.t.Helper()
	if a := f.next(); a.Type != "ack" || a.Seq != seq || a.Msgs != msgs {
		f.r.t.Fatalf("%s is told %+v %+v, want an acknowledgement of %d, each for %d", f.id, a, a.Error, seq, msgs)
	}
}

func (f *flow) misses(from, to uint64) {
	f.r.t.Helper()
	if a := f.next(); a.Type != "gap" || a.LastSeq != from || a.Seq != to {
		f.r.t.Fatalf("%s is told %+v %+v, want a gap from %d to %d", f.id, a, a.Error, from, to)
	}
}

func (f *flow) errs(code int, seq uint64) {
	f.r.t.Helper()
	if a := f.next(); a.Type != "err" || a.Seq != seq || a.Error == nil || a.Error.ErrCode != code {
		f.r.t.Fatalf("%s is told %+v %+v, want error %d of message %d", f.id, a, a.Error, code, seq)
	}
}

func (f *flow) fails(code int) {
	f.r.t.Helper()
	if a := f.next(); a.Type != "" || a.Error == nil || a.Error.ErrCode != code || a.Stream == "" {
		f.r.t.Fatalf("%s is told %+v %+v, want error %d", f.id, a, a.Error, code)
	}
}

func (f *flow) done(seq, count uint64) {
	f.r.t.Helper()
	if a := f.next(); a.Error != nil || a.Type != "" || a.Batch != f.id || a.Seq != seq || a.Count != count {
		f.r.t.Fatalf("%s is told %+v %+v, want %d messages up to %d", f.id, a, a.Error, count, seq)
	}
}

func TestAFastBatchIsAcknowledgedANumberAtATime(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	f := r.flow("f", 3, "fail")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 3)
	f.send(2, wire.FastAppend, "s.a", "2")
	f.send(3, wire.FastAppend, "s.a", "3")
	f.acked(3, 3)
	r.keeps("S", 1, 2, 3)
	f.send(4, wire.FastPing, "s.a", "")
	f.misses(4, 5)
	f.done(3, 3)
}

func TestAFastBatchEndsWithItsCommit(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	f := r.flow("f", 10, "fail")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	f.send(2, wire.FastAppend, "s.b", "2")
	f.send(2, wire.FastPing, "s.a", "")
	f.send(3, wire.FastCommit, "s.c", "3")
	for {
		a := f.next() // the answer to the ping says how far it was
		if a.Type == "ack" && a.Seq <= 2 && a.Msgs == 10 {
			continue
		}
		if a.Seq != 3 || a.Count != 3 || a.Batch != "f" {
			t.Fatalf("told %+v %+v", a, a.Error)
		}
		break
	}
	f.send(4, wire.FastAppend, "s.a", "4")
	f.fails(wire.CodeFastUnknownID)
	f.send(1, wire.FastCommit, "s.a", "4") // one message is a batch, too
	f.done(4, 1)
	f.send(1, wire.FastStart, "s.a", "5")
	f.acked(0, 10)
	f.send(2, wire.FastEnd, "s.a", "not stored")
	f.done(5, 1)
	r.consumer("S", "c")
	r.wantFetch("S", "c", 9, "s.a=1 s.b=2 s.c=3 s.a=4 s.a=5")
}

func TestFastBatchesAreRefusedInOrder(t *testing.T) {
	r := newRig(t)
	r.stream("N", "n.>")
	r.stream("S", "s.>", fast)
	long := r.flow(strings.Repeat("i", 65), 10, "fail")
	long.send(2, wire.FastStart, "n.a", "")
	long.fails(wire.CodeFastInvalidPattern)
	long.send(2, wire.FastAppend, "n.a", "")
	long.fails(wire.CodeFastDisabled)
	long.send(2, wire.FastAppend, "s.a", "")
	long.fails(wire.CodeFastInvalidID)
	f := r.flow("f", 10, "fail")
	f.send(2, wire.FastAppend, "s.a", "")
	f.fails(wire.CodeFastUnknownID)
	f.send(1, wire.FastPing, "s.a", "")
	f.fails(wire.CodeFastUnknownID)
	bad := r.flow("bad", 10, "perhaps")
	bad.send(1, wire.FastStart, "s.a", "")
	bad.fails(wire.CodeFastInvalidPattern)
	r.keeps("S")
}

func TestAGapEndsAStrictFastBatchWithWhatItHas(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	f := r.flow("f", 10, "fail")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	f.send(2, wire.FastAppend, "s.a", "2")
	f.send(5, wire.FastAppend, "s.a", "5")
	f.misses(3, 5)
	f.done(2, 2)
	r.keeps("S", 1, 2)
}

func TestAGapDoesNotEndAFastBatchThatAllowsIt(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	f := r.flow("f", 10, "ok")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	f.send(4, wire.FastAppend, "s.a", "4")
	f.misses(2, 4)
	f.send(6, wire.FastCommit, "s.a", "6")
	f.misses(5, 6)
	f.done(3, 6)
	r.consumer("S", "c")
	r.wantFetch("S", "c", 9, "s.a=1 s.a=4 s.a=6")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	f.send(4, wire.FastAppend, "s.a", "4")
	f.misses(2, 4)
	f.send(3, wire.FastAppend, "s.a", "late: the client has lost the thread")
	f.misses(5, 3)
	f.done(5, 4)
}

func TestAPingThatFindsAGapIsAnswered(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	f := r.flow("f", 1, "ok")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 1)
	f.acked(1, 1)
	f.send(3, wire.FastPing, "s.a", "")
	f.misses(2, 4)
	f.acked(3, 1) // what is lost is settled
	f.send(4, wire.FastCommit, "s.a", "4")
	f.done(2, 4)
}

func TestARefusedMessageEndsAStrictFastBatch(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	f := r.flow("f", 10, "fail")
	p := broker.NewPublisher(r.space, broker.PublisherOptions{Echo: true})
	f.add(p, 1, wire.FastStart, "s.a", "1")
	f.add(p, 2, wire.FastAppend, "s.a", "2", "Nats-Msg-Id", "i")
	f.add(p, 3, wire.FastAppend, "s.a", "3", "Nats-Msg-Id", "i") // a duplicate is no fault
	f.add(p, 4, wire.FastAppend, "s.a", "4", "Nats-Expected-Last-Sequence", "77")
	f.add(p, 5, wire.FastAppend, "s.a", "5")
	f.add(p, 6, wire.FastCommit, "s.a", "6")
	p.HandOver()
	want := map[string]bool{"ack": true, "err": true, "": true}
	for range 3 {
		a := f.next()
		if !want[a.Type] {
			t.Fatalf("told %+v %+v", a, a.Error)
		}
		delete(want, a.Type)
		switch {
		case a.Type == "err" && (a.Seq != 4 || a.Error.ErrCode != wire.CodeWrongLastSequence),
			a.Type == "" && (a.Error != nil || a.Seq != 2 || a.Count != 3):
			t.Fatalf("told %+v %+v", a, a.Error)
		}
	}
	r.keeps("S", 1, 2)
	f.send(1, wire.FastStart, "s.a", "1", "Nats-Expected-Last-Sequence", "77")
	f.acked(0, 10)
	f.fails(wire.CodeWrongLastSequence)
}

// TestAMessageThatIsTooLargeCountsAsLost: it is refused before its place is looked at.
func TestAMessageThatIsTooLargeCountsAsLost(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast, `"max_msg_size":50`)
	f := r.flow("f", 10, "ok")
	large := strings.Repeat("x", 51)
	f.send(1, wire.FastStart, "s.a", large)
	f.fails(wire.CodeMessageExceedsMaximum)
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	f.send(2, wire.FastAppend, "s.a", large)
	f.fails(wire.CodeMessageExceedsMaximum)
	f.send(3, wire.FastCommit, "s.a", "3")
	f.misses(2, 3)
	f.done(2, 3)
}

func TestARefusedMessageIsToldWhereGapsAreAllowed(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	f := r.flow("f", 10, "ok")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	f.send(2, wire.FastAppend, "s.a", "2", "Nats-Expected-Last-Sequence", "77")
	f.errs(wire.CodeWrongLastSequence, 2)
	f.send(3, wire.FastCommit, "s.a", "3")
	f.done(2, 3)
	r.keeps("S", 1, 2)
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	f.send(2, wire.FastCommit, "s.a", "2", "Nats-Expected-Last-Sequence", "77")
	f.errs(wire.CodeWrongLastSequence, 2)
	f.done(3, 1)
}

// TestTheFlowFollowsTheNumberOfFastBatches: the only one is told of many messages at
// once; of several each begins with one, and gets its share.
func TestTheFlowFollowsTheNumberOfFastBatches(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", fast)
	a := r.flow("a", 1000, "ok")
	a.send(1, wire.FastStart, "s.a", "1")
	a.acked(0, 500)
	b := r.flow("b", 4, "ok")
	b.send(1, wire.FastStart, "s.a", "1")
	b.acked(0, 1)
	b.acked(1, 2)
	b.send(2, wire.FastAppend, "s.a", "2")
	b.send(3, wire.FastAppend, "s.a", "3")
	b.acked(3, 4)
	p := broker.NewPublisher(r.space, broker.PublisherOptions{Echo: true})
	for i := 2; i <= 500; i++ {
		a.add(p, i, wire.FastAppend, "s.a", "x")
	}
	p.HandOver()
	a.acked(500, 250)
	b.send(4, wire.FastCommit, "s.a", "4")
	b.done(504, 4)
}
