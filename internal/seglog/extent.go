package seglog

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// An extent is a segment's file that is made and given its space ahead, so that the
// large frames of a log are written there once, while the journal writes only where
// they are. Each frame gets its place when it is about to be journalled. Once it is
// committed it is linked: the segment grows over it, and nothing is written again.
// From the first large frame on the smaller ones that come between get a place, too.
// Those are journalled as ever, and written behind to it.
//
// Nothing depends on the places being used: frames are in memory until they are in a
// segment. Where one does not follow what the segment has, it and those behind it are
// written to another segment like any frame. The extent is broken then; its file
// stays as long as the journal may name it, see reap.

// extentStart is where the first frame of an extent lies, behind the header's block.
const extentStart = gapAlign

// extent is a file that is being filled.
type extent struct {
	// set at construction
	no     uint64
	size   int64 // of the file
	direct bool  // file is written past the page cache
	file   vfs.File
	group  groupSync

	// guarded by Log.mu
	end  int64 // where the frames end that have places
	bulk int64 // bytes of the large ones
	wide bool  // the last of them has its blocks for itself
	// tailWide is wide for the last that is linked; guarded by Log.turn.
	tailWide bool
	ended    bool // it gives no more places
	broken   bool // what has places is not linked any more
	linked   bool // it is one of the log's segments
	waiting  int  // places that are neither linked nor given up
	writes   int  // large frames that are not written yet
	touched  bool // it gave places since the last checkpoint
	covered  bool // a checkpoint trimmed all that it holds
	closed   bool // file is closed

	used atomic.Uint64 // when it gave its last place, by the volume's count
}

// extents are those of one log.
type extents struct {
	planning atomic.Bool // all frames are given places

	// guarded by Log.mu
	now, next *extent            // which gives places; which will; nil: none
	asked     bool               // the flusher knows that one is wanted
	want      int64              // bytes that it has to take at least
	plan      []place            // of frames that are not in segments yet, in order
	live      map[uint64]*extent // all that were made and have a file
	loose     []*extent          // of them, those that are open or in no segment
	// referred are the files of segments behind whose end recovery read frames.
	referred map[uint64]bool

	// guarded by Log.turn
	made  int      // how many were made
	dying []string // files that the journal may name until the next checkpoint
}

// place is where a frame goes.
type place struct {
	x          *extent
	off        int64
	n          int64 // bytes
	base, last uint64
	large      bool // it is written there before it is committed
	maxTime    int64
	count      uint64
}

// alignUp gives the first block that begins at off or behind it.
func alignUp(off int64) int64 { return (off + gapAlign - 1) &^ (gapAlign - 1) }

// room is what the frame takes.
func (p *place) room() int64 {
	if p.large {
		return alignUp(p.n)
	}
	return p.n
}

// Extent is a large frame with a place in an extent. The frame belongs to the journal
// until it is written.
type Extent struct {
	l          *Log
	p          place
	head, area []byte
}

// Extent gives the next frame of the log a place, before it is journalled. nil: it
// goes into the journal, for it is small, or there is no extent. Else the caller
// calls either Write or Cancel of the result, once, and journals only its Place. It
// does no I/O. Calls come in the order of sequences, one at a time, for each frame
// that is going to be appended.
func (l *Log) Extent(head, area []byte) *Extent {
	n := int64(len(head) + len(area))
	large := l.v.extentFrom > 0 && n >= l.v.extentFrom && !l.transforms()
	if !large && !l.extents.planning.Load() {
		return nil
	}
	h, _, err := record.ParseHeader(head)
	if err != nil || h.Count == 0 {
		return nil // it is never appended
	}
	f := record.Frame{Header: h, Head: head}
	p := place{n: n, base: h.Base, last: f.Last(), large: large, maxTime: f.TimeOf(0), count: uint64(h.Count)}
	for i := range int(h.Count) {
		p.maxTime = max(p.maxTime, f.TimeOf(i))
	}
	ask, ok := l.plan(&p)
	if ask {
		l.v.wantExtent(l)
	}
	if !ok || !large {
		return nil
	}
	return &Extent{l: l, p: p, head: head, area: area}
}

// plan finds a place. ask says that an extent is wanted.
func (l *Log) plan(p *place) (ask, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &l.extents
	if l.closed {
		return false, false
	}
	x, off := l.roomLocked(p)
	low := x == nil && p.large || x != nil && x.end > x.size/2 && e.next == nil
	if ask = low && !e.asked; ask {
		e.asked, e.want = true, p.n
	}
	if x == nil {
		return ask, false
	}
	p.x, p.off = x, off
	x.end, x.wide, x.touched = off+p.n, p.large, true
	x.waiting++
	x.used.Store(l.v.extentUses.Add(1))
	if p.large {
		x.bulk += p.n
		x.writes++
	}
	e.plan = append(e.plan, *p)
	e.planning.Store(true)
	return ask, true
}

// roomLocked finds an extent with room, and where in it. Only a large frame begins
// one; where small ones prevail the log goes back to plain segments.
func (l *Log) roomLocked(p *place) (*extent, int64) {
	e := &l.extents
	for {
		x := e.now
		if x == nil {
			if e.next == nil || !p.large {
				return nil, 0
			}
			e.now, e.next = e.next, nil
			continue
		}
		off := x.end
		if p.large || x.wide {
			off = alignUp(off)
		}
		if off+p.room() <= x.size && !l.transforms() {
			return x, off
		}
		l.endLocked(x)
		if p.large || x.bulk*2 <= x.end || e.next == nil {
			continue
		}
		e.now, e.next = e.next, nil
	}
}

// endLocked lets an extent give no more places.
func (l *Log) endLocked(x *extent) {
	x.ended = true
	if l.extents.now == x {
		l.extents.now = nil
		l.extents.planning.Store(false)
	}
	if l.extents.next == x {
		l.extents.next = nil
	}
}

// breakLocked gives up linking what has places in an extent.
func (l *Log) breakLocked(x *extent) {
	x.broken = true
	l.endLocked(x)
}

// Place is what the journal keeps, little endian:
//
//	offset size
//	0      8    segment number
//	8      8    offset of the frame in the segment's file
//	16     4    length of the frame
//	20     4    checksum of the frame's head
//	24     8    base sequence
//	32     8    last sequence
//
// The head's checksum is over its directory, and so over the checksums of all records.
func (e *Extent) Place() []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, placeLen), e.p.x.no)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.p.off))
	b = binary.LittleEndian.AppendUint32(b, uint32(e.p.n))
	b = append(b, e.head[4:8]...)
	b = binary.LittleEndian.AppendUint64(b, e.p.base)
	return binary.LittleEndian.AppendUint64(b, e.p.last)
}

const placeLen = 40

// Len is the length of the frame.
func (e *Extent) Len() int { return int(e.p.n) }

// Write puts the frame on stable storage.
func (e *Extent) Write() error {
	err := e.write()
	if err == nil {
		err = e.p.x.group.sync(e.p.x.file)
	}
	e.done()
	if err != nil {
		return fmt.Errorf("write extent %s: %w", e.l.path(segmentName(e.p.x.no)), err)
	}
	return nil
}

// Cancel says that the frame is not written.
func (e *Extent) Cancel() { e.done() }

func (e *Extent) done() {
	x := e.p.x
	e.l.mu.Lock()
	x.writes--
	last := x.writes == 0 && e.l.closed && !x.closed
	x.closed = x.closed || last
	e.l.mu.Unlock()
	if last {
		closeAll([]vfs.File{x.file})
		e.l.v.extentsOpen.Add(-1)
	}
}

// extentBuffers are for frames on their way past the page cache.
var extentBuffers = sync.Pool{New: func() any {
	b := vfs.AlignedBuffer(gatherMost)
	return &b
}}

func (e *Extent) write() error {
	x, off := e.p.x, e.p.off
	if !x.direct {
		if _, err := x.file.WriteAt(e.head, off); err != nil {
			return err
		}
		_, err := x.file.WriteAt(e.area, off+int64(len(e.head)))
		return err
	}
	held := extentBuffers.Get().(*[]byte)
	defer extentBuffers.Put(held)
	buf, n := *held, 0
	for _, p := range [...][]byte{e.head, e.area} {
		for len(p) > 0 {
			c := copy(buf[n:], p)
			n, p = n+c, p[c:]
			if n < len(buf) {
				continue
			}
			if _, err := x.file.WriteAt(buf, off); err != nil {
				return err
			}
			off, n = off+int64(n), 0
		}
	}
	whole := int(alignUp(int64(n)))
	clear(buf[n:whole])
	if whole == 0 {
		return nil
	}
	_, err := x.file.WriteAt(buf[:whole], off)
	return err
}
