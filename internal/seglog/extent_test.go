package seglog

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// journalled appends a frame as a journal with extents does, and says whether it was
// written to one.
func journalled(t testing.TB, l *Log, f *record.Frame) bool {
	t.Helper()
	x := l.Extent(f.Head, f.Area)
	if x != nil {
		must(t, x.Write())
	}
	l.Append(f)
	return x != nil
}

// extentLog is a log whose frames are journalled.
type extentLog struct {
	*Log
	t *testing.T
}

func (l extentLog) Append(f *record.Frame) {
	if f.Base <= l.Last() {
		l.Log.Append(f) // seen again, which no journal does while it runs
		return
	}
	journalled(l.t, l.Log, f)
}

func withExtents(disk *faultfs.FS) VolumeOptions {
	o := small(disk)
	o.ExtentFrom = 1_500
	return o
}

func TestLogWithExtentsMatchesTheModel(t *testing.T) {
	for _, direct := range []bool{false, true} {
		linked := false
		logtest.Run(t, logtest.Config{
			ID:    testID,
			Seeds: 16 / min(sparser, 4),
			Open: func(t *testing.T) logtest.Log {
				disk := newDisk(t)
				disk.SetDirect(direct)
				return extentLog{openLog(t, openVolume(t, withExtents(disk)), testID), t}
			},
			Reopen: func(t *testing.T, l logtest.Log) logtest.Log {
				must(t, l.Close())
				return extentLog{openLog(t, l.(extentLog).v, testID), t}
			},
			Disturb: func(t *testing.T, rng *rand.Rand, l logtest.Log) {
				sl := l.(extentLog).Log
				switch rng.IntN(5) {
				case 0:
					must(t, sl.Flush())
				case 1:
					sl.turn.Lock()
					_, err := sl.flush(sl.Last(), 1000)
					sl.turn.Unlock()
					must(t, err)
				case 2:
					sl.evict(int64(rng.IntN(10_000)))
				default:
					sl.v.makeExtents()
				}
				for _, x := range sl.extents.live {
					linked = linked || x.linked
				}
			},
		})
		if !linked {
			t.Fatal("no extent became a segment: the test proves nothing")
		}
	}
}

// bigFrame is a frame of one record of some bytes.
func bigFrame(seq uint64, size int) *record.Frame {
	f, _ := logtest.Dense(testID, seq, int64(seq), 1, size)
	return f
}

func TestLargeFramesAreWrittenOnce(t *testing.T) {
	for _, direct := range []bool{false, true} {
		disk := newDisk(t)
		disk.SetDirect(direct)
		var wrote atomic.Int64
		disk.Inject(faultfs.Func("count", func(op faultfs.Op) *faultfs.Fault {
			if op.Kind == faultfs.Write {
				wrote.Add(op.Size)
			}
			return nil
		}))
		l := openLog(t, openVolume(t, VolumeOptions{FS: disk, Dir: "data", Log: quiet}), testID)
		if journalled(t, l, bigFrame(1, 600<<10)) {
			t.Fatal("there was an extent before one was wanted")
		}
		must(t, l.Flush())
		l.v.makeExtents()
		before, size := wrote.Load(), int64(0)
		const last = 41
		for seq := uint64(2); seq <= last; seq++ {
			n := 600 << 10
			if seq%3 == 0 {
				n = 100 // comes between, and has a place there
			}
			f := bigFrame(seq, n)
			size += int64(f.Len())
			if journalled(t, l, f) != (seq%3 != 0) {
				t.Fatalf("frame %d", seq)
			}
			l.v.makeExtents()
			if seq%10 == 0 {
				must(t, l.Checkpoint([]byte("s")))
			}
		}
		must(t, l.Checkpoint([]byte("s")))
		if n := wrote.Load() - before; n > size+size/20 {
			t.Errorf("direct %v: %d bytes written for %d", direct, n, size)
		}
		expect(t, l, 1, last)
		found, err := l.Verify(context.Background(), func(d *DamageError) { t.Error(d) })
		must(t, err)
		if found < size {
			t.Errorf("%d bytes verified", found)
		}
		v := l.v
		must(t, l.Close())
		l = openLog(t, v, testID)
		expect(t, l, 1, last)
		appendDense(l, last+1, 10, 100)
		must(t, l.Checkpoint(nil))
		expect(t, l, 1, last+10)
	}
}

func TestFramesTrimmedBeforeTheyAreLinkedCostNoSecondWrite(t *testing.T) {
	disk := newDisk(t)
	l := openLog(t, openVolume(t, withExtents(disk)), testID)
	journalled(t, l, bigFrame(1, 4_000))
	must(t, l.Flush())
	l.v.makeExtents()
	for seq := uint64(2); seq <= 8; seq++ {
		if !journalled(t, l, bigFrame(seq, 3_000)) {
			t.Fatalf("frame %d has no place", seq)
		}
	}
	l.Trim(6)
	must(t, l.Flush())
	x := l.active()
	if x == nil || l.extents.live[x.no] == nil || x.base != 2 || x.count != 7 {
		t.Fatalf("%+v", x)
	}
	expect(t, l, 6, 8)
	_, err := l.Verify(context.Background(), func(d *DamageError) { t.Error(d) })
	must(t, err)
}

// segmentFiles are the names of the log's segments on disk.
func segmentFiles(t testing.TB, l *Log) []string {
	t.Helper()
	names, err := l.v.fs.List(l.dir)
	must(t, err)
	var out []string
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			out = append(out, name)
		}
	}
	return out
}

// A file that the journal may still name must outlive its segment.
func TestAnExtentIsRemovedTwoCheckpointsAfterItsLastUse(t *testing.T) {
	disk := newDisk(t)
	l := openLog(t, openVolume(t, withExtents(disk)), testID)
	journalled(t, l, bigFrame(1, 4_000))
	must(t, l.Checkpoint([]byte("1")))
	l.v.makeExtents()
	journalled(t, l, bigFrame(2, 4_000))
	must(t, l.Flush())
	linked := l.active().no
	f := bigFrame(3, 4_000)
	x := l.Extent(f.Head, f.Area) // in flight
	must(t, x.Write())
	place := x.Place()
	l.Trim(3)
	must(t, l.Checkpoint([]byte("2")))
	there := func() bool {
		_, err := l.Fetch(place)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	if !there() || x.p.x.no != linked {
		t.Fatal("the extent went while a frame in it was in flight")
	}
	l.Append(f)
	for i, want := range []bool{true, true, false} {
		if got := there(); got != want {
			t.Fatalf("%d checkpoints later: %v, files %v", i, got, segmentFiles(t, l))
		}
		must(t, l.Checkpoint([]byte("3")))
	}
	expect(t, l, 3, 3)
}

func TestATrimmedExtentGoesAtOnceWhereNothingIsInFlight(t *testing.T) {
	disk := newDisk(t)
	l := openLog(t, openVolume(t, withExtents(disk)), testID)
	journalled(t, l, bigFrame(1, 4_000))
	must(t, l.Flush())
	for seq := uint64(2); seq <= 40; seq++ {
		l.v.makeExtents()
		journalled(t, l, bigFrame(seq, 4_000))
	}
	must(t, l.Checkpoint(nil))
	if n := len(segmentFiles(t, l)); n < 4 {
		t.Fatalf("%d segments", n)
	}
	l.Trim(41)
	must(t, l.Checkpoint(nil))
	if files := segmentFiles(t, l); len(files) > 1 { // the extent that is ready
		t.Errorf("%v are left of a purged log", files)
	}
	expect(t, l, 41, 40)
	for seq := uint64(41); seq <= 60; seq++ {
		l.v.makeExtents()
		journalled(t, l, bigFrame(seq, 4_000))
	}
	must(t, l.Checkpoint(nil))
	expect(t, l, 41, 60)
}

func TestWhereNoExtentCanBeMadeTheJournalTakesTheFrame(t *testing.T) {
	for name, in := range map[string]faultfs.Injector{
		"allocate": faultfs.FailNth(faultfs.Allocate, 1, syscall.ENOSPC),
		"create":   faultfs.OnName("2.seg", faultfs.FailNth(faultfs.Create, 1, syscall.EIO)),
		"sync":     faultfs.OnName("2.seg", faultfs.FailNth(faultfs.Sync, 1, syscall.EIO)),
	} {
		disk := newDisk(t)
		l := openLog(t, openVolume(t, withExtents(disk)), testID)
		journalled(t, l, bigFrame(1, 4_000))
		must(t, l.Flush())
		disk.Inject(in)
		l.v.makeExtents()
		if journalled(t, l, bigFrame(2, 4_000)) {
			t.Fatalf("%s: there is an extent", name)
		}
		l.v.makeExtents() // not asked for again so soon
		if journalled(t, l, bigFrame(3, 4_000)) {
			t.Fatalf("%s: an extent was made although that had just failed", name)
		}
		l.v.retryExtents()
		journalled(t, l, bigFrame(4, 4_000))
		l.v.makeExtents()
		if !journalled(t, l, bigFrame(5, 4_000)) {
			t.Fatalf("%s: no extent was tried again", name)
		}
		must(t, l.Checkpoint(nil))
		expect(t, l, 1, 5)
	}
}

func TestASmallDiskHasNoExtents(t *testing.T) {
	disk := newDisk(t)
	disk.SetCapacity(100_000)
	l := openLog(t, openVolume(t, withExtents(disk)), testID)
	for seq := uint64(1); seq < 5; seq++ {
		if journalled(t, l, bigFrame(seq, 4_000)) {
			t.Fatal("an extent takes a large part of the disk")
		}
		l.v.makeExtents()
	}
}

func TestTransformedLogsHaveNoExtents(t *testing.T) {
	for _, how := range ways[2:] {
		disk := newDisk(t)
		o := withExtents(disk)
		how.set(&o)
		l := openLog(t, openVolume(t, o), testID)
		for seq := uint64(1); seq < 5; seq++ {
			if journalled(t, l, bigFrame(seq, 4_000)) {
				t.Fatal("a frame is on disk in the clear, or not compressed")
			}
			l.v.makeExtents()
		}
		must(t, l.Checkpoint(nil))
		expect(t, l, 1, 4)
	}
}

func TestTheNumberOfExtentsIsBounded(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, withExtents(disk))
	var logs []*Log
	for i := range uint64(3 * maxExtents) {
		l := openLog(t, v, record.Identity{ID: 100 + i, Incarnation: 1})
		logs = append(logs, l)
		f, _ := logtest.Dense(l.id, 1, 1, 1, 4_000)
		journalled(t, l, f)
		v.makeExtents()
		if n := v.extentsOpen.Load(); n > maxExtents {
			t.Fatalf("%d extents", n)
		}
	}
	// Those that were not used give theirs up.
	v.retryExtents()
	had := 0
	for _, l := range logs {
		for i := range uint64(3) {
			f, _ := logtest.Dense(l.id, 2+i, 1, 1, 4_000)
			if journalled(t, l, f) {
				had++
			}
			v.makeExtents()
			v.retryExtents()
		}
	}
	if had <= maxExtents {
		t.Errorf("%d frames had places", had)
	}
	for _, l := range logs {
		must(t, l.Checkpoint(nil))
		expect(t, l, 1, 4)
		must(t, l.Drop())
	}
	if n := v.extentsOpen.Load(); n != 0 {
		t.Errorf("%d extents are open", n)
	}
}

func TestAnIdleExtentGivesItsSpaceBack(t *testing.T) {
	disk := newDisk(t)
	l := openLog(t, openVolume(t, VolumeOptions{FS: disk, Dir: "data", ExtentFrom: 1_500, Log: quiet}), testID)
	journalled(t, l, bigFrame(1, 4_000))
	must(t, l.Flush())
	l.v.makeExtents()
	journalled(t, l, bigFrame(2, 4_000))
	free, err := disk.Free("")
	must(t, err)
	must(t, l.Checkpoint(nil)) // it was used before this one
	must(t, l.Checkpoint(nil))
	after, err := disk.Free("")
	must(t, err)
	if after-free < minExtent/2 || l.v.extentsOpen.Load() != 0 {
		t.Fatalf("%d bytes given back, %d open", after-free, l.v.extentsOpen.Load())
	}
	journalled(t, l, bigFrame(3, 4_000))
	must(t, l.Checkpoint(nil))
	expect(t, l, 1, 3)
}

func TestAFailedWriteOfAnExtentIsTold(t *testing.T) {
	disk := newDisk(t)
	l := openLog(t, openVolume(t, withExtents(disk)), testID)
	journalled(t, l, bigFrame(1, 4_000))
	l.v.makeExtents()
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync} {
		f := bigFrame(2, 4_000)
		x := l.Extent(f.Head, f.Area)
		disk.Inject(faultfs.FailNth(kind, 1, syscall.EIO))
		if err := x.Write(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v: %v", kind, err)
		}
	}
}

func TestExtentPlansAllocateOnceAFrame(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	disk := newDisk(t)
	l := openLog(t, openVolume(t, withExtents(disk)), testID)
	f := bigFrame(1, 100)
	if n := testing.AllocsPerRun(100, func() { l.Extent(f.Head, f.Area) }); n != 0 {
		t.Errorf("a small frame of a log without extents costs %v allocations", n)
	}
}

func FuzzPlace(f *testing.F) {
	disk := newDisk(f)
	l := openLog(f, openVolume(f, withExtents(disk)), testID)
	big := bigFrame(1, 4_000)
	journalled(f, l, big)
	l.v.makeExtents()
	big = bigFrame(2, 4_000)
	x := l.Extent(big.Head, big.Area)
	must(f, x.Write())
	f.Add(x.Place())
	f.Add([]byte{})
	f.Add(make([]byte, placeLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := l.ReadPlace(b)
		if err == nil && p.Last < p.First {
			t.Fatalf("%+v", p)
		}
		got, err := l.Fetch(b)
		if err != nil {
			return
		}
		if fr, n, err := record.Parse(got); err != nil || n != len(got) || fr.Base != p.First || fr.Last() != p.Last {
			t.Fatalf("%+v: %v", p, err)
		}
	})
}
