package server

import (
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/memlog"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
)

// Open makes the storage a stream.Opener: it gives a partition its store and its
// group.
func (s *storage) Open(spec *meta.Spec, memory bool, o partition.Options) (*partition.Partition, error) {
	kind := kindOf(spec)
	store, err := s.openStore(spec, kind, memory)
	if err != nil {
		return nil, err
	}
	g := &group{spec: spec, solo: multiraft.NewSolo(), memory: memory}
	if seg, ok := store.(segStore); ok {
		g.log = seg.Log
	}
	o.Store, o.Proposer = store, proposer{g.solo}
	if !memory && kind == "" {
		g.index = s.newIndex(spec)
		o.Index = g.index
	}
	if s.o.OnLost != nil {
		o.Lost = func(first, last uint64) { s.o.OnLost(spec.ID, first, last) }
	}
	if g.part, err = partition.New(o); err != nil {
		if g.index != nil {
			g.index.Close()
		}
		return nil, errors.Join(err, store.Close())
	}
	g.covered = g.part.Index()
	g.solo.StartAt(g.covered)
	g.solo.Bind(nil, machine{g, s})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[spec.ID] = g
	if memory {
		g.solo.Bind(memoryLog{g.solo}, machine{g, s})
	} else if s.journal != nil {
		s.enterLocked(g)
	}
	return g.part, nil
}

func (s *storage) openStore(spec *meta.Spec, kind string, memory bool) (partition.Store, error) {
	switch {
	case memory:
		return memStore{memlog.New()}, nil
	case kind != "":
		return s.openKind(kind, spec)
	}
	id := spec.Identity()
	l, err := s.volume.OpenLog(id)
	if err != nil {
		return nil, fmt.Errorf("open the segments of stream %d: %w", id.ID, err)
	}
	return segStore{l}, nil
}

// enterLocked gives a group its place in the journal.
func (s *storage) enterLocked(g *group) {
	if g.memory {
		return
	}
	g.held = s.journal.Group(journal.GroupID(g.spec.ID), g.solo)
	g.solo.Bind(&groupLog{s.journal, g.held, g.solo, g.log}, machine{g, s})
}

// Drop makes an end of a deleted stream's files and its entries.
func (s *storage) Drop(spec *meta.Spec, p *partition.Partition) {
	s.mu.Lock()
	g := s.groups[spec.ID]
	delete(s.groups, spec.ID)
	s.mu.Unlock()
	if g == nil {
		return
	}
	if g.held != nil {
		g.held.Drop()
	}
	if err := p.Drop(); err != nil {
		s.log.Error("files of a deleted stream not removed", "stream", spec.Name, "account", spec.Account, "id", spec.ID, "error", err)
	}
}

// Discard makes an end of the files and the entries of a deleted stream that could not be
// opened. The journal lets go of what it kept for it also where files stay: nobody reads it
// any more. Those files go with the next start.
func (s *storage) Discard(spec *meta.Spec) error {
	s.journal.Forget(journal.GroupID(spec.ID))
	s.kept.Delete(journal.GroupID(spec.ID))
	if err := s.volume.Remove(spec.Identity()); err != nil {
		s.log.Error("files of a deleted stream not removed", "stream", spec.Name, "account", spec.Account, "id", spec.ID, "error", err)
		return fmt.Errorf("remove the files of stream %q: %w", spec.Name, err)
	}
	s.log.Info("stream that could not be opened is deleted", "stream", spec.Name, "account", spec.Account, "id", spec.ID)
	return nil
}

// machine is a partition as its group sees it.
type machine struct {
	g *group
	s *storage
}

func (m machine) Apply(e multiraft.Entry) {
	err := m.g.part.Apply(partition.Entry{Index: e.Index, Term: e.Term, Kind: record.Kind(e.Kind), Data: e.Data, Value: e.Value})
	if err != nil {
		// What follows would be built on a gap. The stream takes nothing more and
		// takes no checkpoint, so that nothing is overwritten; the others go on.
		m.s.log.Error("entry not applied: the stream is closed to writes", "stream", m.g.spec.Name, "account", m.g.spec.Account, "index", e.Index, "error", err)
		m.g.part.Failed(err)
	}
}

func (m machine) Failed(err error) { m.g.part.Failed(err) }

func (m machine) Settled() { m.g.part.Settled() }

func (m machine) Discard(e multiraft.Entry) { m.g.part.Discard(e.Value) }

// proposer is a group as its partition sees it.
type proposer struct{ *multiraft.Solo }

func (p proposer) Propose(kind record.Kind, urgent bool, value any, parts ...[]byte) {
	p.Solo.Propose(uint8(kind), urgent, value, parts...)
}

// groupLog is the journal as a group sees it.
type groupLog struct {
	journal *journal.Journal
	held    *journal.Group
	solo    *multiraft.Solo
	log     *seglog.Log // which has extents for large frames; nil for the catalog
}

func (l *groupLog) Append(term, index uint64, kind uint8, urgent bool, parts ...[]byte) {
	u := journal.Riding
	if urgent {
		u = journal.Urgent
	}
	done, err := l.appendExtent(term, index, kind, u, parts)
	if !done {
		err = l.journal.Append(l.held, term, index, kind, u, parts...)
	}
	if err != nil {
		l.solo.Failed(err)
	}
}

func (l *groupLog) Release(index uint64) { l.held.Release(index) }

// memoryLog is the log of a stream in memory: what is appended is as durable as
// it will ever be.
type memoryLog struct{ solo *multiraft.Solo }

func (l memoryLog) Append(_, index uint64, _ uint8, _ bool, _ ...[]byte) { l.solo.Durable(index) }

func (memoryLog) Release(uint64) {}

// segStore and memStore are the stores as the partition sees them.
type segStore struct{ *seglog.Log }

func (s segStore) Cursor(from uint64) partition.Cursor { return s.Log.Cursor(from) }

type memStore struct{ *memlog.Log }

func (s memStore) Cursor(from uint64) partition.Cursor { return s.Log.Cursor(from) }
