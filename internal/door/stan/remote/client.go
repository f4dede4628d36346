package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/redial"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// Client is a client of a NATS system. Its methods may be called by any goroutine.
type Client struct {
	// Set at construction.
	o       Options
	log     *slog.Logger
	servers []server
	inbound *broker.Space // of what is subscribed
	wake    chan struct{} // of the writer

	mu sync.Mutex
	// Guarded by mu.
	link       *link    // nil: there is no connection
	told       []server // that INFO named
	maxPayload int
	out        []byte // what waits to be sent
	sids       map[*broker.Subscription]string
	lastSID    uint64
	dropped    uint64          // since it was last logged
	pings      []chan struct{} // that the server has not answered, nil for those that nobody waits for
}

// maxOut bounds what waits to be sent.
const maxOut = 64 << 20

// New returns a client that is not connected.
func New(o Options) (*Client, error) {
	servers, err := parseServers(o.Servers)
	if err != nil {
		return nil, err
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Retry == 0 {
		o.Retry = defaultRetry
	}
	if err := o.identify(new(wire.Connect), &servers[0], ""); err != nil {
		return nil, err
	}
	return &Client{
		o: o, log: o.Log, servers: servers, inbound: broker.NewSpace("remote", nil),
		wake: make(chan struct{}, 1), sids: map[*broker.Subscription]string{},
	}, nil
}

// Open connects. It tries for as long as Options.Patience says; a server that refuses
// the client ends it at once. Run is to follow.
func (c *Client) Open(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, c.o.Patience)
	defer cancel()
	var last error
	for pause := c.o.Retry; ; pause = c.longer(pause) {
		l, err := c.connect(limited)
		switch {
		case err == nil:
			c.begin(l)
			return nil
		case errors.Is(err, errRefused):
			return fmt.Errorf("connect to the NATS system: %w", err)
		case last == nil:
			c.log.Warn("NATS system not reached, trying again", "error", err)
			last = err
		case limited.Err() == nil:
			last = err
		}
		if !redial.Rest(limited, pause) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("no NATS server is reached within %v: %w", c.o.Patience, last)
		}
	}
}

// longer is the pause after one.
func (c *Client) longer(pause time.Duration) time.Duration {
	return min(2*pause, mostRetries*c.o.Retry)
}

// begin uses a connection: what is subscribed goes out first.
func (c *Client) begin(l *link) {
	c.learn(&l.info)
	c.mu.Lock()
	c.link, c.out = l, c.out[:0]
	for sub, sid := range c.sids {
		c.out = wire.AppendSub(c.out, sub.Subject, sid)
	}
	dropped := c.dropped
	c.dropped = 0
	c.mu.Unlock()
	c.stir()
	c.log.Info("connected to the NATS system", "server", l.host, "name", l.info.ServerName, "version", l.info.Version)
	if dropped > 0 {
		c.log.Warn("messages not sent, there was no connection", "messages", dropped)
	}
}

// end gives a connection up. What was not sent is lost with it.
func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link, c.out, c.pings = nil, c.out[:0], nil
}

// Flush waits until the server has taken all that was sent and subscribed before. It
// fails when ctx ends; a connection that is lost meanwhile is waited for.
func (c *Client) Flush(ctx context.Context) error {
	for {
		answered := make(chan struct{})
		c.ping(answered)
		t := time.NewTimer(flushAgain)
		select {
		case <-answered:
			t.Stop()
			return nil
		case <-t.C: // the connection may have been lost, and the ping with it
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("wait for the NATS server: %w", ctx.Err())
		}
	}
}

// flushAgain is how long an answer to a ping is waited for before there is another one.
const flushAgain = time.Second

// ping asks the server whether it is there.
func (c *Client) ping(answered chan struct{}) {
	c.mu.Lock()
	if c.link != nil {
		c.out = wire.AppendPing(c.out)
		c.pings = append(c.pings, answered)
	}
	c.mu.Unlock()
	c.stir()
}

// pong notes the answer to the oldest ping.
func (c *Client) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pings) == 0 {
		return
	}
	if c.pings[0] != nil {
		close(c.pings[0])
	}
	c.pings = c.pings[1:]
}

// stir wakes the writer.
func (c *Client) stir() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Subscribe has the sink of a subscription get what is published in the system.
// Subscriptions of a client may not overlap.
func (c *Client) Subscribe(sub *broker.Subscription) {
	c.inbound.Subscribe(sub)
	c.mu.Lock()
	c.lastSID++
	sid := strconv.FormatUint(c.lastSID, 10)
	c.sids[sub] = sid
	if c.link != nil {
		c.out = wire.AppendSub(c.out, sub.Subject, sid)
	}
	c.mu.Unlock()
	c.stir()
}

// Unsubscribe ends that.
func (c *Client) Unsubscribe(sub *broker.Subscription) {
	c.inbound.Unsubscribe(sub)
	c.mu.Lock()
	sid, ok := c.sids[sub]
	delete(c.sids, sub)
	if ok && c.link != nil {
		c.out = wire.AppendUnsub(c.out, sid)
	}
	c.mu.Unlock()
	c.stir()
}

// Publish sends a message into the system. Whether anybody gets it is not known, but
// that nobody does where there is no connection; a request that nobody answers is
// answered with a status.
func (c *Client) Publish(m *broker.Message) broker.Result {
	c.mu.Lock()
	sent := c.fits(len(m.Data))
	if sent {
		c.out = wire.AppendPub(c.out, m.Subject, m.Reply, m.Data)
	} else {
		c.dropped++
	}
	c.mu.Unlock()
	if !sent {
		return broker.Result{}
	}
	c.stir()
	return broker.Result{Clients: 1}
}

// fits says whether a message of so many bytes may be sent now. The caller holds mu.
func (c *Client) fits(size int) bool {
	return c.link != nil && len(c.out) < maxOut && (c.maxPayload <= 0 || size <= c.maxPayload)
}

// OpenStage implements broker.Sink: what is staged goes into the system.
func (c *Client) OpenStage(*broker.Publisher) broker.Stage { return &stage{client: c} }

// stage is what one publisher of the node sends into the system.
type stage struct {
	client *Client
	buf    []byte
	ends   []piece
}

// piece is one encoded message.
type piece struct{ end, size int }

// Add implements broker.Stage. Headers are not sent: the protocols that come this way
// have none.
func (s *stage) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	s.buf = wire.AppendPub(s.buf, m.Subject, m.Reply, m.Data)
	s.ends = append(s.ends, piece{len(s.buf), len(m.Data)})
	return broker.Staged
}

// keptStage is how much room a stage keeps.
const keptStage = 1 << 20

// HandOver implements broker.Stage.
func (s *stage) HandOver() {
	c := s.client
	c.mu.Lock()
	from := 0
	for _, p := range s.ends {
		if c.fits(p.size) {
			c.out = append(c.out, s.buf[from:p.end]...)
		} else {
			c.dropped++
		}
		from = p.end
	}
	c.mu.Unlock()
	c.stir()
	if s.buf, s.ends = s.buf[:0], s.ends[:0]; cap(s.buf) > keptStage {
		s.buf, s.ends = nil, nil
	}
}
