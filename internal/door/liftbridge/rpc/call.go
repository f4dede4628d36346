package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/outbox"
	"github.com/weirmq/weir/internal/poller"
	"github.com/weirmq/weir/internal/wire/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Call is one call, on the side of its handler: it implements grpc.ServerStream. Receiving
// and sending are for one goroutine each; Post may be called by any.
type Call struct {
	// Set at construction.
	conn   *conn
	id     uint32
	method *method
	kind   string              // of the content; empty: gRPC's own
	unpack encoding.Compressor // nil: what the client sends is not compressed
	ctx    context.Context
	cancel context.CancelFunc

	// Only the reader.
	in      assembler
	length  int64 // of the body that is left to come, where sized
	sized   bool
	counted int64 // what holds was when this set it
	broken  bool  // what still comes is not looked at
	feed    Feed  // nil: messages are queued
	touched bool  // feed got something since its last Flush

	// Atomic.
	closed     atomic.Bool  // the client hears no more of it
	halfClosed atomic.Bool  // the client sends no more
	left       atomic.Int64 // what the client may send
	owed       atomic.Int64 // what it was not granted yet

	// What sending needs; guarded by conn.mu.
	queue    []item
	queued   int64 // bytes of messages in queue
	window   int64 // what may be sent
	pumping  bool  // somebody sends
	blocked  bool  // it is in conn.blocked
	header   metadata.MD
	trailer  metadata.MD
	headed   bool   // the headers are queued
	ending   []byte // the trailers' frames; nil: the handler has not ended
	room     chan struct{}
	over     bool         // the handler has returned, or there is none
	handling bool         // it counts in conn.running
	batch    outbox.Batch // only who pumps

	mu       sync.Mutex
	messages []message     // guarded by mu: received and not taken
	err      error         // guarded by mu: behind them; nil: more may come
	arrived  chan struct{} // one token: messages or err has changed
	wants    Feed          // guarded by mu: takes the messages from now on
	holds    int64         // guarded by mu: what counts in conn.held for an incomplete message
	deaf     bool          // guarded by mu: nobody receives any more
}

var _ grpc.ServerStream = (*Call)(nil)

type callKey struct{}

// FromContext gives the call that a context belongs to; nil: none.
func FromContext(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// open makes a call of a stream.
func (n *conn) open(stream uint32, r *request) *Call {
	c := &Call{conn: n, id: stream, room: make(chan struct{}, 1), arrived: make(chan struct{}, 1)}
	c.in.most = n.server.o.MaxReceive
	c.left.Store(streamWindow)
	ctx := metadata.NewIncomingContext(peer.NewContext(n.base, n.peer), r.md)
	ctx = context.WithValue(ctx, callKey{}, c)
	c.ctx, c.cancel = context.WithCancel(ctx)
	n.mu.Lock()
	c.window = n.initial
	n.calls[stream] = c
	n.mu.Unlock()
	return c
}

// limit ends the call's context after a time.
func (c *Call) limit(d time.Duration) {
	up := c.cancel
	ctx, cancel := context.WithTimeout(c.ctx, d)
	c.ctx, c.cancel = ctx, func() { cancel(); up() }
	context.AfterFunc(ctx, c.late)
}

// late ends a call whose time is over before it is handled.
func (c *Call) late() {
	c.conn.mu.Lock()
	handling := c.handling
	c.conn.mu.Unlock()
	if !handling && errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		c.finish(statusOf(c.ctx.Err()))
		c.discard()
	}
}

// begin has the call handled: at once, or when all is there if it has only one message.
func (c *Call) begin() {
	if !c.single() {
		c.run()
	}
}

// single says that the client sends one message.
func (c *Call) single() bool {
	return c.method != nil && (c.method.unary != nil || !c.method.stream.ClientStreams)
}

// run has the call handled, once it is its turn.
func (c *Call) run() {
	n := c.conn
	n.mu.Lock()
	now := n.mayRunLocked(c)
	if now {
		n.runLocked(c)
	} else {
		n.waiting = append(n.waiting, c)
	}
	n.mu.Unlock()
	if now {
		n.server.start(c)
	}
}

// Bounds of what is answered at a time in one connection: while so many calls that have one
// answer are handled, or so many bytes wait to be sent, others wait for their turn.
const (
	mostRunning = 1 << 10
	mostAnswers = 8 << 20
)

// mayRunLocked says whether it is a call's turn.
func (n *conn) mayRunLocked(c *Call) bool {
	return c.method.unary == nil || n.answering < mostRunning && n.queued <= mostAnswers
}

func (n *conn) runLocked(c *Call) {
	c.handling = true
	n.running++
	if c.method.unary != nil {
		n.answering++
	}
}

// next starts calls whose turn it is.
func (n *conn) next() {
	for {
		n.mu.Lock()
		if len(n.waiting) == 0 || !n.mayRunLocked(n.waiting[0]) {
			n.mu.Unlock()
			return
		}
		c := n.waiting[0]
		if n.waiting = n.waiting[1:]; len(n.waiting) == 0 {
			n.waiting = nil
		}
		over := c.closed.Load() || c.ending != nil
		if !over {
			n.runLocked(c)
		}
		n.mu.Unlock()
		if !over {
			n.server.start(c)
		}
	}
}

// handle runs the handler.
func (c *Call) handle() {
	err := c.serve()
	c.finish(statusOf(err))
	c.cancel()
	n := c.conn
	if c.method.unary != nil {
		n.mu.Lock()
		n.answering--
		n.mu.Unlock()
	}
	if n.feeding(c) {
		n.have(c)
	} else {
		c.discard()
	}
	n.next()
	n.mu.Lock()
	n.running--
	n.quiet.Broadcast()
	n.mu.Unlock()
}

// serve calls the service.
func (c *Call) serve() (err error) {
	m, s := c.method, c.conn.server
	if m.unary != nil {
		reply, err := m.unary.Handler(m.impl, grpc.NewContextWithServerTransportStream(c.ctx, side{c}), c.RecvMsg, s.o.Unary)
		if err != nil {
			return err
		}
		return c.queueMsg(reply)
	}
	if s.o.Stream == nil {
		return m.stream.Handler(m.impl, c)
	}
	info := &grpc.StreamServerInfo{FullMethod: m.name, IsClientStream: m.stream.ClientStreams, IsServerStream: m.stream.ServerStreams}
	return s.o.Stream(m.impl, c, info, m.stream.Handler)
}

// side is a call as grpc.SetHeader and the like know it.
type side struct{ *Call }

func (s side) Method() string                  { return s.method.name }
func (s side) SetTrailer(md metadata.MD) error { s.Call.SetTrailer(md); return nil }

// Context implements grpc.ServerStream.
func (c *Call) Context() context.Context { return c.ctx }

// SetHeader implements grpc.ServerStream.
func (c *Call) SetHeader(md metadata.MD) error {
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	if c.headed {
		return status.Error(codes.Internal, "headers were sent before")
	}
	c.header = metadata.Join(c.header, md)
	return nil
}

// SendHeader implements grpc.ServerStream.
func (c *Call) SendHeader(md metadata.MD) error {
	if err := c.SetHeader(md); err != nil {
		return err
	}
	c.conn.mu.Lock()
	c.headLocked()
	c.conn.mu.Unlock()
	c.pump()
	return nil
}

// SetTrailer implements grpc.ServerStream.
func (c *Call) SetTrailer(md metadata.MD) {
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	c.trailer = metadata.Join(c.trailer, md)
}

// SendMsg implements grpc.ServerStream: m is a message of Protobuf. It waits while the
// client takes nothing.
func (c *Call) SendMsg(m any) error {
	if err := c.queueMsg(m); err != nil {
		return err
	}
	return c.wait()
}

func (c *Call) queueMsg(m any) error {
	p, ok := m.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "grpc: error while marshaling: %T is no message of Protobuf", m)
	}
	o := proto.MarshalOptions{}
	var out Out
	b, err := o.MarshalAppend(out.Begin(o.Size(p)), p)
	if err != nil {
		out.Drop()
		return status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	out.End(b)
	c.put(&out)
	return nil
}

// RecvMsg implements grpc.ServerStream: m is a message of Protobuf. It returns io.EOF when
// the client sends no more.
func (c *Call) RecvMsg(m any) error {
	p, ok := m.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %T is no message of Protobuf", m)
	}
	got, err := c.next()
	if err != nil {
		return err
	}
	defer c.took(&got)
	if err := proto.Unmarshal(got.b, p); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

// Receive calls f with the next message as it came, which is valid until f returns. It
// returns io.EOF when the client sends no more.
func (c *Call) Receive(f func(b []byte) error) error {
	got, err := c.next()
	if err != nil {
		return err
	}
	defer c.took(&got)
	return f(got.b)
}

// next waits for a message.
func (c *Call) next() (message, error) {
	for {
		c.mu.Lock()
		if len(c.messages) > 0 {
			m := c.messages[0]
			if c.messages = c.messages[1:]; len(c.messages) == 0 {
				c.messages = nil
			}
			c.mu.Unlock()
			return m, nil
		}
		err := c.err
		c.mu.Unlock()
		if err == nil && c.ctx.Err() != nil {
			err = ended(c.ctx)
		}
		if err != nil {
			return message{}, err
		}
		select {
		case <-c.arrived:
		case <-c.ctx.Done():
		}
	}
}

// took lets go of a message, and lets the client send more.
func (c *Call) took(m *message) {
	c.conn.held.Add(-m.weight())
	m.free()
	c.repay(m.owes)
}

// repay lets the client send more in this call, when enough was taken.
func (c *Call) repay(by int64) {
	if by = c.owed.Add(by); by < streamWindow/grantAfter || c.halfClosed.Load() || c.closed.Load() {
		return
	}
	if by = c.owed.Swap(0); by > 0 {
		c.left.Add(by)
		c.conn.sendBytes(http2.AppendWindow(nil, c.id, by))
	}
}

// Round is what the reader of the call's connection shares with others; nil: nothing. It
// is for a Feed.
func (c *Call) Round() poller.Round {
	if c.conn.sock == nil {
		return nil
	}
	return c.conn.sock.Round()
}

// Detach lets a Feed take long without a loop that waits for it. The round ends.
func (c *Call) Detach() {
	if c.conn.sock != nil {
		c.conn.sock.Detach()
	}
}

// ended is the status of a context that has ended.
func ended(ctx context.Context) error { return statusOf(ctx.Err()).Err() }

// statusOf is what a handler's error says.
func statusOf(err error) *status.Status {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return errNone
	}
	if s, ok := status.FromError(err); ok {
		return s
	}
	return status.FromContextError(err)
}

// How a call ends that has one message and gets none, or another.
var (
	errNone = status.New(codes.Internal, "cardinality violation: received no request message from non-client-streaming RPC")
	errMany = status.New(codes.Internal, "cardinality violation: received multiple request messages for non-client-streaming RPC")
)

// overfull ends a call where the connection holds too much.
var overfull = status.New(codes.ResourceExhausted, fmt.Sprintf("messages of more than %d bytes wait in this connection", mostHeld))
