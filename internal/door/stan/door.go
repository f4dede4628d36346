package stan

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
	"golang.org/x/sync/errgroup"
)

// DialectName is the dialect of the door's consumers.
const DialectName = "stan"

// requestTimeout bounds how long a request waits for the log.
const requestTimeout = 30 * time.Second

// Numbers of goroutines.
const (
	lanes   = 8
	openers = 4
	closers = 16 // that remove what one client or channel has
)

// Door serves the clients of one streaming server in one account.
type Door struct {
	// Set at construction.
	o        Options
	log      *slog.Logger
	subjects wire.Subjects
	inbox    string // what the door's own inboxes begin with
	lanes    []*lane
	openers  []*lane
	clock    *clock
	counters

	// Set by Start.
	dir     *stream.Directory
	space   *broker.Space
	net     network              // where clients are: space, or Options.Network
	far     string               // prefix of subjects in space that lead there; empty: it is space
	way     *broker.Subscription // of what has the prefix
	store   *stream.Stream       // of clients
	subs    subscriptions
	started time.Time

	stopped    atomic.Bool
	publishers sync.Pool // of *broker.Publisher, for answers

	mu sync.RWMutex
	// Guarded by mu.
	clients  map[string]*client // by id
	conns    map[string]*client // by connection id
	channels map[string]*channel
	folded   map[string]string           // names by themselves in lower case
	inboxes  map[string]*member          // by inbox for acknowledgements
	waiting  map[string]func(there bool) // who waits for an answer on one of the door's inboxes
}

// counters count what clients published and were sent.
type counters struct{ inMsgs, inBytes, outMsgs, outBytes atomic.Uint64 }

// New returns a door. Start gives it the streams.
func New(o Options) *Door {
	o.fill()
	d := &Door{
		o: o, log: o.Log, subjects: wire.SubjectsOf(o.Cluster, o.Discover), inbox: "_INBOX.stan." + o.Cluster + ".",
		clock: newClock(time.Now().UnixNano()), started: time.Now(),
		clients: map[string]*client{}, conns: map[string]*client{}, channels: map[string]*channel{},
		folded: map[string]string{}, inboxes: map[string]*member{}, waiting: map[string]func(bool){},
	}
	for range lanes {
		d.lanes = append(d.lanes, newLane())
	}
	for range openers {
		d.openers = append(d.openers, newLane())
	}
	return d
}

// Start reads what is stored of clients and channels, begins to listen in the account's
// space or in Options.Network, and lets those clients' subscriptions go on. Run must run,
// and the network work.
func (d *Door) Start(ctx context.Context, dir *stream.Directory, space *broker.Space) error {
	d.dir, d.space = dir, space
	d.lead()
	if err := d.recover(ctx); err != nil {
		return fmt.Errorf("recover the streaming server %q: %w", d.o.Cluster, err)
	}
	if err := d.listen(ctx); err != nil {
		return err
	}
	d.resume()
	return nil
}

// Run works until ctx ends.
func (d *Door) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range append(d.lanes, d.openers...) {
		g.Go(func() error { return l.run(ctx) })
	}
	g.Go(func() error { return d.clock.run(ctx) })
	return g.Wait()
}

// Stop ends listening. Clients are told nothing, as it was with the old server: they
// go on when a server answers again.
func (d *Door) Stop() {
	d.stopped.Store(true)
	d.deafen()
}

// answer publishes to whoever asked, if there is where to.
func (d *Door) answer(reply string, data []byte) {
	if reply != "" {
		d.net.Publish(&broker.Message{Subject: []byte(reply), Data: data})
	}
}

// answerAll sends answers together: those to one connection are written at once.
func (d *Door) answerAll(answers []answer) {
	if d.o.Network != nil {
		for _, a := range answers {
			d.net.Publish(&broker.Message{Subject: a.reply, Data: a.data})
		}
		return
	}
	p, ok := d.publishers.Get().(*broker.Publisher)
	if !ok {
		p = broker.NewPublisher(d.space, broker.PublisherOptions{Echo: true, CacheBytes: answerCache})
	}
	for _, a := range answers {
		p.Publish(&broker.Message{Subject: a.reply, Data: a.data})
	}
	p.HandOver()
	d.publishers.Put(p)
}

// answerCache is how many bytes a publisher of answers may remember of where they go.
const answerCache = 64 << 10

// lane is that of a client: its requests are handled in order.
func (d *Door) lane(clientID string) *lane { return d.lanes[hash(clientID)%lanes] }

// hash is FNV-1a.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// newInbox makes an inbox of the door's own.
func (d *Door) newInbox() string { return d.inbox + nuid.Next() }

// context bounds an operation on the log.
func (d *Door) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), requestTimeout)
}
