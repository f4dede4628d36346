package liftbridge_test

import (
	"context"
	"fmt"
	"strings"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/weirmq/weir/conformance/harness"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// retained makes a stream whose segments hold a message each, so that the old server removes
// what it means to and no less.
func (s *side) retained(name string, change func(*pb.CreateStreamRequest)) {
	s.t.Helper()
	q := &pb.CreateStreamRequest{
		Name: name, Subject: name, SegmentMaxBytes: &pb.NullableInt64{Value: 1}, CleanerInterval: &pb.NullableInt64{Value: 200},
		RetentionMaxAge: &pb.NullableInt64{},
	}
	change(q)
	s.create(q)
}

// holds counts what a stream has; -1: something was removed meanwhile, which ends a
// subscription of the old server.
func (s *side) holds(name string) (count int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), besideLimit)
	defer cancel()
	in, err := s.api.Subscribe(ctx, &pb.SubscribeRequest{Stream: name, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST})
	if err == nil {
		_, err = in.Recv()
	}
	for ; err == nil; count++ {
		_, err = in.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		return -1
	}
	return count - 1
}

// left waits until a stream holds so many messages, and says which.
func (s *side) left(name string, count int) {
	s.t.Helper()
	harness.Eventually(s.t, fmt.Sprintf("%s holds %d messages", name, count), func() bool { return s.holds(name) == count })
	s.steady(&pb.SubscribeRequest{Stream: name, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST})
}

// steady reads a partition that the old server cleans meanwhile, which may end what it sends.
func (s *side) steady(q *pb.SubscribeRequest) {
	s.t.Helper()
	n := len(s.steps)
	harness.Eventually(s.t, "what is read is not cleaned meanwhile", func() bool {
		s.steps = s.steps[:n]
		s.read(q)
		return !strings.Contains(s.steps[n].said, "segment has been closed")
	})
}

func retentionScript(s *side) {
	s.retained("y0", func(q *pb.CreateStreamRequest) { q.RetentionMaxMessages = &pb.NullableInt64{Value: 3} })
	s.fill("y0", 8)
	s.left("y0", 3)
	for _, q := range []*pb.SubscribeRequest{
		{StartPosition: pb.StartPosition_OFFSET, StartOffset: 2, StopPosition: pb.StopPosition_STOP_LATEST},
		{StartPosition: pb.StartPosition_OFFSET, StartOffset: 6, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 5},
		{StartPosition: pb.StartPosition_OFFSET, StartOffset: 2, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 1},
		{StartPosition: pb.StartPosition_TIMESTAMP, StartTimestamp: 5, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 6},
		{StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: 5},
	} {
		q.Stream = "y0"
		s.steady(q)
	}
	s.publish("y0", 0, "next")
	s.left("y0", 3)
	s.partition("y0", 0)
	s.retained("y1", func(q *pb.CreateStreamRequest) { q.CompactEnabled = &pb.NullableBool{Value: true} })
	for i := range 24 {
		s.publish("y1", 0, fmt.Sprint("m", i), func(q *pb.PublishRequest) {
			if q.Key = fmt.Append(nil, "k", i%4); i%8 == 0 {
				q.Key = nil
			}
		})
	}
	s.left("y1", 7)
	s.publish("y1", 0, "", func(q *pb.PublishRequest) { q.Key = []byte("k2") })
	s.steady(&pb.SubscribeRequest{Stream: "y1", StartPosition: pb.StartPosition_OFFSET, StartOffset: 2, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 21})
	s.steady(&pb.SubscribeRequest{Stream: "y1", StartPosition: pb.StartPosition_OFFSET, StartOffset: 20, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 22})
	s.retained("y2", func(q *pb.CreateStreamRequest) { q.RetentionMaxBytes = &pb.NullableInt64{Value: 1000} })
	for range 5 {
		s.publish("y2", 0, strings.Repeat("x", 400))
	}
	s.left("y2", 2)
}
