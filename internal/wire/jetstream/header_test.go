package jetstream

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func block(lines ...string) []byte {
	return []byte("NATS/1.0\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n")
}

func TestPublishHeaderIsRead(t *testing.T) {
	h := ParsePublishHeader(block(
		"X-Trace: 1",
		"Nats-Msg-Id: id-7 ",
		"Nats-Expected-Stream:ORDERS",
		"Nats-Expected-Last-Sequence: 42",
		"Nats-Expected-Last-Subject-Sequence: 0",
		"Nats-Expected-Last-Subject-Sequence-Subject: a.*",
		"Nats-Expected-Last-Msg-Id: id-6",
		"Nats-Rollup: sub",
		"Nats-TTL: 1m30s",
	))
	const keys = KeyMsgID | KeyExpectedStream | KeyExpectedLastSeq | KeyExpectedLastSubjectSeq |
		KeyExpectedLastSubjectSeqSubject | KeyExpectedLastMsgID | KeyRollup | KeyTTL
	if h.Keys != keys || string(h.MsgID) != "id-7" || string(h.ExpectedStream) != "ORDERS" || h.LastSeq != 42 ||
		h.LastSubjectSeq != 0 || string(h.LastSeqSubject) != "a.*" || string(h.LastMsgID) != "id-6" ||
		h.Rollup != RollupSubject || h.TTL != 90_000_000_000 || h.TTLInvalid {
		t.Fatalf("got %+v", h)
	}
}

func TestFirstOfTwoHeaderLinesCounts(t *testing.T) {
	h := ParsePublishHeader(block("Nats-Msg-Id: a", "Nats-Msg-Id: b"))
	if string(h.MsgID) != "a" {
		t.Fatalf("got %s", h.MsgID)
	}
}

func TestHeaderLinesThatDoNotCount(t *testing.T) {
	for _, line := range []string{
		"nats-msg-id: a", "Nats-Msg-Id:", "Nats-Msg-Id:   ", "Nats-Msg-Id", "Nats-Msg-Id : a",
		" Nats-Msg-Id: a", "X: Nats-Msg-Id: a", "Nats-Msg-Idx: a", "Nats-",
	} {
		if h := ParsePublishHeader(block(line)); h.Keys != 0 {
			t.Errorf("%q: %+v", line, h)
		}
	}
	if h := ParsePublishHeader(nil); h.Keys != 0 {
		t.Error("no block has keys")
	}
}

func TestSequenceThatIsNoNumberIsNeverMet(t *testing.T) {
	for _, v := range []string{"-1", "x", "1.5", "99999999999999999999", "1 2"} {
		h := ParsePublishHeader(block("Nats-Expected-Last-Sequence: " + v))
		if !h.Has(KeyExpectedLastSeq) || h.LastSeq != math.MaxUint64 {
			t.Errorf("%q: %+v", v, h)
		}
	}
}

func TestTTLValues(t *testing.T) {
	const second = int64(1_000_000_000)
	for v, want := range map[string]int64{
		"1": second, "60": 60 * second, "1s": second, "1.9s": second, "2h": 7200 * second,
		"never": TTLNever, "NEVER": TTLNever,
		"0": 0, "-1": 0, "999ms": 0, "-5s": 0, "x": 0, "99999999999999999999": 0, "9999999999999": 0,
	} {
		h := ParsePublishHeader(block("Nats-TTL: " + v))
		if !h.Has(KeyTTL) || h.TTL != want || h.TTLInvalid != (want == 0) {
			t.Errorf("%q: %+v", v, h)
		}
	}
}

func TestRefusalsOfPublishes(t *testing.T) {
	plain := StreamConfig{Name: "S"}
	rollups := StreamConfig{Name: "S", AllowRollup: true}
	refuse := func(h *PublishHeader, c *StreamConfig) *Error {
		for _, err := range []*Error{h.RefuseIncr(c, 0), h.RefuseExpectation(c), h.RefuseSchedule(c, []byte("s.own"), 1e18), h.RefuseFeature([]byte("s.own")), h.RefuseRollup(c), h.RefuseTTL()} {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		lines string
		cfg   *StreamConfig
		code  int
	}{
		{"Nats-Expected-Stream: S", &plain, 0},
		{"Nats-Expected-Stream: T", &plain, CodeExpectedStreamMismatch},
		{"Nats-Expected-Last-Subject-Sequence-Subject: a", &plain, CodeExpectedSubjectSeqInvalid},
		{"Nats-TTL: 5s", &plain, CodeTTLDisabled},
		{"Nats-Incr: +1", &plain, CodeIncrDisabled},
		{"Nats-Schedule: @every 1s", &plain, CodeSchedulesDisabled},
		{"Nats-Stream-Source: x", &plain, CodeSourceHeaderNotAllowed},
		{"Nats-Scheduler: a", &plain, CodeSchedulerInvalid},
		{"Nats-Schedule-Next: purge", &plain, CodeSchedulerInvalid},
		{"Nats-Scheduler: a\r\nNats-Schedule-Next: later", &plain, CodeSchedulerInvalid},
		{"Nats-Scheduler: a\r\nNats-Schedule-Next: purge", &plain, 0},
		{"Nats-Scheduler: s.own\r\nNats-Schedule-Next: purge", &plain, CodeSchedulerInvalid},
		{"Nats-Rollup: sub", &plain, CodeRollupFailed},
		{"Nats-Rollup: sub", &rollups, 0},
		{"Nats-Rollup: all", &rollups, 0},
		{"Nats-Rollup: some", &rollups, CodeRollupFailed},
		{"Nats-Rollup: all", &StreamConfig{Name: "S", AllowRollup: true, DenyPurge: true}, CodeRollupFailed},
	} {
		h := ParsePublishHeader(block(c.lines))
		err := refuse(&h, c.cfg)
		if c.code == 0 && err != nil || c.code != 0 && !err.Has(c.code) {
			t.Errorf("%s: %v, want %d", c.lines, err, c.code)
		}
	}
	h := ParsePublishHeader(block("Nats-Rollup: some"))
	if got := h.RefuseRollup(&rollups).Description; got != `rollup value invalid: "some"` {
		t.Error(got)
	}
}

func TestRequiredAPILevel(t *testing.T) {
	for v, ok := range map[string]bool{"0": true, "4": true, "5": false, "x": false, "-1": false} {
		if err := RequiredAPILevel(block("Nats-Required-Api-Level: " + v)); (err == nil) != ok {
			t.Errorf("%q: %v", v, err)
		}
	}
	if RequiredAPILevel(nil) != nil || RequiredAPILevel(block("A: b")) != nil {
		t.Error("refused without a need")
	}
}

func TestEveryKeyIsKnown(t *testing.T) {
	names := []string{
		"Msg-Id", "Expected-Stream", "Expected-Last-Sequence", "Expected-Last-Subject-Sequence",
		"Expected-Last-Subject-Sequence-Subject", "Expected-Last-Msg-Id", "Rollup", "TTL", "Incr",
		"Counter-Sources", "Stream-Source", "Batch-Id", "Batch-Sequence", "Batch-Commit",
		"Required-Api-Level", "Schedule", "Schedule-TTL", "Schedule-Target", "Schedule-Source",
		"Schedule-Rollup", "Schedule-Time-Zone", "Schedule-Next", "Scheduler",
	}
	for i, n := range names {
		if h := ParsePublishHeader(block("Nats-" + n + ": 1")); h.Keys != 1<<i {
			t.Errorf("%s: %b", n, h.Keys)
		}
	}
}

func FuzzParsePublishHeader(f *testing.F) {
	f.Add(block("Nats-Msg-Id: a", "Nats-TTL: 1s"))
	f.Add([]byte("NATS/1.0\r\nNats-Msg-Id"))
	f.Add([]byte("Nats-Rollup:\n\nNats-TTL: never\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := ParsePublishHeader(b)
		var again PublishHeader
		again.Parse(b)
		if again.Keys != h.Keys {
			t.Fatal("a reused header reads something else")
		}
		if h.Has(KeyMsgID) != (len(h.MsgID) > 0) || !bytes.Contains(b, h.MsgID) {
			t.Fatalf("%q: %+v", b, h)
		}
		if h.Has(KeyRollup) != (h.Rollup != RollupNone) {
			t.Fatalf("%q: %+v", b, h)
		}
		if h.TTL < TTLNever || h.TTL > 0 && h.TTL%1_000_000_000 != 0 || h.TTLInvalid && h.TTL != 0 {
			t.Fatalf("%q: %+v", b, h)
		}
	})
}
