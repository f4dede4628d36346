package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// encode builds a batch of one run.
func encode(h *header, entries ...pending) []byte { return encodeWith(nil, h, entries...) }

// encodeWith builds a batch whose data a sealer encrypts.
func encodeWith(s *atrest.Sealer, h *header, entries ...pending) []byte {
	b := newGathered(MaxBatch, s != nil)
	b.runs = []run{{g: &Group{id: 0x0102}, a: entries}}
	for i := range entries {
		b.cost += int64(entries[i].cost())
	}
	b.begin(s)
	b.add(0)
	b.shape(h)
	return b.seal(h)
}

func entry(index uint64, data string) pending {
	var p pending
	p.fill(3, index, 9, payload{size: len(data)}, [][]byte{[]byte(data)})
	return p
}

func testHeader() *header {
	return &header{identity: 0xfeed, generation: 5, number: 17, durableUpto: 16, firstLive: 4, prev: 0xcafe}
}

func TestBatchBytesAreAsDocumented(t *testing.T) {
	got := encode(testHeader(), entry(8, "ab"), entry(9, ""))
	want := strings.ReplaceAll(`
574a4e4c 0100 0000 edfe000000000000 0500000000000000 1100000000000000
1000000000000000 0400000000000000 feca0000 02000000 02000000 CHECKSUM
0201000000000000 0300000000000000 0800000000000000 02000000 3629a2e2 09000000
0201000000000000 0300000000000000 0900000000000000 00000000 00000000 09000000
6162`, "CHECKSUM", hex.EncodeToString(got[60:64]))
	want = strings.NewReplacer(" ", "", "\n", "").Replace(want)
	if text := hex.EncodeToString(got[:len(want)/2]); text != want {
		t.Fatalf("bytes\n%s, want\n%s", text, want)
	}
	if len(got) != blockSize || !bytes.Equal(got[len(want)/2:], make([]byte, blockSize-len(want)/2)) {
		t.Fatal("the rest of the block is not zero")
	}
}

func TestBatchRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 3000, 9000, apartFrom - 3, apartFrom, 1 << 20, 3<<20 + 1} {
		t.Run(strconv.Itoa(size), func(t *testing.T) { roundTrip(t, size) })
	}
}

func roundTrip(t *testing.T, size int) {
	h := testHeader()
	h.flags = flagClosed
	entries := []pending{entry(1, "one"), entry(2, strings.Repeat("x", size)), entry(3, "")}
	buf := encode(h, entries...)
	b, err := parseBatch(buf)
	must(t, err)
	if b.header != *h || b.len() != int64(len(buf)) {
		t.Fatalf("header %+v, want %+v", b.header, *h)
	}
	i := 0
	must(t, b.visit(func(r record, data []byte, ok bool) error {
		p := &entries[i]
		if !ok || r.group != 0x0102 || r.term != 3 || r.index != p.index || r.kind != 9 || !bytes.Equal(data, p.inline[0]) {
			t.Fatalf("entry %d is %+v %q %v", i, r, data, ok)
		}
		i++
		return nil
	}))
}

func TestNoBitOfABatchMayFlip(t *testing.T) {
	buf := encode(testHeader(), entry(1, "some data"), entry(2, "more"))
	end := headerSize + 2*recordSize + len("some data") + len("more")
	for bit := range end * 8 {
		buf[bit/8] ^= 1 << (bit % 8)
		if b, err := parseBatch(buf); err == nil && b.intact() {
			t.Fatalf("bit %d may flip", bit)
		}
		buf[bit/8] ^= 1 << (bit % 8)
	}
}

func TestBatchOfAnotherLifeDoesNotPass(t *testing.T) {
	a, b := testHeader(), testHeader()
	b.generation++
	x, y := encode(a, entry(1, "d")), encode(b, entry(1, "d"))
	copy(x[:60], y[:60]) // all but the checksum says the other generation
	if _, err := parseBatch(x); !errors.Is(err, errChecksum) {
		t.Fatalf("error %v", err)
	}
}

func TestGivenChecksumIsUsed(t *testing.T) {
	p := entry(1, "data")
	p.sum, p.summed = 1, true
	b, err := parseBatch(encode(testHeader(), p))
	must(t, err)
	if b.intact() {
		t.Fatal("the checksum was computed again")
	}
}

func FuzzBatch(f *testing.F) {
	good := encode(testHeader(), entry(1, "one"), entry(2, "two"))
	f.Add(good)
	f.Add(encode(testHeader(), entry(1, strings.Repeat("x", apartFrom))))
	f.Add(encodeWith(testKeys().Sealer(keyPurpose), testHeader(), entry(1, "one"), entry(2, "two")))
	f.Add(good[:100])
	f.Add([]byte(magic))
	long := bytes.Clone(good)
	le.PutUint32(long[52:], math.MaxUint32)
	f.Add(long)
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := parseBatch(in)
		if err != nil {
			return
		}
		if b.len() > int64(len(in)) {
			t.Fatalf("a batch of %d bytes in %d", b.len(), len(in))
		}
		n := 0
		must(t, b.visit(func(record, []byte, bool) error { n++; return nil }))
		if n != b.entries() {
			t.Fatalf("%d entries of %d", n, b.entries())
		}
	})
}

func FuzzIdentity(f *testing.F) {
	fs := faultfs.New()
	must(f, fs.MkdirAll("d"))
	must(f, writeIdentity(fs, "d", 77))
	file, err := fs.OpenRead("d/" + identityName)
	must(f, err)
	b := make([]byte, identitySize)
	if _, err := file.ReadAt(b, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:10])
	f.Fuzz(func(t *testing.T, in []byte) {
		if id, err := parseIdentity(in); err == nil && (len(in) != identitySize || id != le.Uint64(in[8:])) {
			t.Fatalf("identity %d of %x", id, in)
		}
	})
}

// FuzzRecovery writes arbitrary bytes over a journal of two files.
func FuzzRecovery(f *testing.F) { fuzzRecovery(f, func(*Options) {}) }

func FuzzEncryptedRecovery(f *testing.F) { fuzzRecovery(f, encrypted) }

func fuzzRecovery(f *testing.F, keys func(*Options)) {
	base := damagedBase(f, keys)
	f.Add([]byte("x"), uint32(0), true)
	f.Add(encode(&header{identity: 1, generation: 9, number: 2}, entry(1, "d")), uint32(blockSize), false)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint32(52), true)
	f.Add(bytes.Repeat([]byte{0}, 3*blockSize), uint32(2*blockSize), true)
	f.Fuzz(func(t *testing.T, in []byte, off uint32, tolerant bool) {
		if len(in) > 64<<10 {
			return
		}
		fs := base.CrashClone(faultfs.KeepAll, 0)
		name := "j/" + fileName(uint64(off>>16%2))
		file, err := fs.OpenWrite(name)
		must(t, err)
		if _, err := file.WriteAt(in, int64(off%(20<<10))); err != nil {
			t.Fatal(err)
		}
		must(t, file.Close())
		j, got, err := tryOpen(fs, damagedOptions, keys, func(o *Options) {
			if tolerant {
				o.OnDamage = func(*DamageError) error { return nil }
			}
		})
		if err != nil {
			return
		}
		for _, k := range got {
			if k.Group == 1 && k.Data != string(entryData(1, k.Index)) {
				t.Fatalf("index %d has other data", k.Index)
			}
		}
		must(t, j.Close())
	})
}
