package stan

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// goldens are messages as the protocol's own encoder writes them.
func TestMessagesAreEncodedAsTheFieldTableSays(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"PubMsg", (&PubMsg{ClientID: []byte("me"), GUID: []byte("g1"), Subject: []byte("foo"), Reply: []byte("r"), Data: []byte("hi"), ConnID: []byte("c")}).Append(nil),
			"0a026d65" + "12026731" + "1a03666f6f" + "220172" + "2a026869" + "320163"},
		{"PubAck", AppendPubAck(nil, []byte("g1"), ""), "0a026731"},
		{"PubAck refused", AppendPubAck(nil, []byte("g1"), "no"), "0a026731" + "12026e6f"},
		{"MsgProto", (&Msg{Sequence: 1, Subject: []byte("foo"), Data: []byte("m1"), Timestamp: 300, Redelivered: true, RedeliveryCount: 2}).Append(nil),
			"0801" + "1203666f6f" + "22026d31" + "28ac02" + "3001" + "3802"},
		{"Ack", (&Ack{Subject: []byte("foo"), Sequence: 300}).Append(nil), "0a03666f6f" + "10ac02"},
		{"ConnectRequest", (&ConnectRequest{ClientID: "me", HeartbeatInbox: "h", Protocol: 1, ConnID: []byte("c"), PingInterval: -50, PingMaxOut: 88}).Append(nil),
			"0a026d65" + "120168" + "1801" + "220163" + "28ceffffffffffffffff01" + "3058"},
		{"SubscriptionResponse", (&SubscriptionResponse{AckInbox: "a", Error: "e"}).Append(nil), "120161" + "1a0165"},
		{"CloseResponse", AppendText(nil, UnknownClient), "0a16" + hex.EncodeToString([]byte(UnknownClient))},
		{"empty CloseResponse", AppendText(nil, ""), ""},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestStoredMessagesOfTheOldServerAreRead reads the records of a message file.
func TestStoredMessagesOfTheOldServerAreRead(t *testing.T) {
	const file = "AQAAABUAAADhgY3uCAESA2ZvbyICbTEovKymuJux+/QYFQAAAB79iawIAhIDZm9vIgJtMii1vvG4m7H79BgVAAAAd5sRIwgDEgNmb28iAm0zKM/35Lqbsfv0GBUAAAA//HXjCAQSA2ZvbyICbTQoxePHvpux+/QYFQAAAAI5RCsIBRIDZm9vIgJtNSitr6zCm7H79BgVAAAAiMhB8AgGEgNmb28iAm02KNHpiKudtfv0GA=="
	b, err := base64.StdEncoding.DecodeString(file)
	if err != nil {
		t.Fatal(err)
	}
	times := []int64{1795227102221014588, 1795227102222245685, 1795227102226234319, 1795227102234145221, 1795227102242084781, 1795227240169092305}
	for i, want := range times {
		const header, size = 8, 21
		rec := b[4+i*(header+size)+header:][:size]
		var m Msg
		if err := m.Decode(rec); err != nil {
			t.Fatal(err)
		}
		if m.Sequence != uint64(i+1) || string(m.Subject) != "foo" || string(m.Data) != "m"+string(rune('1'+i)) || m.Timestamp != want {
			t.Errorf("record %d: %+v", i, m)
		}
		if again := m.Append(nil); !bytes.Equal(again, rec) {
			t.Errorf("record %d is encoded as %x, not %x", i, again, rec)
		}
	}
}

func TestUnknownFieldsAreSkippedAndKnownOnesOfAnotherTypeRefused(t *testing.T) {
	unknown := append((&Ack{Subject: []byte("foo"), Sequence: 7}).Append(nil), 0x7a, 1, 'x', 0x81, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0x8d, 1, 1, 2, 3, 4)
	var a Ack
	if err := a.Decode(unknown); err != nil || a.Sequence != 7 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := a.Decode([]byte{0x08, 1}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a number for the subject: %v", err)
	}
	for _, bad := range []string{"0a05", "0a", "ff", "0b", "00", "0aff", "10ffffffffffffffffff7f"} {
		b, _ := hex.DecodeString(bad)
		if err := a.Decode(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestControlMessagesOfServersAreNoPublishes(t *testing.T) {
	ctrl := appendBytes(appendUint(nil, 1, 4), 2, "server")
	if err := new(PubMsg).Decode(ctrl); err == nil {
		t.Error("it is taken for a publish")
	}
	if err := ParseControl(ctrl); err != nil {
		t.Error(err)
	}
	if err := ParseControl([]byte("hello")); err == nil {
		t.Error("any text is taken for a control message")
	}
}

func TestDecodingWhatIsPublishedAllocatesNothing(t *testing.T) {
	b := (&PubMsg{ClientID: []byte("me"), GUID: []byte("g1"), Subject: []byte("foo"), Data: []byte("hi"), ConnID: []byte("c")}).Append(nil)
	ack := (&Ack{Subject: []byte("foo"), Sequence: 300}).Append(nil)
	var m PubMsg
	var a Ack
	if n := testing.AllocsPerRun(100, func() {
		if m.Decode(b) != nil || a.Decode(ack) != nil {
			t.Fatal("not decoded")
		}
	}); n != 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

func TestNames(t *testing.T) {
	for _, ok := range []string{"foo", "foo.bar", "x:y", `back\slash`, "é", "a b", "a\r\nb", "\x00", strings.Repeat("n", MaxChannel)} {
		if !ValidChannel(ok) {
			t.Errorf("%q is refused", ok)
		}
	}
	for _, bad := range []string{"", ".a", "a.", "a..b", "a/b", "a.*", "a.>", "*", ">", "f*o", "a\xff", strings.Repeat("n", MaxChannel+1)} {
		if ValidChannel(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
	for name, want := range map[string]bool{"foo": true, "foo.*": true, "*.b.>": true, ">": true, "a.>.b": false, "a*": false, "a..b": false, "": false} {
		if ValidPattern(name) != want {
			t.Errorf("pattern %q: not %v", name, want)
		}
	}
	for id, want := range map[string]bool{"me": true, "A-1_z": true, "": false, "a.b": false, "é": false, strings.Repeat("n", MaxName): true, strings.Repeat("n", MaxName+1): false} {
		if ValidClientID(id) != want {
			t.Errorf("client id %q: not %v", id, want)
		}
	}
	for name, want := range map[string]string{"foo.bar": "foo.bar", "é:x": "é:x", "a b.c": "a%20b%2Ec", "a\r\n": "a%0D%0A", "\x7f": "%7F"} {
		if got := RecordSubject(name); got != want {
			t.Errorf("%q is stored under %q", name, got)
		}
	}
	if got := CaseClash("Foo", "foo"); got != `rejecting channel "Foo" because channel "foo" alreay exists (different cases not allowed)` {
		t.Error(got)
	}
}

func TestSubjectsComeFromTheClusterID(t *testing.T) {
	want := Subjects{
		Discover: "_STAN.discover.tc", Pings: "_STAN.discover.tc.pings", Publish: "_STAN.pub.tc", Subscribe: "_STAN.sub.tc",
		Unsubscribe: "_STAN.unsub.tc", SubClose: "_STAN.subclose.tc", Close: "_STAN.close.tc",
	}
	if got := SubjectsOf("tc", ""); got != want {
		t.Errorf("%+v", got)
	}
	if got := SubjectsOf("tc", "x").Pings; got != "x.tc.pings" {
		t.Error(got)
	}
}

// message is any of the package's messages.
type message interface {
	Append([]byte) []byte
	Decode([]byte) error
}

func messages() []message {
	return []message{new(PubMsg), new(Msg), new(Ack), new(ConnectRequest), new(ConnectResponse), new(SubscriptionRequest), new(SubscriptionResponse), new(UnsubscribeRequest)}
}

// TestAShortFieldIsReadAsAnyOther reads all fields whose tag and length are one byte each
// in both ways.
func TestAShortFieldIsReadAsAnyOther(t *testing.T) {
	rest := bytes.Repeat([]byte{7}, 130)
	for head := range 1 << 16 {
		for _, size := range []int{0, int(byte(head)) - 1, int(byte(head)), len(rest)} {
			b := append([]byte{byte(head >> 8), byte(head)}, rest[:min(max(size, 0), len(rest))]...)
			var quick, slow field
			n := short(b, &quick)
			if n == 0 {
				continue
			}
			if m := next(b, &slow); m != n || !reflect.DeepEqual(quick, slow) || cap(quick.bytes) != cap(slow.bytes) {
				t.Fatalf("%x: %d %+v, not %d %+v", b[:2], n, quick, m, slow)
			}
		}
	}
	var f field
	if short(nil, &f) != 0 || short([]byte{10}, &f) != 0 || short([]byte{10, 1, 'x'}, &f) != 3 {
		t.Error("which fields are short")
	}
}

// TestTheUsualAcknowledgementIsReadAsAnyOther reads in both ways what is one byte away from
// what clients send, and what ends before.
func TestTheUsualAcknowledgementIsReadAsAnyOther(t *testing.T) {
	usual := 0
	try := func(b []byte) {
		var quick, slow Ack
		if !quick.usual(b) {
			return
		}
		usual++
		if err := slow.fields(b); err != nil || !reflect.DeepEqual(quick, slow) || cap(quick.Subject) != cap(slow.Subject) {
			t.Fatalf("%x: %+v, not %+v, %v", b, quick, slow, err)
		}
	}
	for _, seq := range []uint64{0, 1, 127, 128, 1 << 40, 1<<64 - 1} {
		for _, name := range []string{"", "f", "foo", strings.Repeat("l", 127), strings.Repeat("l", 128)} {
			whole := append(appendBytes(nil, 1, []byte(name)), binary.AppendUvarint([]byte{16}, seq)...)
			for i := range whole {
				try(whole[:i])
				for by := range 256 {
					b := bytes.Clone(whole)
					b[i] = byte(by)
					try(b)
				}
			}
			try(append(bytes.Clone(whole), 0x7a, 1, 'x'))
		}
	}
	var a Ack
	if !a.usual((&Ack{Subject: []byte("foo"), Sequence: 300}).Append(nil)) || string(a.Subject) != "foo" || a.Sequence != 300 || usual < 1000 {
		t.Errorf("%+v, %d were usual", a, usual)
	}
}

// FuzzDecode checks that whatever a message is decoded to is encoded to what decodes
// to the same.
func FuzzDecode(f *testing.F) {
	for _, m := range []message{
		&PubMsg{ClientID: []byte("me"), GUID: []byte("g"), Subject: []byte("foo"), Data: []byte("d"), ConnID: []byte("c")},
		&Msg{Sequence: 1, Subject: []byte("foo"), Data: []byte("d"), Timestamp: 5, Redelivered: true, RedeliveryCount: 1, CRC32: 9},
		&ConnectRequest{ClientID: "me", HeartbeatInbox: "h", Protocol: 1, ConnID: []byte("c"), PingInterval: -5, PingMaxOut: 3},
		&ConnectResponse{PubPrefix: "p", Error: "e", PingRequests: "r", PingInterval: 5, PingMaxOut: 88, Protocol: 1},
		&SubscriptionRequest{ClientID: "me", Subject: "foo", Inbox: "i", MaxInFlight: 1, AckWaitInSecs: 30, StartPosition: First, StartTimeDelta: -1},
		&UnsubscribeRequest{ClientID: "me", Subject: "foo", Inbox: "i"},
	} {
		f.Add(m.Append(nil))
	}
	f.Add([]byte(strings.Repeat("\xff", 12)))
	f.Fuzz(func(t *testing.T, b []byte) {
		again := messages()
		for i, m := range messages() {
			if m.Decode(b) != nil {
				continue
			}
			if err := again[i].Decode(m.Append(nil)); err != nil || !reflect.DeepEqual(normal(m), normal(again[i])) {
				t.Errorf("%#v became %#v, %v", m, again[i], err)
			}
		}
		var ack PubAck
		if ack.Decode(b) == nil {
			var second PubAck
			if err := second.Decode(AppendPubAck(nil, []byte(ack.GUID), ack.Error)); err != nil || second != ack {
				t.Errorf("%#v became %#v", ack, second)
			}
		}
		if id, err := DecodePing(b); err == nil {
			if back, err := DecodePing(AppendPing(nil, id)); err != nil || !bytes.Equal(back, id) {
				t.Errorf("ping %q became %q", id, back)
			}
		}
		if id, err := DecodeClose(b); err == nil {
			if back, err := DecodeText(AppendClose(nil, id)); err != nil || back != id {
				t.Errorf("%q became %q", id, back)
			}
		}
		_ = ParseControl(b)
	})
}

// normal makes empty bytes those that are not there, as they are on the wire.
func normal(m message) any {
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if b, ok := v.Field(i).Interface().([]byte); ok && len(b) == 0 {
			v.Field(i).SetBytes(nil)
		}
	}
	return v.Interface()
}
