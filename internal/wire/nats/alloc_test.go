package nats

import "testing"

func TestParsingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := Parser{MaxControlLine: 4096, MaxPayload: 1 << 20}
	inputs := []string{"SUB foo q 1\r\n", "UNSUB 1 5\r\n", "PONG\r\n", "PUB foo\t5\nhello\r\n", "PUB foo 5\r\nhel", "PUB foo x\r\n"}
	for _, o := range benchOps {
		inputs = append(inputs, o.bytes)
	}
	for _, in := range inputs {
		buf := []byte(in)
		if n := testing.AllocsPerRun(100, func() { _, _, _, _ = p.Next(buf) }); n != 0 {
			t.Errorf("%q: %v allocations", in, n)
		}
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	dst := make([]byte, 0, 1024)
	a, b, c := []byte("foo.bar"), []byte("1"), []byte("_INBOX.x")
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendMsg(dst[:0], a, b, c, a)
		dst = AppendHMsg(dst, a, b, c, a, a)
		dst = AppendMsgTail(dst, a, b, c)
		dst = AppendHMsgTail(dst, a, b, c)
		dst = AppendNoResponders(dst, a, b, c)
		dst = AppendErr(dst, ErrStale.Text)
		dst = AppendPong(AppendPing(AppendOK(dst)))
		dst = AppendStatus(dst, 408, "Request Timeout", "Nats-Pending-Messages", "1")
		_ = HeaderValue(dst, "Nats-Pending-Messages")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
