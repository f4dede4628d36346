package memlog

import (
	"io"

	"github.com/weirmq/weir/internal/record"
)

// Cursor reads a log forward. It is used by one goroutine. Next returns io.EOF at
// the present end and may be called again when more was appended; its view's
// bytes stay valid as long as they are referenced. Seek makes seq, or the first
// record after it, the next one. Close gives the cursor's memory back.
type Cursor = interface {
	Next() (record.View, error)
	Seek(seq uint64)
	Close()
}

// gather bounds the frames that a cursor takes at once.
const (
	gatherFrames = 32
	gatherBytes  = 256 << 10
)

type cursor struct {
	l    *Log
	next uint64 // the record to return is the first at or above

	frames [gatherFrames]*record.Frame // taken; the first of at..n is being read
	at, n  int
	i      int // next record of that frame
}

// Cursor reads forward from the first record with a sequence of from or more. It
// sees frames that are appended later, too.
func (l *Log) Cursor(from uint64) Cursor { return &cursor{l: l, next: from} }

// Next implements Cursor.
func (c *cursor) Next() (v record.View, err error) {
	if err = c.NextTo(&v); err != nil {
		v = record.View{}
	}
	return v, err
}

// NextTo is Next into v, which is not to be used if it fails.
func (c *cursor) NextTo(v *record.View) error {
	if first := c.l.first.Load(); c.next < first {
		c.Seek(first)
	}
	for {
		if c.at == c.n {
			if err := c.gather(); err != nil {
				return err
			}
		}
		f := c.frames[c.at]
		if c.i < int(f.Count) {
			err := f.RecordTo(v, c.i)
			c.next = f.Seq(c.i) + 1
			c.i++
			return err
		}
		c.frames[c.at] = nil
		c.at++
		if c.at < c.n {
			c.i = c.frames[c.at].Find(c.next)
		}
	}
}

// gather takes the next frames.
func (c *cursor) gather() error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.closed {
		return ErrClosed
	}
	frames := &c.l.frames
	c.next = max(c.next, c.l.first.Load())
	c.at, c.n = 0, 0
	for i, size := frames.Find(c.next), 0; i < frames.Len() && c.n < gatherFrames && size < gatherBytes; i++ {
		c.frames[c.n] = frames.At(i)
		size += frames.At(i).Len()
		c.n++
	}
	if c.n == 0 {
		return io.EOF
	}
	c.i = c.frames[0].Find(c.next)
	return nil
}

// Seek implements Cursor.
func (c *cursor) Seek(seq uint64) {
	if seq != c.next {
		c.Close()
		c.next = seq
	}
}

// Close implements Cursor.
func (c *cursor) Close() {
	clear(c.frames[:])
	c.at, c.n = 0, 0
}
