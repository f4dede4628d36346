package journal

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// awaitFiles waits until the directory has n files or more.
func awaitFiles(t testing.TB, j *Journal, n int64) {
	t.Helper()
	awaitCount(t, j, func(files int64) bool { return files >= n })
}

func awaitCount(t testing.TB, j *Journal, enough func(files int64) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !enough(j.Metrics.Files.Load()) {
		select {
		case <-deadline:
			t.Fatalf("%d files", j.Metrics.Files.Load())
		case <-tick.C:
		}
	}
}

func TestFilesAreRecycledAndOldBytesNeverPass(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, smallFiles)
	l := newListener()
	g := j.Group(1, l)
	const n = 3000
	for i := uint64(1); i <= n; i++ {
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
		g.Release(i - 1)
		if i%500 == 0 {
			_, got, err := peek(fs)
			must(t, err)
			if len(got) == 0 || got[len(got)-1].Index != i {
				t.Fatalf("at %d the replay ends with %+v", i, got[max(0, len(got)-1):])
			}
			for k := 1; k < len(got); k++ {
				if got[k].Index != got[k-1].Index+1 {
					t.Fatalf("at %d the replay goes from %d to %d", i, got[k-1].Index, got[k].Index)
				}
			}
		}
	}
	if files := j.Metrics.Files.Load(); files > 6 {
		t.Fatalf("%d files for a journal that keeps two", files)
	}
	if p := j.Pressure(); p.Files > 2 || p.Unreleased > 32<<10 {
		t.Fatalf("pressure %+v", p)
	}
	must(t, j.Close())
}

// peek reads the journal of a running one after a crash.
func peek(fs *faultfs.FS) (Recovery, []kept, error) {
	j, got, err := tryOpen(fs.CrashClone(faultfs.DropUnsynced, 0), smallFiles)
	if err != nil {
		return Recovery{}, nil, err
	}
	return j.Recovered(), got, j.Close()
}

// TestQuietGroupsHoldFilesAndAreNamed: where they are few that is told as soon as a file could
// go, where they are many when there is too much.
func TestQuietGroupsHoldFilesAndAreNamed(t *testing.T) {
	for _, n := range []int{1, fewHolders, fewHolders + 1} {
		fs := faultfs.New()
		pressed := make(chan Pressure, 1000)
		j, _ := open(t, fs, smallFiles, func(o *Options) { o.OnPressure = func(p Pressure) { pressed <- p } })
		quiet, busy := newListener(), newListener()
		var groups []*Group
		var ids []GroupID
		for i := range n {
			ids = append(ids, GroupID(9+i))
			groups = append(groups, j.Group(ids[i], quiet))
			must(t, j.Append(groups[i], 1, 1, 7, Riding, []byte("x"))) // with the first of busy, all in one batch
		}
		gb := j.Group(4, busy)
		for i := uint64(1); i <= 200; i++ {
			appendOne(t, j, gb, i)
			must(t, busy.wait(t, i))
			gb.Release(i)
		}
		p := <-pressed
		if !slices.Equal(p.Oldest, ids) || p.Cheap() != (n <= fewHolders) || (p.Unreleased > p.Max) == p.Cheap() {
			t.Fatalf("%d groups: pressure %+v", n, p)
		}
		if p.Cheap() && p.Files != 2 {
			t.Fatalf("%d groups: told when there were %d files", n, p.Files)
		}
		before := j.Pressure().Files
		for _, g := range groups {
			g.Release(1)
		}
		if after := j.Pressure(); after.Files >= before || after.Files > 2 {
			t.Fatalf("%d files before the release, then %+v", before, after)
		}
		must(t, j.Close())
	}
}

func TestDroppedAndForgottenGroupsHoldNothing(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, smallFiles)
	l := newListener()
	gone, lost := j.Group(1, l), j.Group(2, l)
	for i := uint64(1); i <= 40; i++ {
		appendOne(t, j, gone, i)
		appendOne(t, j, lost, i)
	}
	must(t, l.wait(t, 40))
	must(t, j.Close())
	j, _ = open(t, fs, smallFiles)
	g := j.Group(1, newListener())
	if got := j.Unclaimed(); !slices.Equal(got, []GroupID{2}) {
		t.Fatalf("unclaimed %v", got)
	}
	before := j.Pressure().Files
	g.Drop()
	j.Forget(2)
	if got := j.Unclaimed(); len(got) != 0 {
		t.Fatalf("unclaimed %v", got)
	}
	if after := j.Pressure().Files; before < 3 || after != 1 {
		t.Fatalf("%d files before, %d after", before, after)
	}
	must(t, j.Close())
}

func TestConcurrentAppendersKeepTheirOrder(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	const groups, each = 16, 200
	var wg sync.WaitGroup
	for id := GroupID(1); id <= groups; id++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			l := newListener()
			g := j.Group(id, l)
			for i := uint64(1); i <= each; i++ {
				urgency := Urgent
				if i%3 == 0 && i != each {
					urgency = Riding
				}
				if err := j.Append(g, 1, i, 7, urgency, entryData(id, i)); err != nil {
					t.Error(err)
				}
			}
			if err := l.wait(t, each); err != nil {
				t.Error(err)
			}
			if !slices.IsSorted(l.durable) {
				t.Errorf("group %d was told %v", id, l.durable)
			}
		}()
	}
	wg.Wait()
	must(t, j.Close())
	j, got := open(t, fs)
	last := map[GroupID]uint64{}
	for _, k := range got {
		if k.Index != last[k.Group]+1 || k.Data != string(entryData(k.Group, k.Index)) {
			t.Fatalf("group %d goes from %d to %d", k.Group, last[k.Group], k.Index)
		}
		last[k.Group]++
	}
	if len(got) != groups*each {
		t.Fatalf("%d entries", len(got))
	}
	must(t, j.Close())
}

// gate blocks syncs until it is opened.
type gate struct {
	entered chan struct{}
	open    chan struct{}
}

// prepared waits until the journal has made its files ahead, whose syncs would be
// taken for the writer's.
func prepared(j *Journal) {
	for ready := 0; ready < ahead; runtime.Gosched() {
		j.mu.Lock()
		ready = len(j.ready)
		j.mu.Unlock()
	}
}

func newGate() *gate { return &gate{make(chan struct{}, 1000), make(chan struct{})} }

func (g *gate) injector() faultfs.Injector {
	return faultfs.OnName("00000", faultfs.Func("gate", func(op faultfs.Op) *faultfs.Fault {
		if op.Kind == faultfs.Sync {
			g.entered <- struct{}{}
			<-g.open
		}
		return nil
	}))
}

// order remembers in which order groups complete.
type order struct {
	mu    sync.Mutex
	calls []string
	done  chan struct{}
	left  int
}

type orderOf struct {
	o  *order
	id GroupID
}

func (c orderOf) Failed(error) {}
func (c orderOf) Durable(upto uint64) {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	c.o.calls = append(c.o.calls, fmt.Sprintf("%d:%d", c.id, upto))
	if c.o.left--; c.o.left == 0 {
		close(c.o.done)
	}
}

func TestAFloodDelaysNoOtherGroup(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, func(o *Options) { o.FileSize, o.MaxBytes = 4<<20, 64<<20 })
	first := newListener()
	g0 := j.Group(9, first)
	appendOne(t, j, g0, 1)
	must(t, first.wait(t, 1))
	awaitFiles(t, j, 3)
	hold := newGate()
	fs.Inject(hold.injector())
	appendOne(t, j, g0, 2)
	<-hold.entered // the writer is busy; all of this waits for the next batch
	o := &order{done: make(chan struct{}), left: 2}
	flood := j.Group(1, orderOf{o, 1})
	small := j.Group(2, orderOf{o, 2})
	data := bytes.Repeat([]byte{'f'}, 32<<10)
	for i := uint64(1); i <= 200; i++ { // 6.4 MiB
		must(t, j.Append(flood, 1, i, 7, Urgent, data))
	}
	must(t, j.Append(small, 1, 1, 7, Urgent, []byte("small")))
	close(hold.open)
	<-o.done
	o.mu.Lock()
	calls := slices.Clone(o.calls)
	o.mu.Unlock()
	if !slices.Contains(calls, "2:1") {
		t.Fatalf("the small group waited behind the flood: %v", calls)
	}
	must(t, j.Close())
}

func TestFilesThatALoadNeededStayForTheNextWave(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, smallFiles) // MaxBytes is four files
	l := newListener()
	g := j.Group(1, l)
	index := uint64(0)
	wave := func() {
		for range 10 { // more than half a file each
			index++
			must(t, j.Append(g, 1, index, 7, Urgent, make([]byte, 9<<10)))
			must(t, l.wait(t, index))
		}
		g.Release(index)
		index++
		appendOne(t, j, g, index) // says that the others are not needed
		must(t, l.wait(t, index))
		g.Release(index)
	}
	wave()
	awaitFiles(t, j, 10)
	j.mu.Lock()
	made := j.nextID
	j.mu.Unlock()
	wave()
	awaitFiles(t, j, 10)
	j.mu.Lock()
	if j.nextID > made+ahead {
		t.Errorf("the second wave made %d files", j.nextID-made)
	}
	j.mu.Unlock()
	j.forgetPeak() // the next period sees no load
	j.forgetPeak()
	j.kick(j.prepare)
	awaitCount(t, j, func(files int64) bool { return files <= 4 })
	must(t, j.Close())
}

func TestOneCompletionAGroupAndBatch(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	prepared(j)
	hold := newGate()
	fs.Inject(hold.injector())
	appendOne(t, j, g, 2)
	<-hold.entered
	batches := j.Metrics.Batches.Load()
	for i := uint64(3); i <= 50; i++ {
		must(t, j.Append(g, 1, i, 7, Urgent, []byte("x")))
	}
	close(hold.open)
	must(t, l.wait(t, 50))
	if !slices.Equal(l.durable, []uint64{1, 2, 50}) {
		t.Fatalf("told %v after %d batches", l.durable, j.Metrics.Batches.Load()-batches)
	}
	must(t, j.Close())
}

func TestEntryLargerThanABatchGoesAlone(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	l := newListener()
	g := j.Group(1, l)
	big := bytes.Repeat([]byte("0123456789abcdef"), 200<<10) // 3.2 MiB, files have 64 KiB
	appendOne(t, j, g, 1)
	must(t, j.Append(g, 1, 2, 7, Urgent, big[:100], big[100:5000], big[5000:5000], big[5000:6000], big[6000:]))
	appendOne(t, j, g, 3)
	must(t, l.wait(t, 3))
	if err := j.Append(g, 1, 4, 7, Urgent, make([]byte, MaxEntry+1)); err != ErrTooLarge {
		t.Fatalf("append of too much: %v", err)
	}
	must(t, j.Close())
	j, got := open(t, fs)
	if len(got) != 3 || got[1].Data != string(big) {
		t.Fatalf("%d entries", len(got))
	}
	must(t, j.Close())
}

func TestLargestEntryWorks(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("64 MiB several times over")
	}
	fs := faultfs.New()
	j, _ := open(t, fs)
	l := newListener()
	g := j.Group(1, l)
	big := bytes.Repeat([]byte{7}, MaxEntry)
	must(t, j.Append(g, 1, 1, 7, Urgent, big))
	must(t, l.wait(t, 1))
	must(t, j.Close())
	j, got := open(t, fs)
	if len(got) != 1 || len(got[0].Data) != MaxEntry {
		t.Fatalf("%d entries", len(got))
	}
	must(t, j.Close())
}

func TestRidingEntriesWaitForABatchButNotLong(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs)
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	batches := j.Metrics.Batches.Load()
	start := time.Now()
	for i := uint64(2); i <= 10; i++ {
		must(t, j.Append(g, 1, i, 7, Riding, entryData(1, i)))
	}
	must(t, l.wait(t, 10))
	if took := time.Since(start); took < RideLimit/2 {
		t.Fatalf("riding entries were written after %v", took)
	}
	if n := j.Metrics.Batches.Load() - batches; n != 1 {
		t.Fatalf("%d batches", n)
	}
	must(t, j.Append(g, 1, 11, 7, Riding, entryData(1, 11)))
	appendOne(t, j, g, 12)
	must(t, l.wait(t, 12))
	if l.durable[len(l.durable)-1] != 12 || slices.Contains(l.durable, 11) {
		t.Fatalf("the riding entry did not go along: %v", l.durable)
	}
	must(t, j.Append(g, 1, 13, 7, Riding, entryData(1, 13)))
	must(t, j.Close())
	if l.last() != 13 {
		t.Fatalf("close left a riding entry: %d", l.last())
	}
	if err := j.Append(g, 1, 14, 7, Urgent, nil); err != ErrClosed {
		t.Fatalf("append after close: %v", err)
	}
}

func TestIntervalCompletesBeforeTheSync(t *testing.T) {
	fs := faultfs.New()
	fs.SetDirect(true)
	j, _ := open(t, fs, func(o *Options) { o.Sync = Interval(100 * time.Millisecond) })
	l := newListener()
	g := j.Group(1, l)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	prepared(j)
	hold := newGate()
	fs.Inject(hold.injector())
	for i := uint64(2); i <= 5; i++ {
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
	}
	<-hold.entered // it comes by itself
	close(hold.open)
	must(t, j.Close())
}

func TestAppendDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	fs := faultfs.New()
	j, _ := open(t, fs, func(o *Options) { o.FileSize = 1 << 20 })
	l := newListener()
	g := j.Group(1, l)
	hold := newGate()
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	head, body := make([]byte, 64), make([]byte, 128)
	fill := func(n uint64) {
		for i := uint64(1); i <= n; i++ {
			must(t, j.Append(g, 1, i, 7, Riding, head, body))
		}
	}
	fill(900) // grows the ring
	must(t, j.Append(g, 1, 901, 7, Urgent, head))
	must(t, l.wait(t, 901))
	fs.Inject(hold.injector())
	must(t, j.Append(g, 1, 902, 7, Urgent, head))
	<-hold.entered
	if n := testing.AllocsPerRun(500, func() { must(t, j.Append(g, 1, 903, 7, Urgent, head, body)) }); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
	close(hold.open)
	must(t, j.Close())
}

func TestWhatWaitsIsGatheredWhileTheDiskIsBusy(t *testing.T) {
	fs := faultfs.New()
	fs.SetDirect(true)
	j, _ := open(t, fs)
	l, m := newListener(), newListener()
	g, h := j.Group(1, l), j.Group(2, m)
	appendOne(t, j, g, 1)
	must(t, l.wait(t, 1))
	prepared(j)
	hold := newGate()
	fs.Inject(hold.injector())
	appendOne(t, j, g, 2)
	<-hold.entered
	gathered := func() int64 {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.gathered
	}
	last := uint64(2)
	for gathered() == 0 {
		last++
		appendOne(t, j, g, last)
		appendOne(t, j, h, last)
	}
	appendOne(t, j, g, last+1) // what comes now joins the same batch
	close(hold.open)
	must(t, l.wait(t, last+1))
	must(t, m.wait(t, last))
	must(t, j.Close())
	j, got := open(t, fs)
	must(t, j.Close())
	want := map[GroupID]uint64{1: 0, 2: 2}
	for _, e := range got {
		want[e.Group]++
		if e.Index != want[e.Group] || e.Data != string(entryData(e.Group, e.Index)) {
			t.Fatalf("group %d: entry %d in place of %d, or other data", e.Group, e.Index, want[e.Group])
		}
	}
	if want[1] != last+1 || want[2] != last {
		t.Fatalf("replay ends at %v, want %d and %d", want, last+1, last)
	}
}

// Releases come from other goroutines than the writer, and count what its file holds.
func TestReleasesWhileTheWriterWritesCountRight(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, smallFiles)
	l := newListener()
	g := j.Group(1, l)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				g.Release(l.upto())
			}
		}
	})
	for i := uint64(1); i <= 400; i++ {
		appendOne(t, j, g, i)
		if i%10 == 0 {
			must(t, l.wait(t, i))
		}
	}
	close(stop)
	wg.Wait()
	g.Release(400)
	if p := j.Pressure(); p.Files != 1 || p.Unreleased > 16<<10 {
		t.Errorf("pressure %+v after everything was released", p)
	}
	must(t, j.Close())
}
