package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

const (
	// copyBelow is the largest area that is gathered with its neighbours into
	// one write; larger ones are written from where they are.
	copyBelow = 256 << 10
	// batchFrames bounds the frames of one write.
	batchFrames = 4096
	// smallFirst is how many doublings the first segments are behind the size of
	// later ones, so that a small log's trims give space back, too.
	smallFirst = 4
	minSegment = 1 << 20
	maxSegment = 1 << 40
)

var batches = sync.Pool{New: func() any { return &batch{frames: make([]*record.Frame, 0, batchFrames)} }}

// Flush writes what is in memory only, without making it durable.
func (l *Log) Flush() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	_, err := l.flush(l.last.Load(), math.MaxInt64)
	l.v.report(l, err)
	return err
}

// flush writes the frames up to sequence upto, about most bytes of them. Only
// what was written counts, so that a failed write is repeated at its place. The
// caller has the turn.
func (l *Log) flush(upto uint64, most int64) (wrote int64, err error) {
	b := batches.Get().(*batch)
	defer func() {
		clear(b.frames)
		b.gather = gatherer{}
		batches.Put(b)
	}()
	l.reap()
	for wrote < most {
		if l.out.failed != nil {
			return wrote, l.out.failed
		}
		if !l.unwritten(b, upto) {
			return wrote, nil
		}
		if x := l.placed(b); x != nil {
			n, err := l.link(b, x)
			wrote += n
			if err != nil {
				return wrote, err
			}
			continue
		}
		seg, err := l.writable(b.frames[0])
		if err != nil {
			return wrote, err
		}
		n, err := l.write(b, seg)
		wrote += n
		if err != nil {
			return wrote, err
		}
	}
	return wrote, nil
}

// unwritten fills b with the next frames to write.
func (l *Log) unwritten(b *batch, upto uint64) bool {
	clear(b.frames)
	b.frames = b.frames[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	var size int64
	for i := l.tail.Find(l.written + 1); i < l.tail.Len() && len(b.frames) < batchFrames && size < l.v.flushBytes; i++ {
		f := l.tail.At(i)
		if f.Base > upto {
			break
		}
		b.frames = append(b.frames, f)
		size += int64(f.Len())
	}
	return len(b.frames) > 0
}

// writable gives the segment in which f goes; one that has no frame yet has
// length 0.
func (l *Log) writable(f *record.Frame) (*segment, error) {
	if seg := l.active(); seg != nil {
		err := l.prepare(seg)
		if err != nil {
			return nil, err
		}
		if seg = l.active(); seg != nil {
			if seg.length+int64(f.Len()) <= l.v.target(seg.no) && (seg.layout == layoutBlocks || !l.transforms()) {
				return seg, nil
			}
			if err := l.seal(seg); err != nil {
				return nil, err
			}
		}
	}
	if err := l.create(); err != nil {
		return nil, err
	}
	seg := &segment{
		no: l.out.pending, base: f.Base, maxTime: math.MinInt64,
		indexed: true, gone: new(atomic.Bool),
	}
	if l.transforms() {
		seg.layout = layoutBlocks
	}
	return seg, nil
}

// active is the segment that still grows; nil if there is none.
func (l *Log) active() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && !l.segments[n-1].sealed {
		return l.segments[n-1]
	}
	return nil
}

// prepare makes a segment that a checkpoint or an earlier process closed ready
// for more frames. One that cannot be read or is not there stays as it is: a new
// one is begun.
func (l *Log) prepare(seg *segment) error {
	if left, err := l.leaveExtent(seg); left || err != nil {
		return err
	}
	if l.out.files[seg.no] == nil {
		f, err := l.v.fs.OpenWrite(l.path(segmentName(seg.no)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			l.v.log.Error("segment is missing", "file", l.path(segmentName(seg.no)), "first", seg.base, "last", seg.last)
			l.close(seg)
			return nil
		case err != nil:
			return fmt.Errorf("open segment: %w", err)
		}
		// Bytes behind the end were never part of a checkpoint.
		if size, err := f.Size(); err == nil && size > seg.end() {
			err = f.Truncate(seg.end())
			if err != nil {
				closeAll([]vfs.File{f})
				return fmt.Errorf("cut what no checkpoint covers: %w", err)
			}
		}
		l.out.add(seg.no, f)
	}
	if seg.indexed {
		return nil
	}
	x, err := l.scan(seg)
	if err != nil {
		l.v.log.Warn("segment cannot be scanned; a new one is begun", "file", l.path(segmentName(seg.no)), "error", err)
		l.close(seg)
		return nil
	}
	grown := *seg
	if seg.layout == layoutBlocks {
		if grown.blocks, err = l.openTable(seg); err != nil {
			return fmt.Errorf("find the blocks of a segment: %w", err)
		}
	}
	grown.index, grown.indexed = x.entries, true
	l.replace(&grown)
	return nil
}

// close ends a segment without a footer.
func (l *Log) close(seg *segment) {
	closed := *seg
	closed.sealed, closed.index, closed.blocks, closed.indexed = true, nil, nil, false
	l.replace(&closed)
}

// replace puts a new state of the last segment in its place.
func (l *Log) replace(seg *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replaceLocked(seg)
}

func (l *Log) replaceLocked(seg *segment) {
	n := len(l.segments)
	if n > 0 && l.segments[n-1].no == seg.no {
		n--
	}
	l.segments = append(slices.Clone(l.segments[:n]), seg)
}

// seal writes the footer of a segment. Nothing is written to it after that.
func (l *Log) seal(seg *segment) error {
	sealed, err := l.finish(l.out.files[seg.no], seg, l.takeRoster(seg))
	if err != nil {
		return err
	}
	l.out.collector.end(l.v)
	// A handle may hold an index of the segment's beginning only.
	l.v.files.forget(fileKey{l.id, seg.no})
	l.replace(sealed)
	return nil
}

// finish writes the footer of a segment to its file, with what its subjects are, and
// gives the sealed segment.
func (l *Log) finish(f *outFile, seg *segment, roster []byte) (*segment, error) {
	b := l.appendFooters(seg, roster)
	if _, err := f.WriteAt(b, seg.end()); err != nil {
		return nil, fmt.Errorf("write footer: %w", err)
	}
	if f.direct != nil { // its last block may be longer than a short footer
		if err := f.Truncate(seg.length + int64(len(b))); err != nil {
			return nil, fmt.Errorf("cut segment behind its footer: %w", err)
		}
	}
	sealed := *seg
	sealed.sealed, sealed.footer, sealed.index, sealed.blocks, sealed.indexed = true, int64(len(b)), nil, nil, false
	return &sealed, nil
}

// appendFooters gives the whole footer of a segment.
func (l *Log) appendFooters(seg *segment, roster []byte) []byte {
	b := appendFooter(nil, l.id, seg.no, seg.length, seg.index, len(roster))
	if seg.layout == layoutBlocks {
		b = appendTable(b, l.context(seg.no), seg.blocks)
	}
	return append(b, roster...)
}

// create makes the file of a new segment, unless an earlier try did.
func (l *Log) create() error {
	if l.out.pending != 0 {
		return nil
	}
	if err := l.birth(&manifest{id: l.id, first: 1, next: 1}); err != nil {
		return err
	}
	no := l.out.next
	f, err := l.v.fs.Create(l.path(segmentName(no)))
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			l.out.next++ // not ours to write over
		}
		return fmt.Errorf("create segment: %w", err)
	}
	l.out.add(no, f)
	l.out.names = true
	l.out.next, l.out.pending = no+1, no
	return nil
}

// write appends as many frames of b to seg as it takes, at least one, and makes
// them visible in it.
func (l *Log) write(b *batch, seg *segment) (int64, error) {
	frames := b.frames[:l.fit(b.frames, seg)]
	b.head = b.head[:0]
	if seg.length == 0 {
		b.head = appendSegmentHeader(b.head, l.id, seg.no, seg.base, seg.layout)
	}
	grown, size, err := l.extend(b, l.out.files[seg.no], seg, frames)
	if err != nil {
		return 0, err
	}
	l.out.pending = 0
	l.collect(seg, frames, true)
	l.commit(grown, frames)
	return size, nil
}

// extend writes frames behind those that seg has, to its file; b.head is the header
// of a new one. It gives the segment with them, and how many bytes they are.
func (l *Log) extend(b *batch, file *outFile, seg *segment, frames []*record.Frame) (*segment, int64, error) {
	size := int64(len(b.head))
	for _, f := range frames {
		size += int64(f.Len())
	}
	if seg.layout == layoutBlocks {
		grown, err := l.extendBlocks(b, file, seg, frames)
		return grown, size, err
	}
	off, err := file.place(l.v, seg.length, size)
	if err != nil {
		return nil, 0, err
	}
	x := indexer{entries: seg.index, maxTime: seg.maxTime, count: seg.count}
	end := off + int64(len(b.head))
	for _, f := range frames {
		x.add(f, end)
		end += int64(f.Len())
	}
	if err := file.writeFrames(b, off, size, b.head, frames); err != nil {
		return nil, 0, err
	}
	grown := *seg
	grown.last, grown.length = frames[len(frames)-1].Last(), end
	grown.index, grown.maxTime, grown.count = x.entries, x.maxTime, x.count
	if file.direct != nil && grown.past == nil {
		grown.past = new(atomic.Bool)
	}
	return &grown, size, nil
}

// fit is how many of the frames seg takes, at least one.
func (l *Log) fit(frames []*record.Frame, seg *segment) (n int) {
	room := l.v.target(seg.no) - max(seg.length, segmentHeader)
	for _, f := range frames {
		if room -= int64(f.Len()); n > 0 && room < 0 {
			break
		}
		n++
	}
	return n
}

// commit makes written frames readable from their segment.
func (l *Log) commit(seg *segment, frames []*record.Frame) {
	var kept int64
	l.mu.Lock()
	l.replaceLocked(seg)
	for _, f := range frames {
		if f.Last() > l.evicted {
			kept += int64(f.Len())
		}
	}
	l.written = max(l.written, seg.last)
	l.unflushed -= kept
	l.cached += kept
	l.v.cached.Add(kept)
	l.trimTailLocked()
	l.mu.Unlock()
	l.v.cache(l)
}
