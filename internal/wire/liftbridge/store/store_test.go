package store

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// golden gives the files of a data directory that Liftbridge 1.9.0 left, without its
// index files. It was made by one server with an embedded NATS server and the settings
// raft.snapshot.threshold 5, cursors.stream.partitions 2, a short cleaner interval and the
// encryption key 0123456789abcdef, its official client, and two restarts: there is a
// snapshot, and a log behind it.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	f, err := os.Open("testdata/liftbridge-1.9.0.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		b, rerr := io.ReadAll(in)
		if err := errors.Join(err, rerr); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			all[strings.TrimPrefix(h.Name, "./")] = b
		}
	}
}

const goldenSnapshot = "raft/snapshots/2-29-1795302423838/state.bin"

// records reads a segment whole.
func records(t testing.TB, b []byte) (heads []Head, all []Record) {
	t.Helper()
	for len(b) > 0 {
		h, err := ParseHead(b)
		if err != nil || len(b) < HeadSize+h.Size {
			t.Fatal(err, len(b))
		}
		var r Record
		if err := DecodeRecord(b[HeadSize:HeadSize+h.Size], &r); err != nil {
			t.Fatal(err)
		}
		heads, all, b = append(heads, h), append(all, r), b[HeadSize+h.Size:]
	}
	return heads, all
}

func header(r *Record, name string) []byte {
	for _, h := range r.Headers {
		if string(h.Name) == name {
			return h.Value
		}
	}
	return nil
}

func TestRecordsOfTheServerAreRead(t *testing.T) {
	files := golden(t)
	heads, all := records(t, files["streams/orders/0/00000000000000000000.log"])
	if len(all) != 3 || heads[2].Offset != 2 || heads[0].Time <= 0 || heads[1].Time < heads[0].Time {
		t.Fatalf("%+v", heads)
	}
	if r := &all[0]; string(r.Key) != "k0" || string(r.Value) != "order 0" || string(header(r, "subject")) != "orders.in" {
		t.Errorf("%q", r)
	}
	if r := &all[1]; r.Key != nil || string(header(r, "bin")) != "\x00\n\r\xff" || string(header(r, "text")) != "a b" {
		t.Errorf("%q", r)
	}
	if r := &all[2]; len(r.Value) != 0 {
		t.Errorf("%q", r)
	}
	if _, all = records(t, files["streams/orders/1/00000000000000000000.log"]); string(all[0].Key) != "\x00\x01\xff" {
		t.Errorf("%q", all[0])
	}
	if heads, _ = records(t, files["streams/events/0/00000000000000000008.log"]); len(heads) != 3 || heads[0].Offset != 9 {
		t.Errorf("a compacted segment: %+v", heads)
	}
}

func TestARecordThatChangedIsDamaged(t *testing.T) {
	b := golden(t)["streams/orders/0/00000000000000000000.log"]
	h, err := ParseHead(b)
	if err != nil {
		t.Fatal(err)
	}
	body := b[HeadSize : HeadSize+h.Size]
	for i := range body {
		bad := bytes.Clone(body)
		bad[i] ^= 0x10
		if err := DecodeRecord(bad, new(Record)); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	for n := range body {
		if err := DecodeRecord(body[:n], new(Record)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for n := range HeadSize {
		if _, err := ParseHead(b[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("a head of %d bytes: %v", n, err)
		}
	}
	for _, at := range []int{0, 8, 24} { // offset, time, length
		bad := bytes.Clone(b)
		bad[at] |= 0x80
		if _, err := ParseHead(bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("a head that is wrong at %d: %v", at, err)
		}
	}
}

func TestEncryptedValuesAreOpenedWithTheServersKey(t *testing.T) {
	_, all := records(t, golden(t)["streams/secret/0/00000000000000000000.log"])
	o, err := NewOpener([]byte("0123456789abcdef"))
	if err != nil || len(all) != 2 {
		t.Fatal(err, len(all))
	}
	for i, want := range []string{"nobody knows", ""} {
		if got, err := o.Open(all[i].Value); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	bad := bytes.Clone(all[0].Value)
	bad[len(bad)-1] ^= 1
	if _, err := o.Open(bad); !errors.Is(err, ErrDamaged) {
		t.Errorf("a value that changed: %v", err)
	}
	for n := range all[0].Value {
		if _, err := o.Open(all[0].Value[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if o, err = NewOpener([]byte("0123456789abcdeX0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Open(all[0].Value); !errors.Is(err, ErrDamaged) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := NewOpener([]byte("short")); err == nil {
		t.Error("a key of five bytes is taken")
	}
}

// TestKeysAreUnwrapped has the two examples of RFC 5649.
func TestKeysAreUnwrapped(t *testing.T) {
	bytesOf := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	by, err := aes.NewCipher(bytesOf("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"))
	if err != nil {
		t.Fatal(err)
	}
	for want, in := range map[string]string{
		"c37b7e6492584340bed12207808941155068f738": "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
		"466f7250617369": "afbeb0f07dfbf5419200f2ccb50bb24f",
	} {
		if got, err := unwrap(by, bytesOf(in)); err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%x, %v", got, err)
		}
	}
}

func TestStreamsAreReadFromSnapshotAndLog(t *testing.T) {
	files := golden(t)
	c, err := DecodeCatalog(files[goldenSnapshot], 29, files["raft/raft.db"])
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Names(), " "); got != "__cursors events later orders paused secret" {
		t.Fatal(got)
	}
	o := c["orders"]
	if o.Subject != "orders.in" || o.Partitions != 2 || o.Group != "workers" || o.Created <= 0 || *o.MaxMessages != 1000 ||
		*o.MaxAge != 50*365*24*time.Hour || *o.Compacts || o.MaxBytes != nil {
		t.Errorf("%+v", o)
	}
	if e := c["events"]; !*e.Compacts || e.SegmentMaxBytes != 300 || !e.ReadOnly[0] || e.Paused[0] || e.MaxAge != nil {
		t.Errorf("%+v", e)
	}
	if p := c["paused"]; !p.Paused[0] || p.ReadOnly[0] || !c["secret"].Encryption || c["later"].Subject != "later.events" {
		t.Errorf("%+v", p)
	}
	// The log alone still has all, from its beginning.
	alone, err := DecodeCatalog(nil, 0, files["raft/raft.db"])
	if err != nil || fmt.Sprint(alone.Names()) != fmt.Sprint(c.Names()) || *alone["orders"].MaxMessages != 1000 {
		t.Errorf("%v, %v", alone.Names(), err)
	}
}

func TestARaftLogThatIsDamagedIsAnError(t *testing.T) {
	files := golden(t)
	db := files["raft/raft.db"]
	if _, err := DecodeCatalog(nil, 0, db[:512]); !errors.Is(err, ErrDamaged) {
		t.Errorf("without its pages: %v", err)
	}
	if _, err := DecodeCatalog(files[goldenSnapshot][:100], 29, db); !errors.Is(err, ErrDamaged) {
		t.Errorf("half of a snapshot: %v", err)
	}
	bad := bytes.Clone(db)
	page := int(binary.LittleEndian.Uint32(bad[pageHead+8:]))
	for at := 2 * page; at < len(bad); at += page {
		bad[at+8], bad[at+9] = 0, 0 // what kind of page it is
	}
	if _, err := DecodeCatalog(nil, 0, bad); !errors.Is(err, ErrDamaged) {
		t.Errorf("pages of no kind: %v", err)
	}
}

func TestEveryKindOfMessagePackIsPassedOver(t *testing.T) {
	for _, v := range []string{
		"\x05", "\xff", "\xc0", "\xc3", "\x81\x01\x02", "\x92\x01\xa1x", "\xa2ab", "\xc4\x01x", "\xc5\x00\x01x", "\xc6\x00\x00\x00\x01x",
		"\xc7\x01tx", "\xc8\x00\x01tx", "\xc9\x00\x00\x00\x01tx", "\xca1234", "\xcb12345678", "\xcc1", "\xcd12", "\xce1234", "\xcf12345678",
		"\xd01", "\xd112", "\xd21234", "\xd312345678", "\xd4t1", "\xd5t12", "\xd6t1234", "\xd7t12345678", "\xd8t1234567890123456",
		"\xd9\x01x", "\xda\x00\x01x", "\xdb\x00\x00\x00\x01x", "\xdc\x00\x01\x01", "\xdd\x00\x00\x00\x01\x01", "\xde\x00\x01\x01\x02", "\xdf\x00\x00\x00\x01\x01\x02",
	} {
		got, err := command([]byte("\x83\xa1A" + v + "\xa4Type\x00\xa4Data\xa1d"))
		if err != nil || string(got) != "d" {
			t.Errorf("%x: %q, %v", v, got, err)
		}
		if _, err := command([]byte("\x82\xa4Data\xa1d\xa1A" + v[:len(v)-1])); err == nil {
			t.Errorf("%x: its end is not missed", v)
		}
	}
	if got, err := command([]byte("\x82\xa4Type\x01\xa4Data\xa1d")); got != nil || err != nil {
		t.Errorf("an entry of Raft's own: %q, %v", got, err)
	}
}

func FuzzParseHead(f *testing.F) {
	for _, b := range golden(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ParseHead(b); err == nil && (h.Offset < 0 || h.Time < 0 || h.Size <= 0 || h.Size > MaxBody) {
			t.Errorf("%+v", h)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	for name, b := range golden(f) {
		if strings.HasSuffix(name, ".log") && len(b) > HeadSize {
			h, _ := ParseHead(b)
			f.Add(b[HeadSize : HeadSize+h.Size])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Record{Headers: make([]wire.Header, 1)}
		for range 2 { // as it is, and with a checksum that fits
			if err := DecodeRecord(b, &r); err == nil && len(r.Key)+len(r.Value)+6*len(r.Headers) > len(b) {
				t.Errorf("%d bytes became %+v", len(b), r)
			}
			if len(b) >= leastBody {
				b = bytes.Clone(b)
				binary.BigEndian.PutUint32(b, sumOf(b))
			}
		}
	})
}

func FuzzDecodeCatalog(f *testing.F) {
	files := golden(f)
	f.Add(files[goldenSnapshot], uint64(29), files["raft/raft.db"])
	f.Add([]byte(nil), uint64(0), files["raft/raft.db"])
	f.Fuzz(func(t *testing.T, snapshot []byte, index uint64, db []byte) {
		c, err := DecodeCatalog(snapshot, index, db)
		for name, s := range c {
			if err != nil || s.Name != name || s.Partitions < 1 {
				t.Errorf("%q, %v: %+v", name, err, s)
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	_, all := records(f, golden(f)["streams/secret/0/00000000000000000000.log"])
	f.Add(all[0].Value)
	f.Add(all[1].Value)
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := NewOpener([]byte("0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := o.Open(b); err == nil && len(out) > len(b) {
			t.Errorf("%d bytes became %d", len(b), len(out))
		}
	})
}

func sumOf(b []byte) uint32 { return crc32.Checksum(b[4:], castagnoli) }
