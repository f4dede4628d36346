package memlog

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
)

var (
	// ErrNotFound: the log does not hold the record.
	ErrNotFound = record.ErrNotFound
	// ErrClosed: the log was closed or dropped.
	ErrClosed = errors.New("log is closed")
)

// Log keeps frames in order of sequence. Make it with New. All methods may be
// called concurrently.
type Log struct {
	first atomic.Uint64 // written under mu; at least 1
	last  atomic.Uint64 // written under mu

	mu     sync.Mutex
	frames record.Queue
	state  []byte
	closed bool
}

// New makes an empty log.
func New() *Log {
	l := &Log{}
	l.first.Store(1)
	return l
}

// Append takes committed frame f by reference; it must not change any more.
// Frames come in order of sequence. A frame whose last sequence is at or below
// Last is ignored.
func (l *Log) Append(f *record.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := f.Last()
	if last <= l.last.Load() || l.closed {
		return
	}
	l.frames.Push(f)
	l.last.Store(last)
	l.trimLocked()
}

// Last is the last sequence appended; 0 if there never was one, or the floor
// given by Reset.
func (l *Log) Last() uint64 { return l.last.Load() }

// First is the sequence below which all is forgotten; at least 1.
func (l *Log) First() uint64 { return l.first.Load() }

// Tail is 0: nothing waits to be written.
func (l *Log) Tail() int64 { return 0 }

// Bytes is the length of all frames.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frames.Bytes()
}

// Get returns the record with exactly this sequence. Its bytes stay valid as
// long as they are referenced. The error is ErrNotFound or ErrClosed.
func (l *Log) Get(seq uint64) (record.View, error) {
	f, err := l.find(seq)
	if err != nil {
		return record.View{}, err
	}
	i := f.Find(seq)
	if i == int(f.Count) || f.Seq(i) != seq {
		return record.View{}, ErrNotFound
	}
	return f.Record(i)
}

func (l *Log) find(seq uint64) (*record.Frame, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	i := l.frames.Find(seq)
	if seq < l.first.Load() || i == l.frames.Len() {
		return nil, ErrNotFound
	}
	return l.frames.At(i), nil
}

// SeekTime returns the sequence of the first record with a time of t or later;
// Last + 1 if there is none. It looks at each frame.
func (l *Log) SeekTime(t int64) (uint64, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return 0, ErrClosed
	}
	frames := make([]*record.Frame, l.frames.Len())
	l.frames.Copy(frames, 0)
	first, last := l.first.Load(), l.last.Load()
	l.mu.Unlock()
	for _, f := range frames {
		for i := range int(f.Count) {
			if f.TimeOf(i) >= t && f.Seq(i) >= first {
				return f.Seq(i), nil
			}
		}
	}
	return last + 1, nil
}

// Trim forgets all records below first.
func (l *Log) Trim(first uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first > l.first.Load() && !l.closed {
		l.first.Store(first)
		l.trimLocked()
	}
}

func (l *Log) trimLocked() {
	for l.frames.Len() > 0 && l.frames.At(0).Last() < l.first.Load() {
		l.frames.Pop()
	}
}

// Reset forgets all records and goes on after sequence last.
func (l *Log) Reset(last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.frames = record.Queue{}
	l.first.Store(last + 1)
	l.last.Store(last)
}

// Checkpoint keeps a copy of state for State, in memory.
func (l *Log) Checkpoint(state []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.state = bytes.Clone(state)
	return nil
}

// State is what the last Checkpoint kept; nil if there was none.
func (l *Log) State() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Drop forgets everything and closes the log.
func (l *Log) Drop() error { return l.Close() }

// Close forgets everything. Readers get ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.frames, l.state = true, record.Queue{}, nil
	return nil
}
