package seglog

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// Every byte of a manifest, of segments and of footers: changed, it is found in
// its file; as it was, nothing is.
func TestVerifyFindsEveryChangedByte(t *testing.T) { eachWay(t, findChanges) }

func findChanges(t *testing.T, how way) {
	disk := newDisk(t)
	o := small(disk)
	o.SegmentBytes, o.DirectFrom = 2_000, -1
	how.set(&o)
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	appendDense(l, 1, 30, 100)
	must(t, l.Checkpoint([]byte("state")))

	verify := func() (found []*DamageError) {
		_, err := l.Verify(context.Background(), func(d *DamageError) { found = append(found, d) })
		must(t, err)
		return found
	}
	if found := verify(); len(found) != 0 {
		t.Fatalf("damage in a log that has none: %v", found[0])
	}
	footers := 0
	files := map[string]int64{l.path(manifestName): 0}
	for _, s := range l.segments {
		files[l.path(segmentName(s.no))] = s.end() + s.footer
		if s.footer > 0 {
			footers++
		}
	}
	if footers == 0 {
		t.Fatal("no segment has a footer")
	}
	info, err := disk.Stat(l.path(manifestName))
	must(t, err)
	files[l.path(manifestName)] = info.Size
	for name, size := range files {
		for off := range size {
			mask := byte(1) << (off % 8)
			must(t, disk.Corrupt(name, off, mask))
			found := verify()
			if len(found) == 0 {
				t.Fatalf("%s of %d bytes: the change at %d is not found", name, size, off)
			}
			for _, d := range found {
				if d.File != name || !errors.Is(d, record.ErrDamaged) {
					t.Fatalf("change of %s at %d: found %v", name, off, d)
				}
			}
			must(t, disk.Corrupt(name, off, mask))
		}
	}
	if found := verify(); len(found) != 0 {
		t.Fatalf("damage after all was put back: %v", found[0])
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	v := openVolume(t, small(newDisk(t)))
	l := openLog(t, v, testID)
	appendDense(l, 1, 5, 100)
	must(t, l.Checkpoint(nil))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Verify(ctx, func(*DamageError) {}); !errors.Is(err, context.Canceled) {
		t.Fatalf("verify after its context ended: %v", err)
	}
}

func TestScrubKeepsToItsRateAndStops(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	l := openLog(t, v, testID)
	appendDense(l, 1, 20, 100)
	must(t, l.Checkpoint(nil))
	seg := l.segments[0]
	must(t, disk.Corrupt(l.path(segmentName(seg.no)), seg.length-1, 1))

	const rate = 20_000
	start, n := time.Now(), 0
	must(t, v.Scrub(context.Background(), rate, func(in *Log, d *DamageError) {
		if in != l || d.Last != 20 {
			t.Errorf("found %v in %v", d, in.Identity())
		}
		n++
	}))
	least := time.Duration(float64(seg.length-segmentHeader) / rate * float64(time.Second))
	if took := time.Since(start); n != 1 || took < least {
		t.Fatalf("found %d places in %v; the rate allows %v", n, took, least)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := v.Scrub(ctx, 1, func(*Log, *DamageError) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("scrub after its context ended: %v", err)
	}
}
