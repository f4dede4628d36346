package liftbridge

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
)

// many answers a subscription with messages of some sizes, which go together.
type many struct {
	pb.UnimplementedAPIServer
	sizes []int
	found bool // the transport has the method that is looked for
}

func (m *many) Subscribe(_ *pb.SubscribeRequest, call grpc.ServerStreamingServer[pb.Message]) error {
	out := outgoingOf(call)
	m.found = out.write.IsValid()
	if err := out.flush(); err != nil { // nothing yet
		return err
	}
	for i, n := range m.sizes {
		b, err := proto.MarshalOptions{}.MarshalAppend(out.begin(), &pb.Message{Offset: int64(i), Value: make([]byte, n)})
		if err != nil {
			return err
		}
		out.end(b)
	}
	return out.flush()
}

// sent counts what a server's call sends by SendMsg.
type sent struct{ n int }

func (*sent) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*sent) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*sent) HandleConn(context.Context, stats.ConnStats)                       {}
func (s *sent) HandleRPC(_ context.Context, e stats.RPCStats) {
	if _, ok := e.(*stats.OutPayload); ok {
		s.n++
	}
}

func TestMessagesThatGoTogetherArriveOneByOne(t *testing.T) {
	m, s := &many{sizes: []int{0, 1, 300, 70_000, 0, 1 << 20, 5}}, new(sent)
	server := grpc.NewServer(grpc.StatsHandler(s), grpc.ForceServerCodecV2(newCodec()))
	pb.RegisterAPIServer(server, m)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	call, err := pb.NewAPIClient(conn).Subscribe(t.Context(), &pb.SubscribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range m.sizes {
		if got, err := call.Recv(); err != nil || got.Offset != int64(i) || len(got.Value) != n {
			t.Fatal(i, len(got.GetValue()), err)
		}
	}
	conn.Close()
	server.GracefulStop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if !m.found || s.n != 0 {
		t.Fatalf("gRPC's transport is not what it was: method found %v, %d messages sent alone", m.found, s.n)
	}
}

// alone is a call without a transport.
type alone struct {
	grpc.ServerStream
	got []string
}

func (a *alone) Context() context.Context { return context.Background() }
func (a *alone) SendMsg(m any) error {
	a.got = append(a.got, string(m.(mem.BufferSlice).Materialize()))
	return nil
}

func TestMessagesGoOneByOneWhereTheTransportIsAnother(t *testing.T) {
	var call alone
	out := outgoingOf(&call)
	for _, text := range []string{"one", "", "three"} {
		out.end(append(out.begin(), text...))
	}
	if err := out.flush(); err != nil || strings.Join(call.got, ",") != "one,,three" {
		t.Fatal(call.got, err)
	}
}

func TestEachGatheredMessageHasItsLength(t *testing.T) {
	var out outgoing
	out.end(append(out.begin(), "ab"...))
	out.end(append(out.begin(), "c"...))
	if string(out.buf) != "\x00\x00\x00\x00\x02ab\x00\x00\x00\x00\x01c" || out.enough() {
		t.Fatalf("%q", out.buf)
	}
	out.end(append(out.begin(), make([]byte, outgoingBytes)...))
	if n := binary.BigEndian.Uint32(out.buf[out.from+1:]); n != outgoingBytes || !out.enough() {
		t.Fatal(n)
	}
}
