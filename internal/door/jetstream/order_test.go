package jetstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// fault is one thing that is wrong with a message.
type fault struct {
	code   int
	header []string
	data   string
}

// TestAMessageIsRefusedForTheFirstOfItsFaults: each message has all faults from one
// on, and is refused for that one.
func TestAMessageIsRefusedForTheFirstOfItsFaults(t *testing.T) {
	long := strings.Repeat("h", 65536)
	for name, faults := range map[string][]fault{
		"expectations": {
			{wire.CodeMessageExceedsMaximum, nil, strings.Repeat("x", 70001)},
			{wire.CodeHeaderExceedsMaximum, []string{"X", long}, ""},
			{wire.CodeExpectedStreamMismatch, []string{"Nats-Expected-Stream", "T"}, ""},
			{wire.CodeTTLDisabled, []string{"Nats-TTL", "1h"}, ""},
			{wire.CodeWrongLastSequence, []string{"Nats-Expected-Last-Subject-Sequence", "9"}, ""},
			{wire.CodeWrongLastSequence, []string{"Nats-Expected-Last-Sequence", "9"}, ""},
			{wire.CodeSchedulesDisabled, []string{"Nats-Schedule", "never"}, ""},
			{wire.CodeSourceHeaderNotAllowed, []string{"Nats-Stream-Source", "x"}, ""},
			{0, []string{"Nats-Msg-Id", "old"}, ""}, // a duplicate
			{wire.CodeWrongLastMsgID, []string{"Nats-Expected-Last-Msg-Id", "x"}, ""},
			{wire.CodeRollupFailed, []string{"Nats-Rollup", "all"}, ""},
			{wire.CodeStoreFailed, nil, ""},
		},
		"an unreadable time to live": {
			{wire.CodeHeaderExceedsMaximum, []string{"X", long}, ""},
			{wire.CodeRollupFailed, []string{"Nats-Rollup", "some"}, ""},
			{wire.CodeTTLInvalid, []string{"Nats-TTL", "soon"}, ""},
			{wire.CodeStoreFailed, nil, ""},
		},
		"increments": {
			{wire.CodeIncrInvalid, []string{"Nats-Incr", "x"}, ""},
			{wire.CodeExpectedStreamMismatch, []string{"Nats-Expected-Stream", "T"}, ""},
		},
		"the end of a schedule": {
			{wire.CodeWrongLastSequence, []string{"Nats-Expected-Last-Sequence", "9"}, ""},
			{wire.CodeSchedulerInvalid, []string{"Nats-Scheduler", "s"}, ""},
			{wire.CodeSourceHeaderNotAllowed, []string{"Nats-Stream-Source", "x"}, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.stream("S", "s.>", `"max_msgs":1`, `"discard":"new"`, `"max_msg_size":70000`)
			r.stored(1, "s.a", "1", "Nats-Msg-Id", "old")
			for from := range faults {
				var h []string
				data := ""
				for _, f := range faults[from:] {
					h = append(h, f.header...)
					data += f.data
				}
				want := faults[from].code
				if want == 0 {
					if a := r.publish("s.a", data, h...); !a.Duplicate {
						t.Errorf("fault %d: %+v, error %+v, want a duplicate", from, a, a.Error)
					}
					continue
				}
				r.denied(want, "s.a", data, h...)
			}
		})
	}
}

// TestTheStorageOfAnAccountIsCheckedBeforeTimesToLive is the place of two faults that
// no other one can be put between.
func TestTheStorageOfAnAccountIsCheckedBeforeTimesToLive(t *testing.T) {
	o := rigOptions(&account.Account{Name: "A", JetStream: account.JetStream{Enabled: true, MaxStorage: -1, MaxMemory: -1}})
	o.Budget = full
	r := on(t, streamtest.Start(t, o))
	r.stream("S", "s.>")
	r.denied(wire.CodeHeaderExceedsMaximum, "s.a", "", "X", strings.Repeat("h", 65536), "Nats-TTL", "soon")
	r.denied(wire.CodeAccountResourcesExceeded, "s.a", "", "Nats-TTL", "soon")
}

// noRoom is an account that may store nothing more.
type noRoom struct{}

func (noRoom) Reserve(uint64) bool { return false }
func (noRoom) Return(uint64)       {}

func full(string, bool) partition.Budget { return noRoom{} }

func TestASealedStreamMayChangeButForWhatItHolds(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.stored(1, "s.a", "x")
	r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", `"sealed":true`))
	r.ok("STREAM.UPDATE.S", streamConfig("S", "t.>", `"sealed":true`, `"description":"d"`, `"allow_direct":true`))
	r.denied(wire.CodeStreamSealed, "t.a", "")
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.S", streamConfig("S", "t.>", `"sealed":true`, `"max_bytes":1`))
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.S", streamConfig("S", "t.>", `"description":"d"`))
	r = r.restart()
	if a := r.ok("STREAM.INFO.S", ""); a.State.Messages != 1 || !strings.Contains(string(a.Config), `"description":"d"`) {
		t.Errorf("%+v", a)
	}
	r.denied(wire.CodeStreamSealed, "t.a", "")
}

func TestASealedStreamSaysSoFirst(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.ok("STREAM.UPDATE.S", streamConfig("S", "s.>", `"sealed":true`))
	r.denied(wire.CodeStreamSealed, "s.a", "", "Nats-Incr", "x", "Nats-Expected-Stream", "T")
}

// TestAnExpectedSequenceOfAnEmptySubject: 0 is right for a subject that was purged.
func TestAnExpectedSequenceOfAnEmptySubject(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.stored(1, "s.a", "1")
	r.denied(wire.CodeWrongLastSequence, "s.a", "2", "Nats-Expected-Last-Subject-Sequence", "0")
	r.ok("STREAM.PURGE.S", `{"filter":"s.a"}`)
	r.stored(2, "s.a", "2", "Nats-Expected-Last-Subject-Sequence", "0")
	r.denied(wire.CodeExpectedSubjectSeqInvalid, "s.b", "3", "Nats-Expected-Last-Subject-Sequence-Subject", "s.*")
	r.denied(wire.CodeWrongLastSequence, "s.b", "3", "Nats-Expected-Last-Subject-Sequence-Subject", "s.*", "Nats-Expected-Last-Subject-Sequence", "1")
	r.stored(3, "s.b", "3", "Nats-Expected-Last-Subject-Sequence-Subject", "s.*", "Nats-Expected-Last-Subject-Sequence", "2")
	r.stored(4, "s.b", "4", "Nats-Expected-Last-Subject-Sequence-Subject", "s.none", "Nats-Expected-Last-Subject-Sequence", "0")
}

// TestARequiredAPILevelIsForRequestsAndBatches: an ordinary publish is not held to it.
func TestARequiredAPILevelIsForRequestsAndBatches(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.stored(1, "s.a", "1", "Nats-Required-Api-Level", "99")
	for level, code := range map[string]int{"0": 0, "2": 0, "99": wire.CodeRequiredAPILevel, "x": wire.CodeRequiredAPILevel} {
		m := streamtest.Request(t, r.space, "$JS.API.STREAM.INFO.S", header("Nats-Required-Api-Level", level), nil)
		a := r.decode(m.Data)
		if code == 0 && a.Error != nil || code != 0 && (a.Error == nil || a.Error.ErrCode != code || a.Error.Code != 412) {
			t.Errorf("level %s: %+v", level, a.Error)
		}
	}
}

func TestAnAsynchronousStreamAnswersBeforeTheSync(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"persist_mode":"async"`, `"allow_direct":true`)
	hold := make(chan struct{})
	r.FS.Inject(faultfs.OnName("journal", faultfs.Func("hold syncs", func(op faultfs.Op) *faultfs.Fault {
		if op.Kind == faultfs.Sync {
			<-hold
		}
		return nil
	})))
	for i := range uint64(20) {
		r.stored(i+1, fmt.Sprint("s.", i), "x", "Nats-Msg-Id", fmt.Sprint(i), "Nats-Expected-Last-Sequence", fmt.Sprint(i))
	}
	if a := r.publish("s.0", "x", "Nats-Msg-Id", "3"); !a.Duplicate || a.Seq != 4 {
		t.Errorf("a duplicate gets %+v", a)
	}
	r.denied(wire.CodeWrongLastSequence, "s.0", "x", "Nats-Expected-Last-Sequence", "7")
	read := make(chan answer, 3)
	for _, ask := range []string{"STREAM.INFO.S", `STREAM.MSG.GET.S {"seq":20}`, "DIRECT.GET.S.s.19"} {
		go func() {
			subject, body, _ := strings.Cut(ask, " ")
			in := streamtest.Send(t, r.space, "$JS.API."+subject, nil, []byte(body))
			m, _ := within(t, in.C)
			in.Close()
			if subject == "DIRECT.GET.S.s.19" {
				read <- answer{Seq: uint64(len(m.Data))}
				return
			}
			read <- r.decode(m.Data)
		}()
	}
	select {
	case a := <-read:
		t.Fatalf("what is not durable is read: %+v", a)
	case <-time.After(50 * time.Millisecond):
	}
	close(hold)
	for range 3 {
		if a := <-read; a.Error != nil || a.State.LastSeq != 20 && a.Message == nil && a.Seq != 1 {
			t.Errorf("after the sync there is %+v, %+v", a, a.Error)
		}
	}
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.S", streamConfig("S", "s.>", `"allow_direct":true`))
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.CREATE.T", streamConfig("T", "t", `"persist_mode":"async"`, `"storage":"memory"`))
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.CREATE.T", streamConfig("T", "t", `"persist_mode":"async"`, whole))
}
