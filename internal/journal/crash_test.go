package journal

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// history is what a scenario asked for and was told.
type history struct {
	appended map[GroupID]uint64
	durable  map[GroupID]uint64
	released map[GroupID]uint64
	relaxed  bool // acknowledged entries may be lost, but only from the end
	encrypts bool
	shelves  bool // every third entry is in an extent
	shelf    *shelf
}

func newHistory() *history {
	return &history{appended: map[GroupID]uint64{}, durable: map[GroupID]uint64{}, released: map[GroupID]uint64{}}
}

func (h *history) clone() *history {
	c := *h
	c.appended, c.durable, c.released = maps.Clone(h.appended), maps.Clone(h.durable), maps.Clone(h.released)
	return &c
}

// check says what a replay has wrong.
func (h *history) check(got []kept) error {
	last := map[GroupID]uint64{}
	for _, k := range got {
		if k.Data != string(entryData(k.Group, k.Index)) || k.Kind != 7 {
			return fmt.Errorf("group %d index %d has other data", k.Group, k.Index)
		}
		before, seen := last[k.Group]
		// Behind a release a group goes on even if the journal lost what it had.
		skipped := h.relaxed && k.Index > before && k.Index <= h.released[k.Group]+1
		if seen && k.Index != before+1 && !skipped {
			return fmt.Errorf("group %d goes from %d to %d", k.Group, before, k.Index)
		}
		if !seen && k.Index > h.released[k.Group]+1 {
			return fmt.Errorf("group %d begins at %d, released is %d", k.Group, k.Index, h.released[k.Group])
		}
		if k.Index > h.appended[k.Group] {
			return fmt.Errorf("group %d has index %d that was not appended", k.Group, k.Index)
		}
		last[k.Group] = k.Index
	}
	for g, upto := range h.durable {
		if !h.relaxed && last[g] < upto && upto > h.released[g] {
			return fmt.Errorf("group %d ends at %d, but %d was acknowledged", g, last[g], upto)
		}
	}
	return nil
}

// adopt sets the history to what a restart found.
func (h *history) adopt(got []kept) {
	clear(h.appended)
	clear(h.durable)
	for _, k := range got {
		h.appended[k.Group], h.durable[k.Group] = k.Index, k.Index
	}
	for g, upto := range h.released {
		h.appended[g] = max(upto, h.durable[g])
		h.durable[g] = h.appended[g]
	}
}

// policy sets what the history expects of syncs, keys and extents on a disk.
func (h *history) policy(t *testing.T, fs *faultfs.FS, o *Options) {
	t.Helper()
	if h.shelves {
		h.shelf = &shelf{fs, shelfName}
		o.Fetch = h.shelf.fetch
	}
	if h.relaxed {
		o.Sync = Interval(time.Millisecond)
	}
	if h.encrypts {
		o.Keys = testKeys()
	}
}

// append appends an entry in the history's way. Whoever appends every second one helps.
func (h *history) append(j *Journal, g *Group, index uint64) (err error) {
	add := func() { err = j.Append(g, 1, index, 7, Urgent, entryData(g.id, index)) }
	switch {
	case h.shelves:
		return h.shelf.append(j, g, index)
	case index%2 == 0:
		helping(j, add)
	default:
		add()
	}
	return err
}

const crashGroups = 3

func smallFiles(o *Options) { o.FileSize, o.MaxBytes = 16<<10, 64<<10 }

// session appends rounds of entries of three groups to an open journal, and
// releases what is old. It ends early when the journal dies.
func session(t *testing.T, j *Journal, h *history, rounds int) {
	t.Helper()
	var groups [crashGroups]*Group
	var listeners [crashGroups]*listener
	for i := range groups {
		listeners[i] = newListener()
		groups[i] = j.Group(GroupID(i+1), listeners[i])
	}
	defer func() {
		for i, l := range listeners {
			id := GroupID(i + 1)
			h.durable[id] = max(h.durable[id], l.upto())
		}
	}()
	for round := range rounds {
		for i, g := range groups {
			for range 1 + (round+i)%3 {
				index := h.appended[g.id] + 1
				if err := h.append(j, g, index); err != nil {
					return
				}
				h.appended[g.id] = index
			}
		}
		for i, l := range listeners {
			if err := l.wait(t, h.appended[groups[i].id]); err != nil {
				if !errors.Is(err, ErrDead) {
					t.Fatal(err)
				}
				return
			}
		}
		if round%4 == 3 {
			for _, g := range groups {
				h.released[g.id] = h.appended[g.id] - 2
				g.Release(h.released[g.id])
			}
		}
	}
}

// life opens the journal, checks the replay, and runs a session. Nil: not open.
func life(t *testing.T, fs *faultfs.FS, h *history, rounds int) error {
	t.Helper()
	j, got, err := tryOpen(fs, smallFiles, func(o *Options) { h.policy(t, fs, o) })
	if err != nil {
		if errors.Is(err, faultfs.ErrStopped) {
			return nil
		}
		return fmt.Errorf("open: %w", err)
	}
	err = h.check(got)
	h.adopt(got)
	if err == nil {
		session(t, j, h, rounds)
	}
	if cerr := j.Close(); err == nil && cerr != nil && !errors.Is(cerr, faultfs.ErrStopped) {
		err = cerr
	}
	return err
}

// crashes runs a scenario that stops at each operation in turn, crashes in a
// mode, restarts twice (the second time after a crash during the restart), and
// gives the first thing that is wrong. step leaves operations out.
func crashes(t *testing.T, mode faultfs.Mode, step uint64, kind history, prepare func(*faultfs.FS)) error {
	t.Helper()
	t.Parallel()
	for n := uint64(1); ; n += step {
		fs := faultfs.New()
		fs.SetDirect(n%2 == 0)
		if kind.shelves {
			newShelf(t, fs, shelfName, "owner")
			must(t, fs.SyncDir("/"))
		}
		prepare(fs)
		fs.StopAfter(n)
		h := newHistory()
		h.relaxed, h.encrypts, h.shelves = kind.relaxed, kind.encrypts, kind.shelves
		if err := life(t, fs, h, 40); err != nil {
			return fmt.Errorf("%v, stop after %d: first life: %w", mode, n, err)
		}
		done := fs.Ops() <= n
		for seed := range uint64(3) {
			if err := afterlife(t, fs.CrashClone(mode, seed), mode, 100*n+seed, h.clone()); err != nil {
				return fmt.Errorf("%v, stop after %d, seed %d: %w", mode, n, seed, err)
			}
		}
		if done {
			t.Logf("%d operations", n)
			return nil
		}
	}
}

func afterlife(t *testing.T, fs *faultfs.FS, mode faultfs.Mode, seed uint64, h *history) error {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	fs.StopAfter(rnd.Uint64N(40))
	if err := life(t, fs, h, 2); err != nil {
		return fmt.Errorf("second life: %w", err)
	}
	fs = fs.CrashClone(mode, seed)
	if err := life(t, fs, h, 6); err != nil {
		return fmt.Errorf("third life: %w", err)
	}
	j, got, err := tryOpen(fs, smallFiles, func(o *Options) { h.policy(t, fs, o) })
	if err != nil {
		return fmt.Errorf("fourth open: %w", err)
	}
	return errors.Join(h.check(got), j.Close())
}

func TestNothingAcknowledgedIsLostByACrash(t *testing.T) {
	step := uint64(1)
	if testing.Short() || raceEnabled {
		step = 7
	}
	for _, mode := range faultfs.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			must(t, crashes(t, mode, step, history{}, func(*faultfs.FS) {}))
		})
	}
}

func TestNothingAcknowledgedIsLostByACrashOfAnEncryptedJournal(t *testing.T) {
	for _, mode := range faultfs.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			must(t, crashes(t, mode, 7, history{encrypts: true}, func(*faultfs.FS) {}))
		})
	}
}

func TestRelaxedCrashLosesOnlyTheEnd(t *testing.T) {
	for _, mode := range faultfs.Modes {
		t.Run(mode.String(), func(t *testing.T) {
			must(t, crashes(t, mode, 7, history{relaxed: true}, func(*faultfs.FS) {}))
		})
	}
}

// The crash test must fail where syncs have no effect.
func TestCrashTestSeesALyingDisk(t *testing.T) {
	err := crashes(t, faultfs.DropUnsynced, 1, history{}, func(fs *faultfs.FS) {
		// The first files and the identity are made; from then on syncs lie.
		fs.Inject(faultfs.Func("lie about batches", func(op faultfs.Op) *faultfs.Fault {
			if op.Kind == faultfs.Sync && op.N > 40 {
				return &faultfs.Fault{}
			}
			return nil
		}))
	})
	if err == nil {
		t.Fatal("a disk that does not sync lost nothing")
	}
	t.Log(err)
}
