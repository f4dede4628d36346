package jetstream

import (
	"bytes"
	"testing"
)

func TestAckSubjectRoundTrip(t *testing.T) {
	b := AppendAck(nil, "ORDERS", "worker", 2, 1<<63, 7, 1_700_000_000_123_456_789, 1<<64-1)
	const want = "$JS.ACK.ORDERS.worker.2.9223372036854775808.7.1700000000123456789.18446744073709551615"
	if string(b) != want {
		t.Fatalf("got %s", b)
	}
	a, ok := ParseAck(b)
	if !ok || string(a.Stream) != "ORDERS" || string(a.Consumer) != "worker" || a.Delivered != 2 ||
		a.StreamSeq != 1<<63 || a.ConsumerSeq != 7 || a.Time != 1_700_000_000_123_456_789 ||
		a.Pending != 1<<64-1 || a.Domain != nil || a.Account != nil {
		t.Fatalf("got %+v, %v", a, ok)
	}
}

func TestAckSubjectOfTheSecondVersionIsAccepted(t *testing.T) {
	for subject, domain := range map[string]string{
		"$JS.ACK._.hash.S.C.1.2.3.4.5":          "",
		"$JS.ACK.hub.hash.S.C.1.2.3.4.5.random": "hub",
		"$JS.ACK.hub.hash.S.C.1.2.3.4.5.r.more": "hub",
	} {
		a, ok := ParseAck([]byte(subject))
		if !ok || string(a.Domain) != domain || string(a.Account) != "hash" || string(a.Stream) != "S" ||
			string(a.Consumer) != "C" || a.Delivered != 1 || a.StreamSeq != 2 || a.ConsumerSeq != 3 || a.Time != 4 || a.Pending != 5 {
			t.Errorf("%s: %+v, %v", subject, a, ok)
		}
	}
}

func TestOtherSubjectsAreNoAcks(t *testing.T) {
	for _, s := range []string{
		"", "$JS.ACK", "$JS.ACK.", "$JS.ACK.S.C.1.2.3.4", "$JS.ACK.S.C.1.2.3.4.5.6", "$JS.ACK.S.C.1.2.3.4.x",
		"$JS.ACK.S.C.1..3.4.5", "$JS.ACK.S.C.1.2.3.-4.5", "$JS.ACK.S.C.1.2.3.18446744073709551615.5",
		"$JS.ACK.S.C.1.99999999999999999999.3.4.5", "$JS.ACK.S.C.1.2.3.4.", "$JS.NAK.S.C.1.2.3.4.5",
	} {
		if a, ok := ParseAck([]byte(s)); ok {
			t.Errorf("%q: %+v", s, a)
		}
	}
}

func TestAckPayloads(t *testing.T) {
	const second = 1_000_000_000
	for _, c := range []struct {
		in    string
		kind  AckKind
		delay int64
		text  string
	}{
		{"", AckAck, 0, ""},
		{"+ACK", AckAck, 0, ""},
		{"+OK", AckAck, 0, ""},
		{"-NAK", AckNak, 0, ""},
		{`-NAK {"delay":5000000000}`, AckNak, 5 * second, ""},
		{`-NAK { "delay" : 7 } `, AckNak, 7, ""},
		{`-NAK {"other":1,"delay":9}`, AckNak, 9, ""},
		{`-NAK {"delay":-1}`, AckNak, 0, ""},
		{`-NAK {"delay":1.5}`, AckNak, 0, ""},
		{`-NAK {"delay":9223372036854775808}`, AckNak, 0, ""},
		{`-NAK {`, AckNak, 0, ""},
		{"-NAK 5s", AckNak, 5 * second, ""},
		{"-NAK 1m30s", AckNak, 90 * second, ""},
		{"-NAK -5s", AckNak, 0, ""},
		{"-NAK soon", AckNak, 0, ""},
		{"+WPI", AckProgress, 0, ""},
		{"+TERM", AckTerm, 0, ""},
		{"+TERM no such order ", AckTerm, 0, "no such order"},
		{"+NXT", AckNext, 0, ""},
		{`+NXT {"batch":5}`, AckNext, 0, `{"batch":5}`},
		{"+NXT 3", AckNext, 0, "3"},
		{"+WPIx", AckUnknown, 0, ""},
		{"hello", AckUnknown, 0, ""},
	} {
		a := ParseAckPayload([]byte(c.in))
		if a.Kind != c.kind || a.Delay != c.delay || string(a.Text) != c.text {
			t.Errorf("%q: %+v", c.in, a)
		}
	}
}

func FuzzParseAck(f *testing.F) {
	f.Add([]byte("$JS.ACK.S.C.1.2.3.4.5"))
	f.Add([]byte("$JS.ACK.hub.hash.S.C.1.2.3.4.5.r"))
	f.Add([]byte("$JS.ACK._.h.S.C.1.2.3.4"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := ParseAck(b)
		if !ok || a.Account != nil {
			return
		}
		again := AppendAck(nil, string(a.Stream), string(a.Consumer), a.Delivered, a.StreamSeq, a.ConsumerSeq, a.Time, a.Pending)
		b2, ok := ParseAck(again)
		if !ok || b2.StreamSeq != a.StreamSeq || b2.Time != a.Time || !bytes.Equal(b2.Stream, a.Stream) {
			t.Fatalf("%q reads as %+v, again as %+v", b, a, b2)
		}
	})
}

func FuzzParseAckPayload(f *testing.F) {
	for _, s := range []string{"", "+ACK", `-NAK {"delay":5}`, "-NAK 5s", "+TERM why", "+NXT 1", "+WPI"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := ParseAckPayload(b)
		if a.Delay < 0 || a.Kind > AckNext || a.Delay != 0 && a.Kind != AckNak {
			t.Fatalf("%q: %+v", b, a)
		}
	})
}
