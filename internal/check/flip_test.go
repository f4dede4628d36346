package check

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// target is a byte that counts.
type target struct {
	file string
	off  int64
}

// covered are bytes of each kind of file that are under a checksum.
func covered(t testing.TB, disk *faultfs.FS) map[string][]target {
	t.Helper()
	out := map[string][]target{}
	for file, size := range tree(t, disk, dir) {
		kind := kindOf(file)
		switch kind {
		case "":
			continue
		case KindJournal:
			out[kind] = append(out[kind], journalBytes(t, disk, file)...)
			continue
		}
		for off := range size {
			out[kind] = append(out[kind], target{file, off})
		}
	}
	for kind, all := range out {
		slices.SortFunc(all, func(a, b target) int {
			if c := strings.Compare(a.file, b.file); c != 0 {
				return c
			}
			return int(a.off - b.off)
		})
		out[kind] = all
	}
	return out
}

func kindOf(file string) string {
	switch base := path.Base(file); {
	case strings.HasSuffix(base, ".journal"):
		return KindJournal
	case strings.HasSuffix(base, ".seg"):
		return KindSegment
	case strings.HasSuffix(base, ".run"):
		return KindSubjects
	case strings.HasPrefix(base, "catalog"):
		return KindCatalog
	case base == "identity" || base == "catalog" || base == "manifest":
		return base
	}
	return ""
}

// journalBytes are the heads of all batches but the last, which nothing proves,
// and the data of entries.
func journalBytes(t testing.TB, disk *faultfs.FS, file string) (out []target) {
	t.Helper()
	b, err := vfs.ReadFile(disk, file)
	must(t, err)
	var heads []int64
	for off := 0; off+4096 <= len(b); off += 4096 {
		if string(b[off:off+4]) == "WJNL" {
			heads = append(heads, int64(off))
		}
	}
	if len(heads) < 2 {
		return nil
	}
	last := heads[len(heads)-1]
	for _, h := range heads[:len(heads)-1] {
		for i := range int64(64) {
			out = append(out, target{file, h + i})
		}
	}
	for at := 0; ; {
		i := bytes.Index(b[at:last], []byte("<ORDERS "))
		if i < 0 {
			return out
		}
		for j := range 40 {
			out = append(out, target{file, int64(at + i + j)})
		}
		at += i + 8
	}
}

// flips is how many changes of each kind of file a test makes.
func flips(n int) int {
	if testing.Short() {
		return n/8 + 1
	}
	return n
}

// Whatever bit of whatever kind of file is changed, it is found there, and the
// rest of the directory is as good as it was.
func TestAFlippedBitInEachKindOfFileIsFound(t *testing.T) {
	const seed = 7
	each := flips(24)
	r := rand.New(rand.NewPCG(seed, 1))
	for state, base := range map[string]*faultfs.FS{"stopped": stopped(t), "killed": killed(t)} {
		all := covered(t, base)
		for _, kind := range []string{KindIdentity, KindCatalog, KindManifest, KindSegment, KindJournal} {
			if len(all[kind]) == 0 {
				t.Fatalf("%s: no bytes of kind %s", state, kind)
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(all)) {
			for range each {
				at := all[kind][r.IntN(len(all[kind]))]
				mask := byte(1) << r.IntN(8)
				disk := base.CrashClone(faultfs.KeepAll, 0)
				must(t, disk.Corrupt(at.file, at.off, mask))
				rep, err := Run(context.Background(), Options{FS: disk, Dir: dir})
				if err != nil {
					t.Fatalf("seed %d, %s: %s at %d, bits %#x: %v", seed, state, at.file, at.off, mask, err)
				}
				if !names(rep, at) {
					t.Fatalf("seed %d, %s: %s at %d, bits %#x: found %+v, not checked %v", seed, state, at.file, at.off, mask, rep.Damage, rep.Unchecked)
				}
				// The control: with the change masked nothing is found.
				rep, err = Run(context.Background(), Options{FS: &masked{disk, at, mask}, Dir: dir})
				if err != nil || !rep.Clean() || len(rep.Damage) > 0 {
					t.Fatalf("seed %d, %s: %s at %d, masked: found %+v, %v", seed, state, at.file, at.off, rep, err)
				}
			}
		}
	}
}

// names says whether a report tells of a place. A version that is not known is not
// damage, but never passes.
func names(r *Report, at target) bool {
	file := strings.TrimPrefix(at.file, dir+"/")
	for _, d := range r.Damage {
		if d.File == file && (d.Length == 0 || d.Kind == KindSubjects || d.Offset <= at.off && at.off < d.Offset+d.Length) {
			return true
		}
	}
	return len(r.Unchecked) > 0 && strings.Contains(fmt.Sprint(r.Unchecked), path.Dir(file))
}

// masked shows one byte of a disk as it was before it was changed.
type masked struct {
	vfs.FS
	at   target
	mask byte
}

func (m *masked) OpenRead(name string) (vfs.File, error) {
	f, err := m.FS.OpenRead(name)
	if err != nil || name != m.at.file {
		return f, err
	}
	return &maskedFile{f, m}, nil
}

type maskedFile struct {
	vfs.File
	m *masked
}

func (f *maskedFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	if i := f.m.at.off - off; i >= 0 && i < int64(n) {
		b[i] ^= f.m.mask
	}
	return n, err
}

// A file that is cut or gone is found, and never taken for one that never was. But
// the journal still has the whole catalog here, and a run that is gone costs
// nothing: which there should be only the stream knows, which makes them again.
func TestAShortOrMissingFileIsFound(t *testing.T) {
	base := stopped(t)
	for file, size := range tree(t, base, dir) {
		kind := kindOf(file)
		if kind == "" || kind == KindJournal {
			continue
		}
		for _, keep := range []int64{size - 1, size / 2, 0} {
			disk := base.CrashClone(faultfs.KeepAll, 0)
			f, err := disk.OpenWrite(file)
			must(t, err)
			must(t, f.Truncate(keep))
			must(t, f.Close())
			if r := look1(t, disk); r.Open() == 0 {
				t.Errorf("%s with %d of %d bytes: %+v", file, keep, size, r)
			}
		}
		disk := base.CrashClone(faultfs.KeepAll, 0)
		must(t, disk.Remove(file))
		if r := look1(t, disk); r.Open() == 0 && kind != KindCatalog && kind != KindSubjects {
			t.Errorf("without %s: %+v", file, r)
		}
	}
	disk := base.CrashClone(faultfs.KeepAll, 0)
	must(t, disk.RemoveAll("data/streams/16-1"))
	if r := look1(t, disk); r.Open() == 0 {
		t.Errorf("without a stream's directory: %+v", r)
	}
}
