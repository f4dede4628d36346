package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

func sampleParts() []Parts {
	return []Parts{
		{Subject: []byte("a.b"), Data: []byte("hello")},
		{Subject: []byte("a.c"), Header: []byte("NATS/1.0\r\nk: v\r\n\r\n"), Data: []byte("x")},
		{Subject: []byte("a.d"), Reply: []byte("_INBOX.1"), Key: []byte("k"), Attrs: []byte{1, 2, 3}, ID: ID{9}, HasID: true, Rollup: RollupSubject},
		{Subject: []byte("a.e")},
	}
}

func sampleFrame() (*Frame, []Parts) {
	parts := sampleParts()
	var a Area
	for i := range parts {
		a.Append(&parts[i])
	}
	return Seal(Header{Partition: Identity{7, 1}, Term: 3, Base: 100, Time: 5e9, DedupFloor: 50}, a.Buf, a.Slots), parts
}

func join(f *Frame) []byte { return append(bytes.Clone(f.Head), f.Area...) }

func checkRecord(t *testing.T, v View, p Parts) {
	t.Helper()
	same := bytes.Equal(v.Subject, p.Subject) && bytes.Equal(v.Header, p.Header) && bytes.Equal(v.Data, p.Data) &&
		bytes.Equal(v.Reply, p.Reply) && bytes.Equal(v.Key, p.Key) && bytes.Equal(v.Attrs, p.Attrs) && v.HasID == p.HasID && v.ID == p.ID && v.Rollup == p.Rollup && v.TTL == p.TTL && v.Marked == p.Marked
	if !same {
		t.Fatalf("record %d came back as %+v, was %+v", v.Seq, v, p)
	}
}

func TestAFrameGivesBackWhatWasSealed(t *testing.T) {
	f, parts := sampleFrame()
	g, n, err := Parse(append(join(f), "tail"...))
	if err != nil || n != f.Len() {
		t.Fatalf("parse: %d bytes, %v", n, err)
	}
	if g.Header != f.Header || g.Last() != 103 {
		t.Fatalf("header %+v, want %+v", g.Header, f.Header)
	}
	for i := range parts {
		if err := g.Verify(i); err != nil {
			t.Fatal(err)
		}
		v, err := g.Record(i)
		if err != nil || v.Seq != 100+uint64(i) || v.Time != 5e9 {
			t.Fatalf("record %d: %+v, %v", i, v, err)
		}
		checkRecord(t, v, parts[i])
	}
}

func TestATimeToLiveIsKeptAndAnImpossibleOneIsDamage(t *testing.T) {
	parts := []Parts{
		{Subject: []byte("a"), Data: []byte("y"), TTL: 3e9},
		{Subject: []byte("b"), Header: []byte("h"), ID: ID{4}, HasID: true, Rollup: RollupAll, TTL: Forever, Marked: true},
	}
	var a Area
	for i := range parts {
		a.Append(&parts[i])
		checkRecord(t, a.View(i), parts[i])
	}
	content := bytes.Clone(a.Buf[:a.Slots[0].Len])
	for _, ttl := range []uint64{0, 1 << 63} {
		binary.LittleEndian.PutUint64(content[recordPrefix:], ttl)
		if _, err := decode(content); !errors.Is(err, ErrDamaged) {
			t.Errorf("a time to live of %d: %v", int64(ttl), err)
		}
	}
	if _, err := decode(content[:recordPrefix+4]); !errors.Is(err, ErrDamaged) {
		t.Errorf("half a time to live: %v", err)
	}
}

func TestStruckRecordsLeaveNoGap(t *testing.T) {
	parts := sampleParts()
	var a Area
	for i := range parts {
		a.Append(&parts[i])
	}
	f := Seal(Header{Base: 10}, a.Buf, []Slot{a.Slots[0], a.Slots[3]})
	if f.Count != 2 || f.Last() != 11 {
		t.Fatalf("count %d, last %d", f.Count, f.Last())
	}
	v, err := f.Record(1)
	if err != nil {
		t.Fatal(err)
	}
	checkRecord(t, v, parts[3])
}

func TestExplicitFramesKeepSequencesAndTimes(t *testing.T) {
	parts := sampleParts()
	var a Area
	for i := range parts {
		a.Append(&parts[i])
	}
	places := []Place{{5, 50}, {9, 40}, {10, 70}, {100, 70}}
	f := SealExplicit(Header{}, a.Buf, a.Slots, places)
	g, _, err := Parse(join(f))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		if v, err := g.Record(i); err != nil || v.Seq != p.Seq || v.Time != p.Time {
			t.Fatalf("record %d: %+v, %v", i, v, err)
		}
	}
	for seq, want := range map[uint64]int{1: 0, 5: 0, 6: 1, 10: 2, 11: 3, 101: 4} {
		if got := g.Find(seq); got != want {
			t.Errorf("Find(%d) = %d, want %d", seq, got, want)
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	f, _ := sampleFrame()
	b := join(f)
	for bit := range len(b) * 8 {
		c := bytes.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		g, _, err := Parse(c)
		for i := 0; err == nil && i < int(g.Count); i++ {
			err = g.Verify(i)
		}
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d of byte %d changed and %v came back", bit%8, bit/8, err)
		}
	}
}

func TestSizeCountsAsJetStreamsFileStoreDoes(t *testing.T) {
	for _, c := range []struct {
		s, h, d int
		want    uint64
	}{{3, 0, 5, 38}, {3, 12, 5, 54}} {
		if got := Size(c.s, c.h, c.d); got != c.want {
			t.Errorf("Size(%d, %d, %d) = %d, want %d", c.s, c.h, c.d, got, c.want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	p := Parts{Subject: []byte("orders.new"), Data: make([]byte, 128)}
	a := Area{Buf: make([]byte, 0, 1<<20), Slots: make([]Slot, 0, 4096)}
	if n := testing.AllocsPerRun(1000, func() { a.Append(&p) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func FuzzParse(f *testing.F) {
	fr, _ := sampleFrame()
	f.Add(join(fr))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, dir, err := ParseHeader(b); err == nil && uint64(dir) < uint64(h.Count)*slotLen {
			t.Fatalf("a directory of %d bytes for %d records", dir, h.Count)
		}
		g, n, err := Parse(b)
		if err != nil {
			return
		}
		if n > len(b) {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
		for i := range int(g.Count) {
			v, err := g.Record(i)
			if err == nil && g.Verify(i) == nil {
				if v.Size() < sizeOverhead {
					t.Fatal("size below the overhead")
				}
			}
		}
	})
}

func BenchmarkAppend128(b *testing.B) {
	p := Parts{Subject: []byte("orders.new"), Data: make([]byte, 128)}
	var a Area
	b.SetBytes(128)
	for range b.N {
		if len(a.Slots) == 1000 {
			a.Buf, a.Slots = a.Buf[:0], a.Slots[:0]
		}
		a.Append(&p)
	}
}
