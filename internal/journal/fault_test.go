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

// The failure test must fail where a write only claims to be done.
func TestFailureTestSeesALostWrite(t *testing.T) {
	for n := 1; n <= 250; n++ {
		fs := faultfs.New()
		fs.Inject(faultfs.OnName("00000", faultfs.FailNth(faultfs.Write, n, nil)))
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

func TestAFullDiskIsToldWhileTheReserveLasts(t *testing.T) {
	fs := faultfs.New()
	pressed := make(chan Pressure, 100)
	j, _ := open(t, fs, smallFiles, func(o *Options) { o.OnPressure = func(p Pressure) { pressed <- p } })
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	awaitFiles(t, j, 3)
	fs.SetCapacity(1)
	index := uint64(1)
	next := func() error {
		index++
		must(t, j.Append(g, 1, index, 7, Urgent, entryData(1, index)))
		return l.wait(t, index)
	}
	for j.Pressure().Files < 2 {
		must(t, next())
	}
	select {
	case p := <-pressed:
		if !errors.Is(p.NoSpace, syscall.ENOSPC) {
			t.Fatalf("told %+v", p)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a full disk is not told")
	}
	var err error
	for err == nil && index < 1000 {
		err = next()
	}
	if !errors.Is(err, syscall.ENOSPC) || index < 8 {
		t.Fatalf("a full disk gives %v after %d entries", err, index)
	}
	if err := j.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("close: %v", err)
	}
	fs.SetCapacity(1 << 30)
	j, got := open(t, fs, smallFiles)
	if len(got) != int(index-1) {
		t.Fatalf("%d entries are left of %d", len(got), index-1)
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
