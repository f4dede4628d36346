package streamtest

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/memlog"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/vfs"
)

// metaGroup is the journal's number of group 0.
const metaGroup = journal.GroupID(1)

const dataDir = "data"

// disk is a data directory: a journal, segments, and the groups on them. The
// catalog is never checkpointed: the journal keeps all of it.
type disk struct {
	fs      vfs.FS
	log     *slog.Logger
	journal *journal.Journal
	volume  *seglog.Volume
	catalog *meta.Catalog
	metaRun *multiraft.Solo

	mu     sync.Mutex
	groups map[uint64]*group
}

type group struct {
	disk   *disk
	id     uint64
	solo   *multiraft.Solo
	part   *partition.Partition
	memory bool
	held   *journal.Group
}

func openDisk(fs vfs.FS, log *slog.Logger) (*disk, error) {
	if err := errors.Join(fs.MkdirAll(dataDir), fs.SyncDir(".")); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	d := &disk{fs: fs, log: log, catalog: meta.NewCatalog(), metaRun: multiraft.NewSolo(), groups: map[uint64]*group{}}
	var err error
	d.volume, err = seglog.Open(seglog.VolumeOptions{FS: fs, Dir: dataDir, FlushBytes: 4 << 10, SegmentBytes: 64 << 10, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the segments: %w", err)
	}
	d.metaRun.Bind(nil, metaMachine{d})
	return d, nil
}

// recover replays the journal; the watcher opens streams meanwhile.
func (d *disk) recover(w meta.Watcher) error {
	d.catalog.Start(proposer{d.metaRun}, w)
	j, err := journal.Open(journal.Options{FS: d.fs, Dir: dataDir + "/journal", FileSize: 1 << 20, Identity: 7, Log: d.log}, d.replay)
	if err != nil {
		return fmt.Errorf("recover the journal: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.journal = j
	d.metaRun.Bind(&groupLog{j, j.Group(metaGroup, d.metaRun), d.metaRun}, metaMachine{d})
	for _, g := range d.groups {
		d.enterLocked(g)
	}
	for _, id := range j.Unclaimed() {
		j.Forget(id)
	}
	return nil
}

func (d *disk) replay(e journal.Entry) error {
	entry := multiraft.Entry{Term: e.Term, Index: e.Index, Kind: e.Kind, Data: e.Data}
	if e.Group == metaGroup {
		d.metaRun.Replay(entry)
		return nil
	}
	d.mu.Lock()
	g := d.groups[uint64(e.Group)]
	d.mu.Unlock()
	if g != nil {
		g.solo.Replay(entry)
	}
	return nil
}

// Open makes the disk a stream.Opener.
func (d *disk) Open(spec *meta.Spec, memory bool, o partition.Options) (*partition.Partition, error) {
	g := &group{disk: d, id: spec.ID, solo: multiraft.NewSolo(), memory: memory}
	if memory {
		o.Store = memStore{memlog.New()}
	} else {
		l, err := d.volume.OpenLog(spec.Identity())
		if err != nil {
			return nil, err
		}
		o.Store = segStore{l}
	}
	o.Proposer = proposer{g.solo}
	var err error
	if g.part, err = partition.New(o); err != nil {
		return nil, errors.Join(err, o.Store.Close())
	}
	g.solo.StartAt(g.part.Index())
	g.solo.Bind(memoryLog{g.solo}, machine{g})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[spec.ID] = g
	if d.journal != nil {
		d.enterLocked(g)
	}
	return g.part, nil
}

func (d *disk) enterLocked(g *group) {
	if !g.memory {
		g.held = d.journal.Group(journal.GroupID(g.id), g.solo)
		g.solo.Bind(&groupLog{d.journal, g.held, g.solo}, machine{g})
	}
}

// Drop makes an end of a stream's files and its entries.
func (d *disk) Drop(spec *meta.Spec, p *partition.Partition) {
	d.mu.Lock()
	g := d.groups[spec.ID]
	delete(d.groups, spec.ID)
	d.mu.Unlock()
	if g != nil && g.held != nil {
		g.held.Drop()
	}
	if err := p.Drop(); err != nil {
		d.log.Error("files not removed", "stream", spec.Name, "error", err)
	}
}

// Discard makes an end of the files and the entries of a stream that could not be opened.
func (d *disk) Discard(spec *meta.Spec) error {
	d.journal.Forget(journal.GroupID(spec.ID))
	return d.volume.Remove(spec.Identity())
}

func (d *disk) all() []*group {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*group
	for _, g := range d.groups {
		out = append(out, g)
	}
	return out
}

func (d *disk) checkpoint() error {
	var errs []error
	for _, g := range d.all() {
		if !g.memory {
			errs = append(errs, g.part.Checkpoint())
		}
	}
	return errors.Join(errs...)
}

func (d *disk) close() error {
	errs := []error{d.journal.Close()}
	for _, g := range d.all() {
		errs = append(errs, g.part.Close())
	}
	return errors.Join(append(errs, d.volume.Close())...)
}

// machine is a partition as its group sees it.
type machine struct{ g *group }

func (m machine) Apply(e multiraft.Entry) {
	err := m.g.part.Apply(partition.Entry{Index: e.Index, Term: e.Term, Kind: record.Kind(e.Kind), Data: e.Data, Value: e.Value})
	if err != nil {
		m.g.disk.log.Error("entry not applied", "group", m.g.id, "index", e.Index, "error", err)
		m.g.part.Failed(err)
	}
}
func (m machine) Failed(err error)          { m.g.part.Failed(err) }
func (m machine) Settled()                  { m.g.part.Settled() }
func (m machine) Discard(e multiraft.Entry) { m.g.part.Discard(e.Value) }

// metaMachine is the catalog as its group sees it.
type metaMachine struct{ *disk }

func (m metaMachine) Apply(e multiraft.Entry) {
	if err := m.catalog.Apply(e.Index, record.Kind(e.Kind), e.Data, e.Value); err != nil {
		m.log.Error("entry of the catalog not applied", "index", e.Index, "error", err)
	}
}
func (m metaMachine) Failed(err error)        { m.catalog.Failed(err) }
func (m metaMachine) Settled()                {}
func (m metaMachine) Discard(multiraft.Entry) {}

type proposer struct{ *multiraft.Solo }

func (p proposer) Propose(kind record.Kind, urgent bool, value any, parts ...[]byte) {
	p.Solo.Propose(uint8(kind), urgent, value, parts...)
}

type groupLog struct {
	journal *journal.Journal
	held    *journal.Group
	solo    *multiraft.Solo
}

func (l *groupLog) Append(term, index uint64, kind uint8, urgent bool, parts ...[]byte) {
	u := journal.Riding
	if urgent {
		u = journal.Urgent
	}
	if err := l.journal.Append(l.held, term, index, kind, u, parts...); err != nil {
		l.solo.Failed(err)
	}
}
func (l *groupLog) Release(index uint64) { l.held.Release(index) }

type memoryLog struct{ solo *multiraft.Solo }

func (l memoryLog) Append(_, index uint64, _ uint8, _ bool, _ ...[]byte) { l.solo.Durable(index) }
func (memoryLog) Release(uint64)                                         {}

type segStore struct{ *seglog.Log }

func (s segStore) Cursor(from uint64) partition.Cursor { return s.Log.Cursor(from) }

type memStore struct{ *memlog.Log }

func (s memStore) Cursor(from uint64) partition.Cursor { return s.Log.Cursor(from) }
