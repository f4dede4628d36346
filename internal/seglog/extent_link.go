package seglog

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
)

// placed looks for the places of b's frames. It gives the extent of the first one's,
// and leaves in b only the frames and places that follow each other there. Else it
// leaves the frames before the first that has a place.
func (l *Log) placed(b *batch) *extent {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.extents
	for {
		ghosts := e.leadLocked(b.frames[0].Base)
		if ghosts == len(e.plan) {
			l.giveUpLocked(ghosts)
			return nil
		}
		p := &e.plan[ghosts]
		if p.x.broken {
			l.giveUpLocked(ghosts + 1)
			continue
		}
		n := 0
		for n < len(b.frames) && b.frames[n].Base < p.base {
			n++
		}
		if n > 0 {
			l.giveUpLocked(ghosts) // what they were is behind, or was never there
			b.frames = b.frames[:n]
			return nil
		}
		if ghosts > 0 && (e.plan[0].x != p.x || !allLarge(e.plan[:ghosts])) {
			l.giveUpLocked(ghosts)
			continue
		}
		if n = e.runLocked(p.x, b.frames, ghosts); n == 0 {
			l.breakLocked(p.x)
			continue
		}
		b.frames = b.frames[:n]
		b.places = append(b.places[:0], e.plan[:ghosts+n]...)
		return p.x
	}
}

// leadLocked counts the places before a sequence: their frames were trimmed before
// they got to a segment.
func (e *extents) leadLocked(base uint64) int {
	n := 0
	for n < len(e.plan) && e.plan[n].last < base {
		n++
	}
	return n
}

// allLarge says that all places were written to before their frames were committed.
func allLarge(places []place) bool {
	return !slices.ContainsFunc(places, func(p place) bool { return !p.large })
}

// runLocked counts the frames that have the places from an index on.
func (e *extents) runLocked(x *extent, frames []*record.Frame, from int) int {
	n := 0
	for _, p := range e.plan[from:] {
		if n == len(frames) || p.x != x || frames[n].Base != p.base || int64(frames[n].Len()) != p.n {
			break
		}
		n++
	}
	return n
}

// giveUpLocked forgets the first n places. What is behind them in their extents does
// not follow what comes before, and is not linked.
func (l *Log) giveUpLocked(n int) {
	for i := range n {
		l.breakLocked(l.extents.plan[i].x)
	}
	l.passLocked(n)
}

// passLocked takes the first n places out of the plan.
func (l *Log) passLocked(n int) {
	e := &l.extents
	for i := range n {
		e.plan[i].x.waiting--
	}
	if e.plan = e.plan[n:]; len(e.plan) == 0 {
		e.plan = nil
	}
}

// link makes a segment of b's frames where they lie in x, or grows it by them. It
// writes the small ones. What does not follow is left, and x is broken then. The
// caller has the turn.
func (l *Log) link(b *batch, x *extent) (wrote int64, err error) {
	seg, err := l.linkable(x, b.places[0].base)
	if err != nil {
		return 0, err
	}
	n := 0
	if seg != nil {
		n = follows(seg, x, b.places)
	}
	if n == 0 {
		l.mu.Lock()
		l.breakLocked(x)
		l.mu.Unlock()
		return 0, nil
	}
	places, frames := b.places[:n], b.frames
	grown := *seg
	in := indexer{entries: seg.index, maxTime: seg.maxTime, count: seg.count}
	i := 0
	for k := range places {
		p := &places[k]
		in.addPlace(p)
		grown.last, grown.length = p.last, p.off+p.n
		if i < len(frames) && frames[i].Base == p.base {
			i++
		}
		wrote += p.n
	}
	frames = frames[:i]
	if err := l.writeSmall(b, x, seg, places, frames); err != nil {
		return 0, err
	}
	grown.index, grown.maxTime, grown.count = in.entries, in.maxTime, in.count
	l.collect(seg, frames, len(frames) == len(places))
	l.mu.Lock()
	x.linked = true
	x.tailWide = places[n-1].large
	l.passLocked(n)
	l.mu.Unlock()
	l.commit(&grown, frames)
	return wrote, nil
}

// follows counts the places that go on where the segment ends, as a reader expects
// it.
func follows(seg *segment, x *extent, places []place) int {
	end, wide := seg.length, x.tailWide
	for i := range places {
		p := &places[i]
		want := end
		if end == 0 {
			want = extentStart
		} else if p.large || wide {
			want = alignUp(end)
		}
		if p.off != want {
			return i
		}
		end, wide = p.off+p.n, p.large
	}
	return len(places)
}

// linkable gives the segment that x is, or is going to be; nil if it cannot be the
// next one. Another one that still grows is sealed.
func (l *Log) linkable(x *extent, base uint64) (*segment, error) {
	seg := l.active()
	if seg != nil && seg.no == x.no {
		return seg, nil
	}
	if x.linked {
		return nil, nil // it was sealed or trimmed
	}
	if seg != nil {
		if err := l.finishSegment(seg); err != nil {
			return nil, err
		}
	}
	return &segment{no: x.no, base: base, maxTime: math.MinInt64, indexed: true, gone: new(atomic.Bool)}, nil
}

// finishSegment seals a segment that still grows.
func (l *Log) finishSegment(seg *segment) error {
	if err := l.prepare(seg); err != nil {
		return err
	}
	if seg = l.active(); seg != nil {
		return l.seal(seg)
	}
	return nil
}

// leaveExtent ends the segment that still grows if it is an extent, or was one before
// the start and holds frames behind its end that the journal names. left is false if
// it is neither.
func (l *Log) leaveExtent(seg *segment) (left bool, err error) {
	l.mu.Lock()
	x := l.extents.live[seg.no]
	referred := l.extents.referred[seg.no]
	whole := x != nil && !x.broken && x.waiting == 0
	if x != nil {
		l.endLocked(x)
	}
	l.mu.Unlock()
	switch {
	case x == nil && !referred:
		return false, nil
	case !whole:
		l.close(seg) // what is behind it stays for the journal
		return true, nil
	}
	l.reap()
	if err := l.openExtent(x); err != nil {
		return true, err
	}
	return true, l.seal(seg)
}

// openExtent opens an extent's file for what is written behind.
func (l *Log) openExtent(x *extent) error {
	if l.out.files[x.no] != nil {
		return nil
	}
	f, err := l.v.fs.OpenWrite(l.path(segmentName(x.no)))
	if err != nil {
		return fmt.Errorf("open extent: %w", err)
	}
	l.out.add(x.no, f)
	return nil
}

// writeSmall writes the header of a new segment and the frames that were not written
// before they were committed.
func (l *Log) writeSmall(b *batch, x *extent, seg *segment, places []place, frames []*record.Frame) error {
	g := smallWriter{b: b}
	g.begin(0)
	if seg.length == 0 {
		b.stored = appendSegmentHeader(b.stored, l.id, seg.no, seg.base, layoutFrames)
	}
	for k, i := 0, 0; k < len(places) && i < len(frames); k++ {
		p := &places[k]
		if frames[i].Base != p.base {
			continue // trimmed, and large
		}
		f := frames[i]
		i++
		if p.large {
			continue
		}
		if err := g.add(l, x, p.off, f); err != nil {
			return err
		}
	}
	return g.flush(l, x)
}

// smallWriter collects frames that follow each other.
type smallWriter struct {
	b   *batch
	off int64
}

func (g *smallWriter) begin(off int64) { g.off, g.b.stored = off, g.b.stored[:0] }

func (g *smallWriter) add(l *Log, x *extent, off int64, f *record.Frame) error {
	b := g.b
	if g.off+int64(len(b.stored)) != off || len(b.stored)+f.Len() > gatherMost {
		if err := g.flush(l, x); err != nil {
			return err
		}
		g.begin(off)
	}
	b.stored = append(append(b.stored, f.Head...), f.Area...)
	return nil
}

func (g *smallWriter) flush(l *Log, x *extent) error {
	if len(g.b.stored) == 0 {
		return nil
	}
	if err := l.openExtent(x); err != nil {
		return err
	}
	if _, err := l.out.files[x.no].WriteAt(g.b.stored, g.off); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	return nil
}

// addPlace is add for a frame that need not be in memory any more.
func (x *indexer) addPlace(p *place) {
	if n := len(x.entries); n == 0 || p.off-x.entries[n-1].off >= indexEvery {
		x.entries = append(x.entries, indexEntry{p.base, x.maxTime, p.off})
	}
	x.maxTime = max(x.maxTime, p.maxTime)
	x.count += p.count
}
