package seglog

import (
	"context"
	"errors"
	"slices"

	"github.com/weirmq/weir/internal/seqset"
)

const (
	// weighFrom is the part of a segment's records, one in so many, that is dead
	// before it is read to find out how many bytes that is.
	weighFrom = 64
	// smallPart is how much less than a whole segment, by this factor, a segment has
	// that is written anew together with a neighbour although it has nothing dead.
	smallPart = 8
)

// Reclaim looks for segments most bytes of which belong to records of dead, and
// writes a few neighbours anew, into one, without these records. Until install is
// called nothing changes for anybody: it puts the new segment in place of the old
// ones, whose files go with the next Checkpoint, and says whether it could. install is
// nil where nothing is worth the while; else it must be called. Records with dead
// sequences may still be found after it, in memory and in other segments.
//
// Whoever calls it makes sure that the records of dead are deleted in every state that
// Checkpoint gets from install on, and for all who read. A segment with damage stays
// as it is, unless only dead records are in it. pace is told the bytes that were read
// and written since its last call, and may wait: no lock is held. Without pace nothing
// is read or written: only segments go of which nothing is live, and such frames that
// were not written yet. An error leaves everything as it was.
func (l *Log) Reclaim(ctx context.Context, dead *seqset.Set, pace func(int64)) (install func() bool, err error) {
	l.reclaiming.Lock()
	defer l.reclaiming.Unlock()
	if pace == nil {
		return l.vacate(&chooser{l: l, dead: dead}), nil
	}
	for {
		install, again, err := l.reclaim(&chooser{l: l, ctx: ctx, dead: dead, pace: pace})
		if errors.Is(err, errGone) {
			return nil, nil // trimmed meanwhile
		}
		if !again {
			return install, err
		}
	}
}

// reclaim is Reclaim. again says that a segment turned out to be damaged, which is
// known from now on.
func (l *Log) reclaim(c *chooser) (install func() bool, again bool, err error) {
	group, err := c.choose()
	if err != nil || len(group) == 0 {
		return nil, false, err
	}
	r := rewriter{l: l, ctx: c.ctx, dead: c.dead, pace: c.pace, first: c.first, group: group}
	if err := r.run(); err != nil {
		r.abandon()
		if damageOf(err) == nil {
			return nil, false, err
		}
		c.note(r.at, unfit(r.at, c.deadRecords(r.at)))
		return nil, true, nil
	}
	return r.install, false, nil
}

// weight is what is known of a segment that was read.
type weight struct {
	dead   uint64 // records that were dead then
	length int64
	live   int64 // bytes of the others; more than length: some cannot be read
}

// unfit is the weight of a segment that is never worth writing anew.
func unfit(seg *segment, dead uint64) weight { return weight{dead, seg.length, 2 * seg.length} }

// chooser finds segments that are worth writing anew.
type chooser struct {
	l     *Log
	ctx   context.Context
	dead  *seqset.Set
	pace  func(int64)
	first uint64 // what is below is dead, too
	segs  []*segment
}

// look takes the log's segments as they are now.
func (c *chooser) look() {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.segs, c.first = c.l.segments, c.l.first.Load()
	if c.l.closed {
		c.segs = nil
	}
}

// choose gives neighbours to write anew, none where there are no such.
func (c *chooser) choose() ([]*segment, error) {
	c.look()
	c.forget()
	if group := c.allDead(); len(group) > 0 {
		return group, nil
	}
	for i := 0; i < len(c.segs); i++ {
		seg := c.segs[i]
		if seg.last < c.first {
			continue // the next checkpoint removes it
		}
		mostly, live, err := c.mostlyDead(seg)
		if err != nil {
			return nil, err
		}
		if !mostly {
			continue
		}
		if !seg.sealed {
			if seg.length-live < c.l.v.reclaimFrom {
				continue
			}
			if err := c.l.sealActive(seg.no); err != nil {
				return nil, err
			}
			c.look()
			if i >= len(c.segs) || c.segs[i].no != seg.no || !c.segs[i].sealed {
				return nil, nil // trimmed, or it could not be: another time
			}
		}
		group, worth, err := c.neighbours(i, live)
		if worth || err != nil {
			return group, err
		}
	}
	return nil, nil
}

// allDead gives the first neighbours of which nothing is live.
func (c *chooser) allDead() []*segment {
	dead := func(s *segment) bool { return s.last >= c.first && c.deadRecords(s) == s.count }
	i := slices.IndexFunc(c.segs, dead)
	if i < 0 {
		return nil
	}
	n := i + 1
	for n < len(c.segs) && dead(c.segs[n]) {
		n++
	}
	return c.segs[i:n]
}

// forget drops what is known of segments that are gone.
func (c *chooser) forget() {
	for no := range c.l.weights {
		if !slices.ContainsFunc(c.segs, func(s *segment) bool { return s.no == no }) {
			delete(c.l.weights, no)
		}
	}
}

// neighbours gives segment i, of which so many bytes are live, with those around it
// that are to be written into the same new one. worth says whether that saves enough.
func (c *chooser) neighbours(i int, live int64) (group []*segment, worth bool, err error) {
	size := c.segs[i].length
	target := c.l.v.segmentBytes
	// joins says whether a neighbour comes along: it is mostly dead itself, or so small
	// that copying it costs less than what there is already.
	joins := func(k int) bool {
		if err != nil || k < 0 || k >= len(c.segs) || !c.segs[k].sealed || c.segs[k].last < c.first {
			return false
		}
		seg := c.segs[k]
		var mostly bool
		var part int64
		if mostly, part, err = c.mostlyDead(seg); err != nil {
			return false
		}
		small := seg.length <= min(size, target/smallPart) && c.whole(seg)
		if !mostly && !small || live+part > target {
			return false
		}
		size, live = size+seg.length, live+part
		return true
	}
	lo, hi := i, i+1
	for joins(hi) {
		hi++
	}
	for joins(lo - 1) {
		lo--
	}
	return c.segs[lo:hi], size-live >= c.l.v.reclaimFrom, err
}

// whole says that nothing of a segment is known to be damaged.
func (c *chooser) whole(seg *segment) bool {
	w, weighed := c.l.weights[seg.no]
	return !weighed || w.live <= w.length
}

// mostlyDead says whether half of a segment's bytes or more are dead, and how many are
// live. Where few records are dead it does not look closely: all bytes count as live.
func (c *chooser) mostlyDead(seg *segment) (mostly bool, live int64, err error) {
	n := c.deadRecords(seg)
	if n == 0 || n < seg.count/weighFrom {
		return false, seg.length, nil
	}
	w, known := c.l.weights[seg.no]
	if !known || w.length != seg.length || n >= 2*w.dead || n-w.dead >= seg.count/smallPart {
		if w, err = c.weigh(seg, n); err != nil {
			return false, 0, err
		}
		c.note(seg, w)
	}
	return w.live <= seg.length/2, w.live, nil
}

func (c *chooser) note(seg *segment, w weight) {
	if c.l.weights == nil {
		c.l.weights = make(map[uint64]weight)
	}
	c.l.weights[seg.no] = w
}

// deadRecords is how many of a segment's records are dead, as far as one knows
// without reading it: not all are, where sequences that it leaves out are not dead.
func (c *chooser) deadRecords(seg *segment) uint64 {
	from := max(seg.base, c.first)
	if from > seg.last {
		return seg.count
	}
	live := seg.last - from + 1 - c.dead.CountRange(from, seg.last)
	return seg.count - min(live, seg.count)
}
