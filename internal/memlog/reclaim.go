package memlog

import (
	"context"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// sieveBytes is how long the frames are that take the place of others, about.
const sieveBytes = 128 << 10

// Reclaim makes frames anew most bytes of which belong to records of dead, without
// these records. Until install is called nothing changes for anybody; install is nil
// where no frame is so, else it must be called. It gives false: nothing has to be
// checkpointed for it. Frames that readers hold live as long as they do.
//
// Whoever calls it makes sure that the records of dead stay deleted for all who read.
// pace is told the bytes that were looked at since its last call, and may wait: no lock
// is held. Without pace nothing is made.
func (l *Log) Reclaim(ctx context.Context, dead *seqset.Set, pace func(int64)) (install func() bool, err error) {
	if pace == nil {
		return nil, nil
	}
	l.mu.Lock()
	frames := make([]*record.Frame, l.frames.Len())
	l.frames.Copy(frames, 0)
	first := l.first.Load()
	l.mu.Unlock()
	r := replacer{dead: dead, first: first, by: map[*record.Frame][]*record.Frame{}}
	for _, f := range frames {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !r.mostlyDead(f) {
			r.end()
			continue
		}
		if err := r.take(f); err != nil {
			return nil, err
		}
		pace(int64(f.Len()))
	}
	r.end()
	if len(r.by) == 0 {
		return nil, nil
	}
	return func() bool { l.replace(r.by); return false }, nil
}

// replace puts frames in the place of others, those that are still there.
func (l *Log) replace(by map[*record.Frame][]*record.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var q record.Queue
	for i := range l.frames.Len() {
		f := l.frames.At(i)
		put, replaced := by[f]
		if !replaced {
			q.Push(f)
		}
		for _, n := range put {
			q.Push(n)
		}
	}
	l.frames = q
	l.trimLocked()
}

// replacer makes frames of the live records of others.
type replacer struct {
	dead  *seqset.Set
	first uint64
	by    map[*record.Frame][]*record.Frame // what comes in the place of a frame
	last  *record.Frame                     // the one that was taken last
	sieve record.Sieve
}

func (r *replacer) live(f *record.Frame, i int) bool {
	seq := f.Seq(i)
	return seq >= r.first && !r.dead.Contains(seq)
}

// mostlyDead says whether half of a frame's bytes or more are dead.
func (r *replacer) mostlyDead(f *record.Frame) bool {
	live, all := 0, 0
	for i := range int(f.Count) {
		_, n := f.Span(i)
		all += int(n)
		if r.live(f, i) {
			live += int(n)
		}
	}
	return live <= all/2
}

// take gathers what is live in a frame.
func (r *replacer) take(f *record.Frame) error {
	r.last, r.by[f] = f, nil
	for i := range int(f.Count) {
		if !r.live(f, i) {
			continue
		}
		if !r.sieve.Takes(f) || r.sieve.Len() >= sieveBytes {
			r.end()
		}
		b, err := f.Content(i)
		if err == nil {
			err = r.sieve.Add(f, i, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// end seals what was gathered: it comes in the place of the frame that was taken
// last, for those before it are adjacent and go.
func (r *replacer) end() {
	if r.sieve.Count() > 0 {
		r.by[r.last] = append(r.by[r.last], r.sieve.Seal())
	}
}
