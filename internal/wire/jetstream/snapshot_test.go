package jetstream

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestSnapshotSizesAreKeptWithinTheirBounds(t *testing.T) {
	for body, want := range map[string][2]int{
		`{"deliver_subject":"a"}`:                                                {128 << 10, 64},
		`{"deliver_subject":"a","chunk_size":1,"window_size":1}`:                 {1 << 10, 1},
		`{"deliver_subject":"a","chunk_size":99999999,"window_size":1}`:          {1 << 20, 1},
		`{"deliver_subject":"a","chunk_size":1024,"window_size":999999999}`:      {1 << 10, 32 << 10},
		`{"deliver_subject":"a","chunk_size":-5,"window_size":-5,"jsck":true}`:   {1 << 10, 1},
		`{"deliver_subject":"a","chunk_size":262144,"no_consumers":true}`:        {256 << 10, 32},
		`{"deliver_subject":"a","chunk_size":4096,"window_size":8192} `:          {4 << 10, 2},
		`{"deliver_subject":"$X.y","chunk_size":131072,"window_size":1048576}`:   {128 << 10, 8},
		` {"deliver_subject":"_INBOX.a.b","chunk_size":65536,"window_size":100}`: {64 << 10, 1},
	} {
		r, err := Decoder{}.DecodeSnapshot([]byte(body))
		if err != nil || r.ChunkSize != want[0] || r.Window() != want[1] {
			t.Errorf("%s: chunks of %d, %d of them, %v", body, r.ChunkSize, r.Window(), err)
		}
	}
}

func TestAnAckOfAChunkIsReadAsItWasWritten(t *testing.T) {
	b := AppendSnapshotAck(nil, SnapshotAckPrefix("S", "id"), 131072, 17)
	if string(b) != "$JS.SNAPSHOT.ACK.S.id.131072.17" {
		t.Fatalf("%s", b)
	}
	if n, ok := ParseSnapshotAck(b); !ok || n != 17 {
		t.Fatal(n, ok)
	}
	if RestoreSubject("S", "id") != "$JS.SNAPSHOT.RESTORE.S.id" {
		t.Fatal(RestoreSubject("S", "id"))
	}
}

func TestAFailureOfASnapshotIsOneLine(t *testing.T) {
	if got := string(AppendStatus(nil, StatusSnapshotFailed("a\r\nb: c\n"))); got != "NATS/1.0 500 a b: c\r\n\r\n" {
		t.Fatalf("%q", got)
	}
	if got := string(AppendStatus(nil, StatusSnapshotDone)); !strings.HasPrefix(got, "NATS/1.0 204") {
		t.Fatalf("%q", got)
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add([]byte(`{"deliver_subject":"a","chunk_size":1024,"window_size":4096}`))
	f.Add([]byte(`{"deliver_subject":"a.*"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decoder{}.DecodeSnapshot(b)
		if err == nil && (r.ChunkSize < 1<<10 || r.ChunkSize > 1<<20 || r.Window() < 1 || r.WindowSize > 32<<20) {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzDecodeRestore(f *testing.F) {
	f.Add([]byte(`{"config":{"name":"S","subjects":["a"]},"state":{"messages":1}}`))
	f.Add([]byte(`{"config":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := (Decoder{}).DecodeRestore("S", b); err == nil && (r.Config.Name != "S" || len(r.State) > 0 && !json.Valid(r.State)) {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzParseSnapshotAck(f *testing.F) {
	f.Add([]byte("$JS.SNAPSHOT.ACK.S.id.131072.17"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := ParseSnapshotAck(b)
		if ok && !bytes.HasSuffix(bytes.TrimRight(b, "0123456789"), []byte(".")) && bytes.ContainsRune(b, '.') || ok && n < 1 {
			t.Fatalf("%q is %d", b, n)
		}
	})
}
