package seglog

import (
	"container/list"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
)

// Log keeps the committed frames of one partition in order. Open it with
// Volume.OpenLog. All methods may be called concurrently, unless said otherwise.
type Log struct {
	// set at construction
	v   *Volume
	id  record.Identity
	dir string

	// compression of what is written, an atrest.Compression; none is the volume's.
	compression atomic.Uint32

	first atomic.Uint64 // sequences below it are forgotten; at least 1
	last  atomic.Uint64 // written under mu

	// turn is held by the one who writes files: flusher, Checkpoint, Drop, Close.
	// Readers and Append never take it. Taken before mu.
	turn sync.Mutex
	out  output // guarded by turn

	// reclaiming is held by the one who writes segments anew. Taken before turn.
	reclaiming sync.Mutex
	weights    map[uint64]weight // of segments, by number; guarded by reclaiming

	extents extents // guarded by turn or mu, as it says

	mu     sync.Mutex
	closed bool
	// tail holds the frames above evicted: first those that are in segments and
	// are kept for readers, then those that are not written yet.
	tail      record.Queue
	evicted   uint64        // last sequence that left the tail
	written   uint64        // last sequence that is in segments, or needs not be
	unflushed int64         // bytes of the tail's frames above written
	cached    int64         // bytes of the tail's other frames
	segments  []*segment    // never changed in place: readers share it
	state     []byte        // of the last durable checkpoint
	hold      uint64        // a running checkpoint needs the frames up to it
	resets    uint64        // calls of Reset
	queued    bool          // the flusher knows of it
	cacheElem *list.Element // guarded by the volume's cacheMu
}

func newLog(v *Volume, id record.Identity) *Log {
	l := &Log{v: v, id: id, dir: v.logDir(id)}
	l.first.Store(1)
	l.out.next = 1
	return l
}

func (l *Log) path(name string) string { return l.dir + "/" + name }

// Identity is what the log was opened by.
func (l *Log) Identity() record.Identity { return l.id }

// Append takes committed frame f by reference; it must not change any more.
// Frames come in order of sequence. A frame whose last sequence is at or below
// Last is ignored: replay after a crash may bring it again. It does no I/O.
func (l *Log) Append(f *record.Frame) {
	l.mu.Lock()
	last := f.Last()
	if last <= l.last.Load() || l.closed {
		l.mu.Unlock()
		return
	}
	l.tail.Push(f)
	l.last.Store(last)
	l.unflushed += int64(f.Len())
	if last < l.first.Load() {
		l.trimTailLocked()
	}
	ask := l.unflushed >= l.v.flushBytes && !l.queued
	l.queued = l.queued || ask
	l.mu.Unlock()
	if ask {
		l.v.enqueue(l)
	}
}

// Last is the last sequence appended; 0 if there never was one, or the floor
// given by Reset.
func (l *Log) Last() uint64 { return l.last.Load() }

// First is the sequence below which all is forgotten; at least 1.
func (l *Log) First() uint64 { return l.first.Load() }

// Tail is the number of bytes that are in memory only.
func (l *Log) Tail() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unflushed
}

// State is what the last durable checkpoint saved; nil if there is none. The
// caller does not change it.
func (l *Log) State() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Trim forgets all records below first: readers do not find them any more.
// Files wholly below go at the next Checkpoint.
func (l *Log) Trim(first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first <= l.first.Load() || l.closed {
		return
	}
	l.first.Store(first)
	l.trimTailLocked()
}

// trimTailLocked drops trimmed frames from memory, but none that a running
// checkpoint has yet to write: what it saves includes them.
func (l *Log) trimTailLocked() {
	for l.tail.Len() > 0 {
		last := l.tail.At(0).Last()
		if last >= l.first.Load() || last > l.written && last <= l.hold {
			return
		}
		l.popLocked()
	}
}

// Reset forgets all records and goes on after sequence last, as if last had been
// appended and trimmed. Files go at the next Checkpoint.
func (l *Log) Reset(last uint64) {
	l.turn.Lock()
	defer l.turn.Unlock()
	for _, s := range l.reset(last) {
		l.out.garbage = append(l.out.garbage, segmentName(s.no))
		l.discard(s)
	}
	l.out.collector.end(l.v)
	l.endExtents()
}

// reset empties the log in memory and gives the segments that it had.
func (l *Log) reset(last uint64) []*segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.resets++
	for l.tail.Len() > 0 {
		l.popLocked()
	}
	had := l.segments
	l.segments = nil
	l.first.Store(last + 1)
	l.last.Store(last)
	l.evicted, l.written = last, last
	return had
}

// discard lets go of a segment. Readers that hold its file may finish.
func (l *Log) discard(s *segment) {
	s.gone.Store(true)
	l.v.files.forget(fileKey{l.id, s.no})
	l.v.rosters.forget(fileKey{l.id, s.no})
	l.v.damaged.forget(l.path(segmentName(s.no)))
}

// popLocked removes the first frame of the tail.
func (l *Log) popLocked() {
	f := l.tail.Pop()
	n := int64(f.Len())
	l.evicted = f.Last()
	if l.evicted > l.written {
		l.unflushed -= n
		l.written = l.evicted
	} else {
		l.cached -= n
		l.v.cached.Add(-n)
	}
}

// evict drops about size bytes of frames that are also in segments. more says
// that there are others.
func (l *Log) evict(size int64) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for size > 0 && l.tail.Len() > 0 && l.tail.At(0).Last() <= l.written {
		f := l.tail.At(0)
		size -= int64(f.Len())
		l.popLocked()
		f.Dropped() // neither a reader nor the flusher has it
	}
	return l.cached > 0
}

// Close ends the use of the log. What is not in a checkpoint is not kept. Readers
// get ErrClosed.
func (l *Log) Close() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.shut()
	return nil
}

// shut closes the log's files and leaves the volume. The caller has the turn.
func (l *Log) shut() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	for l.tail.Len() > 0 {
		l.popLocked()
	}
	segments := l.segments
	l.mu.Unlock()
	for _, s := range segments {
		l.discard(s)
	}
	l.out.closeFiles()
	l.out.collector.end(l.v)
	l.shutExtents()
	l.v.remove(l)
}

// Drop removes all files of the log and closes it. After a crash either the log
// is whole or it is gone.
func (l *Log) Drop() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.shut()
	return l.v.removeDir(l.dir)
}

// segmentForLocked finds the first segment with a sequence of seq or more. A nil
// segment means that seq is in memory or nowhere.
func (l *Log) segmentForLocked(seq uint64) *segment {
	lo, hi := 0, len(l.segments)
	for lo < hi {
		if mid := (lo + hi) / 2; l.segments[mid].last >= seq {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if lo == len(l.segments) {
		return nil
	}
	return l.segments[lo]
}

// restore takes over what a manifest says.
func (l *Log) restore(m *manifest, names []string) error {
	if m.id != l.id {
		return fmt.Errorf("%s is of %d-%d: %w", manifestName, m.id.ID, m.id.Incarnation, record.ErrDamaged)
	}
	if m.first == 0 || m.last == math.MaxUint64 {
		return fmt.Errorf("bounds of the manifest: %w", record.ErrDamaged)
	}
	known := make(map[string]bool, len(m.segments))
	for _, s := range m.segments {
		s.gone = new(atomic.Bool)
		known[segmentName(s.no)] = true
	}
	present := make(map[string]bool, len(names))
	next := max(m.next, 1)
	for _, name := range names {
		present[name] = true
		no, ok := segmentNumber(name)
		if !ok || known[name] {
			continue
		}
		// Written behind and never part of a checkpoint, or trimmed by one.
		l.out.garbage = append(l.out.garbage, name)
		next = max(next, no+1)
	}
	for _, s := range m.segments {
		if !present[segmentName(s.no)] {
			l.v.log.Error("segment is missing", "file", l.path(segmentName(s.no)), "first", s.base, "last", s.last)
		}
	}
	l.first.Store(m.first)
	l.last.Store(m.last)
	l.evicted, l.written = m.last, m.last
	l.segments, l.state = m.segments, m.state
	l.out.born, l.out.next = true, next
	return nil
}
