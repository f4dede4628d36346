package liftbridge

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
	"github.com/weirmq/weir/internal/group"
	"github.com/weirmq/weir/internal/poller"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

// Options for New.
type Options struct {
	// ID names this server to clients.
	ID string
	// Namespace begins the subjects of the door's own streams, and of ack inboxes.
	Namespace string
	// Account is that of callers who need not say who they are, and of the door's own
	// streams.
	Account string
	// Space finds an account's subject space; nil if there is no such account.
	Space func(account string) *broker.Space
	// Auth says who a caller is; nil: everybody is of Account and may do everything.
	Auth Authenticator
	// Policy says what a caller with a certificate may do, until UpdateRules; nil:
	// everything.
	Policy Policy
	// Poller reads plain connections; nil: each has a goroutine.
	Poller *poller.Poller
	// TLS is how connections are encrypted; nil: they are not.
	TLS *tls.Config
	// Defaults are of streams that say nothing themselves.
	Defaults Defaults
	// MaxMessage bounds a message with its envelope, bytes.
	MaxMessage int
	// Encryption says why streams cannot be encrypted; nil: what is stored is.
	Encryption error
	// Cursors is how many partitions the cursors' stream has; 0: there are no cursors.
	// It is paused when nobody used it for so long; 0: never.
	Cursors         int
	CursorAutoPause time.Duration
	// Activity tells of changes in a stream of its own, and waits for it so long.
	Activity        bool
	ActivityTimeout time.Duration
	// ConsumerTimeout is how long a member of a group may be silent, CoordinatorTimeout
	// what members are told about the coordinator.
	ConsumerTimeout, CoordinatorTimeout time.Duration
	Log                                 *slog.Logger
}

// Defaults are the server's settings of streams. Zero is no limit.
type Defaults struct {
	MaxBytes, MaxMessages int64
	MaxAge                time.Duration
	CleanerInterval       time.Duration
	SegmentMaxBytes       int64
	SegmentMaxAge         time.Duration
	CompactGoroutines     int32
	Compact               bool
	AutoPause             time.Duration
	AutoPauseUnlessRead   bool
	MinISR                int32
	Encryption            bool
}

// Door serves Liftbridge.
type Door struct {
	pb.UnimplementedAPIServer

	// Set at construction.
	o      Options
	log    *slog.Logger
	server *rpc.Server
	health *health.Server
	groups *group.Host
	dir    *stream.Directory // set by Start

	advertised atomic.Pointer[address]
	rules      atomic.Pointer[rules]
	stopping   chan struct{} // closed when calls that go on are to end
	stop       sync.Once
	calls      sync.WaitGroup // what goes on for a moment when its call has ended
	opened     time.Time

	naming   naming
	changing sync.Mutex // held while partitions are paused, resumed or made read-only
	activity activity
	readers  readers
	pauser   pauser
	firsts   sync.Map // firstStored by the identity of the partition
}

// address is where clients reach the server.
type address struct {
	host string
	port int32
}

// message bounds beside those of messages: what gRPC itself adds, and what is not a
// message.
const (
	leastReceive = 4 << 20
	receiveExtra = 64 << 10
)

// New returns a door. Start gives it the streams.
func New(o Options) *Door {
	d := &Door{o: o, log: o.Log, stopping: make(chan struct{}), opened: time.Now()}
	d.rules.Store(&rules{policy: o.Policy, changed: make(chan struct{})})
	d.server = rpc.New(rpc.Options{
		Poller: o.Poller, TLS: o.TLS, MaxReceive: d.receiveLimit(), Unary: d.admitUnary, Stream: d.admitStream, Log: o.Log,
	})
	d.health = health.NewServer()
	d.setHealth(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	pb.RegisterAPIServer(d.server, d)
	d.server.RegisterService(&batchService, d)
	grpc_health_v1.RegisterHealthServer(d.server, d.health)
	reflection.Register(d.server)
	d.groups = group.NewHost(group.HostOptions{
		Options: group.Options{
			ID: o.ID, ConsumerTimeout: int64(o.ConsumerTimeout), CoordinatorTimeout: int64(o.CoordinatorTimeout), Count: d.count,
		},
		Store: groupStore{d}, Tell: d.tellMember, Log: o.Log,
	})
	d.pauser.wake = make(chan struct{}, 1)
	return d
}

// receiveLimit bounds a gRPC message that a client sends, bytes.
func (d *Door) receiveLimit() int { return max(leastReceive, d.o.MaxMessage+receiveExtra) }

// setHealth tells how the services are.
func (d *Door) setHealth(to grpc_health_v1.HealthCheckResponse_ServingStatus) {
	d.health.SetServingStatus(pb.API_ServiceDesc.ServiceName, to)
	d.health.SetServingStatus(batchService.ServiceName, to)
}

// Start sets the streams that the door serves, once, before Serve.
func (d *Door) Start(dir *stream.Directory) { d.dir = dir }

// Advertise says where clients reach the server, before Serve.
func (d *Door) Advertise(host string, port int) {
	d.advertised.Store(&address{host, int32(port)})
}

// Run coordinates the consumer groups until ctx ends or Shutdown, when streams are
// served. Without Serve the groups are those of NATS clients.
func (d *Door) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer cancel()
		return d.groups.Run(ctx)
	})
	g.Go(func() error {
		select {
		case <-d.stopping:
			cancel()
		case <-ctx.Done():
		}
		return nil
	})
	return g.Wait()
}

// Serve answers calls that come in at ln until Shutdown, after Prepare.
func (d *Door) Serve(ln net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.pauseIdle(ctx) })
	g.Go(func() error {
		defer cancel()
		return d.server.Serve(ln)
	})
	g.Go(func() error {
		<-ctx.Done()
		d.end()
		d.server.Stop()
		return nil
	})
	d.setHealth(grpc_health_v1.HealthCheckResponse_SERVING)
	return g.Wait()
}

// Prepare makes the streams of the door's own, once, when streams are served. One that is
// there and could not be opened is told in the log, and what needs it fails.
func (d *Door) Prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, prepare := range []func(context.Context) error{d.prepareActivity, d.prepareCursors, d.prepareGroups} {
		err := prepare(ctx)
		if errors.Is(err, stream.ErrExists) {
			// It could not be opened. The others are served; what needs it fails.
			d.log.Error("a stream of the door's own is not used", "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// end tells calls that go on to end.
func (d *Door) end() {
	d.stop.Do(func() {
		d.health.Shutdown()
		close(d.stopping)
	})
}

// stuckGrace is how long calls have to end whose client takes nothing.
const stuckGrace = 2 * time.Second

// Shutdown ends the calls, those that go on with UNAVAILABLE, and waits for them
// until ctx ends, or for stuckGrace.
func (d *Door) Shutdown(ctx context.Context) {
	d.end()
	ctx, cancel := context.WithTimeout(ctx, stuckGrace)
	defer cancel()
	done := context.AfterFunc(ctx, d.server.Stop)
	d.server.GracefulStop()
	done()
	d.calls.Wait()
}

// space is an account's subject space.
func (d *Door) space(account string) *broker.Space { return d.o.Space(account) }
