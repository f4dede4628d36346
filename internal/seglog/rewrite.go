package seglog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/roster"
	"github.com/weirmq/weir/internal/seqset"
)

// sieveBytes is how long the frames of a rewritten segment are, about; a record that
// is longer has one of its own.
const sieveBytes = 128 << 10

// rewriter writes neighbouring segments into a new one, without the records that are
// dead. The file is durable before anybody knows of it, its name with the next
// checkpoint. A crash before that leaves a file that no manifest names, which goes as
// any such does; a crash after it leaves the old ones so.
type rewriter struct {
	// Set at construction.
	l     *Log
	ctx   context.Context
	dead  *seqset.Set
	pace  func(int64)
	first uint64
	group []*segment // never empty

	at       *segment // that is being read
	no       uint64   // of the new segment; 0: there is none
	file     *outFile // of it, until it is closed
	seg      *segment // what was written; nil: nothing yet
	batch    *batch
	sieve    record.Sieve
	wait     []*record.Frame // to be written
	bytes    int64           // of wait
	subjects roster.Builder  // of what was written
}

// run writes the new segment, unless no record is live, and makes it durable.
func (r *rewriter) run() error {
	if r.allDead() {
		return nil
	}
	r.batch = batches.Get().(*batch)
	defer func() {
		r.batch.gather = gatherer{}
		batches.Put(r.batch)
		r.batch = nil
	}()
	for _, r.at = range r.group {
		seg := r.at
		if err := r.copy(seg); err != nil {
			return fmt.Errorf("write %s anew: %w", r.l.path(segmentName(seg.no)), err)
		}
	}
	if err := r.finish(); err != nil {
		return fmt.Errorf("write %s anew: %w", r.l.path(segmentName(r.group[0].no)), err)
	}
	return nil
}

// allDead says that none of the group's records is live.
func (r *rewriter) allDead() bool {
	return !slices.ContainsFunc(r.group, func(s *segment) bool { return !allDead(r.dead, r.first, s.base, s.last) })
}

// copy gathers what is live in a segment.
func (r *rewriter) copy(seg *segment) error {
	w := walker{l: r.l, seg: seg, next: segmentHeader, prev: seg.base - 1}
	defer w.win.reset()
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		at := w.next
		ok, err := w.frameFor(w.prev + 1)
		if d := damageOf(err); d != nil && allDead(r.dead, r.first, d.First, d.Last) {
			continue
		}
		if err != nil || !ok {
			return err
		}
		if err := r.copyFrame(&w); err != nil {
			return err
		}
		r.pace(w.next - at)
	}
}

// copyFrame gathers what is live in the walker's frame.
func (r *rewriter) copyFrame(w *walker) error {
	f := &w.frame
	for i := range int(f.Count) {
		if isDead(r.dead, r.first, f.Seq(i)) {
			continue
		}
		if r.sieve.Count() > 0 && (!r.sieve.Takes(f) || r.sieve.Len() >= sieveBytes) {
			if err := r.seal(); err != nil {
				return err
			}
		}
		b, err := w.content(i)
		if err == nil {
			err = r.sieve.Add(f, i, b)
		}
		if err = w.failed(i, err); err != nil {
			return err
		}
	}
	return nil
}

// seal makes a frame of what was gathered, and writes those that wait if they are
// many.
func (r *rewriter) seal() error {
	f := r.sieve.Seal()
	r.wait = append(r.wait, f)
	r.bytes += int64(f.Len())
	if r.bytes < r.l.v.flushBytes {
		return nil
	}
	return r.write()
}

// write writes the frames that wait.
func (r *rewriter) write() error {
	b := r.batch
	b.head = b.head[:0]
	if r.seg == nil {
		if err := r.begin(); err != nil {
			return err
		}
	}
	grown, size, err := r.l.extend(b, r.file, r.seg, r.wait)
	if err != nil {
		return err
	}
	r.seg = grown
	if err := addFrames(&r.subjects, r.wait); err != nil {
		return err
	}
	clear(r.wait)
	r.wait, r.bytes = r.wait[:0], 0
	r.pace(size)
	return nil
}

// begin makes the new segment's file.
func (r *rewriter) begin() error {
	l := r.l
	l.turn.Lock()
	defer l.turn.Unlock()
	if l.out.failed != nil {
		return l.out.failed
	}
	no := l.out.next
	f, err := l.v.fs.Create(l.path(segmentName(no)))
	if err == nil || errors.Is(err, fs.ErrExist) {
		l.out.next++ // a file that is there is not ours to write over
	}
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	r.no, r.file = no, &outFile{File: f}
	r.seg = &segment{no: no, base: r.wait[0].Base, maxTime: math.MinInt64, indexed: true, gone: new(atomic.Bool)}
	if l.transforms() {
		r.seg.layout = layoutBlocks
	}
	of := seqRange{r.group[0].base, r.group[len(r.group)-1].last}
	r.batch.head = appendRewrittenHeader(r.batch.head, l.id, no, r.seg.base, r.seg.layout, of)
	return nil
}

// finish writes the rest, and makes the segment durable.
func (r *rewriter) finish() error {
	if r.sieve.Count() > 0 {
		r.wait = append(r.wait, r.sieve.Seal())
	}
	if len(r.wait) > 0 {
		if err := r.write(); err != nil {
			return err
		}
	}
	if r.seg == nil {
		return nil
	}
	sealed, err := r.l.finish(r.file, r.seg, r.l.appendRoster(&r.subjects, r.no))
	if err != nil {
		return err
	}
	// Where this fails the old segments stay: nothing rests on the new one yet.
	if err := r.file.Datasync(); err != nil {
		return fmt.Errorf("sync segment: %w", err)
	}
	r.seg = sealed
	r.file.close()
	r.file = nil
	return nil
}

// install puts the new segment in the place of the group, if that is still there. It
// says whether it is.
func (r *rewriter) install() bool {
	l := r.l
	l.turn.Lock()
	done := r.swap()
	if done {
		l.out.names = l.out.names || r.no != 0
		for _, s := range r.group {
			l.discard(s)
			l.out.garbage = append(l.out.garbage, segmentName(s.no))
		}
	}
	l.turn.Unlock()
	if !done {
		r.abandon()
	}
	return done
}

// swap changes the list of segments.
func (r *rewriter) swap() bool {
	l := r.l
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.segments, r.group[0])
	n := len(r.group)
	if l.closed || i < 0 || i+n > len(l.segments) || !slices.Equal(l.segments[i:i+n], r.group) {
		return false
	}
	var put []*segment
	if r.seg != nil {
		put = []*segment{r.seg}
	}
	l.segments = slices.Concat(l.segments[:i], put, l.segments[i+n:])
	return true
}

// abandon removes what was written.
func (r *rewriter) abandon() {
	if r.file != nil {
		r.file.close()
		r.file = nil
	}
	if r.no == 0 {
		return
	}
	l := r.l
	name := segmentName(r.no)
	err := l.v.fs.Remove(l.path(name))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.turn.Lock()
	defer l.turn.Unlock()
	l.out.garbage = append(l.out.garbage, name)
}
