package seglog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// reclaimed is what a checkpoint of the rewriting scenario covers. Its state is its
// name.
type reclaimed struct {
	name string
	last uint64
	dead seqset.Set
}

// rewriting is a run of a log that is written anew again and again, of which the disk
// may stop at any operation.
type rewriting struct {
	how     way
	v       *Volume
	l       *Log
	now     reclaimed
	durable reclaimed
	trying  *reclaimed
	done    int // rewritings that took place
}

func (s *rewriting) volume(fs *faultfs.FS) (*Volume, error) {
	o := VolumeOptions{
		FS: fs, Dir: "data", SegmentBytes: 24_000, FlushBytes: 6_000, DirectFrom: 4_000, TailCache: -1, MaxFiles: 2, ReclaimFrom: 500, Log: quiet,
	}
	s.how.set(&o)
	return Open(o)
}

// run does all of it, up to the first error.
func (s *rewriting) run(fs *faultfs.FS) error {
	var err error
	if s.v, err = s.volume(fs); err != nil {
		return err
	}
	if s.l, err = s.v.OpenLog(testID); err != nil {
		return err
	}
	for round := range 4 {
		if err := s.round(round); err != nil {
			return err
		}
	}
	return nil
}

// round appends, removes, and writes anew what is dead, at different distances from a
// checkpoint.
func (s *rewriting) round(n int) error {
	from := s.now.last
	for range scenarioFrames / 4 {
		f, _ := scenarioFrame(int(s.now.last / scenarioRecords))
		s.l.Append(f)
		s.now.last = f.Last()
	}
	if n%2 == 0 {
		if err := s.checkpoint(fmt.Sprintf("grown %d", n)); err != nil {
			return err
		}
	} else if err := s.l.Flush(); err != nil {
		return err
	}
	for seq := from/2 + 1; seq <= s.now.last; seq++ {
		if seq%uint64(5+n) != 0 {
			s.now.dead.Add(seq)
		}
	}
	if err := s.l.Flush(); err != nil {
		return err
	}
	for {
		dead := s.now.dead.Clone()
		install, err := s.l.Reclaim(context.Background(), &dead, func(int64) {})
		if err != nil {
			return err
		}
		if install == nil || !install() {
			return nil
		}
		s.done++
		if err := s.checkpoint(fmt.Sprintf("rewritten %d", s.done)); err != nil {
			return err
		}
	}
}

func (s *rewriting) checkpoint(name string) error {
	k := reclaimed{name, s.now.last, s.now.dead.Clone()}
	s.trying = &k
	if err := s.l.Checkpoint([]byte(name)); err != nil {
		return err
	}
	s.durable, s.trying = k, nil
	return nil
}

// check opens what a crash left: all that was alive at the checkpoint that counts is
// there, and nothing that never was.
func (s *rewriting) check(fs *faultfs.FS) error {
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
	if err := alive(l, &got.dead, got.last); err != nil {
		return fmt.Errorf("checkpoint %q: %w", got.name, err)
	}
	if _, err := l.Verify(context.Background(), func(d *DamageError) { err = errors.Join(err, d) }); err != nil {
		return err
	}
	// The journal brings the rest again, what died is removed again, and the log goes on.
	for i := range scenarioFrames {
		f, _ := scenarioFrame(i)
		l.Append(f)
	}
	const last = scenarioFrames * scenarioRecords
	got.dead.AddRange(1, last/2)
	for {
		install, err := l.Reclaim(context.Background(), &got.dead, func(int64) {})
		if err != nil {
			return err
		}
		if install == nil || !install() {
			break
		}
	}
	if err := l.Checkpoint([]byte("after")); err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	if l, err = v.OpenLog(testID); err != nil {
		return fmt.Errorf("second restart: %w", err)
	}
	if err := alive(l, &got.dead, last); err != nil {
		return fmt.Errorf("second restart: %w", err)
	}
	names, err := fs.List(l.dir)
	if err == nil && len(names) != len(l.Files()) {
		err = fmt.Errorf("files %v, of which %v count", names, l.Files())
	}
	return err
}

// alive says whether l has all of the scenario's records up to last that are not dead,
// and no record that the scenario does not have.
func alive(l *Log, dead *seqset.Set, last uint64) error {
	c := l.Cursor(0)
	defer c.Close()
	seen := uint64(0)
	for {
		v, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil || v.Seq <= seen {
			return fmt.Errorf("record %d after %d: %w", v.Seq, seen, err)
		}
		for seq := seen + 1; seq < v.Seq; seq++ {
			if seq <= last && !dead.Contains(seq) {
				return fmt.Errorf("record %d is missing", seq)
			}
		}
		seen = v.Seq
		_, recs := scenarioFrame(int((v.Seq - 1) / scenarioRecords))
		if want := recs[(v.Seq-1)%scenarioRecords]; logtest.Of(v) != want {
			return fmt.Errorf("record %d is %+v", v.Seq, logtest.Of(v))
		}
	}
	for seq := seen + 1; seq <= last; seq++ {
		if !dead.Contains(seq) {
			return fmt.Errorf("record %d is missing at the end", seq)
		}
	}
	return nil
}

// A crash at any operation of a rewriting costs nothing that is alive, and brings
// nothing back but what the checkpoint that counts did not have removed.
func TestACrashWhileSegmentsAreWrittenAnewLosesNothing(t *testing.T) {
	eachWay(t, func(t *testing.T, how way) {
		fs := crashDisk(t, how)
		s := rewriting{how: how}
		must(t, s.run(fs))
		must(t, s.v.Close())
		if s.done < 4 {
			t.Fatalf("%d rewritings took place", s.done)
		}
		ops := fs.Ops()
		for n := uint64(2); n <= ops; n += min(3*sparser*uint64(how.sparser()), 11) {
			fs := crashDisk(t, how)
			fs.StopAfter(n)
			s := rewriting{how: how}
			if err := s.run(fs); err != nil && !errors.Is(err, faultfs.ErrStopped) {
				t.Fatalf("stop after %d: %v", n, err)
			}
			for _, mode := range faultfs.Modes {
				if err := s.check(fs.CrashClone(mode, n)); err != nil {
					t.Fatalf("crash after operation %d, mode %v: %v", n, mode, err)
				}
			}
		}
	})
}

// The negative control: without syncs the same test must fail.
func TestARewritingIsLostWhenSyncsDoNothing(t *testing.T) {
	fs := newDisk(t)
	fs.IgnoreSyncs(true)
	var s rewriting
	must(t, s.run(fs))
	if err := s.check(fs.CrashClone(faultfs.DropUnsynced, 1)); err == nil {
		t.Fatal("all is there although nothing was synced: the test proves nothing")
	}
}

// The other negative control: records that are dropped although a checkpoint has them
// alive must be missed.
func TestWhatACheckpointHasAliveMustNotBeDropped(t *testing.T) {
	fs := newDisk(t)
	var s rewriting
	must(t, s.run(fs))
	dead := s.now.dead.Clone()
	for seq := uint64(1); seq <= s.now.last; seq += 2 {
		dead.Add(seq)
	}
	logtest.Reclaim(t, s.l, &dead, []byte(s.durable.name))
	if err := s.check(fs.CrashClone(faultfs.KeepAll, 1)); err == nil {
		t.Fatal("live records were dropped and nobody missed them: the test proves nothing")
	}
}

// An error of the disk at any operation leaves the log as it was, and the next try
// succeeds; only a checkpoint's own failed sync ends it.
func TestAnErrorWhileSegmentsAreWrittenAnewLosesNothing(t *testing.T) {
	for _, how := range []way{ways[0], ways[1], ways[4]} {
		t.Run(how.name, func(t *testing.T) { rewriteErrors(t, how) })
	}
}

func rewriteErrors(t *testing.T, how way) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for n, failed := 1, true; failed; n += int(how.sparser()) {
			fs := crashDisk(t, how)
			s := rewriting{how: how}
			v, err := s.volume(fs)
			must(t, err)
			l := openLog(t, v, testID)
			for i := range scenarioFrames {
				f, _ := scenarioFrame(i)
				l.Append(f)
			}
			const last = scenarioFrames * scenarioRecords
			must(t, l.Checkpoint([]byte("one")))
			dead := everyNth(last, 10)
			calls := 0
			failed = false
			fs.Inject(faultfs.Func("one", func(faultfs.Op) *faultfs.Fault {
				if calls++; calls != n {
					return nil
				}
				failed = true
				return &faultfs.Fault{Err: cause}
			}))
			install, err := l.Reclaim(context.Background(), dead, func(int64) {})
			if install != nil {
				install()
			} else if !failed {
				t.Fatalf("nothing was done: %v", err)
			}
			fs.Heal()
			if err := alive(l, dead, last); err != nil {
				t.Fatalf("%v at operation %d: %v", cause, n, err)
			}
			logtest.Reclaim(t, l, dead, []byte("two"))
			must(t, l.Checkpoint([]byte("three")))
			if names, err := fs.List(l.dir); err != nil || len(names) != len(l.Files()) {
				t.Fatalf("%v at operation %d: files %v, of which %v count", cause, n, names, l.Files())
			}
			must(t, l.Close())
			l = openLog(t, v, testID)
			if err := alive(l, dead, last); err != nil {
				t.Fatalf("%v at operation %d, after a restart: %v", cause, n, err)
			}
			mustVerify(t, l)
			must(t, v.Close())
		}
	}
}
