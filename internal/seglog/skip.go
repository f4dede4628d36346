package seglog

import (
	"math"
	"sort"

	"github.com/weirmq/weir/internal/subject"
)

const (
	// skipBytes is how much one call of Skip reads of rosters, about, before it lets its
	// caller do something else.
	skipBytes = 2 << 20
	// skipSegments is how many segments it looks at.
	skipSegments = 256
	// skipAhead is how far behind the end one asks again.
	skipAhead = 1024
)

// Skip says where to read on for the records that a filter stands for, from a sequence
// on: there are none before first, and up to last nothing more is known; one that is
// for a later record asks again from there. Where last is below first that is at once:
// the call has done enough. It looks at what segments know of their subjects, and never
// fails: what is not known has to be read.
func (l *Log) Skip(f *subject.Filter, from uint64) (first, last uint64) {
	var read int64
	for range skipSegments {
		l.mu.Lock()
		from = max(from, l.first.Load())
		seg, end, closed := l.segmentForLocked(from), l.last.Load(), l.closed
		l.mu.Unlock()
		if seg == nil || closed {
			return from, max(from, end) + skipAhead
		}
		r, n := l.roster(seg)
		if r == nil {
			return from, max(from, seg.last)
		}
		if first, last, ok := r.Range(f, from, seg.last); ok {
			return first, last
		}
		from = seg.last + 1
		if read += n; read >= skipBytes {
			break
		}
	}
	return from, from - 1
}

// SkipBack is Skip the other way: the records that a filter stands for, up to a
// sequence, are in the range that it gives or below. ok is false if there are none.
func (l *Log) SkipBack(f *subject.Filter, upTo uint64) (first, last uint64, ok bool) {
	for {
		seg, low, high := l.segmentBelow(upTo)
		if high < low {
			return 0, 0, false
		}
		if seg == nil {
			return low, high, true
		}
		r, _ := l.roster(seg)
		if r == nil {
			return low, high, true
		}
		if first, last, ok = r.Range(f, low, high); ok {
			return first, last, true
		}
		upTo = low - 1
	}
}

// segmentBelow gives the segment that has the last record at or below upTo, which lies
// between low and high there; nil if that record is in memory only. There is none if
// high is below low.
func (l *Log) segmentBelow(upTo uint64) (seg *segment, low, high uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.first.Load()
	high = min(upTo, l.last.Load())
	if l.closed || high < first {
		return nil, max(first, 1), high
	}
	n := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > high })
	if n == 0 {
		if len(l.segments) > 0 {
			return nil, math.MaxUint64, 0 // before the first one
		}
		return nil, first, high
	}
	seg = l.segments[n-1]
	if n == len(l.segments) && high > seg.last {
		return nil, max(first, seg.last+1), high
	}
	return seg, max(first, seg.base), min(high, seg.last)
}
