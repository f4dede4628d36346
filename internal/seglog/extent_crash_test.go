package seglog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// noted is a frame as a journal has it: what is in it, or its place.
type noted struct {
	frame *record.Frame
	place []byte // nil: the frame itself
}

// extentRun is a log whose frames are journalled, with some in flight, on a disk that
// may stop at any operation. The journal itself never fails; seglog has to keep what
// that names.
type extentRun struct {
	rng     *rand.Rand
	direct  bool
	lying   bool
	v       *Volume
	l       *Log
	journal []noted // all that is acknowledged, and what is in flight
	applied int     // of them
	first   uint64  // trimmed up to, exclusive
	durable uint64  // applied by the last checkpoint that succeeded
	trimmed uint64  // first of that
	trying  uint64
	inTrim  uint64
	dead    seqset.Set // removed from between others
	left    int        // extents that were written away
}

func (r *extentRun) volume(disk vfs.FS) (*Volume, error) {
	return Open(VolumeOptions{
		FS: disk, Dir: "data", SegmentBytes: 60_000, FlushBytes: 12_000, DirectFrom: 6_000, ExtentFrom: 3_000, TailCache: -1, MaxFiles: 2,
		ReclaimFrom: 2_000, Log: quiet,
	})
}

// frame makes the next one: one record of some size.
func (r *extentRun) frame() *record.Frame {
	seq := uint64(len(r.journal) + 1)
	size := 20 + r.rng.IntN(600)
	if r.rng.IntN(3) > 0 {
		size = 3_000 + r.rng.IntN(6_000)
	}
	return bigFrame(seq, size)
}

func stateOf(applied, first uint64, dead *seqset.Set) []byte {
	return dead.Append(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, applied), first))
}

// ofState is what stateOf was given.
func ofState(b []byte) (applied, first uint64, dead seqset.Set, err error) {
	if len(b) < 16 {
		return 0, 1, dead, nil
	}
	dead, _, err = seqset.Decode(b[16:])
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), dead, err
}

// run works until the disk stops.
func (r *extentRun) run(disk *faultfs.FS, steps int) (err error) {
	if r.v, err = r.volume(disk); err != nil {
		return err
	}
	if r.l, err = r.v.OpenLog(testID); err != nil {
		return err
	}
	r.first, r.trimmed = 1, 1
	for range steps {
		if err := r.step(); err != nil {
			return err
		}
	}
	return nil
}

func (r *extentRun) step() error {
	switch x := r.rng.IntN(20); {
	case x < 10:
		return r.journalOne()
	case x < 14:
		return r.apply(r.rng.IntN(4))
	case x < 16:
		r.v.makeExtents()
		r.v.retryExtents()
		return nil
	case x < 17:
		return r.l.Flush()
	case x < 18 && r.applied > 0:
		r.first = max(r.first, uint64(1+r.rng.IntN(r.applied)))
		r.l.Trim(r.first)
		return nil
	case x < 19:
		return r.checkpoint()
	}
	return r.reclaim()
}

// reclaim removes much of what is applied and has it written away.
func (r *extentRun) reclaim() error {
	from, most := 1+r.rng.IntN(r.applied+1), 1+r.rng.IntN(10)
	for seq := from; seq <= r.applied; seq++ {
		if r.rng.IntN(10) < most {
			r.dead.Add(uint64(seq))
		}
	}
	dead := r.dead.Clone()
	before := r.linked()
	install, err := r.l.Reclaim(context.Background(), &dead, func(int64) {})
	if err != nil || install == nil || !install() {
		return err
	}
	r.left += before - r.linked()
	return r.checkpoint()
}

// linked counts the extents that are segments of the log.
func (r *extentRun) linked() (n int) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	for _, s := range r.l.segments {
		if r.l.extents.live[s.no] != nil {
			n++
		}
	}
	return n
}

// journalOne makes a frame durable: then it is acknowledged.
func (r *extentRun) journalOne() error {
	f := r.frame()
	n := noted{frame: f}
	if x := r.l.Extent(f.Head, f.Area); x != nil {
		if err := x.Write(); err != nil {
			return err
		}
		n.place = x.Place()
	}
	r.journal = append(r.journal, n)
	return nil
}

// apply brings frames that are durable to the log, but for some that stay in flight.
func (r *extentRun) apply(stay int) error {
	for ; r.applied < len(r.journal)-stay; r.applied++ {
		r.l.Append(r.journal[r.applied].frame)
	}
	return nil
}

// checkpoint has a state of before it, as a partition's is: frames may be applied
// while it is taken.
func (r *extentRun) checkpoint() error {
	r.trying, r.inTrim = uint64(r.applied), r.first
	state := stateOf(r.trying, r.inTrim, &r.dead)
	if err := r.apply(r.rng.IntN(4)); err != nil {
		return err
	}
	if err := r.l.Checkpoint(state); err != nil {
		return err
	}
	r.durable, r.trimmed = r.trying, r.inTrim
	return nil
}

// check recovers what a crash left: it fetches what the journal names, goes on, and
// recovers again.
func (r *extentRun) check(disk *faultfs.FS) error {
	v, err := r.volume(disk)
	if err != nil {
		return err
	}
	defer v.Close()
	l, err := v.OpenLog(testID)
	if err != nil {
		return err
	}
	applied, first, dead, err := ofState(l.State())
	if err != nil {
		return err
	}
	if applied < r.durable || applied > max(r.durable, r.trying) {
		return fmt.Errorf("state of %d, %d was durable", applied, r.durable)
	}
	if err := r.replay(l, applied); err != nil {
		return err
	}
	if err := r.holds(l, first, &dead); err != nil {
		return fmt.Errorf("after replay: %w", err)
	}
	return nil
}

// replay brings what no checkpoint has, in the frames that the journal or an extent
// kept.
func (r *extentRun) replay(l *Log, applied uint64) error {
	for i := int(applied); i < len(r.journal); i++ {
		n := r.journal[i]
		b := append(append([]byte{}, n.frame.Head...), n.frame.Area...)
		if n.place != nil {
			got, err := l.Fetch(n.place)
			if err != nil {
				return fmt.Errorf("frame %d, of %d applied: %w", i+1, applied, err)
			}
			if !bytes.Equal(got, b) {
				return fmt.Errorf("frame %d is another one", i+1)
			}
		}
		f, _, err := record.Parse(b)
		if err != nil {
			return err
		}
		l.Append(f)
	}
	return nil
}

// holds says whether the log has all records from first on but those that are dead,
// which it may have.
func (r *extentRun) holds(l *Log, first uint64, dead *seqset.Set) error {
	c := l.Cursor(0)
	defer c.Close()
	for seq := first; seq <= uint64(len(r.journal)); seq++ {
		if dead.Contains(seq) {
			continue
		}
		want, err := r.journal[seq-1].frame.Record(0)
		if err != nil {
			return err
		}
		v, err := c.Next()
		for err == nil && dead.Contains(v.Seq) {
			v, err = c.Next()
		}
		if err != nil || v.Seq != seq || !bytes.Equal(v.Data, want.Data) {
			return fmt.Errorf("record %d: %d, %w", seq, v.Seq, err)
		}
	}
	v, err := c.Next()
	for err == nil && dead.Contains(v.Seq) {
		v, err = c.Next()
	}
	if err == nil {
		return fmt.Errorf("record %d after the end", v.Seq)
	}
	return nil
}

// lives runs a log on a disk that stops after n operations, crashes, and recovers,
// with a crash in the recovery, too.
func (r *extentRun) lives(t *testing.T, n uint64, mode faultfs.Mode) (ended bool, err error) {
	disk := newDisk(t)
	disk.SetDirect(r.direct)
	disk.StopAfter(disk.Ops() + n)
	if r.lying {
		disk.Inject(faultfs.OnName(".seg", faultfs.Lie(faultfs.Sync, 1)))
	}
	err = r.run(disk, 120)
	if ended = err == nil; !ended && !errors.Is(err, faultfs.ErrStopped) {
		return false, err
	}
	clone := disk.CrashClone(mode, n)
	if err := r.check(clone.CrashClone(faultfs.KeepAll, 1)); err != nil {
		return ended, err
	}
	return ended, r.again(clone, mode)
}

// again recovers, writes behind and checkpoints, until the disk stops once more.
func (r *extentRun) again(disk *faultfs.FS, mode faultfs.Mode) error {
	disk.StopAfter(disk.Ops() + r.rng.Uint64N(60))
	second := *r
	err := second.resume(disk)
	if err != nil && !errors.Is(err, faultfs.ErrStopped) {
		return fmt.Errorf("second life: %w", err)
	}
	if err := second.check(disk.CrashClone(mode, r.rng.Uint64())); err != nil {
		return fmt.Errorf("third life: %w", err)
	}
	return nil
}

func (r *extentRun) resume(disk *faultfs.FS) (err error) {
	if r.v, err = r.volume(disk); err != nil {
		return err
	}
	if r.l, err = r.v.OpenLog(testID); err != nil {
		return err
	}
	var applied uint64
	if applied, r.first, r.dead, err = ofState(r.l.State()); err != nil {
		return err
	}
	r.durable, r.trying = applied, applied
	if err := r.replay(r.l, applied); err != nil {
		return err
	}
	r.applied = len(r.journal)
	for range 30 {
		if err := r.step(); err != nil {
			return err
		}
	}
	return nil
}

func TestACrashAtAnyOperationKeepsWhatExtentsHold(t *testing.T) {
	seeds, left := 2/min(sparser, 2), 0
	for seed := range uint64(max(1, seeds)) {
		for n := uint64(1); ; n += min(sparser, 5) {
			mode := faultfs.Modes[int(n+seed)%len(faultfs.Modes)]
			r := extentRun{rng: rand.New(rand.NewPCG(seed, 3)), direct: n%2 == 0}
			ended, err := r.lives(t, n, mode)
			if err != nil {
				t.Fatalf("seed %d, stop after %d, %v: %v", seed, n, mode, err)
			}
			left += r.left
			if ended {
				break
			}
		}
	}
	if left == 0 {
		t.Error("no extent was written away: that is not tested")
	}
}

// The negative control.
func TestTheCrashTestSeesExtentsThatAreNotSynced(t *testing.T) {
	for n := uint64(100); n < 300; n++ {
		r := extentRun{rng: rand.New(rand.NewPCG(1, 3)), lying: true}
		if _, err := r.lives(t, n, faultfs.DropUnsynced); err != nil {
			t.Log(err)
			return
		}
	}
	t.Fatal("extents that are not synced lost nothing")
}
