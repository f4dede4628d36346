package subjects

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// scenario is the life of a set of which the disk may stop at any operation. Its
// checkpoints are kept beside the disk: a manifest's own crashes are seglog's.
type scenario struct {
	list  []byte // of the last checkpoint
	saved model  // what it covers
	steps int
}

const scenarioSteps = 14

func (c *scenario) run(fs *faultfs.FS) error {
	c.saved = model{}
	s, err := Open(options(fs), nil)
	if err != nil {
		return err
	}
	defer s.Close()
	rnd, now := rand.New(rand.NewPCG(5, 5)), model{}
	for ; c.steps < scenarioSteps; c.steps++ {
		ch := changes(rnd, 300)
		now.put(ch)
		if err := s.WriteRun(ch.sorted()); err != nil {
			return err
		}
		if c.steps%3 > 0 {
			if _, err := s.Merge(nil); err != nil {
				return err
			}
		}
		if c.steps%2 > 0 {
			continue
		}
		c.list, c.saved = s.List(), model{}
		c.saved.put(now)
		if err := s.Saved(c.list); err != nil {
			return err
		}
	}
	return nil
}

// check opens what a crash left: it is the last checkpoint, and goes on.
func (c *scenario) check(fs *faultfs.FS) error {
	s, err := Open(options(fs), c.list)
	if err != nil {
		return err
	}
	defer s.Close()
	got, err := contents(s, "")
	if err != nil {
		return err
	}
	if err := same(got, c.saved); err != nil {
		return err
	}
	names, err := fs.List("log")
	if err != nil || len(names) != s.Stats().Runs {
		return fmt.Errorf("files %v, %w", names, err)
	}
	more := model{"more": {Count: 1, First: 1, Last: 1}}
	if err := s.WriteRun(more.sorted()); err != nil {
		return err
	}
	list := s.List()
	if err := s.Saved(list); err != nil {
		return err
	}
	again, err := Open(options(fs), list)
	if err != nil {
		return fmt.Errorf("second restart: %w", err)
	}
	defer again.Close()
	if _, ok, err := again.Lookup([]byte("more")); !ok || err != nil {
		return fmt.Errorf("what was written after the crash: %v, %w", ok, err)
	}
	return nil
}

func TestACrashAtAnyOperationKeepsTheRunsOfTheLastCheckpoint(t *testing.T) {
	whole := newDisk(t)
	start := whole.Ops()
	must(t, new(scenario).run(whole))
	for n := start; n <= whole.Ops(); n += sparser {
		fs := newDisk(t)
		fs.StopAfter(n)
		var c scenario
		if err := c.run(fs); err != nil && !errors.Is(err, faultfs.ErrStopped) {
			t.Fatalf("stop after %d: %v", n, err)
		}
		for _, mode := range faultfs.Modes {
			if err := c.check(fs.CrashClone(mode, n)); err != nil {
				t.Fatalf("crash after operation %d, step %d, mode %v: %v", n, c.steps, mode, err)
			}
		}
	}
}

// The negative control: without syncs the same check must fail.
func TestACrashLosesRunsWhenSyncsDoNothing(t *testing.T) {
	fs := newDisk(t)
	fs.IgnoreSyncs(true)
	var c scenario
	must(t, c.run(fs))
	if err := c.check(fs.CrashClone(faultfs.DropUnsynced, 1)); err == nil {
		t.Fatal("runs survived although nothing was synced: the test proves nothing")
	}
}

// A call that fails changes nothing that is read, and the set goes on.
func TestAFailedCallLeavesTheSetAsItWas(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Write, faultfs.Sync, faultfs.SyncDir, faultfs.Create} {
		for n := 1; n <= 3; n++ {
			fs := newDisk(t)
			s := open(t, fs, nil)
			want := model{}
			rnd := rand.New(rand.NewPCG(2, 2))
			fault := errors.New("fault")
			fs.Inject(faultfs.FailNth(kind, n, fault))
			failed := false
			for range 8 {
				c := changes(rnd, 100)
				if err := s.WriteRun(c.sorted()); err == nil {
					want.put(c)
				} else if !errors.Is(err, fault) {
					t.Fatal(err)
				} else {
					failed = true
				}
				check(t, s, want)
				if _, err := s.Merge(nil); err != nil {
					failed = true
				}
				check(t, s, want)
			}
			if !failed {
				t.Fatalf("%v %d never failed", kind, n)
			}
			list := s.List()
			must(t, s.Saved(list))
			check(t, open(t, fs.CrashClone(faultfs.DropUnsynced, 1), list), want)
		}
	}
}
