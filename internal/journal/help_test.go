package journal

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// helping appends by f and helps behind it.
func helping(j *Journal, f func()) {
	expected := j.Expect()
	f()
	if expected && j.Due() {
		j.Help()
	}
}

// helpful gives a journal with one durable entry of a group, of which the writer sleeps
// and help is wanted.
func helpful(t *testing.T, fs *faultfs.FS) (*Journal, *Group, *listener) {
	t.Helper()
	j, _ := open(t, fs, func(o *Options) { o.FileSize = 1 << 20 })
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	prepared(j)
	sleeping(j)
	j.helpers.quick.Store(true) // however long it took
	return j, g, l
}

// sleeping waits until the writer sleeps.
func sleeping(j *Journal) {
	for idle := false; !idle || len(j.pen) == 0; runtime.Gosched() {
		j.mu.Lock()
		idle = j.idle
		j.mu.Unlock()
	}
}

// expect begins to help.
func expect(t *testing.T, j *Journal) {
	t.Helper()
	if !j.Expect() {
		t.Fatal("no help is wanted")
	}
}

func TestWhoHelpsWritesWhatWasAppended(t *testing.T) {
	for _, direct := range []bool{false, true} {
		helped := 0
		fs := faultfs.New()
		fs.SetDirect(direct)
		j, g, l := helpful(t, fs)
		for i := uint64(2); i <= 20; i++ {
			sleeping(j)
			j.helpers.quick.Store(true)
			expect(t, j)
			appendOne(t, j, g, i)
			if l.upto() != i-1 {
				t.Fatalf("entry %d was written before its help", i)
			}
			if !j.Due() {
				t.Fatalf("nothing is due behind entry %d", i)
			}
			if j.Help(); l.upto() == i {
				helped++
			}
			must(t, l.wait(t, i)) // the writer may have been about, for its files' sake
		}
		if helped < 10 {
			t.Errorf("%d of 19 entries were durable when their help ended", helped)
		}
		must(t, j.Close())
		again, got := open(t, fs, func(o *Options) { o.FileSize = 1 << 20 })
		must(t, again.Close())
		if len(got) != 20 {
			t.Fatalf("%d entries came back", len(got))
		}
	}
}

func TestTheWriterWritesWhatIsLeftToIt(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	expect(t, j)
	appendOne(t, j, g, 2)
	if !j.Due() {
		t.Fatal("nothing is due")
	}
	j.Leave()
	must(t, l.wait(t, 2))
	must(t, j.Close())
}

func TestNothingIsDueForWhoAppendsNothing(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	expect(t, j)
	if j.Due() {
		t.Fatal("something is due")
	}
	appendOne(t, j, g, 2) // nobody is expected: the writer is woken
	must(t, l.wait(t, 2))
	must(t, j.Close())
}

func TestNoEntryWaitsLongForWhoIsToHelp(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	for i := uint64(2); i < 5; i++ {
		j.helpers.quick.Store(true)
		expect(t, j)
		appendOne(t, j, g, i)
		must(t, l.wait(t, i)) // nobody has helped
		if j.Due() {
			j.Help()
		}
	}
	must(t, j.Close())
}

func TestEntriesOfOthersWaitForNobodyButWhoHelps(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	expect(t, j)
	expect(t, j)
	appendOne(t, j, g, 2) // by somebody else
	if !j.Due() {
		t.Fatal("nothing is due for the first")
	}
	j.Help()
	must(t, l.wait(t, 2))
	if j.Due() {
		t.Fatal("something is due for the second")
	}
	must(t, j.Close())
}

func TestALotIsLeftToTheWriter(t *testing.T) {
	fs := faultfs.New()
	j, g, l := helpful(t, fs)
	hold := newGate()
	fs.Inject(hold.injector())
	expect(t, j)
	must(t, j.Append(g, 1, 2, 7, Urgent, make([]byte, helpBytes)))
	if !j.Due() {
		t.Fatal("nothing is due")
	}
	j.Help() // returns, while the disk does nothing
	<-hold.entered
	close(hold.open)
	must(t, l.wait(t, 2))
	must(t, j.Close())
}

func TestRidingEntriesWaitBehindHelpToo(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	expect(t, j)
	must(t, j.Append(g, 1, 2, 7, Riding, entryData(1, 2)))
	if !j.Due() {
		t.Fatal("nothing is due")
	}
	j.Help()
	if l.upto() != 1 {
		t.Fatal("a riding entry was written at once")
	}
	must(t, l.wait(t, 2))
	must(t, j.Close())
}

func TestAFailureOfWhoHelpsEndsTheJournal(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync} {
		fs := faultfs.New()
		j, g, l := helpful(t, fs)
		fs.Inject(faultfs.FailFrom(kind, 1, syscall.EIO))
		helping(j, func() { appendOne(t, j, g, 2) })
		if err := l.wait(t, 2); !errors.Is(err, ErrDead) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("the group was told %v", err)
		}
		<-j.Dead()
		fs.Heal()
		if err := j.Append(g, 1, 3, 7, Urgent, nil); !errors.Is(err, ErrDead) {
			t.Fatalf("append to a dead journal: %v", err)
		}
		if j.Expect() {
			t.Fatal("a dead journal wants help")
		}
		j.Help() // of one who was late
		if err := j.Close(); !errors.Is(err, ErrDead) {
			t.Fatalf("close: %v", err)
		}
		if l.upto() != 1 {
			t.Fatalf("%d was acknowledged", l.upto())
		}
	}
}

func TestNoHelpIsWantedWhereTheDiskIsSlow(t *testing.T) {
	fs := faultfs.New()
	j, g, l := helpful(t, fs)
	hold := newGate()
	fs.Inject(hold.injector())
	appendOne(t, j, g, 2)
	<-hold.entered
	<-time.After(2 * helpLatency) // that long the disk takes
	close(hold.open)
	must(t, l.wait(t, 2))
	if j.Expect() {
		t.Fatal("help is wanted behind a slow write")
	}
	fs.Heal()
	for i := uint64(3); !j.Expect(); i++ { // until one is quick
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
	}
	must(t, j.Close())
}

func TestHelpThatComesLateDoesNothing(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	expect(t, j)
	appendOne(t, j, g, 2)
	must(t, j.Close()) // writes it
	if l.upto() != 2 {
		t.Fatal("close left an entry")
	}
	if j.Due() {
		j.Help()
	}
	if l.upto() != 2 || len(l.failed) != 0 {
		t.Fatalf("told %v and %v", l.durable, l.failed)
	}
}

func TestOfThoseWhoHelpAndThoseWhoDoNotNoneWaitsForEver(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, func(o *Options) { o.FileSize = 1 << 20 })
	const groups, each = 8, 300
	var wg sync.WaitGroup
	for id := GroupID(1); id <= groups; id++ {
		wg.Go(func() {
			l := newListener()
			g := j.Group(id, l)
			for i := uint64(1); i <= each; i++ {
				add := func() {
					if err := j.Append(g, 1, i, 7, Urgent, entryData(id, i)); err != nil {
						t.Error(err)
					}
				}
				switch expected := (uint64(id)+i)%4 > 0 && j.Expect(); {
				case !expected:
					add()
				case (uint64(id)+i)%4 == 1:
					if add(); j.Due() {
						j.Leave()
					}
				default:
					if add(); j.Due() {
						j.Help()
					}
				}
				if err := l.wait(t, i); err != nil {
					t.Errorf("group %d at %d: %v", id, i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	must(t, j.Close())
	again, got := open(t, fs, func(o *Options) { o.FileSize = 1 << 20 })
	must(t, again.Close())
	if len(got) != groups*each {
		t.Fatalf("%d entries came back", len(got))
	}
}

func TestWhoFindsSomebodyWritingLeavesItToTheWriter(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	for i := uint64(2); i < 100; i++ {
		sleeping(j)
		j.helpers.quick.Store(true)
		<-j.pen // somebody who has looked for more already
		expect(t, j)
		appendOne(t, j, g, i)
		if !j.Due() {
			t.Fatal("nothing is due")
		}
		j.Help()
		j.pen <- struct{}{}
		must(t, l.wait(t, i))
	}
	must(t, j.Close())
}

func TestNoEntryIsMissedWhereHelpEndsBesideIt(t *testing.T) {
	j, g, l := helpful(t, faultfs.New())
	var round atomic.Uint64 // the next entry, when both may begin
	var wg sync.WaitGroup
	const last = 5_000
	wg.Go(func() {
		for i := uint64(2); i < last; i++ {
			j.helpers.quick.Store(true)
			expected := j.Expect()
			round.Store(i)
			for range i % 64 { // to end at another time
				_ = round.Load()
			}
			if expected && j.Due() {
				j.Leave()
			}
			if l.wait(t, i) != nil {
				return
			}
		}
	})
	for i := uint64(2); i < last; i++ {
		for round.Load() < i {
			runtime.Gosched()
		}
		must(t, j.Append(g, 1, i, 7, Urgent, nil))
		must(t, l.wait(t, i))
	}
	wg.Wait()
	must(t, j.Close())
}
