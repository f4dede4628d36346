package jetstream

import (
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/stream/streamtest"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func scheduled(pattern, target string, more ...string) []string {
	return append([]string{"Nats-Schedule", pattern, "Nats-Schedule-Target", target}, more...)
}

func TestASingleScheduleIsPublishedAndRemoved(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.> t.>", `"allow_msg_schedules":true`)
	in := streamtest.Subscribe(t, r.space, "d")
	r.consumer("S", "c", `"deliver_subject":"d"`, `"ack_policy":"none"`, `"filter_subject":"t.>"`)
	at := time.Now().Add(300 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	r.stored(1, "s.one", "hello", scheduled("@at "+at, "t.one", "A", "b")...)
	m := wantNext(t, in, "t.one=hello")
	if want := "NATS/1.0\r\nA: b\r\nNats-Scheduler: s.one\r\nNats-Schedule-Next: purge\r\n\r\n"; string(m.Header) != want {
		t.Errorf("header %q", m.Header)
	}
	streamtest.Await(t, "the schedule is gone", func() bool { return r.ok("STREAM.INFO.S", "").State.Messages == 1 })
	// What should have been long ago is at once.
	r.stored(3, "s.past", "late", scheduled("@at 2020-01-01T00:00:00Z", "t.past")...)
	wantNext(t, in, "t.past=late")
}

func TestARepeatedScheduleGoesOnAfterARestart(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.> t.>", `"allow_msg_schedules":true`)
	r.stored(1, "s.every", "tick", scheduled("@every 1s", "t.tick")...)
	in := streamtest.Subscribe(t, r.space, "d")
	r.consumer("S", "c", `"deliver_subject":"d"`, `"ack_policy":"none"`, `"filter_subject":"t.>"`)
	m := wantNext(t, in, "t.tick=tick")
	if !strings.Contains(string(m.Header), "Nats-Schedule-Next: 20") {
		t.Errorf("header %q", m.Header)
	}
	r = r.restart()
	in = streamtest.Subscribe(t, r.space, "d")
	wantNext(t, in, "t.tick=tick", "t.tick=tick")
	// Another message on its subject ends it.
	r.publish("s.every", "no more")
	after := streamtest.Subscribe(t, r.space, "e")
	r.consumer("S", "e", `"deliver_subject":"e"`, `"ack_policy":"none"`, `"filter_subject":"t.>"`, `"deliver_policy":"new"`)
	r.publish("s.clock", "tock", scheduled("@every 1s", "t.tock")...)
	wantNext(t, after, "t.tock=tock", "t.tock=tock")
}

func TestASchedulesContentMayComeFromAnotherSubject(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.> t.>", `"allow_msg_schedules":true`)
	in := streamtest.Subscribe(t, r.space, "d")
	r.consumer("S", "c", `"deliver_subject":"d"`, `"ack_policy":"none"`, `"filter_subject":"t.out"`)
	r.stored(1, "t.sample", "old")
	r.stored(2, "t.sample", "new", "X", "y")
	r.stored(3, "s.one", "own", scheduled("@at 2020-01-01T00:00:00Z", "t.out", "Nats-Schedule-Source", "t.sample")...)
	if m := wantNext(t, in, "t.out=new"); !strings.Contains(string(m.Header), "X: y") {
		t.Errorf("header %q", m.Header)
	}
}

func TestWhatASchedulePublishesIsMappedLikeAnyMessage(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>", `"allow_msg_schedules":true`, `"subject_transform":{"src":"s.>","dest":"t.>"}`)
	in := streamtest.Subscribe(t, r.space, "d")
	r.consumer("S", "c", `"deliver_subject":"d"`, `"ack_policy":"none"`, `"filter_subject":"t.out"`)
	r.stored(1, "s.one", "hello", scheduled("@at 2020-01-01T00:00:00Z", "s.out")...)
	if m := wantNext(t, in, "t.out=hello"); !strings.Contains(string(m.Header), "Nats-Scheduler: t.one") {
		t.Errorf("header %q", m.Header)
	}
}

func TestAScheduleIsOneForItsSubjectAndCanBeEnded(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.> t.>", `"allow_msg_schedules":true`)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	r.stored(1, "s.one", "1", scheduled("@at "+later, "t.one")...)
	r.stored(2, "s.one", "2", scheduled("@at "+later, "t.one")...)
	streamtest.Await(t, "the first is replaced", func() bool { return r.ok("STREAM.INFO.S", "").State.Messages == 1 })
	if a := r.ok("STREAM.MSG.GET.S", `{"seq":2}`); !strings.Contains(string(a.Message.Hdrs), "Nats-Rollup: sub") {
		t.Errorf("header %q", a.Message.Hdrs)
	}
	r.denied(wire.CodeSchedulerInvalid, "t.x", "", "Nats-Scheduler", "s.one")
	r.stored(3, "t.x", "", "Nats-Scheduler", "s.one", "Nats-Schedule-Next", "purge")
	streamtest.Await(t, "the schedule is gone", func() bool { return r.api("STREAM.MSG.GET.S", `{"seq":2}`).Error != nil })
}

func TestSchedulesNeedAStreamThatAllowsThem(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.> t.>")
	r.denied(wire.CodeSchedulesDisabled, "s.a", "", scheduled("@every 5s", "t.a")...)
	r.stream("T", "u.> v.>", `"allow_msg_schedules":true`)
	r.denied(wire.CodeScheduleTargetInvalid, "u.a", "", scheduled("@every 5s", "w.a")...)
}
