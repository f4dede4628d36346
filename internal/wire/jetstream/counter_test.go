package jetstream

import (
	"bytes"
	"strings"
	"testing"
)

func TestCountersAddWholeNumbersOfAnySize(t *testing.T) {
	var c *Counter
	for _, s := range []struct{ incr, want string }{
		{"1", "1"}, {"+2", "3"}, {"-7", "-4"}, {"0", "-4"},
		{"123456789012345678901234567890", "123456789012345678901234567886"},
		{"-123456789012345678901234567886", "0"},
	} {
		h := block("A: b", "Nats-Incr: "+s.incr)
		next, header, err := c.Add([]byte("s"), h, nil)
		if err != nil || next.Text() != s.want || string(next.Body()) != `{"val":"`+s.want+`"}` || !bytes.Equal(header, h) {
			t.Fatalf("%s: %+v, %q, %v", s.incr, next, header, err)
		}
		again, broken := ReadCounter(header, next.Body())
		if broken != nil || again.Text() != s.want {
			t.Fatalf("%s is read as %+v, %v", next.Body(), again, broken)
		}
		c = again
	}
}

func TestWhatIsNoCounterIsNotRead(t *testing.T) {
	for _, body := range []string{"", "5", `"5"`, "{}", `{"val":5}`, `{"val":"x"}`, `{"val":""}`, `{"val":"1.5"}`, `[]`} {
		if c, err := ReadCounter(nil, []byte(body)); err == nil {
			t.Errorf("%s is read as %s", body, c.Text())
		}
	}
	if _, err := ReadCounter(block("Nats-Counter-Sources: [1]"), []byte(`{"val":"5"}`)); err == nil {
		t.Error("sources that are none are read")
	}
}

// TestASourcedCounterCountsTheDifference: what a source brings is its total.
func TestASourcedCounterCountsTheDifference(t *testing.T) {
	var c *Counter
	add := func(total, want, incr, sources string, lines ...string) {
		t.Helper()
		h := block(append(lines, "Nats-Incr: 77")...)
		next, header, err := c.Add([]byte("here"), h, []byte(`{"val":"`+total+`"}`))
		if err != nil || next.Text() != want {
			t.Fatalf("%s: %+v, %v, want %s", total, next, err, want)
		}
		for _, line := range []string{"\r\nNats-Incr: " + incr + "\r\n", "\r\nNats-Counter-Sources: " + sources + "\r\n"} {
			if strings.Count(string(header), line) != 1 || !bytes.HasSuffix(header, []byte("\r\n\r\n")) {
				t.Fatalf("%s: stored with %q, want %q", total, header, line)
			}
		}
		if c, _ = ReadCounter(header, next.Body()); c == nil {
			t.Fatalf("%q is not read again", header)
		}
	}
	add("10", "10", "10", `{"O":{"s.a":"10"}}`, "Nats-Stream-Source: O 1 > > s.a")
	add("15", "15", "5", `{"O":{"s.a":"15"}}`, "Nats-Stream-Source: O 2 > > s.a", `Nats-Counter-Sources: {"X":{"y":"9"}}`)
	add("3", "18", "3", `{"O":{"s.a":"15","s.b":"3"}}`, "Nats-Stream-Source: O 3 > > s.b")
	add("4", "22", "4", `{"O":{"s.a":"15","s.b":"3"},"P":{"here":"4"}}`, "Nats-Stream-Source: P 1")
	add("12", "19", "-3", `{"O":{"s.a":"12","s.b":"3"},"P":{"here":"4"}}`, "Nats-Stream-Source: O 9 > > s.a")
	if _, _, err := c.Add([]byte("here"), block("Nats-Incr: 1", "Nats-Stream-Source: O 9 > > s.a"), []byte("text")); !err.Has(CodeCounterBroken) {
		t.Errorf("a source that is no counter: %v", err)
	}
	if _, _, err := c.Add([]byte("here"), block("Nats-Stream-Source: O 9 > > s.a"), []byte(`{"val":"1"}`)); !err.Has(CodeIncrMissing) {
		t.Errorf("a source without an increment: %v", err)
	}
	next, header, err := c.Add([]byte("here"), block("Nats-Incr: 1"), nil)
	if err != nil || next.Text() != "20" || !strings.Contains(string(header), `"P":{"here":"4"}`) {
		t.Errorf("a client's increment: %v, %q, %v", next, header, err)
	}
}

func TestAClientDoesNotSayWhatSourcesHaveCounted(t *testing.T) {
	var c *Counter
	_, header, err := c.Add([]byte("s"), block(`Nats-Counter-Sources: {"O":{"s":"5"}}`, "Nats-Incr: 1"), nil)
	if err != nil || string(header) != string(block("Nats-Incr: 1")) {
		t.Errorf("stored with %q, %v", header, err)
	}
}

func TestIncrementsAreRefusedInOrder(t *testing.T) {
	plain, counts := StreamConfig{Name: "S"}, StreamConfig{Name: "S", AllowMsgCounter: true}
	for _, c := range []struct {
		lines string
		cfg   *StreamConfig
		size  int
		code  int
	}{
		{"A: b", &plain, 5, 0},
		{"Nats-Incr: 5", &counts, 0, 0},
		{"Nats-Incr: x", &plain, 5, CodeIncrInvalid},
		{"Nats-Incr: 1.5", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 0x10", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 1\r\nNats-Rollup: sub", &plain, 5, CodeIncrDisabled},
		{"Nats-Incr: 1\r\nNats-Rollup: sub", &counts, 5, CodeIncrPayload},
		{"Nats-Incr: 1\r\nNats-Rollup: sub", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 1\r\nNats-Expected-Stream: S", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 1\r\nNats-Expected-Last-Msg-Id: i", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 1\r\nNats-Expected-Last-Sequence: 0", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 1\r\nNats-Expected-Last-Subject-Sequence: 0", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 1\r\nNats-Expected-Last-Subject-Sequence-Subject: a", &counts, 0, CodeIncrInvalid},
		{"Nats-Incr: 1\r\nNats-Msg-Id: i", &counts, 0, 0},
	} {
		h := ParsePublishHeader(block(c.lines))
		if err := h.RefuseIncr(c.cfg, c.size); c.code == 0 && err != nil || c.code != 0 && !err.Has(c.code) {
			t.Errorf("%s: %v, want %d", c.lines, err, c.code)
		}
	}
}

func FuzzReadCounter(f *testing.F) {
	f.Add(block(`Nats-Counter-Sources: {"O":{"s":"5"}}`, "Nats-Incr: -3"), []byte(`{"val":"12"}`))
	f.Add([]byte("NATS/1.0\r\nNats-Stream-Source: a"), []byte(`{"val":"-0"}`))
	f.Add(block("Nats-Stream-Source: O 1 > > s", "Nats-Incr: 1"), []byte(`{"val":"7"}`))
	f.Fuzz(func(t *testing.T, header, data []byte) {
		c, err := ReadCounter(header, data)
		if err != nil {
			c = nil
		}
		next, stored, refused := c.Add([]byte("s"), header, data)
		if refused != nil {
			return
		}
		again, err := ReadCounter(stored, next.Body())
		if err != nil || again.Text() != next.Text() {
			t.Fatalf("%q %q becomes %q %q, %v", header, data, stored, next.Body(), err)
		}
	})
}
