package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/logstore"
)

// Config says what is tested.
type Config struct {
	Kind  logstore.Kind
	Seeds int // runs of random operations; 0: 20
	Steps int // operations of a run; 0: 400
}

// Run runs the suite.
func Run(t *testing.T, c Config) {
	if c.Kind.Durability == "" {
		t.Error("the storage does not say what a checkpoint is worth")
	}
	t.Run("AnEmptyLogHasNothing", func(t *testing.T) { empty(t, c) })
	t.Run("ADroppedLogIsGone", func(t *testing.T) { dropped(t, c) })
	t.Run("FoundFramesOutliveTheirLog", func(t *testing.T) { outliving(t, c) })
	seeds, steps := c.Seeds, c.Steps
	if seeds == 0 {
		seeds = 20
	}
	if steps == 0 {
		steps = 400
	}
	t.Run("RandomOperationsMatchTheModel", func(t *testing.T) {
		for seed := range seeds {
			r := &run{t: t, c: c, rng: rand.New(rand.NewPCG(uint64(seed), 1)), dir: t.TempDir()}
			r.l = open(t, c, r.dir)
			for step := 0; step < steps && !t.Failed(); step++ {
				r.step()
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			if err := r.l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func open(t *testing.T, c Config, dir string) logstore.Log {
	t.Helper()
	l, err := c.Kind.Open(dir)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return l
}

// frame makes one that is told from all others.
func frame(first, n uint64, time int64, size int) logstore.Frame {
	data := fmt.Appendf(nil, "%d %d ", first, time)
	for i := range size {
		data = append(data, byte(first)+byte(i*31))
	}
	return logstore.Frame{First: first, Last: first + n - 1, LastTime: time, Data: data}
}

func empty(t *testing.T, c Config) {
	dir := t.TempDir()
	for range 2 { // opened again it is still empty
		l := open(t, c, dir)
		if _, err := l.Find(0); !errors.Is(err, logstore.ErrNone) {
			t.Errorf("Find: %v", err)
		}
		if _, err := l.FindTime(0); !errors.Is(err, logstore.ErrNone) {
			t.Errorf("FindTime: %v", err)
		}
		if l.Last() != 0 || l.State() != nil {
			t.Errorf("last %d, state %q", l.Last(), l.State())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func dropped(t *testing.T, c Config) {
	dir := t.TempDir()
	l := open(t, c, dir)
	if err := errors.Join(l.Append(frame(1, 5, 1, 100)), l.Checkpoint([]byte("state")), l.Append(frame(6, 1, 2, 100)), l.Drop()); err != nil {
		t.Fatal(err)
	}
	l = open(t, c, dir)
	if l.Last() != 0 || l.State() != nil {
		t.Errorf("after Drop: last %d, state %q", l.Last(), l.State())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func outliving(t *testing.T, c Config) {
	l := open(t, c, t.TempDir())
	want := frame(1, 1, 1, 5000)
	if err := errors.Join(l.Append(want), l.Checkpoint(nil)); err != nil {
		t.Fatal(err)
	}
	got, err := l.Find(1)
	if err != nil {
		t.Fatal(err)
	}
	l.Trim(2)
	if err := errors.Join(l.Append(frame(2, 1, 2, 5000)), l.Checkpoint(nil), l.Drop()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Data, want.Data) {
		t.Error("a frame changed when its log was dropped")
	}
}

// model is what a log has to show.
type model struct {
	frames []logstore.Frame
	first  uint64
	last   uint64
	state  []byte
}

func (m *model) clone() model {
	out := *m
	out.frames = append([]logstore.Frame(nil), m.frames...)
	return out
}

// run is one run of random operations.
type run struct {
	t     *testing.T
	c     Config
	rng   *rand.Rand
	dir   string
	life  int
	l     logstore.Log
	m     model
	saved model // as of the last checkpoint
	time  int64
}

func (r *run) step() {
	switch p := r.rng.IntN(100); {
	case p < 45:
		r.append()
	case p < 70:
		r.find()
	case p < 80:
		r.findTime()
	case p < 86:
		r.trim()
	case p < 95:
		r.checkpoint()
	default:
		r.reopen(p < 97)
	}
	if r.l.Last() != r.m.last || !bytes.Equal(r.l.State(), r.m.state) {
		r.t.Errorf("last %d, state %q; want %d, %q", r.l.Last(), r.l.State(), r.m.last, r.m.state)
	}
}

func (r *run) append() {
	r.time += r.rng.Int64N(3)
	size := r.rng.IntN(300)
	if r.rng.IntN(30) == 0 {
		size = 100_000
	}
	f := frame(r.m.last+1+r.rng.Uint64N(2), 1+r.rng.Uint64N(10), r.time, size)
	if err := r.l.Append(f); err != nil {
		r.t.Fatalf("Append: %v", err)
	}
	r.m.frames, r.m.last = append(r.m.frames, f), f.Last
}

// expect holds an answer against the first frame of the model that is meant.
func (r *run) expect(what string, got logstore.Frame, err error, meant func(*logstore.Frame) bool) {
	for i := range r.m.frames {
		f := &r.m.frames[i]
		if f.Last < r.m.first || !meant(f) {
			continue
		}
		if err != nil || got.First != f.First || got.Last != f.Last || got.LastTime != f.LastTime || !bytes.Equal(got.Data, f.Data) {
			r.t.Errorf("%s: frame %d to %d, %v; want %d to %d", what, got.First, got.Last, err, f.First, f.Last)
		}
		return
	}
	if !errors.Is(err, logstore.ErrNone) {
		r.t.Errorf("%s: frame %d to %d, %v; want ErrNone", what, got.First, got.Last, err)
	}
}

func (r *run) find() {
	seq := r.rng.Uint64N(r.m.last + 3)
	f, err := r.l.Find(seq)
	r.expect(fmt.Sprintf("Find(%d)", seq), f, err, func(f *logstore.Frame) bool { return f.Last >= seq })
}

func (r *run) findTime() {
	at := r.rng.Int64N(r.time + 3)
	f, err := r.l.FindTime(at)
	r.expect(fmt.Sprintf("FindTime(%d)", at), f, err, func(f *logstore.Frame) bool { return f.LastTime >= at })
}

func (r *run) trim() {
	first := r.m.first + r.rng.Uint64N(r.m.last+2-min(r.m.first, r.m.last+1))/uint64(1+r.rng.IntN(6))
	r.l.Trim(first)
	r.m.first = max(r.m.first, first)
}

func (r *run) checkpoint() {
	state := fmt.Appendf(nil, "state at %d, %d", r.m.last, r.rng.Uint32())
	if err := r.l.Checkpoint(state); err != nil {
		r.t.Fatalf("Checkpoint: %v", err)
	}
	r.m.state = state
	r.saved = r.m.clone()
}

// reopen opens the log again: what a killed process has left, or after Close.
func (r *run) reopen(crash bool) {
	was := r.l
	if crash {
		r.life++
		dir := filepath.Join(r.t.TempDir(), fmt.Sprint(r.life))
		if err := os.CopyFS(dir, os.DirFS(r.dir)); err != nil {
			r.t.Fatalf("copy the directory: %v", err)
		}
		r.dir = dir
	}
	if err := was.Close(); err != nil {
		r.t.Fatalf("Close: %v", err)
	}
	r.l, r.m = open(r.t, r.c, r.dir), r.saved.clone()
}
