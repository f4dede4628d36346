package jetstream

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

const whole = `"allow_atomic":true`

// part sends a message of an atomic batch.
func (r *rig) part(id string, seq int, subject, data string, kv ...string) *streamtest.Inbox {
	r.t.Helper()
	kv = append([]string{"Nats-Batch-Id", id, "Nats-Batch-Sequence", fmt.Sprint(seq)}, kv...)
	return streamtest.Send(r.t, r.space, subject, header(kv...), []byte(data))
}

// taken sends a message of an atomic batch that must be taken, and is not the last.
func (r *rig) taken(id string, seq int, subject, data string, kv ...string) {
	r.t.Helper()
	in := r.part(id, seq, subject, data, kv...)
	defer in.Close()
	if m := in.Next(r.t); len(m.Data) != 0 {
		r.t.Fatalf("message %d of %s is answered with %s", seq, id, m.Data)
	}
}

// ends sends a message of an atomic batch that is answered.
func (r *rig) ends(id string, seq int, subject, data string, kv ...string) answer {
	r.t.Helper()
	in := r.part(id, seq, subject, data, kv...)
	defer in.Close()
	return r.decode(in.Next(r.t).Data)
}

func (r *rig) breaks(code int, id string, seq int, subject, data string, kv ...string) {
	r.t.Helper()
	if a := r.ends(id, seq, subject, data, kv...); a.Error == nil || a.Error.ErrCode != code {
		r.t.Fatalf("message %d of %s: sequence %d, error %+v, want %d", seq, id, a.Seq, a.Error, code)
	}
}

func (r *rig) commits(seq uint64, count uint64, id string, at int, subject, data string, kv ...string) {
	r.t.Helper()
	a := r.ends(id, at, subject, data, append([]string{"Nats-Batch-Commit", "1"}, kv...)...)
	if a.Error != nil || a.Seq != seq || a.Count != count || a.Batch != id || a.Stream != "S" {
		r.t.Fatalf("commit of %s: %+v, error %+v, want %d messages up to %d", id, a, a.Error, count, seq)
	}
}

func (r *rig) hears(in *streamtest.Inbox, id, reason string) {
	r.t.Helper()
	var e struct{ Type, Stream, Batch, Reason, Account string }
	m := in.Next(r.t)
	if err := json.Unmarshal(m.Data, &e); err != nil {
		r.t.Fatal(err)
	}
	if e.Type != "io.nats.jetstream.advisory.v1.stream_batch_abandoned" || e.Stream != "S" || e.Batch != id || e.Reason != reason || e.Account != "" {
		r.t.Fatalf("heard %s, want %s of %s", m.Data, reason, id)
	}
}

func TestAnAtomicBatchIsVisibleOnlyWhenItIsComplete(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole)
	r.stored(1, "s.a", "0")
	r.taken("b", 1, "s.a", "1")
	r.taken("b", 2, "s.b", "2")
	r.stored(2, "s.a", "x")
	r.keeps("S", 1, 2)
	r.commits(5, 3, "b", 3, "s.a", "3")
	r.consumer("S", "c")
	msgs := r.wantFetch("S", "c", 9, "s.a=0 s.a=x s.a=1 s.b=2 s.a=3")
	for i, want := range []string{"Nats-Batch-Id: b\r\nNats-Batch-Sequence: 1", "Nats-Batch-Sequence: 3\r\nNats-Batch-Commit: 1"} {
		if h := string(msgs[2+2*i].Header); !strings.Contains(h, want) {
			t.Errorf("the stored header is %q", h)
		}
	}
	r.commits(6, 1, "c", 1, "s.a", "alone")
}

func TestACommitAtTheEndIsNotStored(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole)
	r.taken("b", 1, "s.a", "1")
	r.taken("b", 2, "s.b", "2")
	a := r.ends("b", 3, "s.c", "not this", "Nats-Batch-Commit", "eob")
	if a.Error != nil || a.Seq != 2 || a.Count != 2 || a.Batch != "b" {
		t.Fatalf("commit: %+v %+v", a, a.Error)
	}
	r.consumer("S", "c")
	msgs := r.wantFetch("S", "c", 9, "s.a=1 s.b=2")
	if h := string(msgs[1].Header); !strings.Contains(h, "Nats-Batch-Sequence: 2\r\nNats-Batch-Commit: 1\r\n\r\n") {
		t.Errorf("the last stored header is %q", h)
	}
	r.breaks(wire.CodeAtomicIncomplete, "d", 1, "s.a", "", "Nats-Batch-Commit", "eob")
}

func TestAtomicBatchesAreRefusedInOrder(t *testing.T) {
	r := newRig(t)
	r.stream("N", "n.>", `"max_msg_size":300`)
	long := strings.Repeat("i", 65)
	r.breaks(wire.CodeMessageExceedsMaximum, long, 1, "n.a", strings.Repeat("x", 301))
	r.breaks(wire.CodeAtomicDisabled, long, 1, "n.a", "")
	r.stream("S", "s.>", whole)
	r.breaks(wire.CodeAtomicInvalidID, long, 0, "s.a", "")
	r.denied(wire.CodeAtomicMissingSeq, "s.a", "", "Nats-Batch-Id", "b", "Nats-Batch-Commit", "2")
	r.breaks(wire.CodeAtomicIncomplete, "b", 2, "s.a", "", "Nats-Batch-Commit", "2")
	r.breaks(wire.CodeAtomicTooLarge, "b", 1001, "s.a", "")
	r.breaks(wire.CodeAtomicInvalidCommit, "b", 1, "s.a", "", "Nats-Batch-Commit", "2", "Nats-Required-Api-Level", "99")
	r.breaks(wire.CodeRequiredAPILevel, "b", 1, "s.a", "", "Nats-Batch-Commit", "1", "Nats-Required-Api-Level", "99")
	r.taken("b", 1, "s.a", "")
	r.breaks(wire.CodeRequiredAPILevel, "b", 3, "s.a", "", "Nats-Required-Api-Level", "x")
	r.breaks(wire.CodeAtomicIncomplete, "b", 2, "s.a", "") // that ended it
	r.stored(1, "s.a", "", "Nats-Batch-Sequence", "7")     // belongs to no batch
	r.commits(2, 1, "b", 1, "s.a", "", "Nats-Required-Api-Level", "1")
	if v, err := r.Streams.Find("A", "S").Partition().Get(2); err != nil || strings.Contains(string(v.Header), "Api-Level") {
		t.Errorf("stored with %q, %v", v.Header, err)
	}
	r.stream("Z", "z.>", whole)
	r.ok("STREAM.UPDATE.Z", streamConfig("Z", "z.>", whole, `"sealed":true`))
	r.breaks(wire.CodeStreamSealed, long, 1, "z.a", "")
}

func TestAGapEndsAnAtomicBatch(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S")
	defer in.Close()
	r.taken("b", 1, "s.a", "1")
	r.breaks(wire.CodeAtomicIncomplete, "b", 3, "s.a", "3", "Nats-Batch-Commit", "1")
	r.hears(in, "b", "incomplete")
	r.breaks(wire.CodeAtomicIncomplete, "b", 2, "s.a", "2")
	r.taken("b", 1, "s.a", "1")
	r.breaks(wire.CodeAtomicIncomplete, "b", 1, "s.a", "1") // it came already
	r.hears(in, "b", "incomplete")
	r.keeps("S")
}

func TestAnAtomicBatchHasItsConditionsCheckedAtTheCommit(t *testing.T) {
	for name, c := range map[string]struct {
		code int
		bad  []string // of the second message
		last []string // of the third
	}{
		"last id":                            {wire.CodeAtomicUnsupported, []string{"Nats-Expected-Last-Msg-Id", "x"}, nil},
		"stream":                             {wire.CodeExpectedStreamMismatch, []string{"Nats-Expected-Stream", "T"}, nil},
		"last sequence behind the first":     {wire.CodeWrongLastSequenceConstant, []string{"Nats-Expected-Last-Sequence", "2"}, nil},
		"wrong sequence behind the first":    {wire.CodeWrongLastSequence, []string{"Nats-Expected-Last-Sequence", "1"}, nil},
		"subject that the batch has written": {wire.CodeWrongLastSequenceConstant, nil, []string{"Nats-Expected-Last-Subject-Sequence", "1"}},
		"subject of another sequence":        {wire.CodeWrongLastSequence, []string{"Nats-Expected-Last-Subject-Sequence", "5"}, nil},
		"id of the batch":                    {wire.CodeAtomicDuplicate, []string{"Nats-Msg-Id", "i"}, []string{"Nats-Msg-Id", "i"}},
		"id of the window":                   {wire.CodeAtomicDuplicate, []string{"Nats-Msg-Id", "old"}, nil},
		"rollup":                             {wire.CodeRollupFailed, []string{"Nats-Rollup", "sub"}, nil},
		"ttl":                                {wire.CodeTTLDisabled, []string{"Nats-TTL", "5s"}, nil},
		"source":                             {wire.CodeSourceHeaderNotAllowed, nil, []string{"Nats-Stream-Source", "x"}},
		"increment":                          {wire.CodeIncrDisabled, nil, []string{"Nats-Incr", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.stream("S", "s.>", whole)
			r.stored(1, "s.a", "0", "Nats-Msg-Id", "old")
			r.taken("b", 1, "s.a", "1")
			r.taken("b", 2, "s.b", "2", c.bad...)
			r.breaks(c.code, "b", 3, "s.a", "3", append([]string{"Nats-Batch-Commit", "1"}, c.last...)...)
			r.keeps("S", 1)
			r.stored(2, "s.b", "again", "Nats-Msg-Id", "i", "Nats-Expected-Last-Subject-Sequence", "0")
		})
	}
	r := newRig(t)
	r.stream("S", "s.>", whole)
	r.taken("b", 1, "s.a", "1", "Nats-Expected-Last-Sequence", "0", "Nats-Expected-Last-Subject-Sequence", "0", "Nats-Msg-Id", "i")
	r.commits(2, 2, "b", 2, "s.b", "2", "Nats-Expected-Last-Subject-Sequence", "0", "Nats-Expected-Stream", "S")
	if a := r.publish("s.a", "1", "Nats-Msg-Id", "i"); !a.Duplicate || a.Seq != 1 {
		t.Errorf("an id of the batch: %+v", a)
	}
}

func TestAnUnsupportedHeaderIsNamed(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.*")
	defer in.Close()
	r.breaks(wire.CodeRequiredAPILevel, "l", 1, "s.a", "", "Nats-Required-Api-Level", "99")
	r.hears(in, "l", "unsupported")
	a := r.ends("b", 1, "s.a", "", "Nats-Batch-Commit", "1", "Nats-Expected-Last-Msg-Id", "x")
	if a.Error == nil || a.Error.Description != "atomic publish unsupported header used: Nats-Expected-Last-Msg-Id" {
		t.Fatalf("%+v", a.Error)
	}
}

func TestABatchDoesNotReplaceItsOwnMessages(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole, `"allow_rollup_hdrs":true`)
	for rollup, text := range map[string]string{"sub": "batch rollup sub invalid", "all": "batch rollup all invalid"} {
		r.taken("b", 1, "s.a", "1")
		if a := r.ends("b", 2, "s.a", "2", "Nats-Batch-Commit", "1", "Nats-Rollup", rollup); a.Error == nil || a.Error.ErrCode != wire.CodeRollupFailed || a.Error.Description != text {
			t.Errorf("%s: %+v, want %s", rollup, a.Error, text)
		}
	}
	r.stored(1, "s.a", "1")
	r.taken("b", 1, "s.a", "2", "Nats-Rollup", "all")
	r.commits(3, 2, "b", 2, "s.b", "3", "Nats-Rollup", "sub")
	r.keeps("S", 2, 3)
}

func limited(t *testing.T, l stream.BatchLimits) *rig {
	o := rigOptions(&account.Account{Name: "A", JetStream: account.JetStream{Enabled: true}})
	o.Batches = l
	return on(t, streamtest.Start(t, o))
}

func TestAtomicBatchesAreBounded(t *testing.T) {
	r := limited(t, stream.BatchLimits{PerStream: 2, Total: 3, Size: 2})
	r.stream("S", "s.>", whole)
	r.stream("T", "t.>", whole)
	r.taken("1", 1, "s.a", "")
	r.taken("2", 1, "s.a", "")
	r.breaks(wire.CodeAtomicTooMany, "3", 1, "s.a", "")
	r.taken("1", 1, "t.a", "")
	r.breaks(wire.CodeAtomicTooMany, "2", 1, "t.a", "")
	r.breaks(wire.CodeAtomicTooMany, "4", 1, "s.a", "", "Nats-Batch-Commit", "1") // it needs a place, too
	r.commits(2, 2, "1", 2, "s.a", "")
	r.taken("2", 1, "t.a", "")
}

func TestAnAtomicBatchThatIsTooLargeEnds(t *testing.T) {
	r := limited(t, stream.BatchLimits{Size: 2})
	r.stream("S", "s.>", whole)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S")
	defer in.Close()
	r.taken("1", 1, "s.a", "")
	r.taken("1", 2, "s.a", "")
	if a := r.ends("1", 3, "s.a", "", "Nats-Batch-Commit", "1"); a.Error == nil || a.Error.Description != "atomic publish batch is too large: 2" {
		t.Fatalf("%+v", a.Error)
	}
	r.hears(in, "1", "large")
}

func TestAnIdleBatchIsAbandoned(t *testing.T) {
	r := limited(t, stream.BatchLimits{Idle: 200 * time.Millisecond})
	r.stream("S", "s.>", whole, fast)
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S")
	defer in.Close()
	r.taken("b", 1, "s.a", "")
	r.hears(in, "b", "timeout")
	r.breaks(wire.CodeAtomicIncomplete, "b", 2, "s.a", "")
	f := r.flow("f", 10, "ok")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	r.hears(in, "f", "timeout")
	f.send(2, wire.FastAppend, "s.a", "2")
	f.fails(wire.CodeFastUnknownID)
}

func TestAnUpdateThatForbidsBatchesEndsThem(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole, fast)
	r.taken("b", 1, "s.a", "")
	f := r.flow("f", 10, "ok")
	f.send(1, wire.FastStart, "s.a", "1")
	f.acked(0, 10)
	r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>"))
	r.breaks(wire.CodeAtomicDisabled, "b", 2, "s.a", "")
	f.send(2, wire.FastAppend, "s.a", "1")
	f.fails(wire.CodeFastDisabled)
	r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", whole, fast))
	r.breaks(wire.CodeAtomicIncomplete, "b", 2, "s.a", "")
	f.send(2, wire.FastAppend, "s.a", "1")
	f.fails(wire.CodeFastUnknownID)
}

// TestAnAtomicBatchSurvivesACrashWholeOrNotAtAll cuts the disk at many places while
// batches are written.
func TestAnAtomicBatchSurvivesACrashWholeOrNotAtAll(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole)
	for round := range uint64(12) {
		base := r.ok("STREAM.INFO.S", "").State.LastSeq
		for i := range 4 {
			r.taken("done", i+1, "s.a", strings.Repeat("x", 2000))
		}
		r.commits(base+5, 5, "done", 5, "s.a", "last")
		r.taken("open", 1, "s.a", "never")
		for i := range 4 {
			r.part("torn", i+1, "s.a", strings.Repeat("y", 3000)).Close()
		}
		r.part("torn", 5, "s.a", "last", "Nats-Batch-Commit", "1").Close()
		r = on(t, r.Crash(faultfs.Modes[round%uint64(len(faultfs.Modes))], round))
		if last := r.ok("STREAM.INFO.S", "").State.LastSeq - base; last != 5 && last != 10 {
			t.Fatalf("round %d: %d messages are there", round, last)
		}
		r.breaks(wire.CodeAtomicIncomplete, "open", 2, "s.a", "never", "Nats-Batch-Commit", "1")
	}
}

func TestAtomicBatchesOfManyClientsDoNotMix(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", whole)
	done := make(chan string)
	const clients, rounds, size = 4, 20, 5
	for c := range clients {
		go func() {
			last := ""
			for n := range rounds * size {
				id := fmt.Sprintf("%d-%d", c, n/size)
				h := []string{"Nats-Batch-Id", id, "Nats-Batch-Sequence", fmt.Sprint(n%size + 1)}
				want := ""
				if n%size == size-1 {
					h, want = append(h, "Nats-Batch-Commit", "1"), `"count":5`
				}
				in := streamtest.Send(t, r.space, fmt.Sprint("s.", c), header(h...), []byte(id))
				m, ok := within(t, in.C)
				in.Close()
				if !ok || !strings.Contains(string(m.Data), want) {
					last = fmt.Sprintf("%s of %s: %q", h[3], id, m.Data)
					break
				}
			}
			done <- last
		}()
	}
	for range clients {
		if s := <-done; s != "" {
			t.Fatal(s)
		}
	}
	p := r.Streams.Find("A", "S").Partition()
	for seq := uint64(1); seq <= clients*rounds*size; seq += size {
		first, err := p.Get(seq)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(size) {
			if v, err := p.Get(seq + i); err != nil || string(v.Data) != string(first.Data) {
				t.Fatalf("message %d is of %s, %v, in the batch %s", seq+i, v.Data, err, first.Data)
			}
		}
	}
}
