package faultfs

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/weirmq/weir/internal/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, f *FS, name string) vfs.File {
	t.Helper()
	h, err := f.Create(name)
	must(t, err)
	return h
}

func write(t *testing.T, h vfs.File, s string, off int64) {
	t.Helper()
	if _, err := h.WriteAt([]byte(s), off); err != nil {
		t.Fatal(err)
	}
}

// read gives a whole file, or "absent".
func read(t *testing.T, f *FS, name string) string {
	t.Helper()
	h, err := f.OpenRead(name)
	if errors.Is(err, syscall.ENOENT) {
		return "absent"
	}
	must(t, err)
	size, err := h.Size()
	must(t, err)
	b := make([]byte, size)
	if n, err := h.ReadAt(b, 0); err != nil && err != io.EOF || n != len(b) {
		t.Fatalf("read %d, %v", n, err)
	}
	must(t, h.Close())
	return string(b)
}

func TestUnsyncedWritesAndNamesAreLost(t *testing.T) {
	f := New()
	must(t, f.MkdirAll("d"))
	must(t, f.SyncDir("/"))
	a := create(t, f, "d/a")
	write(t, a, "one", 0)
	must(t, a.Sync())
	if got := read(t, f.CrashClone(DropUnsynced, 1), "d/a"); got != "absent" {
		t.Fatalf("a name without SyncDir survived: %q", got)
	}
	must(t, f.SyncDir("d"))
	write(t, a, "TWO", 0)
	if got := read(t, f, "d/a"); got != "TWO" {
		t.Fatalf("live content %q", got)
	}
	if got := read(t, f.CrashClone(DropUnsynced, 1), "d/a"); got != "one" {
		t.Fatalf("after the crash %q", got)
	}
	if got := read(t, f.CrashClone(KeepAll, 1), "d/a"); got != "TWO" {
		t.Fatalf("KeepAll left %q", got)
	}
	must(t, a.Datasync())
	write(t, a, "x", 9000)
	if got := read(t, f.CrashClone(DropUnsynced, 1), "d/a"); got != "TWO" {
		t.Fatalf("after the sync %q", got)
	}
}

func TestRenameWithoutSyncDirIsLostWhole(t *testing.T) {
	f := New()
	for name, text := range map[string]string{"a": "new", "b": "old"} {
		h := create(t, f, name)
		write(t, h, text, 0)
		must(t, h.Sync())
	}
	must(t, f.SyncDir("."))
	must(t, f.Rename("a", "b"))
	for _, m := range Modes {
		for seed := range uint64(20) {
			g := f.CrashClone(m, seed)
			a, b := read(t, g, "a"), read(t, g, "b")
			if !(a == "new" && b == "old" || a == "absent" && b == "new") {
				t.Fatalf("%v seed %d: a %q, b %q", m, seed, a, b)
			}
		}
	}
	must(t, f.SyncDir("."))
	if got := read(t, f.CrashClone(DropUnsynced, 0), "b"); got != "new" {
		t.Fatalf("after SyncDir: %q", got)
	}
}

func TestCrashTearsOnlyAtSectors(t *testing.T) {
	f := New()
	h := create(t, f, "a")
	write(t, h, string(bytes.Repeat([]byte{'o'}, 8192)), 0)
	must(t, h.Sync())
	must(t, f.SyncDir("."))
	write(t, h, string(bytes.Repeat([]byte{'n'}, 4096)), 1024)
	seen := map[string]bool{}
	for _, m := range []Mode{RandomSectors, RandomWrites, TornLast} {
		for seed := range uint64(50) {
			got := read(t, f.CrashClone(m, seed), "a")
			if again := read(t, f.CrashClone(m, seed), "a"); again != got {
				t.Fatalf("%v seed %d is not repeatable", m, seed)
			}
			for s := 0; s < len(got); s += sectorSize {
				sector := got[s : s+sectorSize]
				if sector != string(bytes.Repeat([]byte(sector[:1]), sectorSize)) {
					t.Fatalf("%v seed %d: sector at %d is mixed", m, seed, s)
				}
			}
			seen[got] = true
		}
	}
	if len(seen) < 10 {
		t.Fatalf("only %d different disks", len(seen))
	}
}

func TestLiesLookLikeSuccess(t *testing.T) {
	f := New()
	h := create(t, f, "a")
	must(t, f.SyncDir("."))
	f.Inject(Lie(Sync, 1), Lie(Write, 2))
	write(t, h, "one", 0)
	must(t, h.Sync())
	write(t, h, "two", 0)
	if got := read(t, f, "a"); got != "one" {
		t.Fatalf("a lost write shows: %q", got)
	}
	if got := read(t, f.CrashClone(DropUnsynced, 0), "a"); got != "" {
		t.Fatalf("a lost sync kept %q", got)
	}
}

// What a failed sync dropped may have been written through another handle: who syncs that
// one is told, once, if it was open when that happened.
func TestAFailedSyncIsToldToEachHandleThatWasOpen(t *testing.T) {
	f := New()
	a := create(t, f, "a")
	b, err := f.OpenWrite("a")
	must(t, err)
	write(t, b, "by b", 0)
	f.Inject(FailNth(Sync, 1, syscall.EIO))
	if err := a.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	late, err := f.OpenWrite("a")
	must(t, err)
	must(t, late.Sync())
	must(t, a.Sync())
	if err := b.Datasync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync of the other handle: %v", err)
	}
	must(t, b.Datasync())
}

func TestFailedSyncDropsWhatItShouldHaveWritten(t *testing.T) {
	f := New()
	h := create(t, f, "a")
	must(t, f.SyncDir("."))
	write(t, h, "first", 0)
	f.Inject(FailNth(Sync, 1, syscall.EIO))
	if err := h.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	must(t, h.Sync())
	if got := read(t, f, "a"); got != "first" {
		t.Fatalf("cache shows %q", got)
	}
	if got := read(t, f.CrashClone(DropUnsynced, 0), "a"); got == "first" {
		t.Fatal("a second sync made durable what the first had dropped")
	}
}

func TestDiskFullWritesWhatFits(t *testing.T) {
	f := New()
	f.SetCapacity(8192)
	h := create(t, f, "a")
	n, err := h.WriteAt(make([]byte, 10000), 0)
	if n != 8192 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	b := create(t, f, "b")
	if err := b.Allocate(4096); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("allocate: %v", err)
	}
	must(t, f.Remove("a"))
	must(t, b.Allocate(8192))
	if free, err := f.Free("."); err != nil || free != 0 {
		t.Fatalf("free %d, %v", free, err)
	}
	write(t, b, "fits", 4096)
}

func TestInjectorsSayWhatTheyAre(t *testing.T) {
	f := New()
	in := OnName("b", ShortWrite(1, 2, syscall.EIO))
	if got, want := in.String(), `OnName("b", ShortWrite(1, 2, input/output error))`; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	f.Inject(in)
	a, b := create(t, f, "a"), create(t, f, "b")
	write(t, a, "hello", 0)
	if n, err := b.WriteAt([]byte("hello"), 0); n != 2 || !errors.Is(err, syscall.EIO) {
		t.Fatalf("short write: %d, %v", n, err)
	}
	if got := read(t, f, "b"); got != "he" {
		t.Fatalf("file holds %q", got)
	}
}

func TestStopAfterFreezesTheDisk(t *testing.T) {
	f := New()
	h := create(t, f, "a")
	must(t, f.SyncDir("."))
	write(t, h, "one", 0)
	must(t, h.Sync())
	f.StopAfter(f.Ops())
	if _, err := h.WriteAt([]byte("two"), 0); !errors.Is(err, ErrStopped) {
		t.Fatalf("write: %v", err)
	}
	if got := read(t, f.CrashClone(KeepAll, 0), "a"); got != "one" {
		t.Fatalf("disk holds %q", got)
	}
}

func TestCorruptFlipsOneByte(t *testing.T) {
	f := New()
	h := create(t, f, "a")
	write(t, h, "abc", 0)
	must(t, f.Corrupt("a", 1, 1))
	if got := read(t, f, "a"); got != "acc" {
		t.Fatalf("file holds %q", got)
	}
}

func TestLocksEndWithTheCrash(t *testing.T) {
	f := New()
	l, err := f.Lock("lock")
	must(t, err)
	if _, err := f.Lock("lock"); !errors.Is(err, vfs.ErrLocked) {
		t.Fatalf("second lock: %v", err)
	}
	if _, err := f.CrashClone(KeepAll, 0).Lock("lock"); err != nil {
		t.Fatal(err)
	}
	must(t, l.Close())
	_, err = f.Lock("lock")
	must(t, err)
}

func TestTruncateLosesTheTailForGood(t *testing.T) {
	f := New()
	h := create(t, f, "a")
	write(t, h, "abcdef", 0)
	must(t, h.Truncate(3))
	must(t, h.Truncate(6))
	if got := read(t, f, "a"); got != "abc\x00\x00\x00" {
		t.Fatalf("file holds %q", got)
	}
	must(t, f.SyncDir("."))
	must(t, h.Sync())
	if got := read(t, f.CrashClone(DropUnsynced, 0), "a"); got != "abc\x00\x00\x00" {
		t.Fatalf("disk holds %q", got)
	}
}
