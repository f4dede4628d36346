package seglog

import (
	"context"
	"testing"
)

// Whatever byte of a header or a footer is changed is made again, in every layout,
// and what was there before is offered for keeping first.
func TestRebuildMakesAgainWhatTheFramesSay(t *testing.T) { eachWay(t, rebuildAll) }

func rebuildAll(t *testing.T, how way) {
	disk := newDisk(t)
	o := small(disk)
	o.SegmentBytes, o.DirectFrom = 2_000, -1
	how.set(&o)
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	appendDense(l, 1, 60, 100)
	must(t, l.Checkpoint([]byte("state")))
	must(t, l.Close())
	l = openLog(t, v, testID)

	verify := func() (found []*DamageError) {
		_, err := l.Verify(context.Background(), func(d *DamageError) { found = append(found, d) })
		must(t, err)
		return found
	}
	footers := 0
	for i := range l.segments {
		seg := l.segments[i]
		name := l.path(segmentName(seg.no))
		places := []int64{0, 9, 40, segmentHeader - 1}
		if seg.footer > 0 {
			footers++
			places = append(places, seg.end(), seg.end()+13, seg.end()+seg.footer-1)
		}
		for _, off := range places {
			must(t, disk.Corrupt(name, off, 8))
			if len(verify()) == 0 {
				t.Fatalf("change of %s at %d is not found", name, off)
			}
			var kept []string
			done, err := l.Rebuild(context.Background(), func(file string) error {
				kept = append(kept, file)
				return nil
			})
			must(t, err)
			if len(done) != 1 || len(kept) != 1 || kept[0] != name {
				t.Fatalf("change of %s at %d: made again %v, kept %v", name, off, done, kept)
			}
			if found := verify(); len(found) != 0 {
				t.Fatalf("after the change of %s at %d: %v", name, off, found[0])
			}
		}
	}
	if footers == 0 {
		t.Fatal("no segment has a footer")
	}
	must(t, l.Close())
	l = openLog(t, v, testID)
	if found := verify(); len(found) != 0 || string(l.State()) != "state" {
		t.Fatalf("opened again: %v, state %q", found, l.State())
	}
	expect(t, l, 1, 60)
}

// A cut footer, and a footer of a segment with a bad frame, are made of what can be
// read; the manifest learns of another length.
func TestRebuildOfAFooterLeavesDamagedFramesOut(t *testing.T) {
	disk := newDisk(t)
	o := small(disk)
	o.SegmentBytes, o.DirectFrom = 2_000, -1
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	appendDense(l, 1, 60, 100)
	must(t, l.Checkpoint(nil))
	seg := l.segments[0]
	name := l.path(segmentName(seg.no))
	f, err := disk.OpenWrite(name)
	must(t, err)
	must(t, f.Truncate(seg.length+3))
	must(t, f.Close())
	must(t, disk.Corrupt(name, segmentHeader+5, 8)) // the only frame that the index names
	var kept []string
	_, err = l.Rebuild(context.Background(), func(file string) error { kept = append(kept, file); return nil })
	must(t, err)
	var found []*DamageError
	_, err = l.Verify(context.Background(), func(d *DamageError) { found = append(found, d) })
	must(t, err)
	if len(found) != 1 || found[0].First != 1 || found[0].Last != 5 {
		t.Fatalf("found %v", found)
	}
	must(t, l.Close())
	l = openLog(t, v, testID)
	for seq := uint64(6); seq <= 60; seq++ {
		if v, err := l.Get(seq); err != nil || v.Seq != seq {
			t.Fatalf("record %d: %v", seq, err)
		}
	}
}
