package seglog

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

var droppedID = record.Identity{ID: 9, Incarnation: 1}

// Frames of the crash scenario: 60 frames of 5 records, some 90 KiB.
const (
	scenarioFrames  = 60
	scenarioRecords = 5
)

func scenarioFrame(i int) (*record.Frame, []logtest.Rec) {
	return logtest.Dense(testID, uint64(i*scenarioRecords+1), int64(i), scenarioRecords, 250)
}

// saved is what a checkpoint of the scenario covers. Its state is its name.
type saved struct {
	name        string
	first, last uint64
}

// scenario is a run of a log of which the disk may stop at any operation.
type scenario struct {
	how     way // of keeping files
	v       *Volume
	l       *Log
	frames  int
	durable saved  // the last checkpoint that succeeded
	trying  *saved // the one that did not, or not yet
	drop    string // "": not begun; "made", "dropping", "dropped"
}

func (s *scenario) volume(fs vfs.FS) (*Volume, error) {
	o := VolumeOptions{FS: fs, Dir: "data", SegmentBytes: 24_000, FlushBytes: 6_000, DirectFrom: 4_000, TailCache: -1, MaxFiles: 2, Log: quiet}
	s.how.set(&o)
	return Open(o)
}

// run does all of it, up to the first error.
func (s *scenario) run(fs vfs.FS) error {
	s.durable = saved{first: 1}
	var err error
	if s.v, err = s.volume(fs); err != nil {
		return err
	}
	if s.l, err = s.v.OpenLog(testID); err != nil {
		return err
	}
	steps := []func() error{
		s.grow(3), s.l.Flush, s.grow(5), s.checkpoint("one"), s.grow(2), s.checkpoint("two"),
		s.grow(15), s.l.Flush, s.grow(15), s.checkpoint("rolled"),
		s.trim(90), s.grow(4), s.l.Flush, s.checkpoint("trimmed"), s.makeDropped, s.dropIt,
		s.grow(2), s.l.Flush, s.checkpoint("again"), s.trim(230), s.checkpoint("empty"),
		s.grow(14), s.l.Flush, s.grow(60 - 3 - 5 - 2 - 30 - 4 - 2 - 14), s.checkpoint("last"),
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) grow(n int) func() error {
	return func() error {
		for range n {
			f, _ := scenarioFrame(s.frames)
			s.l.Append(f)
			s.frames++
		}
		return nil
	}
}

func (s *scenario) trim(first uint64) func() error {
	return func() error { s.l.Trim(first); return nil }
}

func (s *scenario) checkpoint(name string) func() error {
	return func() error {
		k := saved{name, s.l.First(), s.l.Last()}
		s.trying = &k
		if err := s.l.Checkpoint([]byte(name)); err != nil {
			return err
		}
		s.durable, s.trying = k, nil
		return nil
	}
}

func (s *scenario) makeDropped() error {
	l, err := s.v.OpenLog(droppedID)
	if err != nil {
		return err
	}
	f, _ := logtest.Dense(droppedID, 1, 1, 20, 200)
	l.Append(f)
	if err := l.Checkpoint([]byte("other")); err != nil {
		return err
	}
	s.drop = "made"
	return l.Close()
}

func (s *scenario) dropIt() error {
	l, err := s.v.OpenLog(droppedID)
	if err != nil {
		return err
	}
	s.drop = "dropping"
	if err := l.Drop(); err != nil {
		return err
	}
	s.drop = "dropped"
	return nil
}

// check opens what a crash left and holds it against what the scenario knows.
func (s *scenario) check(fs vfs.FS) error {
	v, err := s.volume(fs)
	if err != nil {
		return err
	}
	defer v.Close()
	l, err := v.OpenLog(testID)
	if err != nil {
		return err
	}
	got := s.durable
	if name := string(l.State()); name != got.name {
		if s.trying == nil || name != s.trying.name {
			return fmt.Errorf("state %q; %q was durable", name, got.name)
		}
		got = *s.trying
	}
	if l.Last() < got.last || l.First() != got.first {
		return fmt.Errorf("checkpoint %+v came back as %d to %d", got, l.First(), l.Last())
	}
	if err := holds(l, got.first, l.Last()); err != nil {
		return fmt.Errorf("checkpoint %+v: %w", got, err)
	}
	if err := s.checkDropped(v); err != nil {
		return err
	}
	return replay(v, l, got.first)
}

// replay brings all frames again, as the journal does, and goes on.
func replay(v *Volume, l *Log, first uint64) error {
	for i := range scenarioFrames {
		f, _ := scenarioFrame(i)
		l.Append(f)
	}
	const last = scenarioFrames * scenarioRecords
	if err := holds(l, first, last); err != nil {
		return fmt.Errorf("after replay: %w", err)
	}
	if err := l.Checkpoint([]byte("after")); err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	l, err := v.OpenLog(testID)
	if err != nil {
		return fmt.Errorf("second restart: %w", err)
	}
	return holds(l, first, last)
}

// holds says whether l has exactly the scenario's records from first to last.
func holds(l *Log, first, last uint64) error {
	c := l.Cursor(0)
	defer c.Close()
	next := first
	for i := range scenarioFrames {
		_, recs := scenarioFrame(i)
		for _, want := range recs {
			if want.Seq < first || want.Seq > last {
				continue
			}
			v, err := c.Next()
			if err != nil || logtest.Of(v) != want {
				return fmt.Errorf("record %d: %d, %w", want.Seq, v.Seq, err)
			}
			next = want.Seq + 1
		}
	}
	if v, err := c.Next(); err != io.EOF {
		return fmt.Errorf("record %d after the end, %w", v.Seq, err)
	}
	if first <= last && next != last+1 {
		return fmt.Errorf("records end at %d", next-1)
	}
	return nil
}

func (s *scenario) checkDropped(v *Volume) error {
	l, err := v.OpenLog(droppedID)
	if err != nil {
		return err
	}
	defer l.Close()
	there := l.Last() == 20 && string(l.State()) == "other"
	gone := l.Last() == 0 && l.State() == nil
	switch {
	case there:
		if _, err := l.Get(20); err != nil {
			return err
		}
		if s.drop == "dropped" {
			return errors.New("a dropped log came back")
		}
	case !gone:
		return fmt.Errorf("dropped log has last %d and state %q", l.Last(), l.State())
	case s.drop == "made":
		return errors.New("a log is gone that nobody dropped")
	}
	return nil
}

// crashDisk is a disk with or without direct writes.
func crashDisk(t *testing.T, how way) *faultfs.FS {
	t.Helper()
	fs := newDisk(t)
	fs.SetDirect(how.direct)
	return fs
}

func scenarioOps(t *testing.T, how way) uint64 {
	t.Helper()
	fs := crashDisk(t, how)
	s := scenario{how: how}
	must(t, s.run(fs))
	must(t, s.v.Close())
	if s.frames != scenarioFrames {
		t.Fatalf("%d frames", s.frames)
	}
	return fs.Ops()
}

func TestACrashAtAnyOperationKeepsTheLastCheckpoint(t *testing.T) {
	eachWay(t, crashAnywhere)
}

func crashAnywhere(t *testing.T, how way) {
	ops := scenarioOps(t, how)
	for n := uint64(2); n <= ops; n += min(sparser*uint64(how.sparser()), 3) {
		fs := crashDisk(t, how)
		fs.StopAfter(n)
		s := scenario{how: how}
		if err := s.run(fs); err != nil && !errors.Is(err, faultfs.ErrStopped) {
			t.Fatalf("stop after %d: %v", n, err)
		}
		for _, mode := range faultfs.Modes {
			{
				seed := n
				if err := s.check(fs.CrashClone(mode, seed)); err != nil {
					t.Fatalf("crash after operation %d, mode %v, seed %d: %v", n, mode, seed, err)
				}
			}
		}
	}
}

// A recovery that crashes, too, leaves what the next one needs.
func TestACrashWhileRecoveringKeepsTheLastCheckpoint(t *testing.T) {
	eachWay(t, crashTwice)
}

func crashTwice(t *testing.T, how way) {
	ops := scenarioOps(t, how)
	for n := uint64(2); n <= ops; n += 17 + sparser {
		fs := crashDisk(t, how)
		fs.StopAfter(n)
		s := scenario{how: how}
		_ = s.run(fs)
		mode := faultfs.Modes[int(n)%len(faultfs.Modes)]
		first := fs.CrashClone(mode, n)
		if err := s.check(first.CrashClone(faultfs.DropUnsynced, 1)); err != nil {
			t.Fatalf("crash after operation %d, mode %v: %v", n, mode, err)
		}
		for stop := uint64(0); stop < 40; stop += 5 {
			disk := first.CrashClone(faultfs.DropUnsynced, 1)
			disk.StopAfter(disk.Ops() + stop)
			again := s
			after := saved{"after", s.durable.first, scenarioFrames * scenarioRecords}
			_ = s.check(disk)
			again.trying = &after
			for _, mode := range faultfs.Modes {
				clone := disk.CrashClone(mode, stop)
				if err := again.checkEither(clone, s.trying); err != nil {
					t.Fatalf("crash after operation %d, again after %d, mode %v: %v", n, stop, mode, err)
				}
			}
		}
	}
}

// checkEither accepts the interrupted checkpoint of the first life, too.
func (s *scenario) checkEither(fs *faultfs.FS, before *saved) error {
	err := s.check(fs.CrashClone(faultfs.KeepAll, 1))
	if err == nil || before == nil {
		return err
	}
	s2 := *s
	s2.durable = *before
	after := saved{"after", before.first, scenarioFrames * scenarioRecords}
	s2.trying = &after
	if err2 := s2.check(fs.CrashClone(faultfs.KeepAll, 1)); err2 != nil {
		return errors.Join(err, err2)
	}
	return nil
}

// The negative control: without syncs the same test must fail.
func TestACrashLosesCheckpointsWhenSyncsDoNothing(t *testing.T) {
	fs := newDisk(t)
	fs.IgnoreSyncs(true)
	var s scenario
	must(t, s.run(fs))
	if err := s.check(fs.CrashClone(faultfs.DropUnsynced, 1)); err == nil {
		t.Fatal("the checkpoint survived although nothing was synced: the test proves nothing")
	}
}
