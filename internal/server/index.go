package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/subjects"
)

// indexCache is how many bytes of the streams' subject indexes are in memory, of
// all streams together, beside the subjects that changed since a checkpoint.
const indexCache = 64 << 20

// mergeRate is how fast runs of the subject indexes are merged in the background,
// in bytes a second, those read and those written.
const mergeRate = 32 << 20

// maxHeld is how many subjects, of all streams together, are in memory until the
// next checkpoint of their stream: some 64 MiB.
const maxHeld = 512 << 10

// index is the subject index of a stream on disk, as its partition sees it.
type index struct {
	o   subjects.Options
	log *slog.Logger
	all *indexes

	set  *subjects.Set // from Open on
	held atomic.Int64  // subjects that wait in memory for a checkpoint
}

// newIndex gives the index of a stream's partition. Its partition opens it.
func (s *storage) newIndex(spec *meta.Spec) *index {
	id := spec.Identity()
	return &index{
		o:   subjects.Options{FS: s.o.FS, Dir: s.volume.Dir(id), ID: id, Cache: s.indexes.cache},
		log: s.log.With("stream", spec.Name, "account", spec.Account),
		all: s.indexes,
	}
}

// Open implements partition.Index.
func (x *index) Open(list []byte) error {
	set, err := subjects.Open(x.o, list)
	if err != nil {
		return fmt.Errorf("open the subject index: %w", err)
	}
	x.set = set
	return nil
}

// View implements partition.Index.
func (x *index) View() (partition.IndexView, error) {
	v, err := x.set.View()
	if err != nil {
		return nil, err
	}
	return indexView{v}, nil
}

// Write implements partition.Index. That it failed is told here: the checkpoint
// is taken without it.
func (x *index) Write(clear bool, states iter.Seq2[string, *partition.SubjectState]) error {
	if clear {
		x.set.Clear()
	}
	var buf []byte
	err := x.set.WriteRun(func(yield func([]byte, *subjects.Entry) bool) {
		for name, s := range states {
			buf = append(buf[:0], name...)
			if !yield(buf, (*subjects.Entry)(s)) {
				return
			}
		}
	})
	if err != nil {
		x.log.Warn("subject index not written: until it is, a start reads the stream's records", "error", err)
		return fmt.Errorf("write the subject index: %w", err)
	}
	x.all.add(x)
	return nil
}

// List implements partition.Index.
func (x *index) List() []byte { return x.set.List() }

// Saved implements partition.Index.
func (x *index) Saved(list []byte) {
	if err := x.set.Saved(list); err != nil {
		x.log.Warn("files of the subject index stay until the next start", "error", err)
	}
}

// Lost implements partition.Index.
func (x *index) Lost(why error) {
	level := slog.LevelWarn
	if errors.Is(why, record.ErrDamaged) {
		level = slog.LevelError
	}
	x.log.Log(context.Background(), level, "subject index cannot be used: it is made again from the records", "error", why)
}

// Held implements partition.Index.
func (x *index) Held(n int) {
	if x.all.held.Add(int64(n)-x.held.Swap(int64(n))) > x.all.most.Load() {
		x.all.tooMany()
	}
}

// Close implements partition.Index.
func (x *index) Close() {
	x.Held(0)
	if x.set != nil {
		x.set.Close()
	}
}

// indexView is a view of the index as the partition sees it.
type indexView struct{ *subjects.View }

func (v indexView) Lookup(name []byte) (partition.SubjectState, bool, error) {
	e, ok, err := v.View.Lookup(name)
	return partition.SubjectState(e), ok, err
}

func (v indexView) Each(pattern string, f func(name []byte, s *partition.SubjectState) bool) error {
	return v.View.Each(pattern, func(name []byte, e *subjects.Entry) bool {
		return f(name, (*partition.SubjectState)(e))
	})
}

// indexes are those of all streams.
type indexes struct {
	cache   *subjects.Cache
	wake    chan struct{} // 1 token: there is something to merge
	crowded chan struct{} // 1 token: held is above most
	most    atomic.Int64
	held    atomic.Int64 // the sum of what the indexes hold

	mu    sync.Mutex
	queue map[*index]struct{} // got a run since they were merged; guarded by mu
}

func newIndexes() *indexes {
	m := &indexes{
		cache: subjects.NewCache(indexCache), wake: make(chan struct{}, 1), crowded: make(chan struct{}, 1),
		queue: map[*index]struct{}{},
	}
	m.most.Store(maxHeld)
	return m
}

func (m *indexes) tooMany() {
	select {
	case m.crowded <- struct{}{}:
	default:
	}
}

func (m *indexes) add(x *index) {
	m.mu.Lock()
	m.queue[x] = struct{}{}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *indexes) next() *index {
	m.mu.Lock()
	defer m.mu.Unlock()
	for x := range m.queue {
		delete(m.queue, x)
		return x
	}
	return nil
}

// merge merges runs of one index after the other until ctx ends.
func (m *indexes) merge(ctx context.Context) {
	pace := newPace(ctx, mergeRate)
	for ctx.Err() == nil {
		x := m.next()
		if x == nil {
			select {
			case <-ctx.Done():
			case <-m.wake:
			}
			continue
		}
		for more := true; more; {
			var err error
			more, err = x.set.Merge(pace)
			if err != nil && ctx.Err() == nil && !errors.Is(err, subjects.ErrClosed) {
				x.log.Warn("subject index not merged", "error", err)
			}
		}
	}
}

// saveCrowds takes checkpoints of the streams that hold the most subjects while all
// together hold too many, until ctx ends.
func (s *storage) saveCrowds(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.indexes.crowded:
		}
		for ctx.Err() == nil && s.indexes.held.Load() > s.indexes.most.Load() {
			g := s.mostHeld()
			if g == nil {
				break
			}
			before := g.index.held.Load()
			id := journal.GroupID(g.spec.ID)
			if err := s.checkpoint(id); err != nil {
				s.checkpointFailed(id, err)
				break // it is tried again when they hold more
			}
			if g.index.held.Load() >= before {
				break
			}
		}
	}
}

// mostHeld is the stream that holds the most subjects; nil if none holds any.
func (s *storage) mostHeld() *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	var most *group
	for _, g := range s.groups {
		if g.index != nil && g.index.held.Load() > 0 && (most == nil || g.index.held.Load() > most.index.held.Load()) {
			most = g
		}
	}
	return most
}

// newPace lets rate bytes a second pass.
func newPace(ctx context.Context, rate int) subjects.Pace {
	var owed time.Duration
	last := time.Now()
	return func(n int) error {
		now := time.Now()
		owed = max(owed-now.Sub(last), 0) + time.Duration(n)*time.Second/time.Duration(rate)
		last = now
		if owed < 10*time.Millisecond {
			return ctx.Err()
		}
		t := time.NewTimer(owed)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return nil
		}
	}
}
