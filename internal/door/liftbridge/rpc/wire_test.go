package rpc

import (
	"bytes"
	"encoding/binary"
	"net/url"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/chunk"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wire is messages as they go over it.
func wire(messages ...[]byte) (b []byte) {
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint32(append(b, 0), uint32(len(m))), m...)
	}
	return b
}

// However messages are cut into pieces, they are assembled as they were; nothing is kept
// behind the last of them.
func FuzzAssembler(f *testing.F) {
	f.Add(wire([]byte("one"), nil, filled(3, 300), []byte("four")), uint16(7))
	f.Add(wire(filled(1, 900)), uint16(500))
	f.Add([]byte{2, 0, 0, 0, 0}, uint16(1))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 1}, uint16(3))
	f.Fuzz(func(t *testing.T, all []byte, piece uint16) {
		const most = 1 << 10
		a := assembler{most: most}
		defer a.drop()
		want := all
		for b := all; len(b) > 0; {
			k := min(len(b), int(piece)+1)
			for part := b[:k]; len(part) > 0; {
				msg, c, done, rest, err := a.next(part)
				if err != nil {
					code := status.Code(err)
					tooLong := len(want) >= prefixLen && binary.BigEndian.Uint32(want[1:]) > most
					if tooLong != (code == codes.ResourceExhausted) || !tooLong && want[0] < 2 {
						t.Fatal(err, want[:prefixLen])
					}
					return
				}
				if part = rest; !done {
					continue
				}
				n := int(binary.BigEndian.Uint32(want[1:]))
				if !bytes.Equal(msg, want[prefixLen:][:n]) || a.packed != (want[0] == 1) || a.holds() != 0 {
					t.Fatalf("%d bytes, not %d", len(msg), n)
				}
				want = want[prefixLen+n:]
				if c != nil {
					c.Free()
				}
			}
			b = b[k:]
		}
		if a.unfinished() != (len(want) > 0) {
			t.Fatalf("%d bytes are left, unfinished: %v", len(want), a.unfinished())
		}
		if len(want) >= prefixLen && int(binary.BigEndian.Uint32(want[1:]))+prefixLen <= len(want) {
			t.Fatal("a message is complete and was not given")
		}
	})
}

func TestAnIncompleteMessageGetsNoMoreRoomThanHasCome(t *testing.T) {
	a := assembler{most: 1 << 30}
	defer a.drop()
	if _, _, _, _, err := a.next([]byte{0, 0x3f, 0, 0, 0, 'x'}); err != nil {
		t.Fatal(err)
	}
	if got := a.holds(); got > firstRoom {
		t.Fatalf("%d bytes for one", got)
	}
}

func TestEachGatheredMessageHasItsLength(t *testing.T) {
	var o Out
	defer o.Drop()
	var want [][]byte
	for i, n := range []int{2, 0, 1, 300, 70_000, 5, 4096} {
		want = append(want, filled(i, n))
		o.End(append(o.Begin(i), want[i]...))
	}
	if !bytes.Equal(o.b[9:], wire(want...)) || o.Len() != len(wire(want...)) {
		t.Fatal(o.Len())
	}
	o.Drop()
	if o.Len() != 0 {
		t.Fatal(o.Len())
	}
}

func TestGatheringMessagesAllocatesNothing(t *testing.T) {
	var o Out
	m := filled(0, 200)
	got := testing.AllocsPerRun(100, func() {
		for range 100 {
			o.End(append(o.Begin(len(m)), m...))
		}
		chunk.Hold(o.c, o.b).Free()
		o = Out{size: len(o.b)}
	})
	if got > 0 {
		t.Fatal(got)
	}
}

func TestTextsOfStatusesAreWritten(t *testing.T) {
	for _, s := range []string{"", "plain", "100 %", "line\nbreak", "ü and 日本", "\x00\xff"} {
		got := percent(s)
		if back, err := url.PathUnescape(got); err != nil || back != s {
			t.Errorf("%q became %q: %v", s, got, err)
		}
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Errorf("%q became %q", s, got)
			}
		}
	}
}

func TestTimeLimitsHaveUpToEightDigitsAndAUnit(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "4m": 4 * time.Millisecond, "5u": 5 * time.Microsecond,
		"99999999n": 99999999, "99999999H": 1<<63 - 1, "0S": 0,
	} {
		if got, err := timeout(s); err != nil || got != want {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "S", "1", "1s", "-1S", "+1S", "123456789S", "1.5S", " 1S"} {
		if got, err := timeout(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestOnlyContentTypesOfGRPCAreTaken(t *testing.T) {
	for s, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "Application/GRPC": true, "application/grpc;x=1": true,
		"application/grpcx": false, "text/plain": false, "": false, "application/json": false,
	} {
		if isGRPC(s) != want {
			t.Error(s)
		}
	}
}
