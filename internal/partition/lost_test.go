package partition

import (
	"errors"
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// gapEntries are entries of frames of one record each, of which some are missing.
func gapEntries(t *testing.T, seqs ...uint64) []Entry {
	t.Helper()
	r := newRig(t, Limits{})
	for i := 1; i <= 10; i++ {
		r.publish(int64(i), msg{subject: "a", data: fmt.Sprint(i)})
	}
	r.sync()
	store := r.store
	var out []Entry
	for _, seq := range seqs {
		f := store.frames[seq-1]
		out = append(out, Entry{Index: seq, Term: f.Term, Kind: record.KindFrame, Data: append(append([]byte(nil), f.Head...), f.Area...)})
	}
	return out
}

// What a journal has lost becomes deletes where that was allowed, and ends the
// replay where it was not.
func TestLostSequencesAreGivenUpOnlyWhereAllowed(t *testing.T) {
	entries := gapEntries(t, 1, 2, 5, 6, 9)
	strict := newRig(t, Limits{})
	var err error
	for _, e := range entries {
		if err = strict.p.Apply(e); err != nil {
			break
		}
	}
	if !errors.Is(err, record.ErrDamaged) || strict.p.Status().Last != 2 {
		t.Fatalf("a gap: %v, %+v", err, strict.p.Status())
	}
	r := newRig(t, Limits{})
	var lost [][2]uint64
	r.p.lost = func(first, last uint64) { lost = append(lost, [2]uint64{first, last}) }
	for _, e := range entries {
		if err := r.p.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(lost) != "[[3 4] [7 8]]" {
		t.Fatalf("lost %v", lost)
	}
	r.wantSeqs("1:a=1 2:a=2 5:a=5 6:a=6 9:a=9")
	if st := r.p.Status(); st.Last != 9 || st.Records != 5 || st.Deleted != 4 || r.p.CountLive(1, 9) != 5 {
		t.Fatalf("%+v", st)
	}
	r.publish(20, msg{subject: "a", data: "more"})
	r.sync()
	if st := r.p.Status(); st.Last != 10 || st.Records != 6 {
		t.Fatalf("after one more: %+v", st)
	}
	first := newRig(t, Limits{})
	first.p.lost = func(uint64, uint64) {}
	for _, e := range entries[2:] {
		if err := first.p.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if st := first.p.Status(); st.First != 5 || st.Records != 3 {
		t.Fatalf("a loss at the beginning: %+v", st)
	}
}

// damagedStore cannot read some of its records.
type damagedStore struct {
	*memStore
	bad map[uint64]bool
}

func (d *damagedStore) Cursor(from uint64) Cursor { return &damagedCursor{d.memStore.Cursor(from), d} }

type damagedCursor struct {
	Cursor
	d *damagedStore
}

func (c *damagedCursor) Next() (record.View, error) {
	v, err := c.Cursor.Next()
	if err == nil && c.d.bad[v.Seq] {
		return record.View{}, fmt.Errorf("record %d: %w", v.Seq, record.ErrDamaged)
	}
	return v, err
}

// A store without its state is never taken for an empty one. Where that was
// allowed, its records make a new state.
func TestALostStateIsMadeFromTheRecords(t *testing.T) {
	r := newRig(t, Limits{})
	for i := 1; i <= 10; i++ {
		r.publish(int64(i), msg{subject: fmt.Sprint("s.", i%2), data: fmt.Sprint(i)})
	}
	r.sync()
	store := &damagedStore{&memStore{}, map[uint64]bool{6: true, 10: true}}
	for _, seq := range []int{3, 4, 6, 7, 9, 10} {
		store.frames = append(store.frames, r.store.frames[seq-1])
	}
	o := Options{
		Identity: record.Identity{ID: 20, Incarnation: 1}, Store: store, Proposer: proposer{r.solo},
		Ledger: noLedger{}, Budget: &space{}, Observer: r, Order: allChecks,
	}
	if _, err := New(o); !errors.Is(err, record.ErrDamaged) {
		t.Fatalf("records without a state: %v", err)
	}
	o.Lost = func(uint64, uint64) {}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	// 5 may be damaged as well as 6; 8 was deleted.
	if st := p.Status(); st.First != 3 || st.Last != 10 || st.Deleted != 1 || st.Records != 7 || st.Subjects != 2 {
		t.Fatalf("%+v", st)
	}
	if p.Live(8) || !p.Live(7) || !p.Live(6) || p.CountLive(1, 10) != 7 {
		t.Fatal("what is live differs")
	}
	store.bad = map[uint64]bool{3: true, 4: true, 6: true, 7: true, 9: true, 10: true}
	if p, err = New(o); err != nil {
		t.Fatal(err)
	}
	if st := p.Status(); st.Last != 10 || st.Records != 10 || st.First != 1 {
		t.Fatalf("nothing can be read: %+v", st)
	}
}
