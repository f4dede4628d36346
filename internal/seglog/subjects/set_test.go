package subjects

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

var testID = record.Identity{ID: 7, Incarnation: 2}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDisk(t testing.TB) *faultfs.FS {
	t.Helper()
	fs := faultfs.New()
	must(t, fs.MkdirAll("log"))
	must(t, fs.SyncDir("."))
	return fs
}

func options(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "log", ID: testID, Cache: NewCache(1 << 20)}
}

func open(t testing.TB, fs vfs.FS, list []byte) *Set {
	t.Helper()
	s, err := Open(options(fs), list)
	must(t, err)
	return s
}

// model is what the index should hold; a run of it may hold tombstones.
type model map[string]Entry

func (m model) sorted() iter.Seq2[[]byte, *Entry] {
	return func(yield func([]byte, *Entry) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			e := m[name]
			if !yield([]byte(name), &e) {
				return
			}
		}
	}
}

// put is what a run of changes does to the index.
func (m model) put(changes model) {
	for name, e := range changes {
		if e.Tombstone() {
			delete(m, name)
		} else {
			m[name] = e
		}
	}
}

func (m model) matching(pattern string) model {
	out := model{}
	for name, e := range m {
		if pattern == "" || subject.Match(pattern, name) {
			out[name] = e
		}
	}
	return out
}

func contents(s *Set, pattern string) (model, error) {
	got, prev := model{}, ""
	var order error
	err := s.Each(pattern, func(name []byte, e *Entry) bool {
		if len(got) > 0 && string(name) <= prev {
			order = fmt.Errorf("%q comes after %q", name, prev)
		}
		prev = string(name)
		got[prev] = e.clone()
		return true
	})
	return got, errors.Join(err, order)
}

func same(got, want model) error {
	if len(got) == len(want) && (len(got) == 0 || reflect.DeepEqual(got, want)) {
		return nil
	}
	for name, e := range want {
		if g, ok := got[name]; !ok || !reflect.DeepEqual(g, e) {
			return fmt.Errorf("%q is %+v (%v), not %+v; %d subjects for %d", name, g, ok, e, len(got), len(want))
		}
	}
	return fmt.Errorf("%d subjects for %d", len(got), len(want))
}

func check(t testing.TB, s *Set, want model) {
	t.Helper()
	got, err := contents(s, "")
	must(t, err)
	must(t, same(got, want))
}

// changes makes n random changes of some 400 subjects.
func changes(rnd *rand.Rand, n int) model {
	m := model{}
	for range n {
		name := fmt.Sprintf("orders.%d.item%d", rnd.IntN(20), rnd.IntN(20))
		if rnd.IntN(4) == 0 {
			m[name] = Entry{}
			continue
		}
		e := Entry{Count: rnd.Uint64N(1000) + 1, First: rnd.Uint64N(1 << 40)}
		if rnd.IntN(3) > 0 {
			e.Last = e.First + rnd.Uint64N(1<<20)
		}
		for i, at := 0, e.First; i < rnd.IntN(8); i++ {
			e.Seqs = append(e.Seqs, at)
			at += 1 + rnd.Uint64N(300)
		}
		if e.Last == 0 && e.First == 0 {
			e.First = 1
		}
		m[name] = e
	}
	return m
}

func TestTheSetIsWhatAModelIs(t *testing.T) {
	for seed := range uint64(20/sparser + 1) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		fs, want := newDisk(t), model{}
		s := open(t, fs, nil)
		for range 25 {
			c := changes(rnd, 1+rnd.IntN(200))
			want.put(c)
			must(t, s.WriteRun(c.sorted()))
			if rnd.IntN(3) == 0 {
				_, err := s.Merge(nil)
				must(t, err)
			}
			if rnd.IntN(3) == 0 {
				list := s.List()
				must(t, s.Saved(list))
				s.Close()
				s = open(t, fs, list)
			}
			for _, pattern := range []string{"", ">", "orders.>", "orders.3.>", "orders.*.item7", "orders.1*.>", "*.4.*", "orders.5.item5", "none.>", "orders.1.*"} {
				got, err := contents(s, pattern)
				must(t, err)
				if err := same(got, want.matching(pattern)); err != nil {
					t.Fatalf("seed %d, pattern %q: %v", seed, pattern, err)
				}
			}
			for i := range 20 {
				name := fmt.Sprintf("orders.%d.item%d", i, rnd.IntN(22))
				e, ok, err := s.Lookup([]byte(name))
				must(t, err)
				w, has := want[name]
				if ok != has || ok && !reflect.DeepEqual(e, w) {
					t.Fatalf("seed %d: %q is %+v, %v, not %+v, %v", seed, name, e, ok, w, has)
				}
			}
		}
	}
}

func TestMergingBoundsTheNumberOfRunsAndFiles(t *testing.T) {
	fs, want := newDisk(t), model{}
	s := open(t, fs, nil)
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		c := changes(rnd, 20)
		want.put(c)
		must(t, s.WriteRun(c.sorted()))
		_, err := s.Merge(nil)
		must(t, err)
		must(t, s.Saved(s.List()))
	}
	check(t, s, want)
	names, err := fs.List("log")
	must(t, err)
	if st := s.Stats(); st.Runs > 10 || len(names) != st.Runs {
		t.Fatalf("%d runs, files %v", st.Runs, names)
	}
}

func TestTombstonesGoWithTheOldestRun(t *testing.T) {
	s := open(t, newDisk(t), nil)
	for _, c := range []model{{"a": {Count: 1, First: 1, Last: 1}}, {"a": {}}, {"b": {}}, {"c": {}}} {
		must(t, s.WriteRun(c.sorted()))
	}
	did, err := s.Merge(nil)
	must(t, err)
	if st := s.Stats(); !did || st.Runs != 0 {
		t.Fatalf("merged: %v, %+v", did, st)
	}
	check(t, s, model{})
}

func TestRunsThatAListNamesStayUntilANewerOneIsSaved(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	want := model{}
	for i := range 4 {
		c := model{fmt.Sprint("s", i): {Count: 1, First: 1, Last: 1}}
		want.put(c)
		must(t, s.WriteRun(c.sorted()))
	}
	before := s.List()
	_, err := s.Merge(nil)
	must(t, err)
	must(t, s.Saved(before))
	check(t, open(t, fs.CrashClone(faultfs.DropUnsynced, 1), before), want)
	after := s.List()
	must(t, s.Saved(after))
	check(t, open(t, fs, after), want)
	if _, err := Open(options(fs), before); !errors.Is(err, record.ErrDamaged) {
		t.Fatalf("runs that are gone: %v", err)
	}
}

func TestReadersKeepTheirRunsWhileTheyAreMerged(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	want := model{}
	for i := range 4 {
		c := model{}
		for j := range 2000 {
			c[fmt.Sprintf("s.%d.%d", i, j)] = Entry{Count: 1, First: uint64(j), Last: uint64(j + 1)}
		}
		want.put(c)
		must(t, s.WriteRun(c.sorted()))
	}
	s.o.Cache = NewCache(0)
	n := 0
	must(t, s.Each(">", func([]byte, *Entry) bool {
		if n++; n == 10 {
			_, err := s.Merge(nil)
			must(t, err)
			must(t, s.Saved(s.List()))
		}
		return true
	}))
	if n != len(want) {
		t.Fatalf("%d subjects for %d", n, len(want))
	}
	names, err := fs.List("log")
	must(t, err)
	if len(names) != 1 {
		t.Fatalf("files that nobody reads stay: %v", names)
	}
}

func TestOpenReadsOnlyHeads(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	must(t, s.WriteRun(manySubjects(50_000)))
	list := s.List()
	var read int64
	fs.Inject(faultfs.Func("count", func(op faultfs.Op) *faultfs.Fault {
		if op.Kind == faultfs.Read {
			read += op.Size
		}
		return nil
	}))
	open(t, fs, list)
	if read == 0 || read > headLen {
		t.Fatalf("%d bytes read", read)
	}
}

// manySubjects gives n subjects, rising.
func manySubjects(n int) iter.Seq2[[]byte, *Entry] {
	return func(yield func([]byte, *Entry) bool) {
		var name []byte
		for i := range n {
			name = fmt.Appendf(name[:0], "orders.%03d.item.%07d", i/10_000, i)
			if !yield(name, &Entry{Count: 1, First: uint64(i + 1), Last: uint64(i + 1)}) {
				return
			}
		}
	}
}

func TestTheCacheStaysWithinItsBytes(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	s.o.Cache = NewCache(100_000)
	must(t, s.WriteRun(manySubjects(50_000)))
	n := 0
	must(t, s.Each("", func([]byte, *Entry) bool {
		if n++; s.o.Cache.Size() > 100_000 {
			t.Fatalf("%d bytes", s.o.Cache.Size())
		}
		return true
	}))
	if n != 50_000 || s.o.Cache.Size() == 0 {
		t.Fatalf("%d subjects, %d bytes", n, s.o.Cache.Size())
	}
	s.Close()
	if s.o.Cache.Size() != 0 {
		t.Fatalf("%d bytes after Close", s.o.Cache.Size())
	}
}

func TestPaceEndsAMergeWithoutATrace(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	want := model{"a": {Count: 1, First: 1}}
	for range 4 {
		must(t, s.WriteRun(want.sorted()))
	}
	stop := errors.New("stop")
	if _, err := s.Merge(func(int) error { return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	check(t, s, want)
	names, err := fs.List("log")
	must(t, err)
	if len(names) != 4 {
		t.Fatal(names)
	}
}

func TestSubjectsThatDoNotRiseAreRefused(t *testing.T) {
	s := open(t, newDisk(t), nil)
	for _, names := range [][]string{{"b", "a"}, {"a", "a"}, {string(make([]byte, MaxSubject+1))}} {
		err := s.WriteRun(func(yield func([]byte, *Entry) bool) {
			for _, name := range names {
				if !yield([]byte(name), &Entry{Count: 1}) {
					return
				}
			}
		})
		if err == nil {
			t.Fatalf("%.10q was taken", names)
		}
	}
	check(t, s, model{})
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	c := changes(rand.New(rand.NewPCG(9, 9)), 600)
	must(t, s.WriteRun(c.sorted()))
	list, want := s.List(), model{}
	want.put(c)
	size := s.Stats().Bytes
	name := path.Join("log", "1.run")
	for off := int64(0); off < size; off += sparser + off%3 {
		must(t, fs.Corrupt(name, off, 0x10))
		d, err := Open(options(fs), list)
		if err == nil {
			_, err = contents(d, "")
		}
		if !errors.Is(err, record.ErrDamaged) {
			t.Fatalf("byte %d: %v", off, err)
		}
		must(t, fs.Corrupt(name, off, 0x10))
	}
	check(t, open(t, fs, list), want)
}

func TestLookUpsGoOnBesideWritesAndMerges(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	must(t, s.WriteRun(model{"fixed": {Count: 5, First: 1, Last: 9}}.sorted()))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				e, ok, err := s.Lookup([]byte("fixed"))
				if err != nil || !ok || e.Last != 9 {
					t.Errorf("%+v, %v, %v", e, ok, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		must(t, s.WriteRun(changes(rnd, 20).sorted()))
		_, err := s.Merge(nil)
		must(t, err)
		must(t, s.Saved(s.List()))
	}
	close(done)
	readers.Wait()
}

// Every byte of a run is verified, and none of a good one is complained of.
func TestVerifyFindsEveryChangedByteOfARun(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	must(t, s.WriteRun(manySubjects(300)))
	names, err := fs.List("log")
	must(t, err)
	runs := Runs(names)
	if len(runs) != 1 || len(Runs([]string{"1.seg", "01.run", "0.run", "manifest"})) != 0 {
		t.Fatalf("runs %v of %v", runs, names)
	}
	name := path.Join("log", runs[0])
	if off, err := Verify(fs, name, testID); off != 0 || err != nil {
		t.Fatal(off, err)
	}
	info, err := fs.Stat(name)
	must(t, err)
	for off := range info.Size {
		if off > 600 && off < info.Size-600 && off%13 != 0 {
			continue
		}
		must(t, fs.Corrupt(name, off, 1<<(off%8)))
		if at, err := Verify(fs, name, testID); !errors.Is(err, record.ErrDamaged) || at > off {
			t.Fatalf("change at %d: %d, %v", off, at, err)
		}
		must(t, fs.Corrupt(name, off, 1<<(off%8)))
	}
	if _, err := Verify(fs, name, record.Identity{ID: 8}); !errors.Is(err, record.ErrDamaged) {
		t.Fatalf("run of another log: %v", err)
	}
	if _, err := Verify(fs, "log/none", testID); err == nil {
		t.Fatal("no name of a run is verified")
	}
}

func TestAViewIsOfOneMoment(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	was := model{}
	for i := range 4 {
		c := model{fmt.Sprint(i): {Count: 1, First: 1, Last: 1}}
		was.put(c)
		must(t, s.WriteRun(c.sorted()))
	}
	v, err := s.View()
	must(t, err)
	_, err = s.Merge(nil)
	must(t, err)
	must(t, s.Saved(s.List()))
	s.Clear()
	now := model{"new": {Count: 2, First: 3, Last: 4}}
	must(t, s.WriteRun(now.sorted()))
	must(t, s.Saved(s.List()))
	got := model{}
	must(t, v.Each("", func(name []byte, e *Entry) bool { got[string(name)] = e.clone(); return true }))
	must(t, same(got, was))
	if _, ok, err := v.Lookup([]byte("2")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	check(t, s, now)
	v.Close()
	if names, err := fs.List("log"); err != nil || len(names) != 1 {
		t.Fatalf("files %v, %v", names, err)
	}
}

func TestAClearedSetStaysClearedBesideAMerge(t *testing.T) {
	fs := newDisk(t)
	s := open(t, fs, nil)
	for i := range 4 {
		must(t, s.WriteRun(model{fmt.Sprint(i): {Count: 1, First: 1}}.sorted()))
	}
	now := model{"new": {Count: 1, First: 9}}
	cleared := false
	did, err := s.Merge(func(int) error {
		if !cleared {
			cleared = true
			s.Clear()
			must(t, s.WriteRun(now.sorted()))
		}
		return nil
	})
	if did || err != nil || !cleared {
		t.Fatal(did, err, cleared)
	}
	check(t, s, now)
	must(t, s.Saved(s.List()))
	if names, err := fs.List("log"); err != nil || len(names) != 1 {
		t.Fatalf("files %v, %v", names, err)
	}
	check(t, open(t, fs, s.List()), now)
}
