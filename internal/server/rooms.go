package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/broker"
	jsdoor "github.com/weirmq/weir/internal/door/jetstream"
	leafdoor "github.com/weirmq/weir/internal/door/leaf"
	liftdoor "github.com/weirmq/weir/internal/door/liftbridge"
	natsdoor "github.com/weirmq/weir/internal/door/nats"
	standoor "github.com/weirmq/weir/internal/door/stan"
	"github.com/weirmq/weir/internal/door/stan/remote"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/poller"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/vfs"
	wirejs "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/nats"
	"golang.org/x/sync/errgroup"
)

// Version is Weir's own version. NATSVersion is the level of NATS that clients
// gate their features by.
const (
	Version     = "0.1.0-dev"
	NATSVersion = "2.14.0"
)

// rooms are all rooms of a running server, in the order in which they are built.
type rooms struct {
	// Set at construction.
	log     *slog.Logger
	id      string // server_id
	name    string
	started time.Time

	accounts *account.Registry
	workers  *broker.Workers
	spaces   *broker.Spaces
	links    links
	budgets  *budgets
	storage  *storage // nil without streams
	alarms   *alarms  // nil without JetStream or a system account
	streams  *stream.Directory
	js       *jsdoor.Door // nil without JetStream
	stan     *standoor.Door
	// stanAccount is where stan serves; stanRemote where its clients are, if not there.
	stanAccount string
	stanRemote  *remote.Client
	lift        *liftdoor.Door // nil without streams
	keeper      atomic.Pointer[auth.Authenticator]
	poller      *poller.Poller // nil where the system has none
	help        journalHelp    // of its loops
	nats        *natsdoor.Door
	leaf        *leafdoor.Door // nil: this server is nobody's leaf node

	liftAccount, liftAddr string // of the door for Liftbridge's clients
	liftTLS               atomic.Pointer[tls.Config]

	cpu     cpuMeter
	running *errgroup.Group // what runs in the background
	stop    context.CancelFunc
	ended   []func() // what door/jetstream has to be told at the end
}

// serviceWorkers is how many requests to services are handled at a time.
const serviceWorkers = 16

// build makes the rooms for a configuration. Nothing is served yet.
func build(c *Config, log *slog.Logger) (*rooms, error) { return buildOn(vfs.OS{}, c, log) }

// buildOn is build with the data directory on a given file system.
func buildOn(disk vfs.FS, c *Config, log *slog.Logger) (*rooms, error) {
	r, err := newRooms(c, log)
	if err != nil {
		return nil, err
	}
	r.poller, err = poller.Open(pollers(), func() poller.Round { return new(broker.Round) }, &r.help)
	if err != nil && !errors.Is(err, poller.ErrUnsupported) {
		return nil, errors.Join(err, r.close(context.Background()))
	}
	if c.stores() {
		if err := r.buildStreams(disk, c); err != nil {
			return nil, errors.Join(err, r.close(context.Background()))
		}
	}
	if err := errors.Join(r.buildNATS(c), r.buildLeaf(c)); err != nil {
		return nil, errors.Join(err, r.close(context.Background()))
	}
	return r, nil
}

// newRooms makes the rooms that need neither disk nor network.
func newRooms(c *Config, log *slog.Logger) (*rooms, error) {
	key, err := nkeys.CreateServer()
	if err != nil {
		return nil, fmt.Errorf("make a server key: %w", err)
	}
	id, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("make a server key: %w", err)
	}
	r := &rooms{log: log, id: id, name: c.ServerName, started: time.Now(), accounts: c.accountRegistry(), cpu: cpuMeter{at: time.Now()}}
	if r.name == "" {
		r.name = id
	}
	r.workers = broker.NewWorkers(serviceWorkers, 0)
	r.spaces = broker.NewSpaces(r.workers)
	if err := r.link(c.SystemAccount); err != nil {
		return nil, errors.Join(err, r.close(context.Background()))
	}
	return r, nil
}

// buildStreams opens the data directory and what works on it.
func (r *rooms) buildStreams(disk vfs.FS, c *Config) error {
	js := &c.JetStream
	return r.openStreams(c, storageOptions{
		FS: disk, Dir: js.StoreDir, Sync: syncPolicy(js.SyncInterval), Log: r.log,
		ScrubRate: js.ScrubRate, ScrubInterval: js.ScrubInterval, ReclaimRate: js.ReclaimRate, ReclaimFrom: js.ReclaimFrom,
		Encryption: js.Encryption, Compression: js.Compression, ExtentFrom: js.ExtentFrom,
	})
}

func (r *rooms) openStreams(c *Config, o storageOptions) error {
	js := &c.JetStream
	if err := refuseOldStore(o.FS, o.Dir); err != nil {
		return err
	}
	s, err := openStorage(o)
	if err != nil {
		return err
	}
	r.storage = s
	r.budgets = newBudgets(js.MaxFile, js.MaxMemory, &s.room.full, r.accountLimits)
	if c.Stan.Enabled {
		if err := r.buildStan(c); err != nil {
			return err
		}
	}
	r.streams = stream.New(stream.Options{
		Catalog: s.catalog, Opener: s, Compress: s.compress, Space: r.spaces.Get, Budget: r.budgets.of, Batches: js.Batches,
		Dialects: map[string]stream.Dialect{jsdoor.DialectName: jsdoor.Dialect{Domain: js.Domain}, liftdoor.DialectName: liftDialect(c)},
		Foreign:  map[string]func([]byte) (any, error){standoor.DialectName: standoor.OpenConsumer},
		Outlet:   func() stream.Outlet { return r.newOutlet(js.Domain) },
		Shards:   runtime.NumCPU(), Log: r.log, Deleted: r.streamDeleted,
	})
	if js.Enabled {
		r.js = jsdoor.New(jsdoor.Options{
			ServerName: r.name, Domain: js.Domain, Version: NATSVersion, Strict: js.Strict, MaxPayload: c.MaxPayload,
			MaxRequestBatch: js.MaxRequestBatch, MaxAckPending: js.MaxAckPending, DuplicateWindow: js.DuplicateWindow, Log: r.log,
			Restored: liftdoor.Restored,
		})
		r.js.Start(r.streams)
		r.alarms = r.newAlarms(c)
	}
	if err := s.recover(r.streams); err != nil {
		return err
	}
	r.help.journal.Store(s.journal)
	for _, spec := range s.catalog.Streams() {
		if r.accounts.Find(spec.Account) == nil {
			r.log.Warn("stream of an account that is not configured: it is kept, but nobody reaches it", "stream", spec.Name, "account", spec.Account)
		}
	}
	if err := s.removeKindOrphans(); err != nil {
		return fmt.Errorf("look for what deleted streams have left: %w", err)
	}
	return r.buildLiftbridge(c)
}

// space finds the subject space of a configured account.
func (r *rooms) space(name string) *broker.Space {
	if r.accounts.Find(name) == nil {
		return nil
	}
	return r.spaces.Get(name)
}

func (r *rooms) accountLimits(name string) (disk, memory int64) {
	a := r.accounts.Find(name)
	if a == nil {
		return -1, -1
	}
	return a.JetStream.MaxStorage, a.JetStream.MaxMemory
}

func syncPolicy(d time.Duration) journal.Policy {
	if d <= 0 {
		return journal.Always
	}
	return journal.Interval(d)
}

// pollers is the number of polling loops. One serves all connections that bring
// little on several processors: those that bring much leave it.
func pollers() int { return max(1, runtime.NumCPU()/4) }

// buildNATS makes the door for NATS clients.
func (r *rooms) buildNATS(c *Config) error {
	keeper, err := r.authenticator(c)
	if err != nil {
		return err
	}
	secure, err := c.doorTLS()
	if err != nil {
		return err
	}
	xkey, err := nkeys.CreateCurveKeys()
	if err != nil {
		return fmt.Errorf("make a curve key: %w", err)
	}
	xpub, err := xkey.PublicKey()
	if err != nil {
		return fmt.Errorf("make a curve key: %w", err)
	}
	r.nats = natsdoor.New(natsdoor.Options{
		Info: wire.Info{
			ServerID: r.id, ServerName: r.name, Version: NATSVersion, Go: runtime.Version(),
			Headers: !c.NoHeaderSupport, JetStream: c.JetStream.Enabled, Domain: c.JetStream.Domain,
			APILevel: wirejs.APILevel, XKey: xpub, WeirVersion: Version,
		},
		Limits: natsLimits(c), Auth: keeper, TLS: secure, Log: r.log, Poller: r.poller,
	})
	return nil
}

// start begins to serve what needs no listener.
func (r *rooms) start(ctx context.Context) {
	ctx, r.stop = context.WithCancel(ctx)
	r.running, ctx = errgroup.WithContext(ctx)
	if r.streams == nil {
		return
	}
	r.running.Go(func() error { return r.streams.Run(ctx) })
	r.running.Go(func() error { return r.storage.volume.Run(ctx) })
	r.running.Go(func() error { return r.storage.run(ctx) })
	r.running.Go(func() error { return r.storage.scrub.run(ctx, r.storage.volume) })
	if r.alarms != nil {
		r.running.Go(func() error { return r.alarms.run(ctx) })
	}
	if r.stan != nil {
		r.running.Go(func() error { return r.stan.Run(ctx) })
	}
	r.streams.Serve()
	r.running.Go(func() error {
		if err := r.lift.Run(ctx); err != nil {
			r.log.Error("consumer groups are not coordinated", "error", err)
		}
		return nil
	})
	for _, a := range r.accounts.All() {
		r.serveAccount(a)
	}
}

// shutdownGrace is how long clients and requests have to be finished with.
const shutdownGrace = 8 * time.Second

// close ends what was built, in the order opposite to that of building.
func (r *rooms) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownGrace)
	defer cancel()
	var errs []error
	if r.lift != nil {
		r.lift.Shutdown(ctx)
	}
	if r.streams != nil && r.running != nil {
		errs = append(errs, r.streams.Quiesce(ctx))
	}
	if r.nats != nil {
		errs = append(errs, r.nats.Shutdown(ctx))
	}
	if r.poller != nil {
		errs = append(errs, r.poller.Close())
	}
	for _, f := range r.ended {
		f()
	}
	if r.workers != nil {
		r.workers.Close()
	}
	if r.stop != nil {
		r.stop()
		errs = append(errs, r.running.Wait())
	}
	if r.storage != nil {
		errs = append(errs, r.storage.close())
	}
	return errors.Join(errs...)
}
