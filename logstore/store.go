package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// store is a Log as a partition sees it.
type store struct {
	log   Log
	first atomic.Uint64 // nobody reads below; it is kept with the state

	mu sync.Mutex
	// Guarded by mu.
	state  []byte
	failed error // why the log takes nothing more
}

// stateHead is what is put before a state: first.
const stateHead = 8

func newStore(l Log) *store {
	s := &store{log: l}
	s.first.Store(1)
	if b := l.State(); len(b) >= stateHead {
		s.first.Store(max(binary.LittleEndian.Uint64(b), 1))
		s.state = b[stateHead:]
	}
	return s
}

func (s *store) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Append implements partition.Store. An error shows in what comes next.
func (s *store) Append(f *record.Frame) {
	last := f.Last()
	if last <= s.log.Last() || s.err() != nil {
		return
	}
	data := append(make([]byte, 0, len(f.Head)+len(f.Area)), f.Head...)
	err := s.log.Append(Frame{First: f.Seq(0), Last: last, LastTime: f.TimeOf(int(f.Count) - 1), Data: append(data, f.Area...)})
	if err != nil {
		s.mu.Lock()
		s.failed = fmt.Errorf("store frame at sequence %d: %w", f.Seq(0), err)
		s.mu.Unlock()
	}
}

func (s *store) Last() uint64 { return s.log.Last() }

// find reads the first frame that has seq or something above it; nil: there is none.
func (s *store) find(seq uint64) (*record.Frame, error) {
	f, err := s.log.Find(max(seq, s.first.Load()))
	return s.parse(f, err)
}

func (s *store) parse(f Frame, err error) (*record.Frame, error) {
	if errors.Is(err, ErrNone) {
		return nil, s.err() // where storing failed there may be one
	}
	if err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	r, n, err := record.Parse(f.Data)
	if err != nil {
		return nil, fmt.Errorf("read the frame at sequence %d: %w", f.First, err)
	}
	if n != len(f.Data) || r.Count == 0 || r.Seq(0) != f.First || r.Last() != f.Last {
		return nil, fmt.Errorf("read the frame at sequence %d: it is another one: %w", f.First, record.ErrDamaged)
	}
	return r, nil
}

func view(f *record.Frame, i int) (record.View, error) {
	if err := f.Verify(i); err != nil {
		return record.View{}, err
	}
	return f.Record(i)
}

// Get implements partition.Store.
func (s *store) Get(seq uint64) (record.View, error) {
	if seq < s.first.Load() {
		return record.View{}, record.ErrNotFound
	}
	f, err := s.find(seq)
	if err != nil {
		return record.View{}, err
	}
	if f == nil {
		return record.View{}, record.ErrNotFound
	}
	if i := f.Find(seq); i < int(f.Count) && f.Seq(i) == seq {
		return view(f, i)
	}
	return record.View{}, record.ErrNotFound
}

// SeekTime implements partition.Store.
func (s *store) SeekTime(t int64) (uint64, error) {
	f, err := s.parse(s.log.FindTime(t))
	for err == nil && f != nil {
		for i := range int(f.Count) {
			if f.TimeOf(i) >= t && f.Seq(i) >= s.first.Load() {
				return f.Seq(i), nil
			}
		}
		f, err = s.find(f.Last() + 1)
	}
	return s.log.Last() + 1, err
}

// Trim implements partition.Store.
func (s *store) Trim(first uint64) {
	if first > s.first.Load() {
		s.first.Store(first)
		s.log.Trim(first)
	}
}

// Checkpoint implements partition.Store.
func (s *store) Checkpoint(state []byte) error {
	if err := s.err(); err != nil {
		return err
	}
	b := append(binary.LittleEndian.AppendUint64(make([]byte, 0, stateHead+len(state)), s.first.Load()), state...)
	if err := s.log.Checkpoint(b); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = b[stateHead:]
	return nil
}

// State implements partition.Store.
func (s *store) State() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *store) Drop() error  { return s.log.Drop() }
func (s *store) Close() error { return s.log.Close() }

// Cursor implements partition.Store.
func (s *store) Cursor(from uint64) partition.Cursor { return &cursor{s: s, next: from} }

type cursor struct {
	s    *store
	next uint64        // the record to return is the first at or above
	f    *record.Frame // that is being read; nil: none
	i    int           // next record of it
}

// Next implements partition.Cursor.
func (c *cursor) Next() (record.View, error) {
	if first := c.s.first.Load(); c.next < first {
		c.Seek(first)
	}
	for c.f == nil || c.i == int(c.f.Count) {
		f, err := c.s.find(c.next)
		if err != nil {
			return record.View{}, err
		}
		if f == nil {
			return record.View{}, io.EOF
		}
		c.f, c.i = f, f.Find(c.next)
	}
	v, err := view(c.f, c.i)
	if err == nil {
		c.next = v.Seq + 1
		c.i++
	}
	return v, err
}

// Seek implements partition.Cursor.
func (c *cursor) Seek(seq uint64) {
	if seq != c.next {
		c.next, c.f = seq, nil
	}
}

// Close implements partition.Cursor.
func (c *cursor) Close() { c.f = nil }
