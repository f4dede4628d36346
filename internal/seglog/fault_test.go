package seglog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// Each call of a checkpoint fails once, in turn. What was durable stays; where
// no sync failed the next checkpoint succeeds, and else none ever does.
func TestAFailedCallKeepsTheLastCheckpoint(t *testing.T) {
	kinds := []faultfs.Kind{faultfs.Create, faultfs.Open, faultfs.Write, faultfs.Truncate, faultfs.Rename, faultfs.Remove, faultfs.Mkdir, faultfs.Sync, faultfs.SyncDir}
	for _, kind := range kinds {
		for _, errno := range []error{syscall.EIO, syscall.ENOSPC} {
			for n := 1; ; n += min(sparser, 4) {
				if !failNth(t, kind, n, errno) {
					break
				}
			}
		}
	}
}

// failNth runs the scenario until the n-th call of a kind fails; false if it
// never did.
func failNth(t *testing.T, kind faultfs.Kind, n int, errno error) bool {
	t.Helper()
	disk := newDisk(t)
	fault := faultfs.FailNth(kind, n, errno)
	fired := false
	disk.Inject(faultfs.Func(fault.String(), func(op faultfs.Op) *faultfs.Fault {
		ft := fault.Inject(op)
		fired = fired || ft != nil
		return ft
	}))
	var s scenario
	err := s.run(disk)
	if err != nil && !errors.Is(err, errno) {
		t.Fatalf("%v: %v", fault, err)
	}
	if s.l != nil && err != nil {
		before := s.trying
		again := s.checkpoint("again after a fault")()
		failed := s.l.out.failed != nil
		if failed {
			s.trying = before // a failed log writes nothing
		}
		if (again != nil) != failed {
			t.Fatalf("%v: the next checkpoint: %v, after %v", fault, again, err)
		}
		if failed && !errors.Is(again, errno) {
			t.Fatalf("%v: %v does not say why", fault, again)
		}
		if sync := kind == faultfs.Sync || kind == faultfs.SyncDir; failed && !sync {
			t.Fatalf("%v: the log failed for good", fault)
		}
	}
	disk.Heal()
	for _, mode := range []faultfs.Mode{faultfs.KeepAll, faultfs.DropUnsynced, faultfs.RandomSectors} {
		if err := s.check(disk.CrashClone(mode, 1)); err != nil {
			t.Fatalf("%v, then a crash, mode %v: %v", fault, mode, err)
		}
	}
	return fired
}

func TestAFailedSyncIsNeverRepeated(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	l := openLog(t, v, testID)
	appendDense(l, 1, 5, 100)
	must(t, l.Checkpoint([]byte("good")))
	disk.Inject(faultfs.OnName(".seg", faultfs.FailNth(faultfs.Sync, 1, syscall.EIO)))
	appendDense(l, 6, 5, 100)
	for range 3 {
		if err := l.Checkpoint([]byte("bad")); !errors.Is(err, syscall.EIO) {
			t.Fatalf("checkpoint after a failed sync: %v", err)
		}
	}
	if v.Err() == nil {
		t.Error("the volume does not tell")
	}
	if got := string(l.State()); got != "good" {
		t.Errorf("state %q", got)
	}
	if v, err := l.Get(8); err != nil || v.Seq != 8 {
		t.Errorf("a committed record is not served: %v", err)
	}
}

func TestWritesGoOnWhenTheDiskHasSpaceAgain(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	l := openLog(t, v, testID)
	appendDense(l, 1, 100, 200)
	must(t, l.Checkpoint([]byte("one")))
	disk.SetCapacity(40_000)
	appendDense(l, 101, 400, 200)
	if err := l.Checkpoint([]byte("two")); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("checkpoint on a full disk: %v", err)
	}
	if !errors.Is(v.Err(), syscall.ENOSPC) {
		t.Errorf("volume says %v", v.Err())
	}
	expect(t, l, 1, 500)
	disk.SetCapacity(1 << 30)
	must(t, l.Checkpoint([]byte("two")))
	if v.Err() != nil {
		t.Errorf("volume still says %v", v.Err())
	}
	must(t, l.Close())
	l = openLog(t, v, testID)
	expect(t, l, 1, 500)
}

func TestFailedReadsAreErrorsAndNotAbsence(t *testing.T) { eachWay(t, failReads) }

func failReads(t *testing.T, how way) {
	disk := newDisk(t)
	o := small(disk)
	o.TailCache = -1
	how.set(&o)
	l := openLog(t, openVolume(t, o), testID)
	appendDense(l, 1, 300, 200)
	must(t, l.Checkpoint(nil))
	for n := 1; ; n++ {
		disk.Heal()
		l.v.files.forgetAll()
		disk.Inject(faultfs.FailNth(faultfs.Read, n, syscall.EIO))
		_, err := l.Get(250)
		if err == nil && n > 2 {
			break
		}
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Fatalf("read %d: %v", n, err)
		}
	}
	disk.Heal()
	c := l.Cursor(1)
	defer c.Close()
	failures := 0
	for next := uint64(1); next <= 300; {
		if next%20 == 0 {
			disk.Heal()
			disk.Inject(faultfs.FailNth(faultfs.Read, 1, syscall.EIO))
		}
		v, err := c.Next()
		switch {
		case errors.Is(err, syscall.EIO):
			failures++
		case err != nil || v.Seq != next:
			t.Fatalf("record %d: %d, %v", next, v.Seq, err)
		default:
			next++
		}
	}
	if failures == 0 {
		t.Error("no read failed")
	}
}

func TestMissingManifestIsNotAnEmptyLog(t *testing.T) {
	for name, harm := range map[string]func(disk *faultfs.FS, file string) error{
		"missing": func(disk *faultfs.FS, file string) error { return disk.Remove(file) },
		"empty": func(disk *faultfs.FS, file string) error {
			f, err := disk.OpenWrite(file)
			if err != nil {
				return err
			}
			return errors.Join(f.Truncate(0), f.Close())
		},
		"short": func(disk *faultfs.FS, file string) error {
			f, err := disk.OpenWrite(file)
			if err != nil {
				return err
			}
			return errors.Join(f.Truncate(100), f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := newDisk(t)
			v := openVolume(t, small(disk))
			l := openLog(t, v, testID)
			appendDense(l, 1, 50, 100)
			must(t, l.Checkpoint([]byte("state")))
			must(t, l.Close())
			before, err := disk.List(l.dir)
			must(t, err)
			must(t, harm(disk, l.path(manifestName)))
			if _, err := v.OpenLog(testID); !errors.Is(err, record.ErrDamaged) {
				t.Fatalf("open: %v", err)
			}
			after, err := disk.List(l.dir)
			must(t, err)
			if name != "missing" && len(after) != len(before) {
				t.Errorf("files %q became %q", before, after)
			}
		})
	}
}

func TestAManifestOfAnotherLogIsRefused(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	l := openLog(t, v, testID)
	appendDense(l, 1, 50, 100)
	must(t, l.Checkpoint(nil))
	must(t, l.Close())
	other := record.Identity{ID: 4, Incarnation: 3}
	must(t, disk.Rename(l.dir, v.logDir(other)))
	if _, err := v.OpenLog(other); !errors.Is(err, record.ErrDamaged) {
		t.Fatalf("open: %v", err)
	}
}

// Each byte of each file is damaged, in turn.
func TestAFlippedBitCostsOnlyItsOwnRecords(t *testing.T) { eachWay(t, flipBits) }

func flipBits(t *testing.T, how way) {
	build := newDisk(t)
	build.SetDirect(how.direct)
	o := small(build)
	o.SegmentBytes, o.TailCache = 6_000, -1
	how.set(&o)
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	want := map[uint64]logtest.Rec{}
	for i := range uint64(24) {
		f, recs := logtest.Dense(testID, i*4+1, int64(i), 4, 60)
		l.Append(f)
		for _, r := range recs {
			want[r.Seq] = r
		}
		must(t, l.Flush())
	}
	must(t, l.Checkpoint([]byte("state")))
	must(t, l.Close())
	names, err := build.List(l.dir)
	must(t, err)
	if len(names) < 3 {
		t.Fatalf("files %q", names)
	}
	for _, name := range names {
		info, err := build.Stat(l.path(name))
		must(t, err)
		for off := int64(0); off < info.Size; off += (1 + off%3) * sparser * how.sparser() {
			disk := build.CrashClone(faultfs.KeepAll, 1)
			must(t, disk.Corrupt(l.path(name), off, 1<<(off%8)))
			lost, err := survivors(disk, how, want)
			if strings.HasPrefix(name, manifestName) {
				if !errors.Is(err, record.ErrDamaged) {
					t.Fatalf("byte %d of %s: %v", off, name, err)
				}
				continue
			}
			if err != nil || lost > 4 {
				t.Fatalf("byte %d of %s: %d records lost, %v", off, name, lost, err)
			}
		}
	}
}

// survivors reads a damaged log in both ways and counts what it does not give.
func survivors(disk *faultfs.FS, how way, want map[uint64]logtest.Rec) (lost int, err error) {
	o := VolumeOptions{FS: disk, Dir: "data", TailCache: -1, Log: quiet}
	how.set(&o)
	v, err := Open(o)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	l, err := v.OpenLog(testID)
	if err != nil {
		return 0, err
	}
	c := l.Cursor(1)
	defer c.Close()
	damaged := map[uint64]bool{}
	for next := uint64(1); next <= uint64(len(want)); {
		r, err := c.Next()
		if d := damageOf(err); d != nil {
			if d.First != next || d.File == "" {
				return 0, fmt.Errorf("at %d: %w", next, err)
			}
			for ; next <= d.Last; next++ {
				damaged[next] = true
			}
			continue
		}
		if err != nil || logtest.Of(r) != want[next] {
			return 0, fmt.Errorf("record %d came as %d, %w", next, r.Seq, err)
		}
		next++
	}
	for seq, rec := range want {
		r, err := l.Get(seq)
		if damaged[seq] && !errors.Is(err, record.ErrDamaged) || !damaged[seq] && (err != nil || logtest.Of(r) != rec) {
			return 0, fmt.Errorf("record %d (damaged: %v): %d, %w", seq, damaged[seq], r.Seq, err)
		}
	}
	return len(damaged), nil
}

func TestAMissingOrShortSegmentIsDamage(t *testing.T) {
	for _, short := range []bool{false, true} {
		disk := newDisk(t)
		o := small(disk)
		o.TailCache = -1
		v := openVolume(t, o)
		l := openLog(t, v, testID)
		appendDense(l, 1, 600, 200)
		must(t, l.Checkpoint(nil))
		hurt := *l.segments[1]
		name := l.path(segmentName(hurt.no))
		must(t, l.Close())
		first := hurt.base
		if short {
			f, err := disk.OpenWrite(name)
			must(t, err)
			must(t, f.Truncate(hurt.length/2))
			must(t, f.Close())
			first += (hurt.last - hurt.base) / 4
		} else {
			must(t, disk.Remove(name))
		}
		l = openLog(t, v, testID)
		if _, err := l.Get(hurt.last); !errors.Is(err, record.ErrDamaged) {
			t.Errorf("short %v: Get: %v", short, err)
		}
		lost := readAround(t, l, 600)
		if lost.Last != hurt.last || lost.First < first || lost.First > hurt.last {
			t.Errorf("short %v: %v; the segment has %d to %d", short, lost, hurt.base, hurt.last)
		}
		// It goes on being used.
		appendDense(l, 601, 100, 200)
		must(t, l.Checkpoint(nil))
		readAround(t, l, 700)
	}
}

// readAround reads all up to last but one damaged range, which it returns.
func readAround(t *testing.T, l *Log, last uint64) (lost DamageError) {
	t.Helper()
	c := l.Cursor(1)
	defer c.Close()
	for next := uint64(1); next <= last; next++ {
		r, err := c.Next()
		if d := damageOf(err); d != nil && lost.Last == 0 {
			lost, next = *d, d.Last
			continue
		}
		if err != nil || r.Seq != next {
			t.Fatalf("record %d came as %d, %v", next, r.Seq, err)
		}
	}
	return lost
}

func TestTheFlusherTriesAgain(t *testing.T) {
	disk := newDisk(t)
	o := small(disk)
	o.RetryEvery = time.Millisecond
	v := openVolume(t, o)
	disk.Inject(faultfs.FailNth(faultfs.Write, 2, syscall.EIO))
	runFlusher(t, v)
	l := openLog(t, v, testID)
	appendDense(l, 1, 200, 200)
	within(t, func() bool { return l.Tail() < v.flushBytes && v.Err() == nil })
	must(t, l.Checkpoint(nil))
	expect(t, l, 1, 200)
}

func runFlusher(t *testing.T, v *Volume) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
}

// within waits for a condition.
func within(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("the condition never held")
		case <-tick.C:
		}
	}
}

// appendDense appends n records from base on in frames of 5.
func appendDense(l *Log, base uint64, n, size int) {
	for ; n > 0; n -= 5 {
		f, _ := logtest.Dense(l.id, base, int64(base), min(n, 5), size)
		l.Append(f)
		base += 5
	}
}

// expect reads the records first to last and the end.
func expect(t *testing.T, l *Log, first, last uint64) {
	t.Helper()
	c := l.Cursor(0)
	defer c.Close()
	for seq := first; seq <= last; seq++ {
		v, err := c.Next()
		if err != nil || v.Seq != seq {
			t.Fatalf("record %d came as %d, %v", seq, v.Seq, err)
		}
	}
	if v, err := c.Next(); err == nil {
		t.Fatalf("record %d after the end", v.Seq)
	}
}

// forgetAll closes all files of readers.
func (fs *files) forgetAll() {
	fs.mu.Lock()
	keys := make([]fileKey, 0, len(fs.open))
	for k := range fs.open {
		keys = append(keys, k)
	}
	fs.mu.Unlock()
	for _, k := range keys {
		fs.forget(k)
	}
}

func TestADirectoryWithoutAnythingIsAnEmptyLog(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, small(disk))
	l := openLog(t, v, testID)
	appendDense(l, 1, 5, 10)
	if _, err := disk.Stat(l.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a log that was never flushed has a directory: %v", err)
	}
	must(t, l.Close())
	must(t, disk.MkdirAll(l.dir))
	l = openLog(t, v, testID)
	expect(t, l, 1, 0)
}

// reseal writes the right checksum, so that what lies behind it is tested, too.
func reseal(b []byte) {
	if len(b) >= 8 {
		binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	}
}
