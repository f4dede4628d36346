package logtest

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// Reclaim has a log give back the space of dead records, as far as it does, with a
// checkpoint after each part that calls for one. It says whether anything was done.
func Reclaim(t *testing.T, l Log, dead *seqset.Set, state []byte) (done bool) {
	t.Helper()
	for {
		install, err := l.Reclaim(context.Background(), dead, func(int64) {})
		if err != nil {
			t.Fatalf("Reclaim: %v", err)
		}
		if install == nil {
			return done
		}
		done = true
		if !install() {
			return done
		}
		if err := l.Checkpoint(state); err != nil {
			t.Fatalf("Checkpoint: %v", err)
		}
	}
}

// reclaiming tests that dead records go and nothing else, for readers that are there
// already, too.
func reclaiming(t *testing.T, c Config) {
	const frames, each, keep = 200, 10, 25 // one record in so many is kept
	l := c.Open(t)
	var recs []Rec
	for i := range uint64(frames) {
		f, r := Dense(c.ID, 1+i*each, int64(i), each, 200)
		l.Append(f)
		recs = append(recs, r...)
	}
	if err := l.Checkpoint([]byte("before")); err != nil {
		t.Fatal(err)
	}
	early, middle := l.Cursor(1), l.Cursor(frames*each/2)
	if _, err := middle.Next(); err != nil {
		t.Fatal(err)
	}
	var dead seqset.Set
	if Reclaim(t, l, &dead, nil) {
		t.Error("something was done although nothing is dead")
	}
	for _, r := range recs {
		if r.Seq%keep != 0 {
			dead.Add(r.Seq)
		}
	}
	if !Reclaim(t, l, &dead, []byte("after")) {
		t.Error("nothing was done although most is dead")
	}
	if Reclaim(t, l, &dead, []byte("again")) {
		t.Error("something was done again")
	}
	readKept(t, early, &dead, recs, 1)
	readKept(t, middle, &dead, recs, frames*each/2+1)
	if c.Reopen != nil {
		l = c.Reopen(t, l)
	}
	if found := readKept(t, l.Cursor(1), &dead, recs, 1); found > frames*each/4 {
		t.Errorf("%d dead records are still there", found)
	}
	for _, r := range recs {
		v, err := l.Get(r.Seq)
		if !dead.Contains(r.Seq) && (err != nil || Of(v) != r) || err != nil && !errors.Is(err, record.ErrNotFound) {
			t.Errorf("Get(%d): %d, %v", r.Seq, v.Seq, err)
		}
	}
	f, more := Dense(c.ID, frames*each+1, frames, each, 200)
	l.Append(f)
	readKept(t, l.Cursor(1), &dead, append(recs, more...), 1)
	if err := l.Drop(); err != nil {
		t.Error(err)
	}
}

// readKept reads to the end and wants all records that are not dead, from a sequence
// on. It gives how many dead ones it found.
func readKept(t *testing.T, c Cursor, dead *seqset.Set, recs []Rec, from uint64) (found int) {
	t.Helper()
	defer c.Close()
	for _, r := range recs {
		if r.Seq < from || dead.Contains(r.Seq) {
			continue
		}
		v, err := c.Next()
		for ; err == nil && dead.Contains(v.Seq); v, err = c.Next() {
			found++
		}
		if err != nil || Of(v) != r {
			t.Fatalf("record %d: %d, %v", r.Seq, v.Seq, err)
		}
	}
	v, err := c.Next()
	for ; err == nil && dead.Contains(v.Seq); v, err = c.Next() {
		found++
	}
	if err != io.EOF {
		t.Fatalf("at the end: %d, %v", v.Seq, err)
	}
	return found
}

// allGone tests that a log without a live record may go on.
func allGone(t *testing.T, c Config) {
	l := c.Open(t)
	var dead seqset.Set
	for i := range uint64(50) {
		f, _ := Dense(c.ID, 1+i*10, int64(i), 10, 200)
		l.Append(f)
	}
	dead.AddRange(1, 500)
	if err := l.Checkpoint(nil); err != nil {
		t.Fatal(err)
	}
	Reclaim(t, l, &dead, nil)
	if l.Last() != 500 {
		t.Errorf("the last sequence is %d", l.Last())
	}
	if c.Reopen != nil {
		l = c.Reopen(t, l)
	}
	f, recs := Dense(c.ID, 501, 50, 10, 200)
	l.Append(f)
	if found := readKept(t, l.Cursor(0), &dead, recs, 0); found > 0 {
		t.Errorf("%d dead records are still there", found)
	}
	if err := l.Drop(); err != nil {
		t.Error(err)
	}
}

// remove has some records die.
func (r *run) remove() {
	if len(r.m.recs) == 0 {
		return
	}
	from := r.rng.IntN(len(r.m.recs))
	n := r.rng.IntN(len(r.m.recs)-from) + 1
	most := 1 + r.rng.IntN(10)
	for _, rec := range r.m.recs[from:min(from+n, from+400)] {
		if r.rng.IntN(10) < most {
			r.m.dead.Add(rec.Seq)
		}
	}
}

// reclaim begins to reclaim space, and lets something happen before that is put in
// place.
func (r *run) reclaim() {
	dead := r.m.dead.Clone()
	pace := func(int64) {}
	if r.rng.IntN(4) == 0 {
		pace = nil
	}
	install, err := r.l.Reclaim(context.Background(), &dead, pace)
	if err != nil {
		r.t.Errorf("Reclaim: %v", err)
	}
	if install == nil {
		return
	}
	switch r.rng.IntN(4) {
	case 0:
		r.append()
	case 1:
		r.trim()
	case 2:
		r.read()
	}
	install()
	if r.rng.IntN(2) == 0 {
		r.checkpoint()
	}
}
