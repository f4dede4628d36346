package subjects

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// life is that of a log whose checkpoints carry the list of its runs.
type life struct {
	// after[n] is the index that the checkpoint whose last sequence is n covers.
	after   map[uint64]model
	durable uint64 // last sequence of the last checkpoint that succeeded
}

func openLog(fs *faultfs.FS) (*seglog.Volume, *seglog.Log, *Set, error) {
	v, err := seglog.Open(seglog.VolumeOptions{FS: fs, Dir: "data", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, nil, nil, err
	}
	l, err := v.OpenLog(testID)
	if err != nil {
		return nil, nil, nil, errors.Join(err, v.Close())
	}
	o := options(fs)
	o.Dir = fmt.Sprintf("data/streams/%d-%d", testID.ID, testID.Incarnation)
	s, err := Open(o, l.State())
	if err != nil {
		return nil, nil, nil, errors.Join(err, v.Close())
	}
	return v, l, s, nil
}

func (c *life) run(fs *faultfs.FS) error {
	c.after = map[uint64]model{0: {}}
	_, l, s, err := openLog(fs)
	if err != nil {
		return err
	}
	rnd, now := rand.New(rand.NewPCG(6, 6)), model{}
	for i := range 8 {
		f, _ := logtest.Dense(testID, uint64(i*5+1), int64(i), 5, 100)
		l.Append(f)
		ch := changes(rnd, 60)
		now.put(ch)
		c.after[l.Last()] = now.matching("")
		if err := s.WriteRun(ch.sorted()); err != nil {
			return err
		}
		list := s.List()
		if err := l.Checkpoint(list); err != nil {
			return err
		}
		c.durable = l.Last()
		if err := s.Saved(list); err != nil {
			return err
		}
		if _, err := s.Merge(nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *life) check(fs *faultfs.FS) error {
	v, l, s, err := openLog(fs)
	if err != nil {
		return err
	}
	want, ok := c.after[l.Last()]
	if !ok || l.Last() < c.durable {
		return fmt.Errorf("the log ends at %d, %d was durable", l.Last(), c.durable)
	}
	got, err := contents(s, "")
	if err != nil {
		return err
	}
	if err := same(got, want); err != nil {
		return err
	}
	s.Close()
	return errors.Join(l.Close(), v.Close())
}

// A log's checkpoint and its index are always of the same moment.
func TestACrashNeverPartsAnIndexFromItsCheckpoint(t *testing.T) {
	disk := func() *faultfs.FS {
		fs := faultfs.New()
		must(t, fs.MkdirAll("data"))
		must(t, fs.SyncDir("."))
		return fs
	}
	whole := disk()
	start := whole.Ops()
	must(t, new(life).run(whole))
	for n := start; n <= whole.Ops(); n += sparser {
		fs := disk()
		fs.StopAfter(n)
		var c life
		if err := c.run(fs); err != nil && !errors.Is(err, faultfs.ErrStopped) {
			t.Fatalf("stop after %d: %v", n, err)
		}
		for _, mode := range faultfs.Modes {
			if err := c.check(fs.CrashClone(mode, n)); err != nil {
				t.Fatalf("crash after operation %d, mode %v: %v", n, mode, err)
			}
		}
	}
	// The negative control: all is synced but the runs.
	lying := disk()
	lying.Inject(faultfs.OnName(runSuffix, faultfs.Lie(faultfs.Sync, 1)))
	var c life
	must(t, c.run(lying))
	if c.check(lying.CrashClone(faultfs.DropUnsynced, 1)) == nil {
		t.Fatal("the index survived although no run was synced: the test proves nothing")
	}
}

func TestDroppingALogTakesItsRunsAlong(t *testing.T) {
	fs := faultfs.New()
	must(t, new(life).run(fs))
	v, l, s, err := openLog(fs)
	must(t, err)
	s.Close()
	must(t, l.Drop())
	must(t, v.Close())
	if _, err := fs.List(s.o.Dir); err == nil {
		t.Fatal("the directory is still there")
	}
}
