package logstore

import (
	"errors"
	"io"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// listed is a Log in memory that can fail.
type listed struct {
	frames []Frame
	state  []byte
	fails  error
}

func (l *listed) Append(f Frame) error {
	if l.fails == nil {
		l.frames = append(l.frames, f)
	}
	return l.fails
}

func (l *listed) Find(seq uint64) (Frame, error) {
	for _, f := range l.frames {
		if f.Last >= seq {
			return f, nil
		}
	}
	return Frame{}, ErrNone
}

func (l *listed) FindTime(t int64) (Frame, error) {
	for _, f := range l.frames {
		if f.LastTime >= t {
			return f, nil
		}
	}
	return Frame{}, ErrNone
}

func (l *listed) Last() uint64 {
	if len(l.frames) == 0 {
		return 0
	}
	return l.frames[len(l.frames)-1].Last
}

func (l *listed) Trim(uint64)               {}
func (l *listed) Checkpoint(b []byte) error { l.state = b; return nil }
func (l *listed) State() []byte             { return l.state }
func (l *listed) Drop() error               { return nil }
func (l *listed) Close() error              { return nil }

func sealed(base uint64, time int64, data ...string) *record.Frame {
	var a record.Area
	for _, d := range data {
		a.Append(&record.Parts{Subject: []byte("s"), Data: []byte(d)})
	}
	return record.Seal(record.Header{Partition: record.Identity{ID: 1}, Term: 1, Base: base, Time: time}, a.Buf, a.Slots)
}

func TestAStoreReadsRecordsOfItsFrames(t *testing.T) {
	l := &listed{}
	s := newStore(l)
	s.Append(sealed(1, 10, "a", "b", "c"))
	s.Append(sealed(1, 10, "a")) // as replay does: it is there
	s.Append(sealed(4, 20, "d", "e"))
	if len(l.frames) != 2 || s.Last() != 5 {
		t.Fatalf("%d frames, last %d", len(l.frames), s.Last())
	}
	s.Trim(2)
	if _, err := s.Get(1); !errors.Is(err, record.ErrNotFound) {
		t.Error(err)
	}
	if v, err := s.Get(4); err != nil || string(v.Data) != "d" {
		t.Error(v, err)
	}
	if _, err := s.Get(6); !errors.Is(err, record.ErrNotFound) {
		t.Error(err)
	}
	for at, want := range map[int64]uint64{0: 2, 10: 2, 11: 4, 21: 6} {
		if seq, err := s.SeekTime(at); err != nil || seq != want {
			t.Errorf("SeekTime(%d): %d, %v; want %d", at, seq, err, want)
		}
	}
	c, got := s.Cursor(0), ""
	for range 2 { // at the end it waits for more
		for {
			v, err := c.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got += string(v.Data)
		}
		s.Append(sealed(6, 30, "f"))
	}
	if got != "bcdef" {
		t.Errorf("read %s", got)
	}
	c.Seek(5)
	if v, err := c.Next(); err != nil || string(v.Data) != "e" {
		t.Error(v, err)
	}
	if err := s.Checkpoint([]byte("state")); err != nil {
		t.Fatal(err)
	}
	again := newStore(l)
	if _, err := again.Get(1); string(again.State()) != "state" || !errors.Is(err, record.ErrNotFound) {
		t.Errorf("opened again: %q, %v", again.State(), err)
	}
}

func TestAStoreThatFailsNeverSaysThatNothingIsThere(t *testing.T) {
	l := &listed{}
	s := newStore(l)
	s.Append(sealed(1, 10, "a"))
	l.frames[0].Data[len(l.frames[0].Data)-1] ^= 1
	if _, err := s.Get(1); !errors.Is(err, record.ErrDamaged) {
		t.Errorf("a damaged record: %v", err)
	}
	l.fails = errors.New("no more")
	s.Append(sealed(2, 10, "b"))
	if _, err := s.Get(2); !errors.Is(err, l.fails) {
		t.Errorf("a record that was not stored: %v", err)
	}
	if _, err := s.SeekTime(99); !errors.Is(err, l.fails) {
		t.Error(err)
	}
	if err := s.Checkpoint(nil); !errors.Is(err, l.fails) {
		t.Errorf("a checkpoint of a log that has failed: %v", err)
	}
}

func TestAStorageNeedsANameAndAWayToOpen(t *testing.T) {
	open := func(string) (Log, error) { return &listed{}, nil }
	Register("once", Kind{Open: open})
	for name, k := range map[string]Kind{"": {Open: open}, "a/b": {Open: open}, "once": {Open: open}, "none": {}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is registered", name)
				}
			}()
			Register(name, k)
		}()
	}
}
