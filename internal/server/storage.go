package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/vfs"
)

// metaGroup is the journal's number of group 0, the catalog of streams.
const metaGroup = journal.GroupID(1)

// tailCache is how many bytes of the newest records are read from memory. More
// would not stay in the processor's caches while records are written.
const tailCache = 8 << 20

// flushBytes is how much of a stream waits in memory to be written behind the
// journal at once: each such write makes the journal's next sync slower, however
// long it is. What waits in all is bounded by the length of the journal.
const flushBytes = 4 << 20

// storageOptions for openStorage.
type storageOptions struct {
	FS   vfs.FS
	Dir  string
	Sync journal.Policy
	Log  *slog.Logger
	// ScrubRate in bytes a second, 0 for none, and the time from one pass to the next.
	ScrubRate     int64
	ScrubInterval time.Duration
	// ReclaimRate is in bytes a second that are read or written to compact streams and
	// to give the space of removed messages back; ReclaimFrom how many bytes that is to
	// save. 0: the defaults.
	ReclaimRate, ReclaimFrom int64

	Encryption  EncryptionConfig
	Compression atrest.Compression // of streams whose own is none

	// ExtentFrom is from how many bytes on a frame is written to an extent. 0: the
	// default; below 0: none is.
	ExtentFrom int64

	// Lock is the lock on the directory, where somebody holds it already.
	Lock io.Closer
	// OnDamage lets what is left of a damaged journal be used. nil: it is refused.
	OnDamage func(*journal.DamageError) error
	// OnLost is told what a journal whose damage was accepted has lost.
	OnLost func(id, first, last uint64)
}

// storage is the node's disk: the lock on the directory, the journal, the
// segments, and the groups whose entries the journal has.
type storage struct {
	// Set at construction.
	o       storageOptions
	log     *slog.Logger
	disk    vfs.FS // o.FS encrypts what it creates, where there is a key; this does not
	keys    *atrest.Keyring
	lock    io.Closer
	journal *journal.Journal
	volume  *seglog.Volume
	catalog *meta.Catalog
	metaRun *multiraft.Solo
	indexes *indexes
	squeeze chan struct{} // the journal is too long
	room    *room
	scrub   *scrubber
	reclaim *reclaimer
	// born says that there is no checkpoint of the catalog; firstMeta is the index of
	// its first entry in the journal, 0 for none. Only recover uses them.
	born      bool
	firstMeta uint64
	ready     bool      // all was replayed: a checkpoint of it may be taken
	gone      []missing // extents that were not found while recovering

	kept sync.Map // by group: it was said that the journal is kept for it

	mu sync.Mutex
	// Guarded by mu.
	groups map[uint64]*group // by partition
	held   *journal.Group    // of group 0
}

// group is a partition with its place in the journal.
type group struct {
	spec   *meta.Spec
	solo   *multiraft.Solo
	part   *partition.Partition
	log    *seglog.Log // nil for memory
	index  *index      // nil for memory
	memory bool
	held   *journal.Group // nil until the journal is open, and for memory
	// covered is the index up to which its checkpoint had all when it was opened.
	covered uint64
}

// openStorage locks the directory and opens what does not need the streams.
func openStorage(o storageOptions) (*storage, error) {
	if err := makeDir(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := o.lock()
	if err != nil {
		return nil, err
	}
	s := &storage{
		o: o, log: o.Log, lock: lock, catalog: meta.NewCatalog(), metaRun: multiraft.NewSolo(),
		squeeze: make(chan struct{}, 1), groups: map[uint64]*group{}, room: newRoom(o.FS, o.Dir),
		indexes: newIndexes(),
	}
	s.scrub = &scrubber{catalog: s.catalog, log: o.Log, rate: o.ScrubRate, interval: o.ScrubInterval}
	s.reclaim = newReclaimer(s, cmp.Or(o.ReclaimRate, defaultReclaimRate))
	if err := s.openKeys(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.volume, err = seglog.Open(seglog.VolumeOptions{
		Keys: s.keys, Compression: o.Compression,
		FS: o.FS, Dir: o.Dir, TailCache: tailCache, FlushBytes: flushBytes, ReclaimFrom: o.ReclaimFrom, ExtentFrom: o.extentFrom(), Log: o.Log, OnDamage: s.scrub.found,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the segments: %w", err), lock.Close())
	}
	s.metaRun.Bind(nil, metaMachine{s})
	return s, nil
}

// lock keeps other servers away from the directory.
func (o *storageOptions) lock() (io.Closer, error) {
	if o.Lock != nil {
		return o.Lock, nil
	}
	lock, err := o.FS.Lock(path.Join(o.Dir, LockFile))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("data directory %s is in use by another server: stop it, or choose another with -sd", o.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return lock, nil
}

// recover reads the catalog and replays the journal. The watcher opens streams
// through the storage meanwhile.
func (s *storage) recover(w meta.Watcher) (err error) {
	defer func() { err = withRemedy(err) }()
	s.catalog.Start(metaProposer{s.metaRun}, w)
	identity, err := s.identity()
	if err != nil {
		return err
	}
	if err := s.restoreCatalog(); err != nil {
		return err
	}
	s.journal, err = journal.Open(journal.Options{
		FS: s.disk, Dir: path.Join(s.o.Dir, "journal"), Sync: s.o.Sync, Identity: identity,
		OnPressure: s.pressed, OnDamage: s.o.OnDamage, Keys: s.keys, Fetch: s.fetch, Log: s.log,
		OwnThread: true,
	}, s.replay)
	if err != nil {
		return fmt.Errorf("recover the journal: %w", err)
	}
	if err := s.missingExtents(); err != nil {
		return err
	}
	if err := s.wholeCatalog(); err != nil {
		return err
	}
	if err := s.kindsThere(); err != nil {
		return err
	}
	s.ready = true
	s.mu.Lock()
	s.held = s.journal.Group(metaGroup, s.metaRun)
	s.metaRun.Bind(&groupLog{s.journal, s.held, s.metaRun, nil}, metaMachine{s})
	for _, g := range s.groups {
		s.enterLocked(g)
	}
	s.mu.Unlock()
	for _, id := range s.journal.Unclaimed() {
		if _, there := s.catalog.Stream(uint64(id)); !there {
			s.journal.Forget(id) // a stream that was deleted
		}
	}
	if err := s.removeOrphans(); err != nil {
		return err
	}
	s.tend(context.Background())
	return nil
}

// removeOrphans removes what a crash between the deletion of a stream and that of
// its files left. A directory whose stream the catalog never heard of stays.
func (s *storage) removeOrphans() error {
	ids, err := s.volume.Logs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !s.catalog.Dropped(id.ID) {
			continue
		}
		err := s.volume.Remove(id)
		if errors.Is(err, seglog.ErrOpen) {
			continue // its deletion was replayed, and is not finished with it yet
		}
		if err != nil {
			s.log.Warn("files of a deleted stream stay", "id", id.ID, "error", err)
			continue
		}
		s.log.Info("files of a deleted stream removed", "id", id.ID)
	}
	return nil
}

// replay gives a journal's entry to its group. One of a group that nobody knows
// belongs to a stream that was deleted later.
func (s *storage) replay(e journal.Entry) error {
	entry := multiraft.Entry{Term: e.Term, Index: e.Index, Kind: e.Kind, Data: e.Data}
	if e.Group == metaGroup {
		if s.firstMeta == 0 {
			s.firstMeta = e.Index
		}
		s.metaRun.Replay(entry)
		return nil
	}
	s.mu.Lock()
	g := s.groups[uint64(e.Group)]
	s.mu.Unlock()
	if g != nil {
		g.solo.Replay(entry)
	}
	return nil
}

// identity is the number of the data directory, made at its first use: journal files of
// another one are refused. Where its file is lost, the journal's files tell it: they are all
// of one directory, or refused.
func (s *storage) identity() (uint64, error) {
	name := path.Join(s.o.Dir, IdentityFile)
	b, err := vfs.ReadFile(s.disk, name)
	why := "is missing"
	switch {
	case err == nil && len(b) == IdentitySize:
		return binary.LittleEndian.Uint64(b), nil
	case err == nil:
		why = fmt.Sprintf("has %d bytes, not %d", len(b), IdentitySize)
	case !errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("read the identity: %w", err)
	}
	lost := err == nil
	id, told, err := journal.AgreedIdentity(s.disk, path.Join(s.o.Dir, JournalDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s %s, and the journal does not tell it: %w", name, why, err)
	}
	if names, lerr := s.o.FS.List(path.Join(s.o.Dir, JournalDir)); lerr == nil && len(names) > 0 {
		lost = true
	}
	switch {
	case told:
		s.log.Warn("identity of the data directory restored from its journal", "file", name, "error", why)
	case lost:
		return 0, fmt.Errorf("%s %s, and no file of the journal tells it: %w", name, why, record.ErrDamaged)
	default:
		if id, err = drawIdentity(); err != nil {
			return 0, err
		}
	}
	if err := writeFile(s.disk, name, binary.LittleEndian.AppendUint64(nil, id)); err != nil {
		return 0, fmt.Errorf("write the identity: %w", err)
	}
	return id, nil
}

// withRemedy says beside an error of a damaged directory what can be done.
func withRemedy(err error) error {
	if errors.Is(err, record.ErrDamaged) || errors.Is(err, journal.ErrForeign) {
		return fmt.Errorf("%w (weir check tells all that is damaged, weir repair saves what can be)", err)
	}
	return err
}

func drawIdentity() (uint64, error) {
	b := make([]byte, IdentitySize)
	if _, err := rand.Read(b); err != nil {
		return 0, fmt.Errorf("make an identity: %w", err)
	}
	return binary.LittleEndian.Uint64(b), nil
}

// err is why the storage takes nothing any more; nil while it works.
func (s *storage) err() error {
	if s.journal == nil {
		return nil
	}
	return errors.Join(s.journal.Err(), s.volume.Err())
}

func (s *storage) wantCheckpoint() {
	select {
	case s.squeeze <- struct{}{}:
	default:
	}
}

// checkpointEvery is how often quiet streams are looked at for a checkpoint.
const checkpointEvery = 5 * time.Minute

// run takes checkpoints, merges the runs of the subject indexes, and compacts and
// reclaims, until ctx ends.
func (s *storage) run(ctx context.Context) error {
	var tending sync.WaitGroup
	tending.Go(func() { s.indexes.merge(ctx) })
	tending.Go(func() { s.saveCrowds(ctx) })
	tending.Go(func() { s.reclaim.run(ctx) })
	defer tending.Wait()
	t := time.NewTicker(checkpointEvery)
	defer t.Stop()
	tight := time.NewTicker(tightEvery)
	defer tight.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.squeeze:
		case <-t.C:
		case <-tight.C:
			s.tend(ctx)
			continue
		}
		s.relieve(ctx)
	}
}

// relieve checkpoints the groups that hold the oldest journal files back, until
// it is short enough.
func (s *storage) relieve(ctx context.Context) {
	for ctx.Err() == nil {
		p := s.journal.Pressure()
		if p.Files < 2 || p.Unreleased < p.Max/2 && p.NoSpace == nil && !p.Cheap() {
			return
		}
		s.relieveOldest(ctx, p.Oldest)
		if s.journal.Pressure().Files >= p.Files {
			return
		}
	}
}

// relieveOldest checkpoints groups, some at a time for as long as the pressure is what
// it is.
func (s *storage) relieveOldest(ctx context.Context, ids []journal.GroupID) {
	const turn = 32
	for len(ids) > 0 && ctx.Err() == nil {
		p := s.journal.Pressure()
		n := min(turn, len(ids))
		s.checkpointMany(ids[:n], relievers(len(ids), &p), s.checkpointFailed)
		ids = ids[n:]
	}
}

// errNotOpen says that a stream is there which could not be opened. What only the
// journal has of it is kept there, with all that was written since, until it can be.
var errNotOpen = errors.New("the journal is kept for a stream that is not open")

// checkpoint makes one group's state durable outside the journal.
func (s *storage) checkpoint(id journal.GroupID) error {
	if id == metaGroup {
		return s.saveCatalog()
	}
	s.mu.Lock()
	g := s.groups[uint64(id)]
	s.mu.Unlock()
	if g != nil {
		return g.part.Checkpoint()
	}
	if spec, there := s.catalog.Stream(uint64(id)); there {
		return fmt.Errorf("%w: stream %q of account %s", errNotOpen, spec.Name, spec.Account)
	}
	s.journal.Forget(id)
	return nil
}

// close checkpoints everything, so that a restart has nothing to replay, and
// gives the directory back.
func (s *storage) close() error {
	var errs []error
	if s.journal != nil {
		if s.ready && s.err() == nil {
			errs = append(errs, s.checkpointAll())
		}
		errs = append(errs, s.journal.Close())
	}
	s.mu.Lock()
	groups := s.groups
	s.groups = map[uint64]*group{}
	s.mu.Unlock()
	for _, g := range groups {
		errs = append(errs, g.part.Close())
	}
	return errors.Join(append(errs, s.volume.Close(), s.lock.Close())...)
}

// relieversFew and saversMost are how many checkpoints are taken at a time while the
// server runs and when it ends: the file system makes the syncs of many durable at once.
const relieversFew, saversMost = 4, 16

// relievers is how many checkpoints of some are taken at a time while the server runs,
// under a pressure. Every sync of a checkpoint delays those of the journal, for which
// publishers wait, and the more there are at once the more of the processors each takes:
// so it is one as long as that suffices, and more where the journal grows meanwhile. Of
// many small streams each waits for its syncs most of the time; few large ones would
// only be in each other's way.
func relievers(groups int, p *journal.Pressure) int {
	const each = 16
	switch over := p.Unreleased - p.Max; {
	case p.NoSpace != nil || over >= p.Max/2:
		return min(max(relieversFew, groups/each), saversMost)
	case over >= p.Max/4:
		return relieversFew
	}
	return 1
}

// checkpointAll checkpoints all that has changed.
func (s *storage) checkpointAll() error {
	s.mu.Lock()
	var all []journal.GroupID
	for id, g := range s.groups {
		if !g.memory && !g.part.Clean() {
			all = append(all, journal.GroupID(id))
		}
	}
	s.mu.Unlock()
	var mu sync.Mutex
	var errs []error
	s.checkpointMany(all, saversMost, func(_ journal.GroupID, err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	})
	return errors.Join(append(errs, s.saveCatalog())...)
}

// checkpointMany checkpoints groups, so many at a time, and tells failed of each that
// could not be; calls may come at the same time.
func (s *storage) checkpointMany(ids []journal.GroupID, most int, failed func(journal.GroupID, error)) {
	var g errgroup.Group
	g.SetLimit(most)
	for _, id := range ids {
		g.Go(func() error {
			if err := s.checkpoint(id); err != nil {
				failed(id, err)
			}
			return nil
		})
	}
	_ = g.Wait() // failed has them
}
