package liftbridge

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/protobuf/proto"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	payload   = "12 02 6b 31 1a 05 68 65 6c 6c 6f 52 05 61 63 6b 2e 31 5a 02 63 31 60 01"
	plain     = "b9 0e 43 b4 00 08 00 00" + payload
	summed    = "b9 0e 43 b4 00 0c 01 00 9b d0 ef 19" + payload
	ackSample = "b9 0e 43 b4 00 08 00 01 0a 03 66 6f 6f 12 03 66 6f 6f 1a 05 66 6f 6f 2e 31 20 05 2a 05 61 63 6b 2e 31" +
		"32 02 63 31 38 01 40 80 80 a8 b1 e3 9f e7 cb 17 48 c0 84 e5 b1 e3 9f e7 cb 17"
)

func TestEnvelopesOfAMessageReadAlikeWithAndWithoutChecksum(t *testing.T) {
	for _, s := range []string{plain, summed} {
		var m Message
		if err := DecodePublish(unhex(t, s), &m); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s %s %s %s %d", m.Key, m.Value, m.AckInbox, m.CorrelationID, m.AckPolicy)
		if got != "k1 hello ack.1 c1 1" {
			t.Fatal(got)
		}
		if b := AppendPublish(nil, &m); !bytes.Equal(b, unhex(t, plain)) {
			t.Fatalf("%x", b)
		}
	}
}

func TestAckEnvelopeIsThatOfTheProtocol(t *testing.T) {
	a := Ack{
		Stream: []byte("foo"), PartitionSubject: []byte("foo"), MsgSubject: []byte("foo.1"), Offset: 5, AckInbox: []byte("ack.1"),
		CorrelationID: []byte("c1"), AckPolicy: AckAll, ReceptionTime: 1700000000000000000, CommitTime: 1700000000001000000,
	}
	b := AppendAck(nil, &a)
	if !bytes.Equal(b, unhex(t, ackSample)) {
		t.Fatalf("%x", b)
	}
	var got Ack
	if err := DecodeAck(b, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(a) {
		t.Fatal(got, err)
	}
}

func TestBrokenEnvelopesAreNone(t *testing.T) {
	change := func(s string, at int, to byte) []byte {
		b := unhex(t, s)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "magic alone": unhex(t, plain)[:4], "wrong magic": change(plain, 3, 0), "version": change(plain, 4, 1),
		"header length past the end": change(plain, 5, 255), "header length below eight": change(plain, 5, 3),
		"flag with short header": change(plain, 6, 1), "wrong checksum": change(summed, 9, 0), "an ack": unhex(t, ackSample),
		"another type": change(plain, 7, 2), "cut payload": unhex(t, plain)[:13],
		"text that is none": append(unhex(t, plain), 0x52, 1, 0xff),
	} {
		var m Message
		if err := DecodePublish(b, &m); !errors.Is(err, ErrNotEnvelope) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := DecodePublish(unhex(t, plain)[:8], &Message{}); err != nil {
		t.Error("an empty message:", err)
	}
}

// fromProto is what the generated code makes of a payload.
func fromProto(b []byte) (*pb.Message, error) {
	m := new(pb.Message)
	return m, proto.Unmarshal(b, m)
}

func headerMap(headers []Header) map[string]string {
	out := map[string]string{}
	for _, h := range headers {
		out[string(h.Name)] = string(h.Value)
	}
	return out
}

// FuzzDecodePublish holds the decoder against protobuf's own: both accept the same
// payloads and read the same in them.
func FuzzDecodePublish(f *testing.F) {
	for _, s := range []string{plain, summed, ackSample} {
		b, _ := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		f.Add(b)
	}
	f.Add(AppendPublish(nil, &Message{Offset: -1, Headers: []Header{{[]byte("a"), []byte{0, 1}}, {nil, nil}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		typ, payload, err := DecodeEnvelope(data)
		var m Message
		derr := DecodePublish(data, &m)
		if err != nil || typ != TypePublish {
			if derr == nil {
				t.Fatal("a message without an envelope")
			}
			return
		}
		want, perr := fromProto(payload)
		if (derr == nil) != (perr == nil) {
			t.Fatalf("ours %v, protobuf's %v", derr, perr)
		}
		if derr != nil {
			return
		}
		ours := fmt.Sprintf("%d %x %x %x %x %d", m.Offset, m.Key, m.Value, m.AckInbox, m.CorrelationID, m.AckPolicy)
		theirs := fmt.Sprintf("%d %x %x %x %x %d", want.Offset, want.Key, want.Value, want.AckInbox, want.CorrelationId, want.AckPolicy)
		if ours != theirs {
			t.Fatalf("ours %s, protobuf's %s", ours, theirs)
		}
		got := headerMap(m.Headers)
		if len(got) != len(want.Headers) {
			t.Fatalf("headers %v, protobuf's %v", got, want.Headers)
		}
		for k, v := range want.Headers {
			if got[k] != string(v) {
				t.Fatalf("header %q is %q, protobuf's %q", k, got[k], v)
			}
		}
		var again Message
		if err := DecodePublish(AppendPublish(nil, &m), &again); err != nil || fmt.Sprint(m) != fmt.Sprint(again) {
			t.Fatalf("%v: %v is read back as %v", err, m, again)
		}
	})
}

func FuzzDecodeAck(f *testing.F) {
	b, _ := hex.DecodeString(strings.ReplaceAll(ackSample, " ", ""))
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, again Ack
		if DecodeAck(data, &a) != nil {
			return
		}
		if err := DecodeAck(AppendAck(nil, &a), &again); err != nil || fmt.Sprint(a) != fmt.Sprint(again) {
			t.Fatalf("%v: %v is read back as %v", err, a, again)
		}
	})
}

// FuzzDecodeHeaderBlock writes again what it reads of any block: nothing is lost.
func FuzzDecodeHeaderBlock(f *testing.F) {
	f.Add([]byte("NATS/1.0\r\nA: 1\r\nA: 2\r\nWeir-Key: k\r\nWeir-Header-Base64: YQ== AAE=\r\n\r\n"))
	f.Add([]byte("NATS/1.0 503\r\n\r\n"))
	f.Fuzz(func(t *testing.T, block []byte) {
		key, headers := DecodeHeaderBlock(nil, block)
		want := headerMap(headers)
		if len(want) != len(headers) {
			t.Fatal("a name stands twice")
		}
		delete(want, SubjectHeader)
		delete(want, ReplyHeader)
		for name := range want {
			if !bytes.Equal([]byte(strings.ToValidUTF8(name, "")), []byte(name)) {
				return // no name that Liftbridge's clients can have
			}
		}
		again, got := DecodeHeaderBlock(nil, AppendHeaderBlock(nil, key, headers))
		if !bytes.Equal(key, again) || !maps.Equal(headerMap(got), want) {
			t.Fatalf("%q %v is read back as %q %v", key, want, again, headerMap(got))
		}
	})
}

func TestHeadersAndKeysGoThroughABlockWithoutLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "B", "-", " ", ":", "\r", "\n", "\x00", "\t", "é", "Weir-Key", "Weir-Header-Base64", "\x7f", "=", "/"}
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(alphabet[rng.IntN(len(alphabet))])
		}
		return b.String()
	}
	for range 3000 {
		want := map[string]string{}
		for range rng.IntN(60) {
			value := text(rng.IntN(6))
			if rng.IntN(3) == 0 {
				value += "\xff\xfe"
			}
			want[text(rng.IntN(4))] = value
		}
		var headers []Header
		for _, name := range slices.Sorted(maps.Keys(want)) {
			headers = append(headers, Header{[]byte(name), []byte(want[name])})
		}
		key := text(rng.IntN(4))
		again, got := DecodeHeaderBlock(nil, AppendHeaderBlock(nil, []byte(key), headers))
		if string(again) != key || !maps.Equal(headerMap(got), want) {
			t.Fatalf("%q %q are read back as %q %q", key, want, again, headerMap(got))
		}
	}
}

func TestSubjectAndReplyHeadersAreNotThePublishers(t *testing.T) {
	b := AppendHeaderBlock(nil, nil, []Header{{[]byte("subject"), []byte("x")}, {[]byte("reply"), []byte("y")}})
	if len(b) != 0 {
		t.Fatalf("%q", b)
	}
}

func TestOneNameManyTimesCostsNoMoreThanItsBytes(t *testing.T) {
	block := []byte("NATS/1.0\r\n" + strings.Repeat("a:b\r\n", 200_000) + "\r\n")
	_, headers := DecodeHeaderBlock(nil, block)
	if len(headers) != 1 || len(headers[0].Value) != 200_000*3-2 {
		t.Fatal(len(headers))
	}
}

func TestNamesAreEscapedReversibly(t *testing.T) {
	for native, want := range map[string]string{
		"orders": "orders", "a.b": "a%2Eb", "a:1": "a%3A1", "100%": "100%25", "é": "%C3%A9", "__cursors": "__cursors",
	} {
		if got := EscapeName(native); got != want || UnescapeName(got) != native {
			t.Errorf("%q becomes %q and %q", native, got, UnescapeName(got))
		}
	}
	if UnescapeName("50%") != "50%" || UnescapeName("%zz") != "%zz" {
		t.Error("what is no escape must stay")
	}
	if PartitionName("a.b", 3) != "a%2Eb:3" || PartitionSubject("a", 0) != "a" || PartitionSubject("a", 2) != "a.2" {
		t.Error("names of partitions")
	}
}

func TestNamesThatWouldBePathsOrPatternsAreRefused(t *testing.T) {
	for _, name := range []string{"", "a b", "a\tb", "a/b", "../x", "..", ".", ".a", "a.", "a..b", "a*", ">", `a\b`, "a\x00", "\u00a0", strings.Repeat("x", 241)} {
		if ValidName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{"a", "a.b", "__x", "a:b", "é", "%"} {
		if !ValidName(name) {
			t.Errorf("%q is refused", name)
		}
	}
}

func TestCursorsArePlacedAsClientsPlaceThem(t *testing.T) {
	for key, want := range map[string]int32{CursorKey("mycursor", "foo", 0): 4, CursorKey("__group:my-group", "foo", 0): 3} {
		if got := CursorPartition(key, 10); got != want {
			t.Errorf("%q is in %d, not %d", key, got, want)
		}
	}
	if got := CursorToken("a b,x.y,0"); got != "a%20b,x%2Ey,0" {
		t.Error(got)
	}
}
