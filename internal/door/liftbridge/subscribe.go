package liftbridge

import (
	"context"
	"errors"
	"io"

	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/fb"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Texts with which a subscription ends.
const (
	endOfReadOnly = "End of readonly partition"
	endOfSpan     = "Stop offset reached"
)

// delivery is how the messages of a subscription go.
type delivery interface {
	Context() context.Context
	// begin says that the subscription stands.
	begin(f *family, n int32) error
	// deliver sends a message, or keeps a copy of it until flush.
	deliver(m *fb.Message) error
	// flush sends what was kept.
	flush() error
}

// Subscribe implements pb.APIServer.
func (d *Door) Subscribe(req *pb.SubscribeRequest, call grpc.ServerStreamingServer[pb.Message]) error {
	return d.subscribe(req, &plainly{ServerStreamingServer: call})
}

// subscribe delivers what a request asks for.
func (d *Door) subscribe(req *pb.SubscribeRequest, call delivery) error {
	ctx := call.Context()
	c := callerOf(ctx)
	if req.Consumer.GetGroupId() != "" && req.Consumer.GetConsumerId() == "" {
		return status.Error(codes.InvalidArgument, "Consumer id cannot be empty when group id is provided")
	}
	f := d.findSome(c.Account, req.Stream)
	if f == nil || f.hidden || f.part(req.Partition) == nil {
		return d.absent(c.Account, req.Stream, "No such partition")
	}
	if err := d.maySubscribe(c, f, req.Partition); err != nil {
		return err
	}
	s := f.part(req.Partition)
	if req.Resume && resumes(s) {
		if err := d.resume(ctx, c.Account, f, req.Partition); err != nil {
			return status.Errorf(codes.Internal, "Failed to resume stream: %v", err)
		}
	}
	if err := d.readers.fenced(s, req.Consumer); err != nil {
		return err
	}
	at, err := resolve(s, req)
	if err != nil {
		return err
	}
	displaced, leave, err := d.readers.enter(s, req.Consumer)
	if err != nil {
		return err
	}
	defer leave()
	if err := call.begin(f, req.Partition); err != nil {
		return err
	}
	r := &reading{door: d, call: call, stream: s, family: f, number: req.Partition, span: at, displaced: displaced, caller: c}
	read := r.forward
	if req.Reverse {
		read = r.backward
	}
	ending := read(ctx)
	if err := call.flush(); err != nil {
		return err
	}
	return ending
}

// reading is one subscription.
type reading struct {
	door      *Door
	call      delivery
	stream    *stream.Stream
	family    *family
	number    int32
	displaced <-chan struct{}
	caller    *caller // who may read the partition by its rules
	span
	headers []wire.Header
	out     fb.Message
}

// forward delivers messages as they come.
func (r *reading) forward(ctx context.Context) error {
	p := r.stream.Partition()
	in := p.Reader(uint64(r.start) + 1)
	defer in.Close()
	for {
		changed, last := r.stream.Changed(), newest(p)
		if err := r.drain(in); !errors.Is(err, io.EOF) {
			return r.final(err)
		}
		if err := r.call.flush(); err != nil {
			return err
		}
		if err := r.closed(last); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ended(ctx)
		case <-r.displaced:
			return nil
		case <-r.caller.rules.changed:
		case <-r.door.stopping:
			return status.Error(codes.Unavailable, "the server stops")
		}
	}
}

// drain delivers what there is: then the error is io.EOF.
func (r *reading) drain(in *partition.Reader) error {
	for {
		if err := r.gate(); err != nil {
			return err
		}
		v, err := in.Next()
		if err != nil {
			return r.unreadable(err, in.Position())
		}
		offset := int64(v.Seq) - 1
		if r.stop != none && offset > r.stop {
			return status.Error(codes.ResourceExhausted, endOfSpan)
		}
		if err := r.send(&v); err != nil {
			return err
		}
		if offset == r.stop {
			return status.Error(codes.ResourceExhausted, endOfSpan)
		}
	}
}

// gate says why nothing is delivered any more; nil: something is.
func (r *reading) gate() error {
	switch {
	case r.stream.Dropped():
		return status.Error(codes.NotFound, "commit log was deleted")
	case r.stream.Config().Gate.Paused:
		return status.Error(codes.FailedPrecondition, "commit log was closed")
	}
	select {
	case <-r.displaced:
		return errDisplaced
	case <-r.door.stopping:
		return status.Error(codes.Unavailable, "the server stops")
	default:
		return r.allowed()
	}
}

// errDisplaced ends a subscription whose place another one took.
var errDisplaced = errors.New("displaced")

// final is how a call ends.
func (r *reading) final(err error) error {
	if errors.Is(err, errDisplaced) {
		return nil
	}
	return err
}

// unreadable says why a message cannot be read; io.EOF stays.
func (r *reading) unreadable(err error, next uint64) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case r.stream.Dropped():
		return status.Error(codes.NotFound, "commit log was deleted")
	}
	r.door.log.Error("message not delivered", "stream", r.family.name, "partition", r.number, "before", next, "error", err)
	code := codes.Internal
	if errors.Is(err, record.ErrDamaged) {
		code = codes.DataLoss
	}
	return status.Errorf(code, "message before offset %d cannot be read: %v", int64(next)-1, err)
}

// closed says that all there is was delivered and nothing more will come; nil: it may.
// All up to last was delivered, as far as it is still there: where the reader is says
// less, since the last ones may be gone.
func (r *reading) closed(last int64) error {
	if r.stop != none && last >= r.stop {
		return status.Error(codes.ResourceExhausted, endOfSpan)
	}
	if r.stream.Config().Gate.ReadOnly && last == newest(r.stream.Partition()) {
		return status.Error(codes.ResourceExhausted, endOfReadOnly)
	}
	return nil
}

// backward delivers messages from the newest one down, and ends.
func (r *reading) backward(ctx context.Context) error {
	p := r.stream.Partition()
	for offset := r.start; offset >= max(r.stop, 0) && uint64(offset)+1 >= p.First(); offset-- {
		if err := r.gate(); err != nil {
			return r.final(err)
		}
		if ctx.Err() != nil {
			return ended(ctx)
		}
		v, err := p.Get(uint64(offset) + 1)
		if errors.Is(err, partition.ErrNotFound) {
			continue
		}
		if err != nil {
			return r.unreadable(err, uint64(offset)+2)
		}
		if err := r.send(&v); err != nil {
			return err
		}
	}
	return status.Error(codes.ResourceExhausted, endOfSpan)
}

// send delivers a record as a message, if the caller may have it.
func (r *reading) send(v *record.View) error {
	if !r.caller.receives(v.Subject) {
		return nil
	}
	m := &r.out
	*m = fb.Message{Offset: int64(v.Seq) - 1, Time: v.Time, Subject: v.Subject, Value: v.Data, Reply: v.Reply}
	m.Key, r.headers = wire.DecodeHeaderBlock(r.headers[:0], v.Header)
	if len(v.Key) > 0 {
		m.Key = v.Key
	}
	m.Headers = r.headers
	return r.call.deliver(m)
}

// plainly delivers messages of Protobuf.
type plainly struct {
	grpc.ServerStreamingServer[pb.Message]
	call    *rpc.Call
	out     rpc.Out
	stream  string
	number  int32
	message wire.Delivered
}

// begin implements delivery.
func (o *plainly) begin(f *family, n int32) error {
	o.stream, o.number, o.call = f.name, n, rpc.FromContext(o.Context())
	return o.Send(&pb.Message{})
}

// usualDelivery is how long what surrounds a value usually is, bytes.
const usualDelivery = 128

// deliver implements delivery.
func (o *plainly) deliver(m *fb.Message) error {
	o.message = wire.Delivered{
		Offset: m.Offset, Time: m.Time, Partition: o.number, Stream: o.stream,
		Key: m.Key, Value: m.Value, Subject: m.Subject, Reply: m.Reply, Headers: m.Headers,
	}
	room := len(m.Value) + len(m.Subject) + len(o.stream) + usualDelivery
	o.out.End(wire.AppendDelivered(o.out.Begin(room), &o.message))
	if o.out.Len() >= enough {
		return o.flush()
	}
	return nil
}

// flush implements delivery.
func (o *plainly) flush() error { return o.call.Send(&o.out) }
