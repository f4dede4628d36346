package seglog

import (
	"bytes"
	"errors"
	"io"
	"path"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

func TestReadersNeverBlockTheWriter(t *testing.T) {
	v := openVolume(t, small(newDisk(t)))
	runFlusher(t, v)
	l := openLog(t, v, testID)
	const last = 5_000
	var wg sync.WaitGroup
	for reader := range 3 {
		wg.Go(func() {
			c := l.Cursor(1)
			defer c.Close()
			for next := uint64(1); next <= last; {
				r, err := c.Next()
				if err == io.EOF {
					runtime.Gosched()
					continue
				}
				if err != nil || r.Seq < next || string(r.Subject[:2]) != "s." {
					t.Errorf("at %d: %d, %v", next, r.Seq, err)
					return
				}
				next = r.Seq + 1
				if reader == 0 && next%97 == 0 {
					if g, err := l.Get(r.Seq); err != nil && !errors.Is(err, ErrNotFound) || err == nil && g.Seq != r.Seq {
						t.Errorf("Get(%d): %d, %v", r.Seq, g.Seq, err)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for seq := uint64(1); seq <= last; seq += 5 {
			f, _ := logtest.Dense(testID, seq, int64(seq), 5, 100)
			l.Append(f)
			if seq%500 == 1 {
				l.Trim(seq / 2)
				if err := l.Checkpoint([]byte("s")); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
}

func TestLogsShareFewFiles(t *testing.T) {
	disk := newDisk(t)
	o := small(disk)
	o.MaxFiles, o.TailCache = 4, -1
	v := openVolume(t, o)
	var cursors []Cursor
	for i := range uint64(50) {
		id := record.Identity{ID: i + 1}
		l := openLog(t, v, id)
		f, _ := logtest.Dense(id, 1, 1, 10, 20)
		l.Append(f)
		must(t, l.Checkpoint(nil))
		if len(l.out.files) != 0 {
			t.Fatal("a checkpoint leaves files open")
		}
		c := l.Cursor(1)
		if r, err := c.Next(); err != nil || r.Seq != 1 {
			t.Fatal(err)
		}
		cursors = append(cursors, c)
	}
	if n := len(v.files.open); n > 4 {
		t.Errorf("%d files are open", n)
	}
	for _, c := range cursors {
		c.Close()
	}
}

func TestAnIdleLogTakesLittleMemory(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, VolumeOptions{FS: disk, Dir: "data", TailCache: -1, Log: quiet})
	const n = 1000
	for i := range uint64(n) {
		id := record.Identity{ID: i + 1}
		l := openLog(t, v, id)
		f, _ := logtest.Dense(id, 1, 1, 10, 20)
		l.Append(f)
		must(t, l.Checkpoint([]byte("a state")))
		must(t, l.Close())
	}
	before := heap()
	logs := make([]*Log, n)
	for i := range logs {
		logs[i] = openLog(t, v, record.Identity{ID: uint64(i) + 1})
	}
	each := (heap() - before) / n
	t.Logf("%d bytes for each idle log", each)
	if each > 2048 {
		t.Errorf("an idle log takes %d bytes", each)
	}
	runtime.KeepAlive(logs)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestLargeFramesAndRecordsAreReadFromDisk(t *testing.T) { eachWay(t, readLarge) }

func readLarge(t *testing.T, how way) {
	o := VolumeOptions{FS: newDisk(t), Dir: "data", SegmentBytes: 8 << 20, TailCache: -1, Log: quiet}
	how.set(&o)
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	want := map[uint64]logtest.Rec{}
	base := uint64(1)
	for _, shape := range [][2]int{{3, 10}, {20_000, 100}, {1, 64 << 20}, {5, 300_000}, {3, 10}, {1, 1 << 20}} {
		f, recs := logtest.Dense(testID, base, int64(base), shape[0], shape[1])
		l.Append(f)
		base = f.Last() + 1
		for _, r := range recs {
			want[r.Seq] = r
		}
	}
	must(t, l.Checkpoint(nil))
	must(t, l.Close())
	l = openLog(t, v, testID)
	c := l.Cursor(1)
	defer c.Close()
	for seq := uint64(1); seq < base; seq++ {
		r, err := c.Next()
		if err != nil || logtest.Of(r) != want[seq] {
			t.Fatalf("record %d came as %d, %v", seq, r.Seq, err)
		}
		if seq%1999 == 0 || seq > 20_000 {
			if r, err := l.Get(seq); err != nil || logtest.Of(r) != want[seq] {
				t.Fatalf("Get(%d): %d, %v", seq, r.Seq, err)
			}
		}
	}
}

func TestADamagedFooterIsMadeAgainFromFrames(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, VolumeOptions{FS: disk, Dir: "data", SegmentBytes: 300_000, TailCache: -1, Log: quiet})
	l := openLog(t, v, testID)
	appendDense(l, 1, 5_000, 200)
	must(t, l.Checkpoint(nil))
	seg := l.segments[0]
	whole, err := l.index(seg)
	must(t, err)
	if !seg.sealed || len(whole) < 3 {
		t.Fatalf("segment %+v has %d index entries", seg, len(whole))
	}
	v.files.forgetAll()
	must(t, disk.Corrupt(l.path(segmentName(seg.no)), seg.length+10, 4))
	again, err := l.index(seg)
	must(t, err)
	if len(again) != len(whole) {
		t.Fatalf("%d entries became %d", len(whole), len(again))
	}
	for i := range whole {
		if whole[i] != again[i] {
			t.Errorf("entry %d: %+v became %+v", i, whole[i], again[i])
		}
	}
}

func TestTrimmedSegmentsGoAtTheNextCheckpoint(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	l := openLog(t, v, testID)
	appendDense(l, 1, 1_000, 200)
	must(t, l.Checkpoint(nil))
	before, err := disk.List(l.dir)
	must(t, err)
	l.Trim(1_001)
	if now, err := disk.List(l.dir); err != nil || len(now) != len(before) {
		t.Errorf("files %q became %q before a checkpoint", before, now)
	}
	must(t, l.Checkpoint(nil))
	if now, err := disk.List(l.dir); err != nil || len(now) != 1 || now[0] != manifestName {
		t.Errorf("files %q are left of an empty log", now)
	}
	must(t, l.Close())
	l = openLog(t, v, testID)
	if l.Last() != 1_000 {
		t.Errorf("an emptied log goes on after %d", l.Last())
	}
}

func TestReadingAndAppendingDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, perFrame := range []int{1, 1000} {
		l := filled(t, 30_000, perFrame)
		c := l.Cursor(1)
		for range 5_000 { // read-ahead has its block by now
			_, _ = c.Next()
		}
		if n := testing.AllocsPerRun(20_000, func() {
			if _, err := c.Next(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%d records a frame: %v allocations a record", perFrame, n)
		}
		c.Close()
	}
	v := openVolume(t, VolumeOptions{FS: vfs.OS{}, Dir: t.TempDir(), Log: quiet})
	l := openLog(t, v, testID)
	frames := make([]record.Frame, 5_001)
	i := 0
	if n := testing.AllocsPerRun(5_000, func() {
		frames[i].Base, frames[i].Count = uint64(i+1), 1
		l.Append(&frames[i])
		i++
	}); n > 0.1 {
		t.Errorf("%v allocations an Append", n)
	}
}

func TestLogsAreFoundByIdentity(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	ids := []record.Identity{{ID: 1}, {ID: 1 << 63, Incarnation: 7}}
	for _, id := range ids {
		must(t, openLog(t, v, id).Checkpoint([]byte{1}))
	}
	must(t, disk.MkdirAll("data/streams/not-a-log"))
	got, err := v.Logs()
	must(t, err)
	if len(got) != 2 || got[0] != ids[0] || got[1] != ids[1] {
		t.Errorf("logs %v", got)
	}
	if _, err := v.OpenLog(ids[0]); !errors.Is(err, ErrOpen) {
		t.Errorf("second open: %v", err)
	}
}

// A log is removed whatever is wrong with its files, but not while it is open, and no other one
// with it.
func TestADamagedLogIsRemoved(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	ids := []record.Identity{{ID: 1, Incarnation: 1}, {ID: 1, Incarnation: 2}, {ID: 11, Incarnation: 1}}
	for _, id := range ids {
		l := openLog(t, v, id)
		must(t, l.Checkpoint([]byte{1}))
		if id == ids[0] {
			if err := v.Remove(id); !errors.Is(err, ErrOpen) {
				t.Errorf("it is open: %v", err)
			}
		}
		must(t, l.Close())
	}
	must(t, disk.Corrupt(ManifestFile(v.Dir(ids[0])), 9, 1))
	if _, err := v.OpenLog(ids[0]); !errors.Is(err, record.ErrDamaged) {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to remove
		must(t, v.Remove(ids[0]))
		got, err := v.Logs()
		must(t, err)
		if len(got) != 2 || got[0] != ids[1] || got[1] != ids[2] {
			t.Errorf("logs %v", got)
		}
	}
}

// Whoever put the files of a log into another one's directory does not lose them with that.
func TestFilesOfAnotherLogAreNotRemoved(t *testing.T) {
	for _, foreign := range []string{manifestName, segmentName(1)} {
		disk := newDisk(t)
		v := openVolume(t, small(disk))
		for _, id := range []record.Identity{testID, droppedID} {
			l := openLog(t, v, id)
			f, _ := logtest.Dense(id, 1, 1, 20, 200)
			l.Append(f)
			must(t, l.Checkpoint([]byte{1}))
			must(t, l.Close())
		}
		must(t, disk.Rename(path.Join(v.Dir(testID), foreign), path.Join(v.Dir(droppedID), foreign)))
		if err := v.Remove(droppedID); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", foreign, err)
		}
		if names, err := disk.List(v.Dir(droppedID)); err != nil || len(names) != 2 {
			t.Errorf("%s: %v, %v", foreign, names, err)
		}
	}
}

// What cannot be removed of a log that was dropped keeps no other one from being opened.
func TestADroppedLogThatCannotBeRemovedStays(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	l := openLog(t, v, testID)
	must(t, l.Checkpoint([]byte{1}))
	must(t, openLog(t, v, droppedID).Checkpoint([]byte{1}))
	disk.Inject(faultfs.OnName(v.Dir(testID), faultfs.FailFrom(faultfs.Remove, 2, syscall.EIO)))
	if err := l.Drop(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	must(t, v.Close())
	for _, left := range []int{2, 1} {
		v = openVolume(t, small(disk))
		if got, err := v.Logs(); err != nil || len(got) != 1 || got[0] != droppedID {
			t.Errorf("logs %v, %v", got, err)
		}
		names, err := disk.List("data/streams")
		must(t, err)
		if len(names) != left {
			t.Errorf("%v is left", names)
		}
		must(t, v.Close())
		disk.Heal()
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(appendManifest(nil, &manifest{id: testID, first: 3, last: 9, next: 4, state: []byte("s"), segments: []*segment{
		{no: 1, base: 1, last: 5, maxTime: 8, count: 5, length: 900, footer: 72, sealed: true},
		{no: 3, base: 6, last: 9, maxTime: 9, count: 4, length: 800},
	}}))
	f.Add(appendManifest(nil, &manifest{id: testID, first: 1, next: 1}))
	f.Add([]byte(manifestMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		reseal(b)
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		again, err := parseManifest(appendManifest(nil, m))
		if err != nil || again.last != m.last || len(again.segments) != len(m.segments) || !bytes.Equal(again.state, m.state) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzFooter(f *testing.F) {
	f.Add(appendFooter(nil, testID, 2, 500_000, []indexEntry{{1, -1 << 63, 64}, {700, 12, 70_000}}, 4711))
	f.Add([]byte(footerMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		reseal(b)
		index, err := parseFooter(b, testID, 2, 500_000)
		if err != nil {
			return
		}
		again, err := parseFooter(appendFooter(nil, testID, 2, 500_000, index, int(rosterLen(b, maxSegment))), testID, 2, 500_000)
		if err != nil || len(again) != len(index) {
			t.Fatalf("%v became %v, %v", index, again, err)
		}
	})
}

func FuzzSegmentHeader(f *testing.F) {
	f.Add(appendSegmentHeader(nil, testID, 7, 1000, layoutFrames))
	f.Add(appendSegmentHeader(nil, testID, 7, 1000, layoutBlocks))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > segmentHeader {
			b = b[:segmentHeader]
		}
		b = bytes.Clone(b)
		reseal(b)
		id, no, base, err := parseSegmentHeader(b)
		if err != nil {
			return
		}
		id2, no2, base2, err := parseSegmentHeader(appendSegmentHeader(nil, id, no, base, b[9]))
		if err != nil || id2 != id || no2 != no || base2 != base {
			t.Fatalf("%v %d %d became %v %d %d, %v", id, no, base, id2, no2, base2, err)
		}
	})
}

// FuzzSegment reads any bytes as the frames of a segment.
func FuzzSegment(f *testing.F) {
	a, _ := logtest.Dense(testID, 1, 5, 3, 20)
	b, _ := logtest.Dense(testID, 4, 6, 3, 20)
	whole := bytes.Join([][]byte{a.Head, a.Area, b.Head, b.Area}, nil)
	f.Add(whole)
	f.Add(append(bytes.Repeat([]byte(record.Magic), 40), whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		disk := newDisk(t)
		v := openVolume(t, small(disk))
		l := openLog(t, v, testID)
		must(t, disk.MkdirAll(l.dir))
		file, err := disk.Create(l.path("1.seg"))
		must(t, err)
		_, err = file.WriteAt(append(appendSegmentHeader(nil, testID, 1, 1, layoutFrames), b...), 0)
		must(t, err)
		must(t, file.Close())
		must(t, l.writeManifest(&manifest{id: testID, first: 1, last: 50, next: 2, segments: []*segment{
			{no: 1, base: 1, last: 50, length: segmentHeader + int64(len(b)), sealed: true},
		}}))
		must(t, l.Close())
		l = openLog(t, v, testID)
		c := l.Cursor(1)
		defer c.Close()
		for next := uint64(1); ; {
			r, err := c.Next()
			if err == io.EOF {
				if next != 51 {
					t.Fatalf("the end comes at %d", next)
				}
				return
			}
			if d := damageOf(err); d != nil && d.First >= next && d.Last >= d.First { // explicit frames may leave gaps
				next = d.Last + 1
			} else if err == nil && r.Seq >= next {
				next = r.Seq + 1
			} else {
				t.Fatalf("at %d: %d, %v", next, r.Seq, err)
			}
		}
	})
}

func TestATrimDuringACheckpointIsNotPartOfIt(t *testing.T) {
	disk := newDisk(t)
	o := small(disk)
	o.FlushBytes = 1_000 // many writes
	l := openLog(t, openVolume(t, o), testID)
	appendDense(l, 1, 100, 50)
	disk.Inject(faultfs.Func("trim at the first create", func(op faultfs.Op) *faultfs.Fault {
		if op.Kind == faultfs.Create {
			l.Trim(60)
		}
		return nil
	}))
	must(t, l.Checkpoint([]byte("before the trim")))
	if _, err := l.Get(59); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a trimmed record: %v", err)
	}
	clone := disk.CrashClone(faultfs.DropUnsynced, 1)
	expect(t, openLog(t, openVolume(t, small(clone)), testID), 1, 100)
}

func TestWhatNoCheckpointCoversIsCutOffWhenTheSegmentGrows(t *testing.T) {
	disk := newDisk(t)
	l := openLog(t, openVolume(t, small(disk)), testID)
	appendDense(l, 1, 10, 50)
	must(t, l.Checkpoint(nil))
	appendDense(l, 11, 100, 50)
	must(t, l.Flush())
	clone := disk.CrashClone(faultfs.KeepAll, 1)
	l = openLog(t, openVolume(t, small(clone)), testID)
	if l.Last() != 10 {
		t.Fatalf("last %d", l.Last())
	}
	appendDense(l, 11, 5, 50)
	must(t, l.Checkpoint(nil))
	info, err := clone.Stat(l.path(segmentName(1)))
	must(t, err)
	if info.Size != l.segments[0].length {
		t.Errorf("the file has %d bytes, %d of them known", info.Size, l.segments[0].length)
	}
	expect(t, l, 1, 15)
}
