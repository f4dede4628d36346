package jetstream

import "testing"

func TestResetKeepsToTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		policy     DeliverPolicy
		opt        uint64
		seq, start uint64
		ok         bool
	}{
		"all":                 {policy: DeliverAll, seq: 1, start: 5, ok: true},
		"at the sequence":     {policy: DeliverByStartSequence, opt: 7, seq: 7, start: 9, ok: true},
		"below the sequence":  {policy: DeliverByStartSequence, opt: 7, seq: 6, start: 1},
		"at the time":         {policy: DeliverByStartTime, seq: 4, start: 4, ok: true},
		"below the time":      {policy: DeliverByStartTime, seq: 3, start: 4},
		"new":                 {policy: DeliverNew, seq: 9, start: 4},
		"last":                {policy: DeliverLast, seq: 9, start: 4},
		"last of subject":     {policy: DeliverLastPerSubject, seq: 9, start: 4},
		"no sequence, of new": {policy: DeliverNew, start: 4, ok: true},
	} {
		cfg := ConsumerConfig{DeliverPolicy: c.policy, OptStartSeq: c.opt}
		if err := cfg.CheckReset(c.seq, c.start); (err == nil) != c.ok || !c.ok && !err.Has(CodeInvalidReset) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnpinNamesAGroup(t *testing.T) {
	for group, code := range map[string]int{"": CodeInvalidJSON, "a b": CodeInvalidGroupName} {
		if err := (&UnpinRequest{Group: group}).Check(); !err.Has(code) {
			t.Errorf("%q: %v", group, err)
		}
	}
	if err := (&UnpinRequest{Group: "A-z_0/="}).Check(); err != nil {
		t.Error(err)
	}
}

func TestSamplingIsAPercentage(t *testing.T) {
	for freq, want := range map[string]int{"": 0, "0": 0, "5": 5, "50%": 50, "300": 100} {
		cfg := consumer(func(c *ConsumerConfig) { c.SampleFreq = freq })
		if err := cfg.Check(ConsumerOptions{Stream: &plainStream}); err != nil || cfg.Sampling() != want {
			t.Errorf("%q: %d, %v", freq, cfg.Sampling(), err)
		}
	}
}

func TestPinIsALastHeader(t *testing.T) {
	for hdr, want := range map[string]string{
		"":                             "NATS/1.0\r\nNats-Pin-Id: x\r\n\r\n",
		"NATS/1.0\r\nA: b\r\n\r\n":     "NATS/1.0\r\nA: b\r\nNats-Pin-Id: x\r\n\r\n",
		"NATS/1.0 100 Hello\r\n\r\n":   "NATS/1.0 100 Hello\r\nNats-Pin-Id: x\r\n\r\n",
		"NATS/1.0\r\nA: b\r\nA: c\r\n": "NATS/1.0\r\nA: b\r\nA: c\r\nNats-Pin-Id: x\r\n\r\n",
	} {
		if got := string(AppendPin(nil, []byte(hdr), "x")); got != want {
			t.Errorf("%q becomes %q", hdr, got)
		}
	}
}
