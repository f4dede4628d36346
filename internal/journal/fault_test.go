package journal

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// failing runs a session on a disk with an injector and says whether the
// journal failed. It checks that nothing was acknowledged that a crash loses.
func failing(t *testing.T, direct bool, mode faultfs.Mode, in faultfs.Injector) (failed bool) {
	t.Helper()
	fs := faultfs.New()
	fs.SetDirect(direct)
	fs.Inject(in)
	h := newHistory()
	j, _, err := tryOpen(fs, smallFiles)
	if err != nil {
		return true
	}
	session(t, j, h, 8)
	failed = j.Err() != nil
	if err := j.Close(); failed && !errors.Is(err, ErrDead) {
		t.Fatalf("%v: close of a dead journal gives %v", in, err)
	}
	for _, seed := range []uint64{1, 2} {
		j, got, err := tryOpen(fs.CrashClone(mode, seed), smallFiles)
		if err != nil {
			t.Fatalf("%v: open after the failure: %v", in, err)
		}
		if err := h.check(got); err != nil {
			t.Fatalf("%v, %v seed %d: %v", in, mode, seed, err)
		}
		must(t, j.Close())
	}
	return failed
}

func TestNoAckAfterAFailedSyncOrWrite(t *testing.T) {
	for _, direct := range []bool{false, true} {
		for _, kind := range []faultfs.Kind{faultfs.Sync, faultfs.Write} {
			failures := 0
			for n := 1; n <= 60; n++ {
				for _, mode := range []faultfs.Mode{faultfs.DropUnsynced, faultfs.RandomSectors, faultfs.KeepAll} {
					if failing(t, direct, mode, faultfs.FailNth(kind, n, syscall.EIO)) {
						failures++
					}
				}
			}
			if failures < 20 {
				t.Fatalf("%v: only %d of the failures were felt", kind, failures)
			}
		}
	}
}

func TestShortWriteIsAFailure(t *testing.T) {
	for n := 20; n <= 60; n++ {
		failing(t, false, faultfs.KeepAll, faultfs.OnName(fileSuffix, faultfs.ShortWrite(n, 700, syscall.ENOSPC)))
	}
}

// The failure test must fail where a write only claims to be done. What was released
// since may be lost, and which write that is changes from run to run.
func TestFailureTestSeesALostWrite(t *testing.T) {
	const writes, tries = 25, 40 // a session makes about twenty
	for n := 1; n <= tries*writes; n++ {
		fs := faultfs.New()
		fs.Inject(faultfs.OnName("00000", faultfs.FailNth(faultfs.Write, 1+n%writes, nil)))
		h := newHistory()
		j, _, err := tryOpen(fs, smallFiles)
		must(t, err)
		session(t, j, h, 8)
		must(t, j.Close())
		j, got, err := tryOpen(fs.CrashClone(faultfs.KeepAll, 1), smallFiles)
		var damage *DamageError
		if errors.As(err, &damage) {
			return
		}
		must(t, err)
		err = h.check(got)
		must(t, j.Close())
		if err != nil {
			return
		}
	}
	t.Fatal("no lost write was noticed")
}

func TestADeadJournalRefusesAndTellsAllGroupsOnce(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	a, b := newListener(), newListener()
	ga := j.Group(1, a)
	gb := j.Group(2, b)
	appendOne(t, j, ga, 1)
	must(t, a.wait(t, 1))
	fs.Inject(faultfs.FailFrom(faultfs.Sync, 1, syscall.EIO))
	appendOne(t, j, ga, 2)
	if err := a.wait(t, 2); !errors.Is(err, syscall.EIO) || !errors.Is(err, ErrDead) {
		t.Fatalf("group was told %v", err)
	}
	<-j.Dead()
	fs.Heal()
	if err := j.Append(gb, 1, 1, 7, Urgent, nil); !errors.Is(err, ErrDead) {
		t.Fatalf("append to a dead journal: %v", err)
	}
	if err := b.wait(t, 1); !errors.Is(err, ErrDead) {
		t.Fatalf("the other group was told %v", err)
	}
	if err := j.Close(); !errors.Is(err, ErrDead) {
		t.Fatalf("close: %v", err)
	}
	if len(a.failed) != 1 || len(b.failed) != 1 || a.last() != 1 {
		t.Fatalf("told %v and %v, durable %d", a.failed, b.failed, a.last())
	}
	if j.Metrics.Failures.Load() == 0 || j.Metrics.LastError() == "" {
		t.Fatal("metrics do not show the failure")
	}
}

// full is a journal on a disk that takes nothing more, told of it.
type full struct {
	fs      *faultfs.FS
	j       *Journal
	g       *Group
	l       *listener
	index   uint64
	pressed chan Pressure
}

func newFull(t *testing.T) *full {
	f := &full{fs: faultfs.New(), l: newListener(), pressed: make(chan Pressure, 1000)}
	f.j, _ = open(t, f.fs, smallFiles, func(o *Options) { o.OnPressure = func(p Pressure) { f.pressed <- p } })
	f.g = f.j.Group(1, f.l)
	f.append(t)
	must(t, f.l.wait(t, 1))
	awaitFiles(t, f.j, 3)
	f.fs.SetCapacity(1)
	for f.j.Pressure().Files < 2 {
		f.append(t)
		must(t, f.l.wait(t, f.index))
	}
	f.awaitPressure(t, true)
	return f
}

func (f *full) append(t *testing.T) {
	f.index++
	must(t, f.j.Append(f.g, 1, f.index, 7, Urgent, entryData(1, f.index)))
}

// awaitPressure waits until the journal told that the disk is full, or that it
// is no more.
func (f *full) awaitPressure(t *testing.T, noSpace bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case p := <-f.pressed:
			if errors.Is(p.NoSpace, syscall.ENOSPC) == noSpace {
				return
			}
		case <-limit:
			t.Fatalf("not told that the disk is full: %v", noSpace)
		}
	}
}

// fill appends until the writer waits for a file.
func (f *full) fill(t *testing.T) {
	waits := func() bool {
		f.j.mu.Lock()
		defer f.j.mu.Unlock()
		last := f.j.files[len(f.j.files)-1]
		return len(f.j.ready) == 0 && f.j.bytes+f.j.gathered > last.size
	}
	for !waits() {
		f.append(t)
	}
}

func TestAFullDiskIsToldAndWritingGoesOnWhenThereIsSpace(t *testing.T) {
	f := newFull(t)
	f.fill(t)
	if f.j.Err() != nil {
		t.Fatal(f.j.Err())
	}
	f.fs.SetCapacity(1 << 30)
	must(t, f.l.wait(t, f.index))
	f.awaitPressure(t, false)
	must(t, f.j.Close())
	j, got := open(t, f.fs, smallFiles)
	if len(got) != int(f.index) {
		t.Fatalf("%d entries are left of %d", len(got), f.index)
	}
	must(t, j.Close())
}

func TestFilesThatAreReleasedEndAFullDisk(t *testing.T) {
	f := newFull(t)
	f.g.Release(f.index)
	f.awaitPressure(t, false)
	f.append(t)
	must(t, f.l.wait(t, f.index))
	must(t, f.j.Close())
}

func TestClosingOnAFullDiskKeepsWhatWasDurable(t *testing.T) {
	f := newFull(t)
	f.fill(t)
	if err := f.j.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("close: %v", err)
	}
	durable := f.l.upto()
	f.fs.SetCapacity(1 << 30)
	j, got := open(t, f.fs, smallFiles)
	if uint64(len(got)) < durable || uint64(len(got)) > f.index {
		t.Fatalf("%d entries are left, %d were durable of %d", len(got), durable, f.index)
	}
	must(t, j.Close())
}

func TestReleaseKeepsAFullDiskGoing(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, smallFiles)
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	awaitFiles(t, j, 3)
	fs.SetCapacity(1)
	for i := uint64(2); i < 300; i++ {
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
		g.Release(i)
	}
	must(t, j.Close())
}

func TestReadErrorsAreNotTakenForDamage(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	l := newListener()
	g := j.Group(1, l)
	for i := uint64(1); i <= 20; i++ {
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
	}
	must(t, j.Close())
	for n := 1; ; n++ {
		c := fs.CrashClone(faultfs.KeepAll, 0)
		c.Inject(faultfs.FailNth(faultfs.Read, n, syscall.EIO))
		j, got, err := tryOpen(c)
		if err == nil {
			if len(got) != 20 {
				t.Fatalf("read %d: %d entries", n, len(got))
			}
			must(t, j.Close())
			return
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("read %d: %v", n, err)
		}
		j, got = open(t, c)
		if len(got) != 20 {
			t.Fatalf("after a failed read %d: %d entries", n, len(got))
		}
		must(t, j.Close())
	}
}
