package liftbridge_test

import (
	"context"
	"fmt"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// checksScript breaks two rules at once.
func checksScript(s *side) {
	s.create(&pb.CreateStreamRequest{Name: "i0", Subject: "i0", Partitions: 2, OptimisticConcurrencyControl: &pb.NullableBool{Value: true}})
	s.publish("i0", 0, "x", expected(0))
	s.publish("i0", 0, "x", expected(1))
	half := &pb.Consumer{GroupId: "g"}
	none := func(q *pb.PublishRequest) { q.AckPolicy = pb.AckPolicy_NONE }
	bad := func(q *pb.PublishRequest) { q.AckInbox = "a b" }
	wrong := func(q *pb.PublishRequest) { q.ExpectedOffset = 77 }
	large := func(q *pb.PublishRequest) { q.Value = make([]byte, 100_000) }
	publishes := func() {
		a := s.async()
		for _, n := range []int32{0, 2, -1} {
			for _, change := range [][]sent{{none}, {none, bad}, {bad}, {bad, wrong}, {wrong}, {wrong, large}, {large}, {large, none}} {
				s.publish("i0", n, "x", change...)
				s.publish("nix", n, "x", change...)
				a.ask("i0", n, "x", change...)
				a.ask("", n, "x", change...)
			}
		}
		a.finish()
	}
	publishes()
	s.readonly("i0", true)
	publishes()
	reads := func() {
		for _, q := range []*pb.SubscribeRequest{
			{StartPosition: 9, StopPosition: 9}, {StartPosition: 9}, {StopPosition: 9}, {StopPosition: 9, StartPosition: pb.StartPosition_EARLIEST},
			{Consumer: half}, {Consumer: half, StartPosition: 9}, {Consumer: half, Partition: 7}, {Partition: 7, StartPosition: 9},
			{StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: 3},
			{StartPosition: pb.StartPosition_OFFSET, StartOffset: 1, StopPosition: pb.StopPosition_STOP_OFFSET},
		} {
			q.Stream = "i0"
			s.read(q)
		}
	}
	reads()
	s.pause("i0", false)
	publishes()
	s.readonly("i0", false)
	s.remove("i0")
	reads()
	publishes()
}

// hiddenScript asks for a stream that weir keeps for itself, and the old server does not have.
func hiddenScript(s *side) {
	const name = "__groups"
	s.stream("j0", 1)
	member{s, "jg", "a"}.join("j0") // weir keeps it in that stream
	s.metadata([]string{name}, nil)
	s.partition(name, 0)
	s.publish(name, 0, "x")
	s.pause(name, false)
	s.pause(name, false, 0)
	s.readonly(name, true)
	s.readonly(name, true, 0)
	s.remove(name)
	s.read(&pb.SubscribeRequest{Stream: name})
	member{s, "jg", "b"}.join(name)
	a := s.async()
	a.ask(name, 0, "x")
	a.finish()
}

// asIs sends bytes that are no message, perhaps.
type asIs struct{}

func (asIs) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (asIs) Unmarshal(b mem.BufferSlice, v any) error {
	*v.(*[]byte) = b.Materialize()
	return nil
}

func (asIs) Name() string { return "proto" }

var _ encoding.CodecV2 = asIs{}

// grpcScript asks for what is not there, and with what is no request.
func grpcScript(s *side) {
	invoke := func(method string, body []byte) {
		s.t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), besideLimit)
		defer cancel()
		var got []byte
		what := fmt.Sprintf("%s %q", method, body)
		err := s.conn.Invoke(ctx, method, &body, &got, grpc.ForceCodecV2(asIs{}))
		switch {
		case err != nil && len(body) > 0:
			s.say(what, "%s", status.Code(err)) // the text is that of a version of a library
		case err != nil:
			s.say(what, "%s", s.failure(err))
		default:
			s.say(what, "%q", got)
		}
	}
	for _, method := range []string{"/proto.API/Nix", "/proto.Nix/CreateStream", "/x", "/proto.API/", "/proto.API/createStream"} {
		invoke(method, nil)
	}
	for _, body := range []string{"", "\x08", "\xff\xff", "\x12\x02a", "\x12\x02\xff\xfe"} {
		invoke("/proto.API/CreateStream", []byte(body))
		invoke("/proto.API/Publish", []byte(body))
	}
	for _, service := range []string{"", "proto.API", "proto.Nix"} {
		ask(s, "Check", grpc_health_v1.NewHealthClient(s.conn).Check, &grpc_health_v1.HealthCheckRequest{Service: service})
	}
}
