package seglog

import (
	"github.com/weirmq/weir/internal/seqset"
)

// slotBytes is what a record takes beside its content where it keeps its sequence and
// time: a rewritten segment has only such.
const slotBytes = 32

// isDead says whether a record is one of dead, or below the first.
func isDead(dead *seqset.Set, first, seq uint64) bool { return seq < first || dead.Contains(seq) }

// allDead says that of a range of sequences none is live.
func allDead(dead *seqset.Set, first, from, to uint64) bool {
	from = max(from, first)
	return from > to || dead.CountRange(from, to) == to-from+1
}

// weigh reads a segment to find out how many of its bytes are live; n of its records
// are dead. One with damage in what is live is left alone.
func (c *chooser) weigh(seg *segment, n uint64) (weight, error) {
	out := weight{dead: n, length: seg.length, live: segmentHeader}
	w := walker{l: c.l, seg: seg, next: segmentHeader, prev: seg.base - 1}
	defer w.win.reset()
	for c.ctx.Err() == nil {
		at := w.next
		ok, err := w.frameFor(w.prev + 1)
		if d := damageOf(err); d != nil {
			if !allDead(c.dead, c.first, d.First, d.Last) {
				return unfit(seg, n), nil
			}
			continue
		}
		if err != nil {
			return out, err
		}
		if !ok {
			return out, nil
		}
		for i := range int(w.frame.Count) {
			if !isDead(c.dead, c.first, w.frame.Seq(i)) {
				_, size := w.frame.Span(i)
				out.live += slotBytes + int64(size)
			}
		}
		c.pace(w.next - at)
	}
	return out, c.ctx.Err()
}

// sealActive ends the segment that is still written to, if it has a number. It is
// only written to again as another one.
func (l *Log) sealActive(no uint64) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	seg := l.active()
	if seg == nil || seg.no != no || l.out.failed != nil {
		return l.out.failed
	}
	if err := l.prepare(seg); err != nil {
		return err
	}
	if seg = l.active(); seg == nil {
		return nil // it could not be read: it ended without a footer
	}
	return l.seal(seg)
}
