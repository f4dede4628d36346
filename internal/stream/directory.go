package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"golang.org/x/sync/errgroup"
)

// Opener gives a stream's partition its store and its place in the journal. Open
// gets the options with all but those set. Both are called without locks held,
// on the group's goroutine or before the server serves.
type Opener interface {
	Open(spec *meta.Spec, memory bool, o partition.Options) (*partition.Partition, error)
	// Drop removes all files of a stream that is deleted. It may take its time.
	Drop(spec *meta.Spec, p *partition.Partition)
	// Discard is Drop for a stream that is deleted and could not be opened. After an error
	// files of it stay until the next start.
	Discard(spec *meta.Spec) error
}

// Options for New.
type Options struct {
	Catalog *meta.Catalog
	Opener  Opener
	// Compress says how what is stored of a stream is compressed from now on, each
	// time that a configuration takes effect. nil: it never is.
	Compress func(id record.Identity, how string)
	// Space gives an account's subject space, also of one that is not configured: its
	// streams are kept.
	Space func(account string) *broker.Space
	// Budget is what an account may still store, in memory or on disk.
	Budget func(account string, memory bool) partition.Budget
	// Dialects by the name that Config.Dialect has.
	Dialects map[string]Dialect
	// Foreign decodes the Doc of consumers whose dialect is not their stream's, by
	// the name that ConsumerConfig.Dialect has.
	Foreign map[string]func(doc []byte) (any, error)
	// Outlet makes an outlet: each shard, and the journal's goroutine, has its own.
	Outlet func() Outlet
	Shards int
	// Deleted hears of streams that are deleted, with the family that they are of, nil for
	// none. It is called on the journal's goroutine and must not block. nil: nobody does.
	Deleted func(account, name string, m *Member)
	// Batches bound the batches of all streams.
	Batches BatchLimits
	Log     *slog.Logger
}

// Directory holds the streams of all accounts.
type Directory struct {
	// Set at construction.
	o      Options
	log    *slog.Logger
	shards []*Shard
	reap   chan struct{} // deleted has something

	transfers chan transfer

	batches BatchLimits

	// Atomic: bytes of all streams in flight; the whole batches that are being
	// gathered, and their bytes; the flows.
	inFlight, gatherings, gatheredBytes, flows atomic.Int64

	// Only the journal's goroutine.
	publishers map[*broker.Space]*broker.Publisher
	outlet     Outlet
	buf        []byte

	mu sync.Mutex
	// Guarded by mu.
	accounts map[string]map[string]*Stream
	claimed  map[string]*claims          // by account
	reserved map[*Stream][]string        // subjects of streams being made or changed
	creating map[[2]string]chan struct{} // account and name; closed when done
	linking  map[*Stream]*Config         // of streams being made or changed, for their origins
	seeking  map[*copier]struct{}        // copiers whose origin was not there
	serving  bool
	// restoring are streams that are made from backups, by account and name;
	// unrestored those whose restoration a stop of the server ended.
	restoring    map[[2]string]*Stream
	unrestored   []*Stream
	partial      []Part                  // members of families that are not there
	transferring map[string]int          // transfers by account
	stopped      bool                    // no transfer begins any more
	deleted      []*Stream               // whose files are to be removed
	discarded    []*unopened             // whose files are to be removed
	broken       map[[2]string]*unopened // by account and name
	promised     map[string]*promises
}

// New returns a directory without streams; the catalog brings them.
func New(o Options) *Directory {
	d := &Directory{
		o: o, log: o.Log, batches: o.Batches.orDefault(), outlet: o.Outlet(), publishers: map[*broker.Space]*broker.Publisher{},
		accounts: map[string]map[string]*Stream{}, claimed: map[string]*claims{}, reserved: map[*Stream][]string{}, broken: map[[2]string]*unopened{},
		restoring: map[[2]string]*Stream{}, transferring: map[string]int{}, transfers: make(chan transfer, maxTransfers),
		linking: map[*Stream]*Config{}, seeking: map[*copier]struct{}{},
		creating: map[[2]string]chan struct{}{}, promised: map[string]*promises{}, reap: make(chan struct{}, 1),
	}
	for range max(o.Shards, 1) {
		d.shards = append(d.shards, newShard(o.Outlet(), o.Log, time.Now().UnixNano()))
	}
	return d
}

// Run serves the shards until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, sh := range d.shards {
		g.Go(func() error { return sh.Run(ctx) })
	}
	g.Go(func() error { return d.reapDeleted(ctx) })
	for range maxTransfers {
		g.Go(func() error { return d.transfer(ctx) })
	}
	return g.Wait()
}

// reapDeleted removes the files of deleted streams: that may take its time.
func (d *Directory) reapDeleted(ctx context.Context) error {
	for {
		d.dropUnrestored(ctx)
		d.dropPartial(ctx)
		d.mu.Lock()
		gone, discarded := d.deleted, d.discarded
		d.deleted, d.discarded = nil, nil
		d.mu.Unlock()
		for _, u := range discarded {
			u.discard(d.o.Opener)
		}
		for _, s := range gone {
			d.o.Opener.Drop(&s.spec, s.part)
		}
		if len(gone)+len(discarded) > 0 {
			continue
		}
		if ctx.Err() != nil {
			return nil // after a last look
		}
		select {
		case <-d.reap:
		case <-ctx.Done():
		}
	}
}

// Serve begins to capture: replay is over. It makes the consumers that the log
// knows live.
func (d *Directory) Serve() {
	d.settleRestored()
	d.mu.Lock()
	d.serving = true
	var all []*Stream
	for _, m := range d.accounts {
		for _, s := range m {
			all = append(all, s)
		}
	}
	d.mu.Unlock()
	d.findPartial(all)
	for _, s := range all {
		s.revive()
		s.attach()
		s.wake()
	}
}

// Created opens a stream that group 0 knows. It makes the directory a
// meta.Watcher.
func (d *Directory) Created(spec meta.Spec, value any) {
	s, ok := value.(*Stream)
	if !ok {
		var err error
		if s, err = d.open(spec); err != nil {
			d.log.Error("stream not opened", "stream", spec.Name, "account", spec.Account, "id", spec.ID, "error", err)
			d.notOpened(spec, err)
			return
		}
	}
	d.mu.Lock()
	if s.config.Load().Restoring {
		d.restoring[[2]string{spec.Account, spec.Name}] = s
		d.mu.Unlock()
		return
	}
	d.addLocked(s)
	serving := d.serving
	d.mu.Unlock()
	if serving {
		s.attach()
		d.seek(s)
	}
}

// addLocked lets others find a stream.
func (d *Directory) addLocked(s *Stream) {
	m := d.accounts[s.spec.Account]
	if m == nil {
		m = map[string]*Stream{}
		d.accounts[s.spec.Account] = m
	}
	m[s.spec.Name] = s
	d.claimLocked(s)
}

// takeLocked returns a stream of the catalog and lets nobody find it any more; nil
// if it was not opened.
func (d *Directory) takeLocked(spec *meta.Spec) *Stream {
	k := [2]string{spec.Account, spec.Name}
	s := d.restoring[k]
	delete(d.restoring, k)
	if s == nil {
		s = d.accounts[spec.Account][spec.Name]
		delete(d.accounts[spec.Account], spec.Name)
		if s != nil {
			d.unclaimLocked(s)
		}
	}
	return s
}

// Reconfigured gives a stream in memory, in replay, the configuration that it had
// last. While the server serves, whoever changes it does so.
func (d *Directory) Reconfigured(spec meta.Spec) {
	d.mu.Lock()
	s := d.accounts[spec.Account][spec.Name]
	if r := d.restoring[[2]string{spec.Account, spec.Name}]; r != nil {
		s = r
	}
	serving := d.serving
	d.mu.Unlock()
	if s == nil || serving || !s.config.Load().Memory {
		return
	}
	c, err := decodeConfig(spec.Config)
	if err == nil {
		err = s.part.ProposeLimits(c.Limits, spec.Config, newWaiter())
	}
	if err != nil {
		d.log.Error("configuration not restored", "stream", spec.Name, "account", spec.Account, "error", err)
	}
}

// Dropped closes a stream that is deleted.
func (d *Directory) Dropped(spec meta.Spec) {
	if d.droppedUnopened(&spec) {
		return
	}
	d.mu.Lock()
	s := d.takeLocked(&spec)
	d.mu.Unlock()
	if s == nil {
		return
	}
	s.closed.Store(true)
	s.dropped.Store(true)
	s.detach()
	if d.o.Deleted != nil {
		d.o.Deleted(spec.Account, spec.Name, s.Config().Member)
	}
	s.tellFollowers()
	s.tail.wake()
	for _, c := range s.Consumers() {
		s.consumerDropped(c.Name(), c.id)
	}
	s.endBatches(nil)
	s.shard.post(event{kind: evForget, stream: s})
	s.part.Retire(func() {
		d.mu.Lock()
		d.deleted = append(d.deleted, s)
		d.mu.Unlock()
		d.wantReap()
	})
}

// wantReap wakes the goroutine that removes what is left of streams.
func (d *Directory) wantReap() {
	select {
	case d.reap <- struct{}{}:
	default:
	}
}

// open makes the stream of a spec, with what is stored of it.
func (d *Directory) open(spec meta.Spec) (*Stream, error) {
	cfg, err := decodeConfig(spec.Config)
	if err != nil {
		return nil, err
	}
	cfg.Doc = within(spec.Config, cfg.Doc)
	dialect := d.o.Dialects[cfg.Dialect]
	if dialect == nil {
		return nil, fmt.Errorf("stream %q is of the dialect %q, which this server does not speak", spec.Name, cfg.Dialect)
	}
	space := d.o.Space(spec.Account)
	s := &Stream{
		spec: spec, dir: d, dialect: dialect, space: space,
		shard:     d.shards[spec.ID%uint64(len(d.shards))],
		consumers: map[string]*Consumer{}, creating: map[string]chan struct{}{}, updating: make(chan struct{}, 1),
	}
	s.interested = func(reply string) bool { return space.Interested([]byte(reply)) }
	s.ledger = &ledger{stream: s, by: map[uint64]*applied{}, names: map[string]uint64{}}
	if err := s.setConfig(cfg); err != nil {
		return nil, err
	}
	s.part, err = d.o.Opener.Open(&spec, cfg.Memory, partition.Options{
		Identity: spec.Identity(), Limits: cfg.Limits, First: cfg.First,
		Ledger: s.ledger, Observer: s, Order: dialect.Order(), Totals: dialect.Totals(),
		Budget: d.o.Budget(spec.Account, cfg.Memory),
	})
	if err != nil {
		return nil, err
	}
	s.ledger.log = s.part
	s.closed.Store(s.config.Load().Restoring)
	s.compress()
	return s, nil
}

// Create makes a stream. It returns when that is durable. Where another creation
// of that name is under way it waits for it, and then gives ErrExists.
func (d *Directory) Create(ctx context.Context, account string, c Config) (*Stream, error) {
	done, err := d.reserveName(ctx, account, c.Name)
	if err != nil {
		return nil, err
	}
	defer done()
	spec := meta.Spec{
		ID: d.o.Catalog.NextID(), Incarnation: 1, Account: account, Name: c.Name,
		Created: time.Now().UnixNano(), Config: encodeConfig(&c),
	}
	s, err := d.open(spec)
	if err != nil {
		return nil, err
	}
	if err := d.reserveSubjects(account, s, c.captures()); err != nil {
		d.o.Opener.Drop(&spec, s.part)
		return nil, err
	}
	defer d.releaseSubjects(s)
	if err := d.reserveOrigins(s, &c); err != nil {
		d.o.Opener.Drop(&spec, s.part)
		return nil, err
	}
	defer d.releaseOrigins(s)
	err = d.o.Catalog.Create(ctx, spec, s)
	if err == nil {
		return s, nil
	}
	if errors.Is(err, meta.ErrExists) {
		d.o.Opener.Drop(&spec, s.part)
		return nil, ErrExists
	}
	// The outcome is unknown: the stream may still come to be.
	return nil, fmt.Errorf("create stream %q: %w", c.Name, err)
}

// reserveName claims a name for a creation until done is called.
func (d *Directory) reserveName(ctx context.Context, account, name string) (done func(), err error) {
	k := [2]string{account, name}
	for {
		d.mu.Lock()
		if d.takenLocked(account, name) || d.restoring[k] != nil {
			d.mu.Unlock()
			return nil, ErrExists
		}
		other := d.creating[k]
		if other == nil {
			break
		}
		d.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the creation of stream %q: %w", name, ctx.Err())
		}
	}
	mine := make(chan struct{})
	d.creating[k] = mine
	d.mu.Unlock()
	return func() {
		d.mu.Lock()
		delete(d.creating, k)
		d.mu.Unlock()
		close(mine)
	}, nil
}

// Drop deletes a stream for good. It returns when that is durable.
func (d *Directory) Drop(ctx context.Context, s *Stream) error {
	if d.Find(s.spec.Account, s.spec.Name) != s {
		return ErrNotFound
	}
	return d.o.Catalog.Drop(ctx, s.spec.ID)
}

// Find returns a stream by name, nil if there is none.
func (d *Directory) Find(account, name string) *Stream {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.accounts[account][name]
}

// List returns an account's streams by name; all accounts' if account is empty.
func (d *Directory) List(account string) []*Stream {
	d.mu.Lock()
	var out []*Stream
	for name, m := range d.accounts {
		if account != "" && account != name {
			continue
		}
		for _, s := range m {
			out = append(out, s)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(out, func(a, b *Stream) int {
		return cmp.Or(strings.Compare(a.Account(), b.Account()), strings.Compare(a.Name(), b.Name()))
	})
	return out
}

// Quiesce stops capturing, waits until every stream has answered what it took,
// and tells those who wait for messages that the server stops; or ctx ends.
func (d *Directory) Quiesce(ctx context.Context) error {
	all := d.List("")
	for _, s := range all {
		s.closed.Store(true)
		s.detach()
	}
	for _, s := range all {
		w := newWaiter()
		if err := s.part.Barrier(w.fail); err != nil {
			continue // its log has failed: there is nothing to wait for
		}
		if err := w.wait(ctx); err != nil && ctx.Err() != nil {
			return fmt.Errorf("wait for stream %q: %w", s.Name(), err)
		}
	}
	for _, sh := range d.shards {
		w := newWaiter()
		sh.post(event{kind: evCall, call: func(int64) {
			sh.sayGoodbye()
			w.finish()
		}})
		if err := w.wait(ctx); err != nil {
			return fmt.Errorf("end the requests for messages: %w", err)
		}
	}
	return nil
}

// journalPublisher is the publisher of an account for the journal's goroutine.
func (d *Directory) journalPublisher(space *broker.Space) *broker.Publisher {
	p := d.publishers[space]
	if p == nil {
		p = broker.NewPublisher(space, broker.PublisherOptions{Echo: true})
		d.publishers[space] = p
	}
	return p
}

// journalAnswer writes a batch's replies on the journal's goroutine.
func (d *Directory) journalAnswer(b *staged) {
	d.buf = b.answer(d.journalPublisher(b.stream.space), d.buf)
}

// journalAcked confirms acknowledgements on the journal's goroutine; for a stream
// in memory the shard does it, since its entries are applied elsewhere.
func (d *Directory) journalAcked(s *Stream, replies [][]byte) {
	if s.config.Load().Memory {
		s.shard.post(event{kind: evCall, call: func(int64) {
			for _, r := range replies {
				s.shard.outlet.Acked(s.shard.publisher(s.space), r)
			}
		}})
		return
	}
	p := d.journalPublisher(s.space)
	for _, r := range replies {
		d.outlet.Acked(p, r)
	}
}

// Usage sums up what an account has.
type Usage struct {
	Streams, Consumers int
	Memory, Storage    uint64 // bytes
}

// Usage returns what an account's streams hold. It looks at each of them.
func (d *Directory) Usage(account string) Usage {
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.accounts[account]))
	d.mu.Unlock()
	u := Usage{Streams: len(all)}
	for _, s := range all {
		u.Consumers += int(s.delivers.Load())
		if b := s.part.Status().Bytes; s.Config().Memory {
			u.Memory += b
		} else {
			u.Storage += b
		}
	}
	return u
}

var _ consumer.Source = (*source)(nil)
