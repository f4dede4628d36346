package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/vfs"
)

// Sizes of the reserve: a hundredth of what was free, within these bounds.
const (
	minReserve = 1 << 20
	maxReserve = 64 << 20
)

// tightEvery is how often a full disk is looked at.
const tightEvery = time.Second

// room watches over the space that is left. On a full disk nothing more is
// published, but what frees space must be possible: the journal keeps a file for
// the entries of deletions, and a file that only takes up space is given up for the
// checkpoints that let go of files.
type room struct {
	fs   vfs.FS
	name string

	full atomic.Bool

	// Only the goroutine that takes checkpoints.
	held     bool              // the reserve is there
	size     int64             // of the reserve
	removals map[uint64]uint64 // of each partition, when it was checkpointed last
}

func newRoom(fsys vfs.FS, dir string) *room {
	return &room{fs: fsys, name: path.Join(dir, "reserve"), removals: map[uint64]uint64{}}
}

// keep makes the reserve, unless it is there.
func (r *room) keep() error {
	if r.held {
		return nil
	}
	if info, err := r.fs.Stat(r.name); err == nil {
		r.held, r.size = true, info.Size
		return nil
	}
	free, err := r.fs.Free(path.Dir(r.name))
	if err != nil {
		return fmt.Errorf("ask for space: %w", err)
	}
	f, err := r.fs.Create(r.name)
	if err != nil {
		return fmt.Errorf("keep space in reserve: %w", err)
	}
	r.size = min(max(free/100, minReserve), maxReserve)
	err = errors.Join(f.Allocate(r.size), f.Close())
	if err != nil {
		return fmt.Errorf("keep space in reserve: %w", errors.Join(err, r.give()))
	}
	r.held = true
	return nil
}

// give gives the reserve up.
func (r *room) give() error {
	r.held = false
	if err := r.fs.Remove(r.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give up the reserve: %w", err)
	}
	return nil
}

// pressed hears of the journal's pressure. That the disk is full ends in tend only:
// what the journal was given back it may need for the checkpoints of what was
// removed, which free the rest.
func (s *storage) pressed(p journal.Pressure) {
	if p.NoSpace != nil && !s.room.full.Swap(true) {
		s.log.Error("the disk is full: nothing is published to streams on disk until there is space; purge or delete streams, or make space",
			"dir", s.o.Dir, "error", p.NoSpace)
	}
	s.wantCheckpoint()
}

// fullErr is what an operator is told while the disk is full; nil else.
func (s *storage) fullErr() error {
	if s.room.full.Load() {
		return fmt.Errorf("no space for the journal in %s: publishes are refused: %w", s.o.Dir, syscall.ENOSPC)
	}
	return nil
}

// tend looks after the space that is left: on a full disk it takes the checkpoints
// that free some, else it keeps the reserve.
func (s *storage) tend(ctx context.Context) {
	if !s.room.full.Load() {
		if err := s.room.keep(); err != nil && !errors.Is(err, syscall.ENOSPC) {
			s.log.Warn("no space is kept in reserve", "error", err)
		}
		return
	}
	s.relieve(ctx)
	s.mu.Lock()
	groups := make([]*group, 0, len(s.groups))
	for _, g := range s.groups {
		if !g.memory {
			groups = append(groups, g)
		}
	}
	s.mu.Unlock()
	tight := false
	for _, g := range groups {
		n := g.part.Removals()
		if n == s.room.removals[g.spec.ID] {
			continue
		}
		err := g.part.Vacate(ctx)
		if err == nil {
			err = s.checkpointTight(g)
		}
		if err != nil {
			s.checkpointFailed(journal.GroupID(g.spec.ID), err)
			tight = tight || errors.Is(err, syscall.ENOSPC)
			continue
		}
		s.room.removals[g.spec.ID] = n
	}
	if !tight && s.journal.Pressure().NoSpace == nil {
		s.room.full.Store(false)
		s.log.Info("there is space again: streams on disk take messages", "dir", s.o.Dir)
	}
}

// checkpointTight takes the checkpoint of a group that removed records where there
// may be no space: it gives the reserve up for it. One that has much to write first
// would only use the reserve up.
func (s *storage) checkpointTight(g *group) error {
	id := journal.GroupID(g.spec.ID)
	err := s.checkpoint(id)
	if !errors.Is(err, syscall.ENOSPC) || !s.room.held || g.log == nil || int64(g.log.Tail()) > s.room.size/2 {
		return err
	}
	if err := s.room.give(); err != nil {
		return err
	}
	return s.checkpoint(id)
}

// checkpointFailed says so, but not again and again that the disk is full or that a
// stream is not open.
func (s *storage) checkpointFailed(id journal.GroupID, err error) {
	if s.room.full.Load() && errors.Is(err, syscall.ENOSPC) {
		return
	}
	if errors.Is(err, errNotOpen) {
		if _, told := s.kept.LoadOrStore(id, true); told {
			return
		}
	}
	s.log.Error("checkpoint failed", "group", id, "error", err)
}
