package check

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// havoc overwrites, cuts, empties and removes parts of several files.
func havoc(t *testing.T, disk *faultfs.FS, r *rand.Rand) {
	t.Helper()
	files := tree(t, disk, dir)
	names := slices.Sorted(maps.Keys(files))
	for range 1 + r.IntN(4) {
		name := names[r.IntN(len(names))]
		size := files[name]
		if kindOf(name) == "" || size == 0 {
			continue
		}
		if r.IntN(8) == 0 {
			must(t, disk.RemoveAll(name))
			delete(files, name)
			names = slices.Sorted(maps.Keys(files))
			continue
		}
		f, err := disk.OpenWrite(name)
		must(t, err)
		// The beginning of the journal is where its batches are.
		off := r.Int64N(min(size, 512<<10))
		b := make([]byte, 1+r.IntN(9000))
		switch r.IntN(4) {
		case 0: // a block of another file, or of none
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			fallthrough
		case 1: // zeros
			_, err = f.WriteAt(b[:min(int64(len(b)), size-off)], off)
		case 2: // bytes of the file itself, at another place
			_, err = f.ReadAt(b[:min(int64(len(b)), size)], 0)
			must(t, err)
			_, err = f.WriteAt(b[:min(int64(len(b)), size-off)], off)
		case 3:
			err = f.Truncate(off)
		}
		must(t, err)
		must(t, f.Close())
		files[name], err = sizeOf(disk, name)
		must(t, err)
	}
}

func sizeOf(disk *faultfs.FS, name string) (int64, error) {
	info, err := disk.Stat(name)
	return info.Size, err
}

// Whatever becomes of the files, a check ends with a report, and a repair with a
// directory that a server opens, which has everything that was not given up; but
// the catalog cannot be made of nothing.
func TestHavocEndsInAReportAndAnOpenDirectory(t *testing.T) {
	const seed = 20
	bases := []*faultfs.FS{stopped(t), killed(t)}
	open := 0
	for i := range uint64(flips(32)) {
		r := rand.New(rand.NewPCG(seed, i))
		disk := bases[i%2].CrashClone(faultfs.KeepAll, 0)
		havoc(t, disk, r)
		rep, err := Run(context.Background(), Options{FS: disk, Dir: dir})
		if errors.Is(err, ErrNotOurs) {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d/%d: check: %v", seed, i, err)
		}
		if len(rep.Unchecked) > 0 {
			continue
		}
		done, err := mend(t, disk)
		if errors.Is(err, errNoCatalog) {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d/%d: %v\nbefore: %+v", seed, i, err, rep.Damage)
		}
		n := start(t, disk)
		if m := n.ask("$JS.API.INFO", ""); m["error"] != nil {
			t.Errorf("seed %d/%d: %v", seed, i, m)
		}
		for _, name := range []string{"ORDERS", "LOGS"} {
			if m := n.ask("$JS.API.STREAM.INFO."+name, ""); m["error"] != nil {
				t.Errorf("seed %d/%d: stream %s: %v, repaired %+v", seed, i, name, m["error"], done)
			}
		}
		n.stop()
		if rep := look1(t, disk); !rep.Clean() {
			t.Errorf("seed %d/%d: after the server ran: %+v", seed, i, rep)
		}
		open++
	}
	if open < flips(32)/2 {
		t.Fatalf("only %d directories could be opened", open)
	}
}
