package record

import (
	"bytes"
	"testing"
)

func TestPackedFramesAreThoseThatSealMakes(t *testing.T) {
	var p Packer
	type made struct{ got, want *Frame }
	var all []made
	for i := range 500 {
		var a Area
		a.Buf = NewArea(1)
		for k := range i%7 + 1 {
			a.Append(&Parts{Subject: []byte("s"), Data: bytes.Repeat([]byte{byte(i)}, (i*37+k)%900)})
		}
		h := Header{Partition: Identity{ID: 7, Incarnation: 1}, Term: 3, Base: uint64(10 * i), Time: int64(i), DedupFloor: 2}
		want := Seal(h, bytes.Clone(a.Buf), a.Slots)
		got, packed := p.Seal(h, a.Buf, a.Slots)
		if packed != (len(a.Buf) <= SmallArea) {
			t.Fatalf("an area of %d bytes is packed: %v", len(a.Buf), packed)
		}
		if packed {
			ReuseArea(a.Buf[:0])
			clear(a.Buf)
		}
		all = append(all, made{got, want})
	}
	for i, m := range all {
		if m.got.Header != m.want.Header || !bytes.Equal(m.got.Head, m.want.Head) || !bytes.Equal(m.got.Area, m.want.Area) {
			t.Fatalf("frame %d differs from what Seal makes", i)
		}
	}
}

// A chunk's memory is not an area's, whatever its length.
func TestAPackedAreaIsNotUsedAgain(t *testing.T) {
	var p Packer
	var a Area
	a.Append(&Parts{Subject: []byte("s"), Data: make([]byte, 1<<10-recordPrefix-1)})
	f, packed := p.Seal(Header{Base: 1}, a.Buf, a.Slots)
	if !packed || len(f.Area) != 1<<10 {
		t.Fatalf("packed %v, %d bytes", packed, len(f.Area))
	}
	area := &f.Area[0]
	f.Applied()
	f.Dropped()
	if again(1<<10, area) {
		t.Error("part of a chunk is given out as an area")
	}
}

func TestPackingAllocatesRarely(t *testing.T) {
	if poison {
		t.Skip("the race detector allocates")
	}
	var p Packer
	var a Area
	a.Append(&Parts{Subject: []byte("s"), Data: make([]byte, 100)})
	p.Seal(Header{Base: 1}, a.Buf, a.Slots)
	if n := testing.AllocsPerRun(1000, func() { p.Seal(Header{Base: 1}, a.Buf, a.Slots) }); n > 0.5 {
		t.Errorf("%v allocations a frame", n)
	}
}
