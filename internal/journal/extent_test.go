package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// shelf keeps the data of extents in one file of the same disk, each at a place of
// its own.
type shelf struct {
	fs   vfs.FS
	name string
}

const (
	shelfName = "owner/shelf"
	shelfSlot = 8192
)

// newShelf makes the file, durably.
func newShelf(t testing.TB, fs vfs.FS, name, dir string) *shelf {
	t.Helper()
	must(t, fs.MkdirAll(dir))
	if f, err := fs.Create(name); err == nil {
		must(t, f.Sync())
		must(t, f.Close())
		must(t, fs.SyncDir(dir))
	} else if !errors.Is(err, iofs.ErrExist) {
		t.Fatal(err)
	}
	return &shelf{fs, name}
}

// shelved is data on its way to a shelf.
type shelved struct {
	s    *shelf
	data []byte
	off  int64
	gate chan struct{} // nil, or closed when it may be written
	// begun, where not nil, is told that somebody would write it.
	begun func()
}

func (x *shelved) Write() error {
	if x.begun != nil {
		x.begun()
	}
	if x.gate != nil {
		<-x.gate
	}
	f, err := x.s.fs.OpenWrite(x.s.name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(x.data, x.off); err == nil {
		err = f.Datasync()
	}
	return errors.Join(err, f.Close())
}

func (x *shelved) place() []byte {
	b := le.AppendUint64(nil, uint64(x.off))
	b = le.AppendUint32(b, uint32(len(x.data)))
	return le.AppendUint32(b, crc32.Checksum(x.data, castagnoli))
}

func (s *shelf) fetch(e Entry) ([]byte, error) {
	off, n, sum := int64(le.Uint64(e.Data)), le.Uint32(e.Data[8:]), le.Uint32(e.Data[12:])
	f, err := s.fs.OpenRead(s.name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	got, err := f.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if got < len(b) || crc32.Checksum(b, castagnoli) != sum {
		return nil, fmt.Errorf("%d bytes at %d: %w", n, off, ErrTorn)
	}
	return b, nil
}

func (s *shelf) data(g GroupID, index uint64) *shelved {
	return &shelved{s: s, data: entryData(g, index), off: int64(index*crashGroups+uint64(g)) * shelfSlot}
}

// append puts every third entry on a shelf.
func (s *shelf) append(j *Journal, g *Group, index uint64) error {
	data := entryData(g.id, index)
	if index%3 != 0 {
		return j.Append(g, 1, index, 7, Urgent, data)
	}
	x := s.data(g.id, index)
	return j.AppendExtent(g, 1, index, 7, Urgent, x, len(data), x.place())
}

func TestACrashBetweenAnExtentAndItsRecordLosesNothing(t *testing.T) {
	step := uint64(11)
	if testing.Short() || raceEnabled {
		step = 41
	}
	for _, mode := range faultfs.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			must(t, crashes(t, mode, step, history{shelves: true, encrypts: mode == faultfs.RandomWrites}, func(*faultfs.FS) {}))
		})
	}
}

// The crash test must fail where extents are not synced.
func TestCrashTestSeesAnExtentThatIsNotSynced(t *testing.T) {
	err := crashes(t, faultfs.DropUnsynced, 5, history{shelves: true}, func(fs *faultfs.FS) {
		fs.Inject(faultfs.OnName("shelf", faultfs.Lie(faultfs.Sync, 2)))
	})
	if err == nil {
		t.Fatal("extents that are not synced lost nothing")
	}
	t.Log(err)
}

func TestNoAckAfterAFailedExtent(t *testing.T) {
	failures := 0
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync} {
		for n := 1; n <= 12; n++ {
			for _, mode := range []faultfs.Mode{faultfs.DropUnsynced, faultfs.RandomSectors, faultfs.KeepAll} {
				fs := faultfs.New()
				h := newHistory()
				h.shelves = true
				newShelf(t, fs, shelfName, "owner")
				fs.Inject(faultfs.OnName("shelf", faultfs.FailNth(kind, n, syscall.EIO)))
				with := func(o *Options) { h.policy(t, fs, o) }
				j, _, err := tryOpen(fs, smallFiles, with)
				must(t, err)
				session(t, j, h, 8)
				if j.Err() != nil {
					failures++
				}
				if err := j.Close(); j.Err() != nil && !errors.Is(err, syscall.EIO) {
					t.Fatalf("close of a dead journal gives %v", err)
				}
				clone := fs.CrashClone(mode, uint64(n))
				j, got, err := tryOpen(clone, smallFiles, func(o *Options) { h.policy(t, clone, o) })
				must(t, err)
				if err := errors.Join(h.check(got), j.Close()); err != nil {
					t.Fatalf("%v %d, %v: %v", kind, n, mode, err)
				}
			}
		}
	}
	if failures < 50 {
		t.Fatalf("only %d of the failures were felt", failures)
	}
}

// shelfJournal is a journal with a shelf, a group and its listener.
func shelfJournal(t *testing.T, fs *faultfs.FS) (*Journal, *shelf, *Group, *listener) {
	t.Helper()
	s := newShelf(t, fs, shelfName, "owner")
	j, _ := open(t, fs, func(o *Options) { o.Fetch = s.fetch })
	l := newListener()
	return j, s, j.Group(1, l), l
}

// appendShelved appends an entry whose extent waits for a gate, if there is one.
func appendShelved(t *testing.T, j *Journal, s *shelf, g *Group, index uint64, size int, gate chan struct{}) {
	t.Helper()
	x := s.data(g.id, index)
	x.gate = gate
	must(t, j.AppendExtent(g, 1, index, 7, Urgent, x, size, x.place()))
}

func TestAnEntryIsDurableWhenItsExtentIs(t *testing.T) {
	j, s, g, l := shelfJournal(t, faultfs.New())
	gate := make(chan struct{})
	appendShelved(t, j, s, g, 1, 100, gate)
	for j.Metrics.Batches.Load() == 0 { // the record is written, the extent is not
		j.wake.ring()
	}
	appendOne(t, j, g, 2)
	if l.upto() != 0 || j.Metrics.Batches.Load() != 1 {
		t.Fatalf("%d is told of %d batches", l.upto(), j.Metrics.Batches.Load())
	}
	close(gate)
	must(t, l.wait(t, 2))
	if m := &j.Metrics; m.Extents.Load() != 1 || m.ExtentBytes.Load() != 100 {
		t.Errorf("%d extents of %d bytes", m.Extents.Load(), m.ExtentBytes.Load())
	}
	must(t, j.Close())
}

// The length of the journal counts extents, so that checkpoints are asked for.
func TestExtentsCountToTheLengthOfTheJournal(t *testing.T) {
	fs := faultfs.New()
	s := newShelf(t, fs, shelfName, "owner")
	with := func(o *Options) { o.Fetch, o.FileSize, o.MaxBytes = s.fetch, 64<<10, 256<<10 }
	j, _ := open(t, fs, with)
	l := newListener()
	g := j.Group(1, l)
	for index := uint64(1); index <= 20; index++ {
		prepared(j) // without another file the present one goes on
		appendShelved(t, j, s, g, index, 30<<10, nil)
		must(t, l.wait(t, index))
	}
	if p := j.Pressure(); p.Unreleased < 20*30<<10 || p.Files < 5 {
		t.Errorf("%+v", p)
	}
	must(t, j.Close())
	j, got := open(t, fs, with)
	if len(got) != 20 {
		t.Fatalf("%d entries", len(got))
	}
	if p := j.Pressure(); p.Files < 5 {
		t.Errorf("after a restart: %+v", p)
	}
	j.Group(1, newListener()).Release(20)
	if p := j.Pressure(); p.Files != 1 || p.Unreleased > 200<<10 {
		t.Errorf("after a release: %+v", p)
	}
	must(t, j.Close())
}

// brokenShelf has three durable batches, of which the second one's extent is bad.
func brokenShelf(t *testing.T, last uint64) *faultfs.FS {
	t.Helper()
	fs := faultfs.New()
	j, s, g, l := shelfJournal(t, fs)
	for index := uint64(1); index <= last; index++ {
		appendShelved(t, j, s, g, index, 100, nil)
		must(t, l.wait(t, index))
	}
	crashed := fs.CrashClone(faultfs.KeepAll, 1)
	must(t, j.Close())
	must(t, crashed.Corrupt(shelfName, s.data(1, 2).off, 1))
	return crashed
}

func TestADamagedExtentIsReportedAndCostsItsEntry(t *testing.T) {
	fs := brokenShelf(t, 3)
	s := &shelf{fs, shelfName}
	var damage *DamageError
	if _, _, err := tryOpen(fs, func(o *Options) { o.Fetch = s.fetch }); !errors.As(err, &damage) {
		t.Fatalf("opened: %v", err)
	}
	rec, err := Check(Options{FS: fs, Dir: "j", Fetch: s.fetch}, func(Entry) error { return nil })
	if err == nil && (len(rec.Damage) != 1 || rec.Entries != 2) {
		t.Errorf("check: %+v", rec)
	}
	j, got, err := tryOpen(fs, func(o *Options) {
		o.Fetch = s.fetch
		o.OnDamage = func(*DamageError) error { return nil }
	})
	must(t, err)
	if d := j.Recovered().Damage; len(d) != 1 || len(d[0].Lost) != 1 || d[0].Lost[0].Index != 2 || len(got) != 2 {
		t.Fatalf("damage %+v, replayed %+v", d, got)
	}
	must(t, j.Close())
}

func TestAnExtentOfTheLastBatchThatDoesNotVerifyIsTorn(t *testing.T) {
	fs := brokenShelf(t, 2)
	s := &shelf{fs, shelfName}
	for range 2 {
		j, got, err := tryOpen(fs, func(o *Options) { o.Fetch = s.fetch })
		must(t, err)
		if len(got) != 1 {
			t.Fatalf("replayed %+v", got)
		}
		must(t, j.Close())
	}
}

func TestAnExtentThatNobodyNeedsIsNotReplayed(t *testing.T) {
	fs := brokenShelf(t, 3)
	asked := 0
	j, got, err := tryOpen(fs, func(o *Options) {
		o.Fetch = func(e Entry) ([]byte, error) { asked++; return nil, nil }
	})
	must(t, err)
	if len(got) != 0 || asked == 0 || !slices.Equal(j.Unclaimed(), []GroupID{1}) {
		t.Errorf("replayed %+v after %d questions; unclaimed %v", got, asked, j.Unclaimed())
	}
	must(t, j.Close())
	for name, fetch := range map[string]func(Entry) ([]byte, error){
		"nobody": nil, "a bad disk": func(Entry) ([]byte, error) { return nil, syscall.EIO },
	} {
		if _, _, err := tryOpen(fs, func(o *Options) { o.Fetch = fetch }); !errors.Is(err, errNoFetch) && !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFailureWaitsForExtentsThatAreBeingWritten(t *testing.T) {
	fs := faultfs.New()
	j, s, g, l := shelfJournal(t, fs)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	gate, begun := make(chan struct{}), make(chan struct{})
	var once, first sync.Once
	fs.Inject(faultfs.OnName(fileSuffix, faultfs.Func("fail", func(op faultfs.Op) *faultfs.Fault {
		if op.Kind != faultfs.Sync {
			return nil
		}
		<-begun
		once.Do(func() { go close(gate) })
		return &faultfs.Fault{Err: syscall.EIO}
	})))
	for index := uint64(2); index < 8; index++ {
		x := s.data(1, index)
		x.gate, x.begun = gate, func() { first.Do(func() { close(begun) }) }
		if err := j.AppendExtent(g, 1, index, 7, Urgent, x, 100, x.place()); err != nil {
			break
		}
	}
	if err := l.wait(t, 7); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	select {
	case <-gate:
	default:
		t.Error("told while an extent was being written")
	}
	if err := j.Close(); !errors.Is(err, ErrDead) {
		t.Fatal(err)
	}
}
