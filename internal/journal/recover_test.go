package journal

import (
	"errors"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

func damagedOptions(o *Options) { o.FileSize, o.MaxBytes, o.Identity = 16<<10, 64<<10, 1 }

// damagedBase is the disk of a journal with seven batches in two files, of one
// block each, and the mark of the end.
func damagedBase(t testing.TB, change ...func(*Options)) *faultfs.FS {
	t.Helper()
	fs := faultfs.New()
	j, _ := open(t, fs, append(change, damagedOptions)...)
	l := newListener()
	g := j.Group(1, l)
	for i := uint64(1); i <= 7; i++ {
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
	}
	must(t, j.Close())
	return fs.CrashClone(faultfs.KeepAll, 0)
}

func indices(got []kept) []uint64 {
	var list []uint64
	for _, k := range got {
		list = append(list, k.Index)
	}
	return list
}

func TestDamageIsToldFromATornTail(t *testing.T) {
	base := damagedBase(t)
	for _, c := range []struct {
		name     string
		file     uint64
		off      int64
		damage   bool
		from, to uint64
		lost     int
		rest     []uint64 // replayed where recovery goes on
	}{
		{"header in the middle", 0, blockSize + 20, true, 2, 2, 0, []uint64{1, 3, 4, 5, 6, 7}},
		{"directory in the middle", 0, blockSize + 70, true, 2, 2, 0, []uint64{1, 3, 4, 5, 6, 7}},
		{"data in the middle", 0, blockSize + 105, true, 2, 2, 1, []uint64{1, 3, 4, 5, 6, 7}},
		{"first block", 0, 3, true, 1, 1, 0, []uint64{2, 3, 4, 5, 6, 7}},
		{"end of the first file", 0, 3*blockSize + 105, true, 4, 4, 1, []uint64{1, 2, 3, 5, 6, 7}},
		{"first block of the second file", 1, 20, true, 5, 5, 0, []uint64{1, 2, 3, 4, 6, 7}},
		{"last batch before the mark", 1, 2*blockSize + 70, true, 7, 7, 0, []uint64{1, 2, 3, 4, 5, 6}},
		{"the mark", 1, 3*blockSize + 20, false, 0, 0, 0, []uint64{1, 2, 3, 4, 5, 6, 7}},
		{"padding", 0, blockSize - 1, false, 0, 0, 0, []uint64{1, 2, 3, 4, 5, 6, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := base.CrashClone(faultfs.KeepAll, 0)
			must(t, fs.Corrupt("j/"+fileName(c.file), c.off, 4))
			j, _, err := tryOpen(fs, damagedOptions)
			var d *DamageError
			if errors.As(err, &d) != c.damage {
				t.Fatalf("open: %v", err)
			}
			if c.damage {
				if d.File != fileName(c.file) || d.Offset != c.off&^(blockSize-1) || d.From != c.from || d.To != c.to || len(d.Lost) != c.lost {
					t.Fatalf("damage %+v", d)
				}
			} else {
				must(t, j.Close())
			}
			goOn(t, fs, c.rest, c.damage)
		})
	}
}

// goOn opens a damaged journal whose owner accepts it, and appends to it twice.
func goOn(t *testing.T, fs *faultfs.FS, rest []uint64, damage bool) {
	t.Helper()
	for range 2 {
		j, got := open(t, fs, damagedOptions, func(o *Options) { o.OnDamage = func(*DamageError) error { return nil } })
		if !slices.Equal(indices(got), rest) {
			t.Fatalf("replayed %v, want %v", indices(got), rest)
		}
		if n := len(j.Recovered().Damage); damage != (n > 0) {
			t.Fatalf("damage %v", j.Recovered().Damage)
		}
		l := newListener()
		g := j.Group(1, l)
		next := rest[len(rest)-1] + 1
		appendOne(t, j, g, next)
		must(t, l.wait(t, next))
		rest = append(slices.Clone(rest), next)
		must(t, j.Close())
	}
}

// TestATailThatIsCutAnywhereIsRecovered cuts the file anywhere in its last two batches, or
// writes zeros from there, as a loss of power leaves it: the server starts by itself, with
// all that lies before.
func TestATailThatIsCutAnywhereIsRecovered(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, damagedOptions)
	l := newListener()
	g := j.Group(1, l)
	for i := uint64(1); i <= 3; i++ {
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
	}
	base := fs.CrashClone(faultfs.KeepAll, 0)
	must(t, j.Close())
	name := "j/" + fileName(0)
	cut := func(at int64, zeros bool) {
		fs := base.CrashClone(faultfs.KeepAll, 0)
		f, err := fs.OpenWrite(name)
		must(t, err)
		if zeros {
			_, err = f.WriteAt(make([]byte, 3*blockSize-at), at)
		} else {
			err = f.Truncate(at)
		}
		must(t, err)
		must(t, f.Close())
		j, got := open(t, fs, damagedOptions)
		whole := int(at / blockSize)
		if n := len(j.Recovered().Damage); n > 0 || len(got) < whole || !slices.Equal(indices(got), []uint64{1, 2, 3}[:len(got)]) {
			t.Fatalf("cut at %d (zeros: %v): replayed %v, damage %v", at, zeros, indices(got), j.Recovered().Damage)
		}
		must(t, j.Close())
		if at%128 == 17 {
			goOn(t, fs, indices(got), false)
		}
	}
	for at := int64(blockSize); at < 3*blockSize; at++ {
		if at%blockSize > 256 && at%61 != 0 {
			continue // nothing but zeros up to the end of the block
		}
		cut(at, false)
		cut(at, true)
	}
}

func TestMissingFileIsDamage(t *testing.T) {
	for file := range uint64(2) {
		fs := damagedBase(t)
		j, _ := open(t, fs, damagedOptions)
		l := newListener()
		g := j.Group(1, l)
		for i := uint64(8); i <= 13; i++ {
			appendOne(t, j, g, i)
			must(t, l.wait(t, i))
		}
		must(t, j.Close())
		must(t, fs.Remove("j/"+fileName(file)))
		_, _, err := tryOpen(fs, damagedOptions)
		var d *DamageError
		if !errors.As(err, &d) {
			t.Fatalf("without file %d: %v", file, err)
		}
	}
}

func TestForeignFileIsRefused(t *testing.T) {
	fs := damagedBase(t)
	_, _, err := tryOpen(fs, damagedOptions, func(o *Options) { o.Identity = 2 })
	if !errors.Is(err, ErrForeign) {
		t.Fatalf("open: %v", err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	fs := damagedBase(t)
	must(t, fs.Corrupt("j/"+fileName(0), 4, 3))
	ops := fs.CrashClone(faultfs.KeepAll, 0)
	if _, _, err := tryOpen(ops, damagedOptions); !errors.Is(err, errNewer) {
		t.Fatalf("open: %v", err)
	}
}

// TestGarbageInAVersionIsNoNewerFormat: a crash may leave anything behind the first bytes of a
// batch that was being written, also where a file begins with it.
func TestGarbageInAVersionIsNoNewerFormat(t *testing.T) {
	for _, version := range []uint16{0, highestVersion + 1, 118, 1<<16 - 1} {
		fs := faultfs.New()
		j, _ := open(t, fs)
		first := newListener()
		appendOne(t, j, j.Group(1, first), 1)
		must(t, first.wait(t, 1)) // so that there is a file
		must(t, j.Close())
		f, err := fs.OpenWrite("j/" + fileName(0))
		must(t, err)
		garbage := make([]byte, 4*blockSize) // and nothing behind it
		for i := range blockSize {
			garbage[i] = byte(i*7 + 1)
		}
		copy(garbage, magic)
		le.PutUint16(garbage[4:], version)
		_, err = f.WriteAt(garbage, 0)
		must(t, errors.Join(err, f.Sync(), f.Close()))
		j, got := open(t, fs)
		if len(got) != 0 {
			t.Fatalf("version %d: %v", version, got)
		}
		l := newListener()
		appendOne(t, j, j.Group(1, l), 1)
		must(t, l.wait(t, 1))
		must(t, j.Close())
		if j, got = open(t, fs); len(got) != 1 {
			t.Fatalf("version %d: %d entries after the next start", version, len(got))
		}
		must(t, j.Close())
	}
}

func TestOwnIdentityIsKeptAndFoundAgain(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	id := j.opts.Identity
	must(t, j.Close())
	for _, spoil := range []func(){
		func() {},
		func() { must(t, fs.Remove("j/"+identityName)) },
		func() { must(t, fs.Corrupt("j/"+identityName, 9, 1)) },
	} {
		spoil()
		j, got := open(t, fs)
		if j.opts.Identity != id || len(got) != 1 {
			t.Fatalf("identity %d, want %d; %d entries", j.opts.Identity, id, len(got))
		}
		must(t, j.Close())
	}
}

// A message that looks like a batch must not be taken for one, even where the
// batch around it is torn.
func TestForgedBatchInAMessageIsNotBelieved(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	forged := encode(&header{identity: 0, generation: 1 << 40, number: 1 << 40, durableUpto: 1 << 40, firstLive: 1 << 40}, entry(1, "forged"))
	data := make([]byte, blockSize-headerSize-recordSize, 3*blockSize)
	data = append(data, forged...)
	data = append(data, forged...)
	must(t, j.Append(g, 1, 2, 7, Urgent, data))
	must(t, l.wait(t, 2))
	fs = fs.CrashClone(faultfs.KeepAll, 0)
	must(t, j.Close())
	must(t, fs.Corrupt("j/"+fileName(0), blockSize+1, 1)) // the header around it
	j, got := open(t, fs)
	if len(got) != 1 || j.w.generation != 1 {
		t.Fatalf("%d entries, generation %d", len(got), j.w.generation)
	}
	must(t, j.Close())
}

func TestEmptyAndReplayErrors(t *testing.T) {
	fs := damagedBase(t)
	stop := errors.New("stop")
	_, err := Open(Options{FS: fs, Dir: "j", FileSize: 16 << 10, Identity: 1}, func(Entry) error { return stop })
	if !errors.Is(err, stop) {
		t.Fatalf("open: %v", err)
	}
	empty := faultfs.New()
	for range 2 {
		j, got := open(t, empty)
		if len(got) != 0 || j.Err() != nil {
			t.Fatalf("replayed %v, %v", got, j.Err())
		}
		must(t, j.Close())
		if err := j.Close(); err != ErrClosed {
			t.Fatalf("second close: %v", err)
		}
	}
}

func TestSizeFollowsTheDiskAndStays(t *testing.T) {
	fs := faultfs.New()
	fs.SetCapacity(32 << 20)
	auto := func(o *Options) { o.FileSize, o.MaxBytes = 0, 0 }
	j, _ := open(t, fs, auto)
	if j.fileSize != 2<<20 || j.opts.MaxBytes != 8<<20 {
		t.Fatalf("file size %d, max %d", j.fileSize, j.opts.MaxBytes)
	}
	awaitFiles(t, j, 2)
	must(t, j.Close())
	fs.SetCapacity(1 << 40)
	j, _ = open(t, fs, auto)
	if j.fileSize != 2<<20 {
		t.Fatalf("file size became %d", j.fileSize)
	}
	must(t, j.Close())
}

// A batch that was torn may have said that older files are not needed. Nobody
// knows that durably once it is cut: they may not be written to before a batch
// that is durable says it again.
func TestAFileThatOnlyATornBatchFreedIsNotWrittenTo(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, damagedOptions)
	l := newListener()
	g := j.Group(1, l)
	for i := uint64(1); i <= 6; i++ { // four fill the first file
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
	}
	g.Release(5) // the next batch says that the first file is not needed
	appendOne(t, j, g, 7)
	must(t, l.wait(t, 7))
	torn := fs.CrashClone(faultfs.KeepAll, 0)
	must(t, j.Close())
	must(t, torn.Corrupt("j/"+fileName(1), 2*blockSize+105, 1))

	j, got := open(t, torn, damagedOptions)
	if !slices.Equal(indices(got), []uint64{5, 6}) || !j.Recovered().Torn {
		t.Fatalf("replayed %v, %+v", indices(got), j.Recovered())
	}
	isReady := func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return slices.ContainsFunc(j.ready, func(f *file) bool { return f.name == fileName(0) })
	}
	if isReady() {
		t.Error("the first file may be written to")
	}
	l = newListener()
	g = j.Group(1, l)
	appendOne(t, j, g, 7)
	must(t, l.wait(t, 7))
	if !isReady() {
		t.Error("the first file is not used again")
	}
	must(t, j.Close())
}
