package seglog

import (
	"errors"
	"io"

	"github.com/weirmq/weir/internal/record"
)

// Cursor reads a log forward. It is used by one goroutine.
//
// Next returns the next record that the log holds, and io.EOF at the present
// end; it may be called again when more was appended. An error that wraps
// record.ErrDamaged is a *DamageError: it names the sequences that cannot be
// read, and the next call goes on behind them. After any other error the next
// call tries again.
//
// A view's bytes are valid until the next call of Next, Seek or Close. (Next
// keeps them until it leaves the block of the file that it read, at most 256 KiB
// unless a record is larger; a caller cannot tell when.)
//
// Seek makes seq, or the first record after it, the next one. Close gives the
// cursor's memory back. A cursor that stands at the end holds none, and a cursor
// never holds a file open between calls.
type Cursor = interface {
	Next() (record.View, error)
	Seek(seq uint64)
	Close()
}

// gather bounds the frames that a cursor takes from memory at once: they are
// kept for it until it has read them.
const (
	gatherFrames = 32
	gatherBytes  = 256 << 10
)

type cursor struct {
	l    *Log
	next uint64 // the record to return is the first at or above

	// cur is the frame being read, of which record i is next. It is one of mem,
	// or the walker's.
	cur *record.Frame
	i   int

	mem  [gatherFrames]*record.Frame // frames from memory that were not read yet
	memN int
	memI int

	w    walker
	disk bool // w stands in a segment
}

// Cursor reads forward from the first record with a sequence of from or more. It
// sees frames that are appended later, too.
func (l *Log) Cursor(from uint64) Cursor { return l.open(from) }

func (l *Log) open(from uint64) *cursor {
	return &cursor{l: l, next: from, w: walker{l: l, forward: true}}
}

// Next implements Cursor.
func (c *cursor) Next() (v record.View, err error) {
	if err = c.NextTo(&v); err != nil {
		v = record.View{}
	}
	return v, err
}

// NextTo is Next into v, which is not to be used if it fails.
func (c *cursor) NextTo(v *record.View) error {
	if c.next < c.l.first.Load() {
		c.Seek(c.l.first.Load())
	}
	for {
		if c.cur != nil && c.i < int(c.cur.Count) {
			err := c.read(v)
			if err == nil || !errors.Is(err, errGone) {
				return err
			}
			c.leave()
		}
		if err := c.advance(); err != nil {
			return err
		}
	}
}

// read gives record i of the current frame.
func (c *cursor) read(v *record.View) error {
	i := c.i
	if !c.disk {
		c.i, c.next = i+1, c.cur.Seq(i)+1
		return c.cur.RecordTo(v, i)
	}
	b, err := c.w.content(i)
	if err == nil {
		err = c.cur.OpenTo(v, i, b)
	}
	if err != nil && !errors.Is(err, record.ErrDamaged) {
		return err
	}
	if c.i, c.next = i+1, c.cur.Seq(i)+1; err != nil {
		err = c.w.failed(i, err)
	}
	return err
}

// advance makes the next frame the current one.
func (c *cursor) advance() error {
	c.cur = nil
	if c.memI < c.memN {
		c.take(c.mem[c.memI])
		c.mem[c.memI] = nil
		c.memI++
		return nil
	}
	if !c.disk {
		return c.locate()
	}
	ok, err := c.w.frameFor(c.next)
	switch d := damageOf(err); {
	case d != nil:
		c.next = d.Last + 1
		return err
	case errors.Is(err, errGone):
		c.leave()
		return nil
	case err != nil:
		return err
	case ok:
		c.take(&c.w.frame)
		return nil
	default:
		return c.locate()
	}
}

func (c *cursor) take(f *record.Frame) {
	c.cur, c.i = f, f.Find(c.next)
}

// locate finds out where the next record is: in memory, in a segment, or not
// there yet.
func (c *cursor) locate() error {
	l := c.l
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		c.leave()
		return ErrClosed
	}
	var seg *segment
	c.next = max(c.next, l.first.Load())
	if c.next <= l.evicted {
		if seg = l.segmentForLocked(c.next); seg == nil {
			c.next = l.evicted + 1
		}
	}
	if seg == nil {
		c.gatherLocked()
		l.mu.Unlock()
		c.leaveDisk()
		if c.memN == 0 {
			return io.EOF
		}
		return nil
	}
	l.mu.Unlock()
	return c.enter(seg)
}

// gatherLocked takes the next frames from memory.
func (c *cursor) gatherLocked() {
	c.memI, c.memN = 0, 0
	tail := &c.l.tail
	from := tail.Find(c.next)
	for i, size := from, 0; i < tail.Len() && c.memN < gatherFrames && size < gatherBytes; i++ {
		f := tail.At(i)
		f.Lent()
		c.mem[c.memN] = f
		c.memN++
		size += f.Len()
	}
}

// enter goes on in a segment: where it was, if the segment only grew.
func (c *cursor) enter(seg *segment) error {
	if c.disk && c.w.seg.no == seg.no && c.w.seg.length < seg.length && c.w.next == c.w.seg.length {
		c.w.seg = seg
		return nil
	}
	c.disk = false
	err := c.w.start(seg, c.next)
	if errors.Is(err, errGone) {
		return nil
	}
	c.disk = err == nil
	return err
}

// leave forgets the current place; the next one is looked for by sequence.
func (c *cursor) leave() {
	c.cur = nil
	clear(c.mem[:])
	c.memI, c.memN = 0, 0
	c.leaveDisk()
}

func (c *cursor) leaveDisk() {
	if c.w.seg != nil {
		c.disk = false
		c.w.leave()
	}
}

// Seek implements Cursor.
func (c *cursor) Seek(seq uint64) {
	if seq == c.next {
		return
	}
	if seq > c.next && c.cur != nil {
		if i := c.cur.Find(seq); i < int(c.cur.Count) {
			c.i, c.next = i, seq
			return
		}
	}
	c.leave()
	c.next = seq
}

// Close implements Cursor.
func (c *cursor) Close() { c.leave() }
