package seglog

import (
	"context"
	"testing"
)

// Readers and the scrub come upon the same place again and again; who watches is
// told of it once, and again when another file has the name.
func TestADamagedPlaceIsToldOfOnce(t *testing.T) {
	disk := newDisk(t)
	o := small(disk)
	told := map[int64]int{}
	o.OnDamage = func(_ *Log, d *DamageError) { told[d.Offset]++ }
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	appendDense(l, 1, 20, 100)
	must(t, l.Checkpoint(nil))
	must(t, l.Close())
	l = openLog(t, v, testID)
	seg := l.segments[0]
	must(t, disk.Corrupt(l.path(segmentName(seg.no)), seg.length-1, 1))
	for range 3 {
		if _, err := l.Get(20); damageOf(err) == nil {
			t.Fatalf("record in a damaged place: %v", err)
		}
		seen := 0
		must(t, v.Scrub(context.Background(), 1<<40, func(_ *Log, d *DamageError) {
			if d.First != 20 || d.Last != 20 || d.Length == 0 {
				t.Errorf("found %v of %d bytes", d, d.Length)
			}
			seen++
		}))
		if seen != 1 {
			t.Errorf("a scrub sees the place %d times", seen)
		}
	}
	if len(told) != 1 {
		t.Fatalf("told of %v", told)
	}
	for off, n := range told {
		if n != 1 {
			t.Errorf("told %d times of the place at %d", n, off)
		}
	}
	if least := uint64(3 * (seg.length - segmentHeader)); v.Scrubbed() < least {
		t.Errorf("%d bytes are scrubbed, not %d", v.Scrubbed(), least)
	}
}

func TestPlacesAreBoundedAndForgotten(t *testing.T) {
	var p places
	for i := range maxPlaces {
		if !p.add("a", int64(i)) || p.add("a", int64(i)) {
			t.Fatalf("place %d", i)
		}
	}
	if p.add("b", 0) {
		t.Error("more places are remembered than the bound")
	}
	p.forget("a")
	if !p.add("b", 0) || !p.add("a", 0) {
		t.Error("places of a file that is gone take room")
	}
}

// Where direct writes left zeros between frames, each of those bytes is held
// against zero: one that is not is found, and costs no sequence.
func TestAChangedByteBetweenFramesIsFound(t *testing.T) {
	disk := newDisk(t)
	disk.SetDirect(true)
	o := small(disk)
	o.DirectFrom = 1
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	for i := range uint64(3) {
		appendDense(l, 1+20*i, 20, 100)
		must(t, l.Checkpoint(nil))
	}
	gaps := 0
	for _, seg := range l.segments {
		w := walker{l: l, seg: seg, next: segmentHeader, prev: seg.base - 1}
		for end := w.next; ; end = w.next {
			ok, err := w.frameFor(w.prev + 1)
			must(t, err)
			if !ok {
				break
			}
			for at := end; at < w.off; at += 97 {
				gaps++
				name := l.path(segmentName(seg.no))
				must(t, disk.Corrupt(name, at, 4))
				var found []*DamageError
				_, err := l.Verify(context.Background(), func(d *DamageError) { found = append(found, d) })
				must(t, err)
				if len(found) != 1 || found[0].File != name || found[0].Last != 0 || found[0].Offset > at || found[0].Offset+found[0].Length <= at {
					t.Fatalf("change at %d, between frames: found %v", at, found)
				}
				must(t, disk.Corrupt(name, at, 4))
			}
		}
		w.win.reset()
	}
	if gaps == 0 {
		t.Fatal("there is nothing between the frames")
	}
}

func TestATallyTellsWhichSequencesAreLeftOut(t *testing.T) {
	v := openVolume(t, small(newDisk(t)))
	l := openLog(t, v, testID)
	appendDense(l, 1, 20, 100)
	must(t, l.Checkpoint(nil))
	more := *l.segments[0]
	more.count++ // as if one of its frames were gone without a trace
	var found []*DamageError
	add := func(d *DamageError) { found = append(found, d) }
	must(t, l.verifyFrames(context.Background(), &more, func(int64) {}, add))
	if len(found) != 1 || found[0].Last != 0 {
		t.Fatalf("a record too few: found %v", found)
	}
	w := walker{l: l, seg: &more}
	tl := tally{jumps: []jump{{500, 3, 4}, {900, 7, 7}}}
	found = nil
	tl.check(&w, add)
	if len(found) != 2 || found[0].First != 3 || found[1].Last != 7 {
		t.Fatalf("found %v", found)
	}
}
