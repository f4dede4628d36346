package check

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs"
)

// onDisk is a directory of the operating system with streams in it.
func onDisk(t *testing.T) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "data")
	s, err := server.OpenOffline(server.OfflineOptions{FS: vfs.OS{}, Dir: at})
	must(t, err)
	n := &node{t, s}
	fill(t, n, 1, records)
	n.stop()
	return at
}

// picture is all that can be seen of a directory: names, modes, times and bytes.
func picture(t *testing.T, at string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(at, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var sum [32]byte
		if !d.IsDir() {
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(b)
		}
		out[name] = fmt.Sprintln(info.Mode(), info.ModTime().UnixNano(), info.Size(), sum)
		return nil
	}))
	return out
}

func TestACheckChangesNothing(t *testing.T) {
	at := onDisk(t)
	must(t, os.WriteFile(filepath.Join(at, "journal", "000009.journal.new"), []byte("unfinished"), 0o600))
	must(t, os.Mkdir(filepath.Join(at, "streams", "99-1.dropped"), 0o700))
	before := picture(t, at)
	for range 2 {
		r, err := Run(context.Background(), Options{FS: vfs.OS{}, Dir: at})
		must(t, err)
		if !r.Clean() || len(r.Notes) != 2 {
			t.Fatalf("%+v", r)
		}
		if after := picture(t, at); !reflect.DeepEqual(before, after) {
			t.Fatalf("before: %v\nafter: %v", before, after)
		}
	}
}

// The disk that a check reads lets nothing be changed, whoever may try.
func TestTheDiskOfACheckCannotBeWritten(t *testing.T) {
	at := onDisk(t)
	before := picture(t, at)
	d := &disk{FS: vfs.OS{}}
	name := filepath.Join(at, "identity")
	for what, f := range map[string]func() error{
		"create":    func() error { _, err := d.Create(filepath.Join(at, "x")); return err },
		"openWrite": func() error { _, err := d.OpenWrite(name); return err },
		"rename":    func() error { return d.Rename(name, name+"x") },
		"remove":    func() error { return d.Remove(name) },
		"removeAll": func() error { return d.RemoveAll(at) },
		"mkdirAll":  func() error { return d.MkdirAll(filepath.Join(at, "y")) },
		"syncDir":   func() error { return d.SyncDir(at) },
		"writeAt": func() error {
			f, err := d.OpenRead(name)
			must(t, err)
			_, werr := f.WriteAt([]byte{1}, 0)
			if f.Truncate(0) == nil || f.Allocate(1<<20) == nil {
				t.Error("a file that is read can be cut or grown")
			}
			must(t, f.Close())
			return werr
		},
	} {
		if f() == nil {
			t.Errorf("%s works", what)
		}
	}
	if after := picture(t, at); !reflect.DeepEqual(before, after) {
		t.Fatal("something changed")
	}
}

func TestProgressEndsWhereTheBytesDo(t *testing.T) {
	at := onDisk(t)
	var last, total int64
	_, err := Run(context.Background(), Options{FS: vfs.OS{}, Dir: at, Progress: func(done, of int64) {
		if done < last || done > of {
			t.Errorf("%d of %d after %d", done, of, last)
		}
		last, total = done, of
	}})
	must(t, err)
	if last == 0 || total < last {
		t.Fatalf("%d of %d", last, total)
	}
}
