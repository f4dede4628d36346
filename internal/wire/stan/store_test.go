package stan

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// storedFile gives a file that nats-streaming-server 0.25.6 wrote.
func storedFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/store.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); f[0] == name {
			out, err := base64.StdEncoding.DecodeString(f[2])
			if err != nil || fmt.Sprint(len(out)) != f[1] {
				t.Fatalf("%d bytes, %v", len(out), err)
			}
			return out
		}
	}
	t.Fatalf("no file %s", name)
	return nil
}

// eachStored gives the records of a file.
func eachStored(t testing.TB, b []byte, typed bool, each func(kind byte, payload []byte)) {
	t.Helper()
	if err := ParseStoredVersion(b); err != nil {
		t.Fatal(err)
	}
	for b = b[4:]; len(b) > 0; {
		kind, size, sum, none := ParseStoredHead(b, typed)
		if none {
			return
		}
		payload := b[StoredHead : StoredHead+size]
		if err := CheckStored(payload, sum); err != nil {
			t.Fatal(err)
		}
		each(kind, payload)
		b = b[StoredHead+size:]
	}
}

func TestStoreOfTheOldServerIsRead(t *testing.T) {
	eachStored(t, storedFile(t, "server.dat"), false, func(_ byte, payload []byte) {
		if id, err := DecodeServerInfo(payload); err != nil || id != "tc" {
			t.Errorf("cluster %q, %v", id, err)
		}
	})
	n := uint64(0)
	eachStored(t, storedFile(t, "foo/msgs.1.dat"), false, func(_ byte, payload []byte) {
		var m Msg
		n++
		if err := m.Decode(payload); err != nil || m.Sequence != n || string(m.Data) != fmt.Sprint("m", n) || string(m.Subject) != "foo" || m.Timestamp == 0 {
			t.Errorf("message %d: %+v, %v", n, m, err)
		}
	})
	if n != 6 {
		t.Errorf("%d messages", n)
	}
	subs := storedFile(t, "foo/subs.dat")
	for size, want := range map[int]string{
		len(subs): "1 c1 dur  6 []; 2   qd:q 5 []",
		681:       "1 c1 dur  5 [2]; 2   qd:q 5 []", // before the restart
	} {
		var all StoredSubs
		eachStored(t, subs[:size], true, func(kind byte, payload []byte) {
			if err := all.Apply(kind, payload); err != nil {
				t.Fatal(err)
			}
		})
		var got []string
		for _, s := range all.All() {
			got = append(got, fmt.Sprint(s.ID, " ", s.Client, " ", s.Durable, " ", s.Queue, " ", s.LastSent, " ", slices.Sorted(maps.Keys(s.Pending))))
			if !s.IsDurable || s.MaxInFlight != 1024 || s.AckWait != 30 {
				t.Errorf("%+v", s)
			}
		}
		if g := strings.Join(got, "; "); g != want && size == len(subs) || size == 681 && !strings.HasPrefix(g, "1 c1 dur  5 [2]") {
			t.Errorf("after %d bytes: %s, want %s", size, g, want)
		}
	}
}

func TestClientsOfTheOldServerAreRead(t *testing.T) {
	var all StoredClients
	eachStored(t, storedFile(t, "clients.dat"), true, func(kind byte, payload []byte) {
		if err := all.Apply(kind, payload); err != nil {
			t.Fatal(err)
		}
	})
	// c1 came, left, came and left again; raw is of the old protocol.
	if got := all.All(); len(got) != 1 || got[0].ID != "raw" || got[0].HeartbeatInbox != "_INBOX.zz" || got[0].Protocol != 0 || len(got[0].ConnID) > 0 {
		t.Errorf("%+v", got)
	}
	for kind, payload := range map[byte]string{3: "", 1: "\x0a\x7f", 2: "\x08\x01"} {
		if err := all.Apply(kind, []byte(payload)); !errors.Is(err, ErrStored) {
			t.Errorf("%d %q: %v", kind, payload, err)
		}
	}
}

func TestDamageToTheOldServersStoreIsFound(t *testing.T) {
	var s StoredSubs
	for kind, payload := range map[byte]string{9: "", storedSub: "\xff", storedAck: "\x08"} {
		if err := s.Apply(kind, []byte(payload)); !errors.Is(err, ErrStored) {
			t.Errorf("type %d, %q: %v", kind, payload, err)
		}
	}
	if err := CheckStored([]byte("a"), 1); !errors.Is(err, ErrStored) {
		t.Error(err)
	}
	for _, b := range []string{"", "\x01\x00\x00", "\x00\x00\x00\x00", "\x02\x00\x00\x00"} {
		if err := ParseStoredVersion([]byte(b)); !errors.Is(err, ErrStored) {
			t.Errorf("%q: %v", b, err)
		}
	}
	if _, _, _, none := ParseStoredHead(make([]byte, 8), true); !none {
		t.Error("reserved bytes are taken for a record")
	}
}

func FuzzStored(f *testing.F) {
	f.Add(storedFile(f, "foo/subs.dat"), true)
	f.Add(storedFile(f, "foo/msgs.1.dat"), false)
	f.Add(storedFile(f, "clients.dat"), true)
	f.Add(storedFile(f, "server.dat"), false)
	f.Add([]byte(`{"channel":"c","durable":"d","pending":[1,2]}`), false)
	f.Fuzz(func(t *testing.T, b []byte, typed bool) {
		_ = ParseStoredVersion(b)
		_, _ = DecodeServerInfo(b)
		_ = new(Adoption).Decode(b)
		var subs StoredSubs
		var clients StoredClients
		for rest := b; ; {
			kind, size, _, none := ParseStoredHead(rest, typed)
			if none || uint64(size) > uint64(len(rest)-StoredHead) {
				break
			}
			_ = subs.Apply(kind, rest[StoredHead:StoredHead+int(size)])
			_ = clients.Apply(kind, rest[StoredHead:StoredHead+int(size)])
			rest = rest[StoredHead+int(size):]
		}
		for _, s := range subs.All() {
			for seq := range s.Pending {
				if seq > s.LastSent {
					t.Fatalf("%d was sent, %d is pending", s.LastSent, seq)
				}
			}
		}
	})
}
