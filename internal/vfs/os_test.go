package vfs

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"unsafe"
)

func TestOSKeepsWhatIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var o OS
	must(t, o.MkdirAll(dir))
	name := filepath.Join(dir, "f")
	f, err := o.Create(name)
	must(t, err)
	must(t, f.Allocate(8192))
	if n, err := f.Size(); err != nil || n != 8192 {
		t.Fatalf("size %d, %v after Allocate", n, err)
	}
	if _, err := f.WriteAt([]byte("hello"), 5000); err != nil {
		t.Fatal(err)
	}
	must(t, f.Datasync())
	must(t, f.Sync())
	must(t, f.Close())
	must(t, o.SyncDir(dir))
	if _, err := o.Create(name); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("create over a file: %v", err)
	}
	must(t, o.Rename(name, name+"2"))
	names, err := o.List(dir)
	must(t, err)
	if len(names) != 1 || names[0] != "f2" {
		t.Fatalf("names %q", names)
	}
	r, err := o.OpenRead(name + "2")
	must(t, err)
	got := make([]byte, 5)
	if _, err := r.ReadAt(got, 5000); err != nil || string(got) != "hello" {
		t.Fatalf("read %q, %v", got, err)
	}
	must(t, r.Close())
	if n, err := o.Free(dir); err != nil || n <= 0 {
		t.Fatalf("free %d, %v", n, err)
	}
}

func TestOSLockExcludesASecondHolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	var o OS
	l, err := o.Lock(name)
	must(t, err)
	if _, err := o.Lock(name); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v", err)
	}
	must(t, l.Close())
	l, err = o.Lock(name)
	must(t, err)
	must(t, l.Close())
}

func TestOSDirectWritesAreReadable(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	var o OS
	f, err := o.Create(name)
	must(t, err)
	must(t, f.Allocate(4*DirectAlign))
	must(t, f.Close())
	d, err := o.OpenDirect(name, true)
	if errors.Is(err, ErrNoDirect) {
		t.Skip(err)
	}
	must(t, err)
	buf := aligned(DirectAlign)
	copy(buf, "direct")
	if _, err := d.WriteAt(buf, DirectAlign); err != nil {
		t.Fatal(err)
	}
	must(t, d.Close())
	r, err := o.OpenRead(name)
	must(t, err)
	got := make([]byte, 6)
	if _, err := r.ReadAt(got, DirectAlign); err != nil || string(got) != "direct" {
		t.Fatalf("read %q, %v", got, err)
	}
	must(t, r.Close())
}

func aligned(n int) []byte {
	b := make([]byte, n+DirectAlign)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (DirectAlign - 1)
	return b[skip : skip+n]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
