package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/link"
	"github.com/weirmq/weir/internal/outbox"
	"github.com/weirmq/weir/internal/poller"
	"github.com/weirmq/weir/internal/wire/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// What a client may send before it is read, bytes, and how much is gathered before it may
// send more.
const (
	streamWindow = 4 << 20
	connWindow   = 8 << 20
	grantAfter   = 4 // a fourth of a window
)

// Bounds of one connection, bytes, but for the calls.
const (
	mostCalls   = 1 << 14
	mostHeld    = 64 << 20 // received and not taken, beside one message
	mostPending = 32 << 20 // sent and not read by the client
	mostUnsent  = 512 << 10
)

// Times.
const (
	beginWithin  = 20 * time.Second // for TLS, and again for the first frame
	pingAfter    = time.Minute      // without anything from the client
	answerWithin = 20 * time.Second // for what was pinged
	writeWithin  = 30 * time.Second // until the client takes something
	flushWithin  = 2 * time.Second  // at the end
)

// Why connections end, beside what clients do wrong.
var (
	errStopped  = errors.New("the server stops")
	errDrained  = errors.New("all calls have ended")
	errSilent   = errors.New("the client does not answer")
	errTLS      = errors.New("TLS handshake failed")
	errSlowRead = errors.New("the client reads too slowly")
)

// conn is one client's connection.
type conn struct {
	// Set at construction.
	server *Server
	link   link.Link
	sock   *poller.Socket // the link where it is polled, else nil
	stream net.Conn       // below the link where it is not
	out    *outbox.Outbox
	base   context.Context // of all calls
	cancel context.CancelCauseFunc

	// Only the reader.
	peer    *peer.Peer
	in      link.Buffer
	pace    link.Pace
	begun   bool // the client's preface has come
	block   block
	left    int64   // that the client may send
	granted int64   // to be granted
	control []byte  // to be sent when what was read is handled
	touched []*Call // feeds that got something since
	feeds   map[*Call]struct{}
	last    *Call // of the last DATA
	strikes int   // pings too many
	pinged  time.Time

	// Atomic.
	why    atomic.Pointer[error] // why it is being closed; nil: it is not
	active atomic.Int64          // Unix nanoseconds of the last read
	held   atomic.Int64          // bytes received that calls have not taken
	unsent atomic.Int64          // bytes given to out that the socket has not taken
	told   atomic.Bool           // the client's first SETTINGS have come
	sent   atomic.Bool           // a call has sent something since the last ping
	moved  atomic.Bool           // changes has something
	stalls atomic.Int32          // len(stalled)

	mu        sync.Mutex
	calls     map[uint32]*Call   // guarded by mu: that have not ended
	running   int                // guarded by mu: handlers
	answering int                // guarded by mu: handlers of calls with one answer
	waiting   []*Call            // guarded by mu: for their turn to be handled
	queued    int64              // guarded by mu: of all calls
	newest    uint32             // guarded by mu: call
	window    int64              // guarded by mu: what may be sent
	initial   int64              // guarded by mu: what may be sent in a new call
	blocked   []*Call            // guarded by mu: wait for window
	stalled   map[*Call]struct{} // guarded by mu: wait until less is unsent
	changes   []*Call            // guarded by mu: that the reader is to look at
	refusing  bool               // guarded by mu: no more calls are served
	quiet     *sync.Cond         // with mu: running has changed
	timer     *time.Timer        // guarded by mu; nil: none
	pong      pong               // guarded by mu
	asked     bool               // guarded by mu: the client was pinged and has not answered
}

func newConn(s *Server, c net.Conn) *conn {
	n := &conn{
		server: s, left: connWindow, window: http2.UsualWindow, initial: http2.UsualWindow,
		calls: map[uint32]*Call{}, feeds: map[*Call]struct{}{}, stalled: map[*Call]struct{}{},
		peer: &peer.Peer{Addr: c.RemoteAddr(), LocalAddr: c.LocalAddr()},
	}
	n.quiet = sync.NewCond(&n.mu)
	n.block.dec = hpack.NewDecoder(4096, nil)
	n.base, n.cancel = context.WithCancelCause(context.Background())
	p := s.o.Poller
	if s.tls != nil {
		c, p = tls.Server(c, s.tls), nil
	}
	var err error
	if n.link, n.sock, err = link.New(c, p, n); err != nil {
		s.o.Log.Debug("connection not polled", "remote", c.RemoteAddr().String(), "error", err)
	}
	if n.sock == nil {
		n.stream = c
	}
	n.active.Store(time.Now().UnixNano())
	n.out = outbox.New(&socket{n.link, n}, outbox.Limits{MaxPending: mostPending, WriteDeadline: writeWithin}, n.outFailed)
	return n
}

// abandon closes a connection that is not served.
func (n *conn) abandon() {
	n.cancel(errStopped)
	n.out.Close(0)
	_ = n.link.Close()
}

// serve begins the life of a connection. Its reader ends it.
func (n *conn) serve() {
	if n.sock != nil {
		n.greet()
		n.watch(beginWithin)
		n.sock.Start()
		return
	}
	go func() {
		if n.secure() {
			n.greet()
			n.watch(beginWithin)
			n.readStream()
		}
		n.teardown()
	}()
}

// secure makes the TLS handshake, where there is one to be made.
func (n *conn) secure() bool {
	c, ok := n.stream.(*tls.Conn)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(n.base, beginWithin)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		n.server.o.Log.Warn("TLS handshake failed", "remote", n.link.RemoteAddr().String(), "error", err)
		n.close(errTLS)
		return false
	}
	if c.ConnectionState().NegotiatedProtocol != "h2" {
		n.close(errTLS) // as grpc-go, which has clients agree on it
		return false
	}
	n.peer.AuthInfo = credentials.TLSInfo{
		State:          c.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}
	return true
}

// greet sends what a server says first.
func (n *conn) greet() {
	b := http2.AppendSettings(nil,
		http2.Value{Setting: http2.MaxConcurrentStreams, Value: mostCalls},
		http2.Value{Setting: http2.InitialWindowSize, Value: streamWindow},
		http2.Value{Setting: http2.MaxHeaderListSize, Value: mostHeaders})
	n.sendBytes(http2.AppendWindow(b, 0, connWindow-http2.UsualWindow))
}

// close ends the connection: the reader notices and tears down. The first call decides
// the reason. It never blocks and may be called by anyone.
func (n *conn) close(why error) {
	if n.why.CompareAndSwap(nil, &why) {
		n.cancel(why)
		n.link.Wake()
	}
}

// outFailed is told that the outbox died.
func (n *conn) outFailed(r outbox.Reason, err error) {
	if r == outbox.Pending || r == outbox.Deadline {
		n.server.o.Log.Warn("client of gRPC reads too slowly", "remote", n.link.RemoteAddr().String(), "reason", r.String())
		err = errSlowRead
	}
	n.close(err)
}

// drain serves no more calls, and ends when those that are served have ended.
func (n *conn) drain() {
	n.mu.Lock()
	already := n.refusing
	n.refusing = true
	last, idle := n.newest, len(n.calls) == 0
	n.mu.Unlock()
	if !already {
		n.sendBytes(http2.AppendGoAway(nil, last, http2.NoError, ""))
	}
	if idle {
		n.close(errDrained)
	}
}

// Ready implements poller.Input: one read, and what follows from it.
func (n *conn) Ready(s *poller.Socket) poller.Next {
	next := poller.Again
	if n.why.Load() == nil {
		next = n.readOnce(s)
	}
	if n.why.Load() == nil {
		return next
	}
	s.Detach()
	n.teardown()
	return poller.Done
}

func (n *conn) readOnce(s *poller.Socket) poller.Next {
	room := n.in.Space()
	k, err := s.Read(room)
	if err != nil {
		n.close(err)
		return poller.Again
	}
	if k == 0 {
		n.handle()
		n.in.Rest()
		return n.pace.Next()
	}
	n.took(k, len(room))
	if k == len(room) {
		return poller.Again
	}
	n.in.Rest()
	if s.Ended() {
		return poller.Again
	}
	return n.pace.Next()
}

// readStream reads a connection that is not polled until it ends.
func (n *conn) readStream() {
	for n.why.Load() == nil {
		room := n.in.Space()
		k, err := n.stream.Read(room)
		if k > 0 {
			n.took(k, len(room))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// Somebody has something to be looked at, which can be seen from here on.
			if err = n.stream.SetReadDeadline(time.Time{}); err == nil && n.why.Load() == nil {
				n.handle()
			}
		}
		if err != nil {
			n.close(err)
		}
	}
}

// took handles k bytes that were read into room.
func (n *conn) took(k, room int) {
	n.active.Store(time.Now().UnixNano())
	n.in.Read(k, room)
	n.pace.Read(k)
	n.handle()
}

// handle handles what is unread, and what others want the reader to look at.
func (n *conn) handle() {
	n.change()
	err := n.frames()
	n.grant()
	for i, c := range n.touched {
		c.touched = false
		c.feed.Flush()
		n.touched[i] = nil
	}
	n.touched = n.touched[:0]
	if err != nil {
		n.refuse(err)
	}
	n.flush()
}

// flush sends what was gathered to be sent.
func (n *conn) flush() {
	if len(n.control) > 0 {
		b := n.control
		n.control = nil
		n.sendBytes(b)
	}
}

// sendBytes sends bytes that are the caller's to give away.
func (n *conn) sendBytes(b []byte) {
	var batch outbox.Batch
	batch.Pieces = append(batch.Pieces, outbox.Piece{Bytes: b})
	batch.Size, batch.Borrowed = len(b), true
	n.send(&batch)
}

func (n *conn) send(b *outbox.Batch) {
	n.unsent.Add(int64(b.Size))
	n.out.Send(b, true)
}

// refuse ends the connection because of what the client sent.
func (n *conn) refuse(err error) {
	var why *http2.Error
	if errors.As(err, &why) {
		n.server.o.Log.Debug("connection of gRPC ended", "remote", n.link.RemoteAddr().String(), "error", err)
		n.mu.Lock()
		last := n.newest
		n.mu.Unlock()
		n.control = http2.AppendGoAway(n.control, last, why.Code, why.Text)
	}
	n.close(err)
}

// teardown ends all that the connection holds. It is the reader's last act.
func (n *conn) teardown() {
	defer n.server.forget(n)
	why := *n.why.Load()
	n.mu.Lock()
	n.refusing = true
	n.stopTimer()
	list := make([]*Call, 0, len(n.calls))
	for _, c := range n.calls {
		list = append(list, c)
	}
	n.mu.Unlock()
	for _, c := range list {
		n.drop(c)
	}
	n.mu.Lock()
	for n.running > 0 {
		n.quiet.Wait()
	}
	n.mu.Unlock()
	n.change()
	for c := range n.feeds {
		n.unfeed(c)
	}
	n.flush()
	grace := flushWithin
	if why == errSlowRead || errors.Is(why, io.EOF) && n.unsent.Load() == 0 {
		grace = 0
	}
	n.out.Close(grace)
	var breach *http2.Error
	if (errors.As(why, &breach) || errors.Is(why, errDrained)) && n.link.CloseWrite() == nil {
		// Closing over unread input would reset the connection, and lose what was sent last.
		n.link.Discard(n.in.Scratch(), lingerBytes, lingerTime)
	}
	_ = n.link.Close()
	n.in.Release()
}

// What a client that is being told why still may send.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 20
)

// socket is what the outbox writes to. It counts what was written.
type socket struct {
	link.Link
	conn *conn
}

// TryWrite implements outbox.Socket.
func (s *socket) TryWrite(bufs [][]byte) (int, error) {
	k, err := s.Link.TryWrite(bufs)
	s.conn.wrote(k)
	return k, err
}

// Writev implements outbox.Socket.
func (s *socket) Writev(bufs [][]byte, timeout time.Duration) (int, error) {
	if s.conn.sock == nil {
		bufs = joined(bufs)
	}
	k, err := s.Link.Writev(bufs, timeout)
	s.conn.wrote(k)
	return k, err
}

// joined makes one of many small buffers, for what writes them one by one.
func joined(bufs [][]byte) [][]byte {
	if len(bufs) < 2 {
		return bufs
	}
	var all []byte
	for _, b := range bufs {
		all = append(all, b...)
	}
	return [][]byte{all}
}

// wrote notes what the socket has taken, and sends more where calls wait for that.
func (n *conn) wrote(k int) {
	if n.unsent.Add(int64(-k)) > mostUnsent || n.stalls.Load() == 0 {
		return
	}
	n.mu.Lock()
	list := slices.Collect(maps.Keys(n.stalled))
	clear(n.stalled)
	n.stalls.Store(0)
	n.mu.Unlock()
	for _, c := range list {
		c.pump()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
