package logtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// Log is what the suite tests.
type Log interface {
	Append(f *record.Frame)
	Last() uint64
	Get(seq uint64) (record.View, error)
	Cursor(from uint64) Cursor
	SeekTime(t int64) (uint64, error)
	Trim(first uint64)
	// Reclaim makes a part of the log anew without records that are dead, which install
	// puts in place. True: a checkpoint is to follow. Without pace it makes nothing, and
	// only parts go in which nothing is live.
	Reclaim(ctx context.Context, dead *seqset.Set, pace func(int64)) (install func() bool, err error)
	Reset(last uint64)
	Checkpoint(state []byte) error
	State() []byte
	Drop() error
	Close() error
}

// Cursor reads a Log forward.
type Cursor = interface {
	Next() (record.View, error)
	Seek(seq uint64)
	Close()
}

// Config says how to make the logs under test.
type Config struct {
	ID   record.Identity // of the frames
	Open func(t *testing.T) Log
	// Reopen closes a log as a crash of the process would and opens it again; it
	// is then as after its last checkpoint. nil: the log keeps nothing.
	Reopen func(t *testing.T, l Log) Log
	// Disturb does background work that nobody may notice. nil: there is none.
	Disturb func(t *testing.T, rng *rand.Rand, l Log)
	Seeds   int // runs of random operations; 0: 20
	Steps   int // operations of a run; 0: 400
}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	t.Run("AnEmptyLogHasNothing", func(t *testing.T) { empty(t, c.Open(t)) })
	t.Run("AClosedLogAnswersWithAnError", func(t *testing.T) { closed(t, c) })
	t.Run("DeadRecordsGoAndNothingElse", func(t *testing.T) { reclaiming(t, c) })
	t.Run("ALogOfWhichAllIsDeadGoesOn", func(t *testing.T) { allGone(t, c) })
	seeds, steps := c.Seeds, c.Steps
	if seeds == 0 {
		seeds = 20
	}
	if steps == 0 {
		steps = 400
	}
	t.Run("RandomOperationsMatchTheModel", func(t *testing.T) {
		for seed := range seeds {
			random(t, c, uint64(seed), steps)
		}
	})
}

func empty(t *testing.T, l Log) {
	if l.Last() != 0 || l.State() != nil {
		t.Errorf("last %d, state %q", l.Last(), l.State())
	}
	if _, err := l.Get(1); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	c := l.Cursor(0)
	if _, err := c.Next(); err != io.EOF {
		t.Errorf("Next: %v", err)
	}
	c.Close()
	if seq, err := l.SeekTime(0); seq != 1 || err != nil {
		t.Errorf("SeekTime: %d, %v", seq, err)
	}
	if err := l.Drop(); err != nil {
		t.Errorf("Drop: %v", err)
	}
}

func closed(t *testing.T, c Config) {
	l := c.Open(t)
	f, _ := Dense(c.ID, 1, 1, 3, 10)
	l.Append(f)
	cur := l.Cursor(1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Get(1); err == nil || errors.Is(err, record.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := cur.Next(); err == nil || err == io.EOF {
		t.Errorf("Next: %v", err)
	}
	if _, err := l.SeekTime(0); err == nil {
		t.Error("SeekTime gives an answer")
	}
	if err := l.Checkpoint(nil); err == nil {
		t.Error("Checkpoint succeeds")
	}
}

// model is what a log should hold.
type model struct {
	recs  []Rec
	first uint64
	last  uint64
	time  int64
	state []byte
	dead  seqset.Set // records that may be there or not: nobody asks for them
}

func (m *model) clone() model {
	c := *m
	c.recs, c.dead = slices.Clone(m.recs), m.dead.Clone()
	return c
}

// from is the index of the first record that is visible and alive at seq or later.
func (m *model) from(seq uint64) int {
	i, _ := slices.BinarySearchFunc(m.recs, max(seq, m.first), func(r Rec, s uint64) int {
		switch {
		case r.Seq < s:
			return -1
		case r.Seq > s:
			return 1
		}
		return 0
	})
	for i < len(m.recs) && m.dead.Contains(m.recs[i].Seq) {
		i++
	}
	return i
}

type run struct {
	t     *testing.T
	c     Config
	rng   *rand.Rand
	l     Log
	m     model
	saved model // at the last checkpoint

	cursor Cursor // kept from step to step
	at     uint64 // what it reads next
}

func random(t *testing.T, c Config, seed uint64, steps int) {
	t.Helper()
	r := &run{t: t, c: c, rng: rand.New(rand.NewPCG(seed, 7)), l: c.Open(t)}
	r.m.first, r.saved.first = 1, 1
	r.cursor, r.at = r.l.Cursor(1), 1
	for step := range steps {
		r.step()
		if t.Failed() {
			t.Fatalf("seed %d, step %d", seed, step)
		}
	}
	r.all()
	if err := r.l.Drop(); err != nil {
		t.Fatal(err)
	}
}

func (r *run) step() {
	switch p := r.rng.IntN(100); {
	case p < 45:
		r.append()
	case p < 60:
		r.get()
	case p < 75:
		r.read()
	case p < 80:
		r.seekTime()
	case p < 83:
		r.trim()
	case p < 87:
		r.checkpoint()
	case p < 88:
		r.reset()
	case p < 90:
		r.all()
	case p < 92 && r.c.Reopen != nil:
		r.l, r.m = r.c.Reopen(r.t, r.l), r.saved.clone()
		r.cursor, r.at = r.l.Cursor(1), 1
		r.all()
	case p < 94:
		r.remove()
	case p < 96:
		r.reclaim()
	case r.c.Disturb != nil:
		r.c.Disturb(r.t, r.rng, r.l)
	}
	if r.l.Last() != r.m.last {
		r.t.Errorf("last %d, want %d", r.l.Last(), r.m.last)
	}
	if !bytes.Equal(r.l.State(), r.m.state) || (r.l.State() == nil) != (r.m.state == nil) {
		r.t.Errorf("state %q, want %q", r.l.State(), r.m.state)
	}
}

func (r *run) append() {
	n, size := 1+r.rng.IntN(20), r.rng.IntN(300)
	if r.rng.IntN(40) == 0 {
		size = 20_000
	}
	r.m.time += r.rng.Int64N(5)
	base := r.m.last + 1
	var f *record.Frame
	var recs []Rec
	switch r.rng.IntN(8) {
	case 0:
		f, recs = Sparse(r.rng, r.c.ID, base+r.rng.Uint64N(4), r.m.time, n, size)
	case 1:
		// As replay does: again what is there already.
		if n = min(n, int(r.m.last)); n == 0 {
			return
		}
		f, _ = Dense(r.c.ID, base-uint64(n), r.m.time, n, size)
	default:
		f, recs = Dense(r.c.ID, base, r.m.time, n, size)
	}
	r.l.Append(f)
	if len(recs) > 0 {
		r.m.last, r.m.time = recs[len(recs)-1].Seq, recs[len(recs)-1].Time
		r.m.recs = append(r.m.recs, recs...)
	}
}

func (r *run) get() {
	for range 5 {
		seq := r.rng.Uint64N(r.m.last + 3)
		v, err := r.l.Get(seq)
		if r.m.dead.Contains(seq) && (err == nil && v.Seq == seq || errors.Is(err, record.ErrNotFound)) {
			continue
		}
		i := r.m.from(seq)
		if seq >= r.m.first && i < len(r.m.recs) && r.m.recs[i].Seq == seq {
			if err != nil || Of(v) != r.m.recs[i] {
				r.t.Errorf("Get(%d): %d, %v", seq, v.Seq, err)
			}
		} else if !errors.Is(err, record.ErrNotFound) {
			r.t.Errorf("Get(%d) of none: %d, %v", seq, v.Seq, err)
		}
	}
}

// read goes on with the cursor that is kept, or moves it.
func (r *run) read() {
	if r.rng.IntN(3) == 0 {
		r.at = r.rng.Uint64N(r.m.last + 3)
		r.cursor.Seek(r.at)
	}
	for range r.rng.IntN(60) {
		if !r.next() {
			return
		}
	}
}

func (r *run) next() bool {
	v, err := r.cursor.Next()
	for err == nil && r.m.dead.Contains(v.Seq) {
		v, err = r.cursor.Next()
	}
	i := r.m.from(r.at)
	if i == len(r.m.recs) {
		if err != io.EOF {
			r.t.Errorf("Next at %d: %d, %v; want the end", r.at, v.Seq, err)
		}
		return false
	}
	if err != nil || Of(v) != r.m.recs[i] {
		r.t.Errorf("Next at %d: %d, %v; want %d", r.at, v.Seq, err, r.m.recs[i].Seq)
		return false
	}
	r.at = v.Seq + 1
	return true
}

func (r *run) seekTime() {
	t := r.rng.Int64N(r.m.time + 3)
	want := r.m.last + 1
	for _, rec := range r.m.recs[r.m.from(0):] {
		if rec.Time >= t && !r.m.dead.Contains(rec.Seq) {
			want = rec.Seq
			break
		}
	}
	seq, err := r.l.SeekTime(t)
	if seq < want && r.m.dead.Count() > 0 && r.m.from(seq) == r.m.from(want) {
		seq = want // it is a dead one, before which nothing is alive
	}
	if seq != want || err != nil {
		r.t.Errorf("SeekTime(%d): %d, %v; want %d", t, seq, err, want)
	}
}

func (r *run) trim() {
	span := r.m.last + 2 - min(r.m.first, r.m.last+1)
	first := r.m.first + r.rng.Uint64N(span)/uint64(1+r.rng.IntN(4))
	r.l.Trim(first)
	r.m.first = max(r.m.first, first)
}

func (r *run) checkpoint() {
	state := []byte{byte(r.rng.Uint32()), byte(r.m.last)}
	if err := r.l.Checkpoint(state); err != nil {
		r.t.Errorf("Checkpoint: %v", err)
	}
	r.m.state = state
	r.saved = r.m.clone()
}

func (r *run) reset() {
	last := r.m.last + r.rng.Uint64N(20)
	if r.rng.IntN(2) == 0 {
		last = r.rng.Uint64N(last + 1)
	}
	r.l.Reset(last)
	r.m.recs, r.m.first, r.m.last, r.m.dead = nil, last+1, last, seqset.Set{}
	r.at = r.rng.Uint64N(last + 3)
	r.cursor.Close()
	r.cursor = r.l.Cursor(r.at)
}

// all reads everything.
func (r *run) all() {
	kept, at := r.cursor, r.at
	r.cursor, r.at = r.l.Cursor(0), 0
	for r.next() {
	}
	r.cursor.Close()
	r.cursor, r.at = kept, at
}
