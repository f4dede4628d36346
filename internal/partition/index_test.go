package partition

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/record"
	runs "github.com/weirmq/weir/internal/seglog/subjects"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// runIndex is the Index that assembly supplies, on a disk of the test.
type runIndex struct {
	fs    *faultfs.FS
	cache *runs.Cache
	set   *runs.Set
	lost  []error
	held  atomic.Int64
	// between is called while the partition reads or writes runs, without its lock:
	// what others may do meanwhile.
	between func()
	// onWrite and onLookup are called once, at the next call of that kind.
	onWrite, onLookup atomic.Pointer[func()]
}

func once(f *atomic.Pointer[func()]) {
	if f := f.Swap(nil); f != nil {
		(*f)()
	}
}

// pause lets others work, who are not paused for in turn.
func (x *runIndex) pause() {
	if f := x.between; f != nil {
		x.between = nil
		f()
		x.between = f
	}
}

func newRunIndex(fs *faultfs.FS) *runIndex {
	return &runIndex{fs: fs, cache: runs.NewCache(16 << 10)}
}

func (x *runIndex) Open(list []byte) error {
	s, err := runs.Open(runs.Options{FS: x.fs, Dir: "p", ID: record.Identity{ID: 20, Incarnation: 1}, Cache: x.cache}, list)
	if err == nil {
		x.set = s
	}
	return err
}

func (x *runIndex) View() (IndexView, error) {
	v, err := x.set.View()
	return runView{v, x}, err
}

func (x *runIndex) Write(clear bool, states iter.Seq2[string, *SubjectState]) error {
	once(&x.onWrite)
	x.pause()
	if clear {
		x.set.Clear()
	}
	defer x.pause()
	return x.set.WriteRun(func(yield func([]byte, *runs.Entry) bool) {
		for name, s := range states {
			if !yield([]byte(name), (*runs.Entry)(s)) {
				return
			}
		}
	})
}

func (x *runIndex) List() []byte      { return x.set.List() }
func (x *runIndex) Saved(list []byte) { _ = x.set.Saved(list) }
func (x *runIndex) Lost(why error)    { x.lost = append(x.lost, why) }
func (x *runIndex) Held(n int)        { x.held.Store(int64(n)) }
func (x *runIndex) Close()            { x.set.Close() }

type runView struct {
	*runs.View
	x *runIndex
}

func (v runView) Lookup(name []byte) (SubjectState, bool, error) {
	e, ok, err := v.View.Lookup(name)
	once(&v.x.onLookup)
	v.x.pause()
	return SubjectState(e), ok, err
}

func (v runView) Each(pattern string, f func([]byte, *SubjectState) bool) error {
	v.x.pause()
	return v.View.Each(pattern, func(name []byte, e *runs.Entry) bool { return f(name, (*SubjectState)(e)) })
}

// pagedRig is a rig whose subject index is on a disk.
type pagedRig struct {
	*rig
	index *runIndex
}

func newPagedRig(t *testing.T, l Limits) *pagedRig {
	return openPagedRig(t, l, &memStore{}, newRunIndex(faultfs.New()), nil)
}

// openPagedRig opens a partition and replays a log to it.
func openPagedRig(t *testing.T, l Limits, store *memStore, index *runIndex, log []loggedEntry) *pagedRig {
	t.Helper()
	store.saved = store.clone()
	r := &rig{t: t, store: store, budget: &space{}, solo: multiraft.NewSolo(), log: log, durable: len(log), quiet: true}
	p, err := New(Options{
		Identity: record.Identity{ID: 20, Incarnation: 1}, Limits: l, Store: store, Index: index, Proposer: proposer{r.solo},
		Ledger: noLedger{}, Budget: r.budget, Observer: r, Order: allChecks,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.p = p
	r.solo.Bind(r, r)
	r.solo.StartAt(p.Index())
	for _, e := range log {
		r.solo.Replay(multiraft.Entry{Term: e.term, Index: e.index, Kind: e.kind, Data: e.data})
	}
	return &pagedRig{r, index}
}

// crash loses what was not durable and opens the partition as the last checkpoint
// left it, with the log behind it.
func (r *pagedRig) crash(mode faultfs.Mode, seed uint64) *pagedRig {
	r.index.Close()
	return openPagedRig(r.t, r.p.limits, r.store.saved.clone(), newRunIndex(r.index.fs.CrashClone(mode, seed)), r.log[:r.durable])
}

// restart stops the partition and opens it again.
func (r *pagedRig) restart() *pagedRig {
	r.t.Helper()
	r.sync()
	r.checkpoint()
	r.sync() // what came while the checkpoint was taken
	r.index.Close()
	return openPagedRig(r.t, r.p.limits, r.store.saved.clone(), newRunIndex(r.index.fs), r.log)
}

func (r *pagedRig) checkpoint() {
	r.t.Helper()
	if err := r.p.Checkpoint(); err != nil {
		r.t.Fatal(err)
	}
}

// fill publishes one record to each of n subjects, from the i-th on.
func (r *pagedRig) fill(from, n int) {
	for i := from; i < from+n; i += 100 {
		var msgs []msg
		for j := i; j < min(i+100, from+n); j++ {
			msgs = append(msgs, msg{subject: fmt.Sprintf("fill.%06d", j), data: "x"})
		}
		r.publish(1, msgs...)
	}
	r.sync()
}

// check holds all that the index tells against the records.
func (r *pagedRig) check(rnd *rand.Rand) error {
	type sum struct{ count, last uint64 }
	want := map[string]*sum{}
	var seqs []uint64
	rd := r.p.Reader(0)
	defer rd.Close()
	for {
		v, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		s := want[string(v.Subject)]
		if s == nil {
			s = &sum{}
			want[string(v.Subject)] = s
		}
		s.count++
		s.last = v.Seq
		seqs = append(seqs, v.Seq)
	}
	st := r.p.Status()
	if st.Subjects != len(want) || st.Records != uint64(len(seqs)) {
		return fmt.Errorf("status says %d subjects and %d records, there are %d and %d", st.Subjects, st.Records, len(want), len(seqs))
	}
	got := r.p.Subjects("")
	if len(got) != len(want) || !sort.SliceIsSorted(got, func(i, j int) bool { return got[i].Subject < got[j].Subject }) {
		return fmt.Errorf("%d subjects, there are %d", len(got), len(want))
	}
	for _, s := range got {
		w := want[s.Subject]
		if w == nil || w.count != s.Count || s.Last != 0 && s.Last != w.last {
			return fmt.Errorf("%+v, it is %+v", s, w)
		}
	}
	for _, pattern := range []string{"s.*", "s.1*", "s.*.x", "fill.>", "none"} {
		var n uint64
		for name, w := range want {
			if matches(pattern, name) {
				n += w.count
			}
		}
		if c := r.p.CountMatching(pattern); c != n {
			return fmt.Errorf("%d match %s, there are %d", c, pattern, n)
		}
	}
	for range 3 {
		name := fmt.Sprintf("s.%d", rnd.Intn(200))
		v, err := r.p.LastOf(name)
		if w := want[name]; w == nil && !errors.Is(err, ErrNotFound) || w != nil && (err != nil || v.Seq != w.last) {
			return fmt.Errorf("last of %s is %d, %w; it is %+v", name, v.Seq, err, w)
		}
	}
	return nil
}

func matches(pattern, name string) bool {
	t := &table{}
	t.put(&entry{name: name})
	for range t.matching(pattern) {
		return true
	}
	return false
}

// checkTip holds what admission sees against all that was admitted.
func (r *pagedRig) checkTip(rnd *rand.Rand, now int64) error {
	r.sync()
	pattern := []string{fmt.Sprintf("s.%d", rnd.Intn(200)), "s.*", "*.*.x", "s.>"}[rnd.Intn(4)]
	var last uint64
	rd := r.p.Reader(0)
	defer rd.Close()
	for v, err := rd.Next(); err == nil; v, err = rd.Next() {
		if matches(pattern, string(v.Subject)) {
			last = v.Seq
		}
	}
	r.quiet, r.told = false, nil
	defer func() { r.quiet = true }()
	wrong := Conditions{HasOfSubj: true, LastOf: last + 1, OfSubject: pattern}
	r.publish(now, msg{subject: "other", cond: wrong})
	if want := fmt.Sprintf("%d/0/%d local", WrongLastOfSubject, last); len(r.told) != 1 || r.told[0] != want {
		return fmt.Errorf("expecting another last of %s gave %q, want %q", pattern, r.told, want)
	}
	return nil
}

// syncSome makes a part durable of what was appended.
func (r *pagedRig) syncSome(rnd *rand.Rand) {
	if n := len(r.log) - r.durable; n > 0 {
		r.durable += 1 + rnd.Intn(n)
		r.solo.Durable(r.log[r.durable-1].index)
	}
}

// disturb makes others work while the partition reads and writes runs.
func (r *pagedRig) disturb(rnd *rand.Rand, now *int64) {
	r.index.between = func() {
		if rnd.Intn(30) > 0 || !r.p.applying.TryLock() {
			return
		}
		r.p.applying.Unlock()
		for range 1 + rnd.Intn(5) {
			pagedStep(r, rnd, *now)
		}
		if rnd.Intn(2) == 0 {
			r.syncSome(rnd)
		}
		if r.p.saving.TryLock() {
			r.p.saving.Unlock()
			r.checkpoint()
		}
	}
}

// pagedStep does one thing to a log of many subjects.
func pagedStep(r *pagedRig, rnd *rand.Rand, now int64) {
	switch n := rnd.Intn(24); {
	case n < 15:
		var msgs []msg
		for range 1 + rnd.Intn(12) {
			m := msg{subject: fmt.Sprintf("s.%d", rnd.Intn(200)), data: "x"}
			if rnd.Intn(20) == 0 {
				m.subject += ".x"
			}
			if rnd.Intn(40) == 0 {
				m.rollup = record.RollupSubject
			}
			if rnd.Intn(20) == 0 {
				m.cond = Conditions{HasOfSubj: true, LastOf: uint64(rnd.Intn(2)), OfSubject: fmt.Sprintf("s.%d.>", rnd.Intn(200))}
			}
			msgs = append(msgs, m)
		}
		r.publish(now, msgs...)
	case n < 18:
		r.syncSome(rnd)
	case n < 21:
		var set seqset.Set
		for range rnd.Intn(20) {
			if last := r.p.Committed(); last > 0 {
				set.Add(1 + uint64(rnd.Int63n(int64(last))))
			}
		}
		r.p.ProposeRemoval(&Removal{Set: set}, nil)
	case n == 21 && rnd.Intn(20) == 0:
		r.p.TrimAll(nil)
	case n == 22 && rnd.Intn(10) == 0:
		l := r.p.Limits()
		l.MaxPerSubject = int64(rnd.Intn(6))
		r.p.ProposeLimits(l, nil, nil)
	default:
		if st := r.p.Status(); st.Records > 100 {
			r.p.Trim(st.First+uint64(rnd.Intn(30)), nil)
		}
	}
}

// TestAPagedIndexIsWhatTheRecordsSay runs random histories with checkpoints that
// fail, merges, crashes and restarts.
func TestAPagedIndexIsWhatTheRecordsSay(t *testing.T) {
	for seed := range int64(histories) {
		rnd := rand.New(rand.NewSource(seed))
		l := Limits{Rollups: true}
		if rnd.Intn(2) == 0 {
			l.MaxRecords = int64(300 + rnd.Intn(600))
		}
		if rnd.Intn(2) == 0 {
			l.MaxPerSubject = int64(1 + rnd.Intn(70))
		}
		r := newPagedRig(t, l)
		var told []string
		paged := 0
		tell := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
		now := int64(0)
		for step := range 400 {
			now = int64(step)
			r.disturb(rnd, &now)
			pagedStep(r, rnd, now)
			switch rnd.Intn(12) {
			case 0:
				r.checkpoint()
				tell("%d checkpoint", step)
			case 1:
				r.index.fs.Inject(faultfs.OnName(".run", faultfs.FailNth(faultfs.Write, 1, errors.New("no space"))))
				r.checkpoint()
				r.index.fs.Heal()
				tell("%d checkpoint without a run", step)
			case 2:
				if _, err := r.index.set.Merge(nil); err != nil {
					t.Fatal(err)
				}
			case 3:
				mode := faultfs.Modes[rnd.Intn(len(faultfs.Modes))]
				tell("%d crash %v", step, mode)
				r = r.crash(mode, rnd.Uint64())
			case 4:
				tell("%d restart", step)
				r = r.restart()
			}
			if !r.p.subjects.whole() {
				paged++
			}
			r.index.between = nil
			if step%3 > 0 {
				continue
			}
			err := r.check(rnd)
			if err == nil {
				err = r.checkTip(rnd, int64(step))
			}
			if err != nil {
				t.Fatalf("seed %d, step %d: %v\n%s", seed, step, err, strings.Join(told, "\n"))
			}
		}
		if paged < 100 {
			t.Errorf("seed %d: the index was on disk for %d steps only", seed, paged)
		}
	}
}

func TestACleanRestartReadsNoRecord(t *testing.T) {
	for _, n := range []int{10, 3000} {
		r := newPagedRig(t, Limits{})
		r.fill(0, n)
		before := r.p.Subjects("")
		r = r.restart()
		if got := r.p.Subjects(""); !slices.Equal(got, before) {
			t.Fatalf("%d subjects, %d before", len(got), len(before))
		}
		if st := r.p.Status(); st.Subjects != n || st.Records != uint64(n) {
			t.Fatalf("status %+v", st)
		}
		if r.store.reads > 0 || len(r.index.lost) > 0 {
			t.Fatalf("%d subjects: %d records read, lost %v", n, r.store.reads, r.index.lost)
		}
	}
}

func TestADeletedSubjectComesAgain(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 100)
	r.publish(2, msg{subject: "a"}, msg{subject: "a"})
	r.sync()
	remove := func(seqs ...uint64) {
		var set seqset.Set
		for _, s := range seqs {
			set.Add(s)
		}
		if err := r.p.ProposeRemoval(&Removal{Set: set}, nil); err != nil {
			t.Fatal(err)
		}
		r.sync()
	}
	want := func(subjects int, count uint64) {
		t.Helper()
		for range 2 {
			if st := r.p.Status(); st.Subjects != subjects || r.p.CountMatching("a") != count {
				t.Fatalf("%d subjects, %d records of a", st.Subjects, r.p.CountMatching("a"))
			}
			r = r.restart()
		}
	}
	want(101, 2)
	remove(101, 102)
	want(100, 0)
	r.publish(3, msg{subject: "a", cond: Conditions{HasOfSubj: true}})
	r.sync()
	want(101, 1)
	remove(103)
	r.publish(3, msg{subject: "a"})
	r.sync()
	want(101, 1)
}

func TestAPurgeLeavesNoRuns(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 200)
	r.checkpoint()
	if st := r.index.set.Stats(); st.Runs != 1 || st.Entries != 200 {
		t.Fatalf("%+v", st)
	}
	if _, err := r.p.TrimAll(nil); err != nil {
		t.Fatal(err)
	}
	r.sync()
	r.fill(200, 10)
	r.checkpoint()
	if names, err := r.index.fs.List("p"); err != nil || len(names) != 0 {
		t.Fatal(names, err)
	}
	r = r.restart()
	if st := r.p.Status(); st.Subjects != 10 || len(r.index.lost) > 0 {
		t.Fatalf("%+v, %v", st, r.index.lost)
	}
}
