package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/poller"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// bytesOf is a message.
func bytesOf(b []byte) *wrapperspb.BytesValue { return wrapperspb.Bytes(b) }

// service answers calls in each way.
type service struct {
	ended chan error // how calls of wait ended
	feeds chan *feeding
}

// unary answers with what came; "fail" fails.
func unary(srv any, ctx context.Context, dec func(any) error, icpt grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.BytesValue)
	if err := dec(in); err != nil {
		return nil, err
	}
	h := func(_ context.Context, req any) (any, error) {
		if string(in.Value) == "fail" {
			return nil, status.Error(codes.Aborted, "100 % failed\nü")
		}
		return req, nil
	}
	if icpt == nil {
		return h(ctx, in)
	}
	return icpt(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/t.S/Unary"}, h)
}

// echo sends back each message.
func echo(_ any, s grpc.ServerStream) error {
	for {
		in := new(wrapperspb.BytesValue)
		if err := s.RecvMsg(in); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(in); err != nil {
			return err
		}
	}
}

// gathered sends each message of a list, whose bytes are lengths in KiB, together.
func gathered(_ any, s grpc.ServerStream) error {
	in := new(wrapperspb.BytesValue)
	if err := s.RecvMsg(in); err != nil {
		return err
	}
	var out Out
	for i, k := range in.Value {
		b, err := proto.MarshalOptions{}.MarshalAppend(out.Begin(0), bytesOf(filled(i, int(k)<<10)))
		if err != nil {
			return err
		}
		out.End(b)
	}
	return FromContext(s.Context()).Send(&out)
}

// flood sends until the call ends.
func flood(srv any, s grpc.ServerStream) error {
	b := bytesOf(make([]byte, 8<<10))
	for {
		if err := s.SendMsg(b); err != nil {
			srv.(*service).ended <- err
			return err
		}
	}
}

// wait waits for the end of the call.
func wait(srv any, s grpc.ServerStream) error {
	<-s.Context().Done()
	srv.(*service).ended <- s.Context().Err()
	return s.Context().Err()
}

// feeding answers each message as a Feed.
type feeding struct {
	call *Call
	over chan error

	mu      sync.Mutex
	full    bool // guarded by mu
	got     int  // guarded by mu
	flushes int  // guarded by mu
	closed  bool // guarded by mu
	out     Out
}

func (f *feeding) Message(b []byte, c *chunk.Chunk) {
	f.mu.Lock()
	f.got += len(b)
	f.mu.Unlock()
	f.out.End(append(f.out.Begin(len(b)), b...))
	if c != nil {
		c.Free()
	}
}

func (f *feeding) Flush() {
	f.mu.Lock()
	f.flushes++
	f.mu.Unlock()
	f.call.Post(&f.out)
}

func (f *feeding) Full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.full
}

// Ended has the handler end the call: what is answered must be on its way by then.
func (f *feeding) Ended(err error) {
	f.call.Post(&f.out)
	f.over <- err
}

func (f *feeding) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

func feed(srv any, s grpc.ServerStream) error {
	f := &feeding{call: FromContext(s.Context()), over: make(chan error, 1)}
	f.call.Serve(f)
	srv.(*service).feeds <- f
	select {
	case err := <-f.over:
		if err == io.EOF {
			return nil
		}
		return err
	case <-s.Context().Done():
		return s.Context().Err()
	}
}

var desc = grpc.ServiceDesc{
	ServiceName: "t.S", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Echo", Handler: echo, ServerStreams: true, ClientStreams: true},
		{StreamName: "Gathered", Handler: gathered, ServerStreams: true},
		{StreamName: "Flood", Handler: flood, ServerStreams: true},
		{StreamName: "Wait", Handler: wait, ServerStreams: true},
		{StreamName: "Feed", Handler: feed, ServerStreams: true, ClientStreams: true},
	},
}

// both are the ways in which a call is streamed.
var both = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// filled are bytes that tell whose they are.
func filled(i, n int) []byte {
	b := make([]byte, n)
	for k := range min(n, 256) {
		b[k] = byte(i + k)
	}
	for k := 256; k < n; k *= 2 {
		copy(b[k:], b[:k])
	}
	return b
}

// rig is a server with a client.
type rig struct {
	*grpc.ClientConn
	*service
	t      *testing.T
	server *Server
	addr   string
	served chan error
	dial   []grpc.DialOption
}

// each runs a test with a server on a poller, one without, and one with TLS.
func each(t *testing.T, f func(r *rig)) {
	for _, name := range []string{"polled", "read", "encrypted"} {
		t.Run(name, func(t *testing.T) {
			o := Options{MaxReceive: 1 << 20, Log: slog.New(slog.DiscardHandler)}
			secure := insecure.NewCredentials()
			switch name {
			case "polled":
				p, err := poller.Open(1, nil, nil)
				if errors.Is(err, poller.ErrUnsupported) {
					t.Skip(err) // the others are what is served here
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := p.Close(); err != nil {
						t.Error(err)
					}
				})
				o.Poller = p
			case "encrypted":
				o.TLS = serverTLS(t)
				secure = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
			}
			f(open(t, o, grpc.WithTransportCredentials(secure)))
		})
	}
}

func open(t *testing.T, o Options, dial ...grpc.DialOption) *rig {
	t.Helper()
	r := &rig{t: t, server: New(o), service: &service{ended: make(chan error, 64), feeds: make(chan *feeding, 256)}, served: make(chan error, 1)}
	r.server.RegisterService(&desc, r.service)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	go func() { r.served <- r.server.Serve(ln) }()
	t.Cleanup(func() {
		r.server.Stop()
		if err := <-r.served; err != nil {
			t.Error(err)
		}
	})
	r.dial = append(dial, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	r.connect()
	return r
}

// connect makes another client the rig's.
func (r *rig) connect(more ...grpc.DialOption) {
	r.t.Helper()
	c, err := grpc.NewClient(r.addr, append(more, r.dial...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.ClientConn = c
	r.t.Cleanup(func() { c.Close() })
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

// stream begins a call, with one message if first is not nil.
func (r *rig) stream(ctx context.Context, name string, first []byte) grpc.ClientStream {
	r.t.Helper()
	s := r.begin(ctx, name, first)
	if name == "Echo" || name == "Feed" {
		return s
	}
	if err := s.CloseSend(); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// begin is stream for a client that may send more.
func (r *rig) begin(ctx context.Context, name string, first []byte) grpc.ClientStream {
	r.t.Helper()
	s, err := r.NewStream(ctx, both, "/t.S/"+name)
	if err == nil && first != nil {
		err = s.SendMsg(bytesOf(first))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// next receives a message.
func next(s grpc.ClientStream) ([]byte, error) {
	m := new(wrapperspb.BytesValue)
	err := s.RecvMsg(m)
	return m.Value, err
}
