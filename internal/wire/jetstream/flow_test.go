package jetstream

import (
	"bytes"
	"testing"
)

func FuzzParseFlow(f *testing.F) {
	f.Add([]byte("$JS.FC.orders.worker.12"))
	f.Add([]byte("$JS.FC.orders.worker"))
	f.Add([]byte("$JS.FC...1"))
	f.Add([]byte("$JS.FC.a.b.18446744073709551616"))
	f.Fuzz(func(t *testing.T, subject []byte) {
		s, c, n, ok := ParseFlow(subject)
		if !ok {
			return
		}
		again := AppendFlow(nil, string(s), string(c), n)
		s2, c2, n2, ok := ParseFlow(again)
		if !ok || !bytes.Equal(s, s2) || !bytes.Equal(c, c2) || n != n2 {
			t.Errorf("%q reads as %q %q %d, written as %q", subject, s, c, n, again)
		}
	})
}

func TestAHeartbeatNamesTheRequestThatWasNotAnswered(t *testing.T) {
	got := string(AppendHeartbeat(nil, 3, 7, []byte("$JS.FC.s.c.2")))
	want := "NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\nNats-Last-Stream: 7\r\nNats-Consumer-Stalled: $JS.FC.s.c.2\r\n\r\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}
