package seglog

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/weirmq/weir/internal/record"
)

// walkers are those of Get.
var walkers = sync.Pool{New: func() any { return new(walker) }}

// Get returns the record with exactly this sequence. Its bytes stay valid as
// long as they are referenced. The error is ErrNotFound where the log does not
// hold it, wraps record.ErrDamaged where its place is damaged, or says why
// reading failed.
func (l *Log) Get(seq uint64) (record.View, error) {
	for {
		f, seg, err := l.find(seq)
		if err != nil {
			return record.View{}, err
		}
		if f == nil {
			v, err := l.getFrom(seg, seq)
			if errors.Is(err, errGone) {
				continue // trimmed, or written anew
			}
			return v, err
		}
		i := f.Find(seq)
		if i == int(f.Count) || f.Seq(i) != seq {
			return record.View{}, ErrNotFound
		}
		return f.Record(i)
	}
}

// find gives the frame in memory or the segment that may hold seq.
func (l *Log) find(seq uint64) (*record.Frame, *segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, ErrClosed
	}
	if seq < l.first.Load() || seq > l.last.Load() {
		return nil, nil, ErrNotFound
	}
	if seq > l.evicted {
		if i := l.tail.Find(seq); i < l.tail.Len() {
			f := l.tail.At(i)
			f.Lent()
			return f, nil, nil
		}
		return nil, nil, ErrNotFound
	}
	if seg := l.segmentForLocked(seq); seg != nil {
		return nil, seg, nil
	}
	return nil, nil, ErrNotFound
}

func (l *Log) getFrom(seg *segment, seq uint64) (record.View, error) {
	w := walkers.Get().(*walker)
	block := blocks.Get().(*[blockLen]byte)
	w.l, w.win = l, window{block: block, buf: block[:], most: firstRead}
	v, err := w.get(seg, seq)
	w.win.reset()
	*w = walker{}
	walkers.Put(w)
	return v, err
}

func (w *walker) get(seg *segment, seq uint64) (record.View, error) {
	if err := w.start(seg, seq); err != nil {
		return record.View{}, err
	}
	for {
		ok, err := w.frameFor(seq)
		if d := damageOf(err); d != nil && d.Last < seq {
			continue
		}
		if err != nil {
			return record.View{}, err
		}
		if !ok {
			return record.View{}, ErrNotFound
		}
		break
	}
	i := w.frame.Find(seq)
	if w.frame.Seq(i) != seq {
		return record.View{}, ErrNotFound
	}
	var v record.View
	b, err := w.content(i)
	if err == nil {
		err = w.frame.OpenTo(&v, i, bytes.Clone(b))
	}
	return v, w.failed(i, err)
}

// SeekTime returns the sequence of the first record with a time of t or later;
// Last + 1 if there is none. Damaged records count with the next good one.
func (l *Log) SeekTime(t int64) (uint64, error) {
	for {
		seq, done, err := l.seekDisk(t)
		if errors.Is(err, errGone) {
			continue
		}
		if done || err != nil {
			return seq, err
		}
		if seq, ok := l.seekTail(t, seq); ok {
			return seq, nil
		}
	}
}

// seekDisk looks for t in segments. If it is not there, done is false and seq is
// where memory begins.
func (l *Log) seekDisk(t int64) (seq uint64, done bool, err error) {
	seg, from, err := l.segmentForTime(t)
	if seg == nil || err != nil {
		return from, false, err
	}
	if index, err := l.index(seg); err == nil {
		if e, ok := findTime(index, t); ok {
			from = max(from, e.seq)
		}
	} else if !errors.Is(err, record.ErrDamaged) {
		return 0, false, err
	}
	return l.scanTime(l.open(from), t)
}

// scanTime reads on to the first record with a time of t or later.
func (l *Log) scanTime(c *cursor, t int64) (seq uint64, done bool, err error) {
	defer c.Close()
	var lost uint64 // first of the damaged sequences that come right before; 0: none
	for {
		v, err := c.Next()
		switch d := damageOf(err); {
		case d != nil:
			if lost == 0 {
				lost = d.First
			}
		case err == io.EOF:
			v.Seq = l.Last() + 1
			fallthrough
		case err == nil && v.Time >= t:
			if lost != 0 {
				return lost, true, nil
			}
			return v.Seq, true, nil
		case err == nil:
			lost = 0
		default:
			return 0, false, err
		}
	}
}

// segmentForTime finds the first segment with a time of t or later, of which
// some is not in memory, and its first sequence; else where memory begins.
func (l *Log) segmentForTime(t int64) (*segment, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, 0, ErrClosed
	}
	first := l.first.Load()
	for _, s := range l.segments {
		if s.last >= first && s.maxTime >= t && s.base <= l.evicted {
			return s, max(first, s.base), nil
		}
	}
	return nil, l.evicted + 1, nil
}

// seekTail looks for t in memory; ok is false if that no longer begins at from.
func (l *Log) seekTail(t int64, from uint64) (seq uint64, ok bool) {
	l.mu.Lock()
	if l.evicted+1 != from {
		l.mu.Unlock()
		return 0, false
	}
	frames := make([]*record.Frame, l.tail.Len())
	l.tail.Copy(frames, 0)
	first, last := l.first.Load(), l.last.Load()
	l.mu.Unlock()
	for _, f := range frames {
		for i := range int(f.Count) {
			if f.TimeOf(i) >= t && f.Seq(i) >= first {
				return f.Seq(i), true
			}
		}
	}
	return last + 1, true
}
