package nats

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/link"
	"github.com/weirmq/weir/internal/outbox"
	"github.com/weirmq/weir/internal/poller"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// Reasons that only the door knows.
var (
	errClientClosed = &wire.Error{Reason: wire.ReasonClient}
	errReadError    = &wire.Error{Reason: wire.ReasonRead}
	errShutdown     = &wire.Error{Reason: wire.ReasonShutdown}
	errKicked       = &wire.Error{Reason: wire.ReasonKicked}
	errWriteError   = &wire.Error{Reason: wire.ReasonWrite}
	errSlowPending  = &wire.Error{Reason: wire.ReasonSlowPending}
	errSlowDeadline = &wire.Error{Reason: wire.ReasonSlowDeadline}
)

// Conn is one client.
type Conn struct {
	// Set at construction.
	door    *Door
	id      uint64
	link    link.Link
	sock    *poller.Socket // the link where it is polled, else nil
	stream  net.Conn       // below the link where it is not
	secured *secured       // the stream where it may become a TLS one, else nil
	web     WebClient      // the stream where it is a WebSocket, else nil
	host    string
	port    int
	start   time.Time
	nonce   string
	out     *outbox.Outbox
	done    chan struct{} // closed when closing is set

	// Only the reader.
	in        link.Buffer
	pace      link.Pace
	parser    wire.Parser
	limits    *Limits // that the parser goes by
	connect   wire.Connect
	connected bool // a CONNECT was accepted
	greeted   bool // the INFO after the first PING was sent
	published bool // since the last hand-over
	pub       *broker.Publisher
	op        wire.Op
	inMsgs    uint64 // of this buffer, not yet in the counters
	inBytes   uint64
	allMsgs   uint64 // of all connections, when this one last counted its own
	crowded   bool   // others have published between the last two counts
	line      []byte // scratch
	said      said   // to services of other accounts

	// Atomic.
	closing  atomic.Pointer[wire.Error] // why it is being closed; nil: it is not
	headers  atomic.Bool                // the client takes headers
	identity atomic.Pointer[Identity]   // nil: not let in yet
	active   atomic.Int64               // Unix nanoseconds of the last read
	counts   counts
	ping     pinger
	rejudge  atomic.Bool // the authenticator has changed

	mu       sync.Mutex
	subs     map[string]*broker.Subscription // guarded by mu, by SID
	settings wire.Connect                    // guarded by mu: what the others may see of connect
	told     bool                            // guarded by mu: had the INFO after the first PONG
	expiry   *time.Timer                     // guarded by mu; nil: none
	auth     *time.Timer                     // guarded by mu; the wait for CONNECT; nil: none
}

// counts are a connection's counters.
type counts struct {
	inMsgs, inBytes, outMsgs, outBytes atomic.Uint64
}

func (d *Door) newConn(conn net.Conn) *Conn {
	c := &Conn{
		door: d, id: d.lastID.Add(1), start: time.Now(),
		done: make(chan struct{}), subs: make(map[string]*broker.Subscription),
		connect: wire.NewConnect(),
	}
	c.settings = c.connect
	if web, ok := conn.(WebClient); ok {
		c.web = web
	} else if t := d.tls.Load(); t != nil {
		c.secured = &secured{Conn: conn, settings: t}
		conn = c.secured
	}
	var err error
	if c.link, c.sock, err = link.New(conn, d.poller, c); err != nil {
		d.log.Debug("connection not polled", "remote", conn.RemoteAddr().String(), "error", err)
	}
	if c.sock == nil {
		c.stream = conn
	}
	host, port, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err == nil {
		c.host = host
		c.port, _ = strconv.Atoi(port)
	}
	limits := d.limits.Load()
	c.out = outbox.New(c.link, limits.outbox(), c.outFailed)
	c.active.Store(c.start.UnixNano())
	if (*d.auth.Load()).Nonce() {
		c.nonce = newNonce()
	}
	return c
}

// newNonce gives 11 random bytes as text.
func newNonce() string {
	var b [11]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// serve begins the life of a connection. Its reader ends it.
func (c *Conn) serve() {
	if c.secured != nil {
		go c.serveSecured()
		return
	}
	c.greet()
	if c.closing.Load() == nil {
		c.startTimers()
	}
	if c.sock != nil {
		c.sock.Start()
		return
	}
	go func() {
		c.readStream()
		c.teardown()
	}()
}

// serveSecured begins the life of a connection with the handshake.
func (c *Conn) serveSecured() {
	switch {
	case c.closing.Load() == nil:
		if why := c.secure(); why != nil {
			c.close(why)
		}
	case !c.secured.settings.First:
		_ = c.secured.greet(c) // an -ERR follows it
	}
	if c.closing.Load() == nil {
		c.startTimers()
		c.readStream()
	}
	c.teardown()
}

// greet sends the first INFO.
func (c *Conn) greet() { c.send(wire.AppendInfo(nil, c.firstInfo())) }

// firstInfo is the INFO that the client gets first.
func (c *Conn) firstInfo() *wire.Info {
	auth := *c.door.auth.Load()
	info := c.info()
	info.AuthRequired = auth.Required() && !auth.Anonymous()
	return info
}

// send queues bytes that are the caller's to give away.
func (c *Conn) send(b []byte) {
	batch := batchOf(b)
	c.out.Send(&batch, true)
}

// close ends the connection: the reader notices and tears down. The first call
// decides the reason. It never blocks and may be called by anyone.
func (c *Conn) close(why *wire.Error) {
	if !c.closing.CompareAndSwap(nil, why) {
		return
	}
	close(c.done)
	c.link.Wake()
}

// outFailed is told that the outbox died.
func (c *Conn) outFailed(r outbox.Reason, err error) {
	switch r {
	case outbox.Pending:
		c.door.totals.slowPending.Add(1)
		c.slow(errSlowPending)
	case outbox.Deadline:
		c.door.totals.slowDeadline.Add(1)
		c.slow(errSlowDeadline)
	default:
		c.logger().Debug("write failed", "error", err)
		c.close(errWriteError)
	}
}

func (c *Conn) slow(why *wire.Error) {
	c.logger().Warn("slow consumer", "reason", why.Reason, "name", c.name(), "pending", c.out.Pending())
	c.close(why)
}

// logger is for events that are rare.
func (c *Conn) logger() *slog.Logger {
	l := c.door.log.With("cid", c.id, "remote", c.link.RemoteAddr().String())
	if id := c.identity.Load(); id != nil {
		l = l.With("account", id.Account, "user", id.User)
	}
	return l
}

func (c *Conn) name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings.Name
}

const (
	// flushGrace is how long a connection that ends may take to write what waits.
	flushGrace = 2 * time.Second
	// lingerTime and lingerBytes bound how long input is discarded after an -ERR:
	// closing over unread input would reset the connection and lose the -ERR.
	lingerTime  = time.Second
	lingerBytes = 64 << 20
)

// teardown ends everything that the connection holds. It is the reader's last act.
func (c *Conn) teardown() {
	defer c.door.wg.Done()
	why := c.closing.Load()
	c.stopTimers()
	if c.pub != nil {
		c.pub.Release()
	}
	info := c.Snapshot()
	c.dropAll()
	grace := min(flushGrace, c.door.limits.Load().WriteDeadline)
	switch why {
	case errSlowPending, errSlowDeadline, errWriteError, errReadError:
		grace = 0
	}
	if why.Text != "" {
		c.send(wire.AppendErr(nil, why.Text))
	}
	c.out.Close(grace)
	if c.web != nil {
		c.web.End(webCode(why.Reason), why.Reason)
	} else if why.Text != "" {
		c.linger()
	}
	if err := c.link.Close(); err != nil {
		c.logger().Debug("close failed", "error", err)
	}
	c.in.Release()
	info.Stop, info.Reason = time.Now(), why.Reason
	c.door.forget(c, info)
	c.logger().Debug("client connection closed", "reason", why.Reason, "cause", why.Cause)
	id := c.identity.Load()
	if id == nil {
		return
	}
	if c.door.events != nil {
		c.door.events.Disconnected(info)
	}
	if id.Release != nil {
		id.Release()
	}
}

// linger ends our side of the stream and discards what the client still sends.
func (c *Conn) linger() {
	if c.link.CloseWrite() == nil {
		c.link.Discard(c.in.Scratch(), lingerBytes, lingerTime)
	}
}
