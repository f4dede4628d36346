package multiraft

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// logOf is a storage and a machine that note what they are told.
type logOf struct {
	appended  []string
	applied   []string
	discarded []any
	failed    error
}

func (l *logOf) Append(term, index uint64, kind uint8, urgent bool, parts ...[]byte) {
	l.appended = append(l.appended, fmt.Sprintf("%d/%d %d %v %s", term, index, kind, urgent, slices.Concat(parts...)))
}
func (l *logOf) Release(uint64) {}
func (l *logOf) Apply(e Entry) {
	l.applied = append(l.applied, fmt.Sprintf("%d/%d %d %s %v", e.Term, e.Index, e.Kind, e.Data, e.Value))
}
func (l *logOf) Settled()         {}
func (l *logOf) Discard(e Entry)  { l.discarded = append(l.discarded, e.Value) }
func (l *logOf) Failed(err error) { l.failed = err }

func newSolo() (*Solo, *logOf) {
	l := &logOf{}
	s := NewSolo()
	s.Bind(l, l)
	return s, l
}

func TestNothingIsAppliedBeforeItIsDurable(t *testing.T) {
	s, l := newSolo()
	s.Propose(1, true, "a", []byte("x"))
	s.Propose(2, false, "b", []byte("y"), []byte("z"))
	if len(l.applied) != 0 || !slices.Equal(l.appended, []string{"1/1 1 true x", "1/2 2 false yz"}) {
		t.Fatalf("appended %q, applied %q", l.appended, l.applied)
	}
	s.Durable(1)
	if !slices.Equal(l.applied, []string{"1/1 1 x a"}) {
		t.Fatalf("applied %q", l.applied)
	}
	s.Durable(2)
	if !slices.Equal(l.applied[1:], []string{"1/2 2  b"}) {
		t.Fatalf("applied %q", l.applied)
	}
}

func TestIndexesGoOnAfterReplay(t *testing.T) {
	s, l := newSolo()
	s.StartAt(4)
	s.Replay(Entry{Term: 1, Index: 5, Kind: 1})
	s.Propose(1, true, nil)
	if l.appended[0] != "1/6 1 true " {
		t.Fatalf("appended %q", l.appended)
	}
}

func TestEntriesInFlightAreDroppedWhenTheStorageFails(t *testing.T) {
	s, l := newSolo()
	s.Propose(1, true, "a")
	s.Failed(errors.New("disk"))
	s.Durable(1)
	if len(l.applied) != 0 || l.failed == nil || len(l.discarded) != 1 {
		t.Fatalf("applied %q, failed %v, discarded %v", l.applied, l.failed, l.discarded)
	}
}

func TestManyInFlightKeepTheirOrder(t *testing.T) {
	s, l := newSolo()
	for i := range 5000 {
		s.Propose(1, true, i)
		if i%3 == 0 {
			s.Durable(uint64(i / 2))
		}
	}
	s.Durable(5000)
	if len(l.applied) != 5000 {
		t.Fatalf("%d applied", len(l.applied))
	}
	for i, a := range l.applied {
		if want := fmt.Sprintf("1/%d 1  %d", i+1, i); a != want {
			t.Fatalf("applied %q, want %q", a, want)
		}
	}
}
