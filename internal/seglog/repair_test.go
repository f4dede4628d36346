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

// Whatever a segment holds, a manifest can be made of it that opens, and what it
// says verifies but for damage that is told.
func FuzzRemake(f *testing.F) {
	seed := func(direct bool) {
		disk := newDisk(f)
		disk.SetDirect(direct)
		o := small(disk)
		o.SegmentBytes, o.DirectFrom = 4_000, 1
		v, err := Open(o)
		must(f, err)
		l, err := v.OpenLog(testID)
		must(f, err)
		appendDense(l, 1, 40, 60)
		must(f, l.Checkpoint(nil))
		for _, s := range l.segments {
			file, err := disk.OpenRead(l.path(segmentName(s.no)))
			must(f, err)
			size, err := file.Size()
			must(f, err)
			b := make([]byte, size)
			_, err = file.ReadAt(b, 0)
			must(f, err)
			f.Add(b)
			f.Add(b[:len(b)*2/3])
		}
		must(f, v.Close())
	}
	seed(false)
	seed(true)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := newDisk(t)
		v := openVolume(t, small(disk))
		dir := v.logDir(testID)
		must(t, disk.MkdirAll(dir))
		file, err := disk.Create(dir + "/1.seg")
		must(t, err)
		_, err = file.WriteAt(b, 0)
		must(t, err)
		must(t, file.Close())
		m, err := v.Remake(testID, func(string) error { return nil })
		must(t, err)
		l := openLog(t, v, testID)
		if l.Last() != m.Last || l.First() != m.First {
			t.Fatalf("records %d to %d came back as %d to %d", m.First, m.Last, l.First(), l.Last())
		}
		lost := false
		_, err = l.Verify(context.Background(), func(*DamageError) { lost = true })
		must(t, err)
		c := l.Cursor(0)
		defer c.Close()
		n := uint64(0)
		for {
			if _, err := c.Next(); err == nil {
				n++
			} else if damageOf(err) == nil {
				break
			}
		}
		if n > m.Records || n < m.Records && !lost {
			t.Fatalf("%d records can be read of %d, and nothing is damaged: %v", n, m.Records, lost)
		}
	})
}
