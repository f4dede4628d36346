package jetstream

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// DialectName is what streams made through this door have as their dialect.
const DialectName = "jetstream"

// requestTimeout bounds how long a request waits for the log. What it asked for
// may still take effect after that.
const requestTimeout = 30 * time.Second

// Options for New.
type Options struct {
	ServerName string
	Domain     string
	// Version is the level of NATS that is announced.
	Version string
	// MaxRequestBatch bounds the batch of a pull request; 0: no bound.
	MaxRequestBatch int
	// MaxAckPending bounds what consumers may leave unacknowledged; 0 or less: no
	// bound.
	MaxAckPending int
	// DuplicateWindow bounds the window of streams; 0: no bound.
	DuplicateWindow time.Duration
	// MaxPayload bounds request bodies.
	MaxPayload int
	// Strict refuses unknown keys in requests.
	Strict bool
	// Restored makes the configuration of a stream that is restored another door's, where
	// it says so; nil: there is none.
	Restored func(c *stream.Config) error
	Log      *slog.Logger
}

// Door serves JetStream.
type Door struct {
	o       Options
	log     *slog.Logger
	decoder wire.Decoder
	dir     *stream.Directory

	total, errors, inflight atomic.Uint64
}

// New returns a door. Start gives it the streams.
func New(o Options) *Door {
	return &Door{o: o, log: o.Log, decoder: wire.Decoder{MaxBody: o.MaxPayload, Lenient: !o.Strict}}
}

// Start sets the streams that the door serves, once, before Serve.
func (d *Door) Start(dir *stream.Directory) { d.dir = dir }

// Served requests, besides those that have a sink of their own.
var servicePatterns = []string{
	"INFO", "STREAM.>", "CONSUMER.CREATE.>", "CONSUMER.DURABLE.>", "CONSUMER.NAMES.>", "CONSUMER.LIST.>",
	"CONSUMER.INFO.>", "CONSUMER.DELETE.>", "CONSUMER.PAUSE.>", "CONSUMER.UNPIN.>", "CONSUMER.RESET.>",
	"CONSUMER.LEADER.>", "CONSUMER.PEER.>", "DIRECT.GET.>",
}

// AccountFunc gives an account as it is configured now; nil if it is configured
// no longer.
type AccountFunc func() *account.Account

// Serve answers an account's requests in its subject space until stop is called.
func (d *Door) Serve(space *broker.Space, acc AccountFunc) (stop func()) {
	prefixes := []string{wire.APIPrefix}
	if d.o.Domain != "" {
		prefixes = append(prefixes, "$JS."+d.o.Domain+".API.")
	}
	var stops []func()
	a := &accountAPI{Door: d, space: space, now: acc}
	var subs []*broker.Subscription
	for _, p := range prefixes {
		for _, pattern := range servicePatterns {
			stops = append(stops, space.Serve(p+pattern, a))
		}
		subs = append(subs, &broker.Subscription{Subject: p + "CONSUMER.MSG.NEXT.*.*", Kind: broker.KindService, Sink: &nextSink{api: a}})
	}
	subs = append(subs,
		&broker.Subscription{Subject: wire.AckPrefix + ">", Kind: broker.KindService, Sink: &ackSink{api: a}},
		&broker.Subscription{Subject: wire.FlowPrefix + ">", Kind: broker.KindService, Sink: &flowSink{api: a}})
	for _, s := range subs {
		space.Subscribe(s)
	}
	return func() {
		for _, s := range subs {
			space.Unsubscribe(s)
		}
		for _, f := range stops {
			f()
		}
	}
}

// Stats returns how many requests were answered, and how many of them with an
// error.
func (d *Door) Stats() (total, errors uint64) { return d.total.Load(), d.errors.Load() }

// accountAPI is the API as one account sees it.
type accountAPI struct {
	*Door
	space *broker.Space
	now   AccountFunc
}
