package liftbridge

import (
	"math"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// span is what a subscription delivers, as offsets.
type span struct {
	start int64
	stop  int64 // the last one; -1: there is none
}

// none is no offset.
const none = int64(-1)

// newest is the offset of the last message that was stored, -1 if none ever was.
func newest(p *partition.Partition) int64 { return int64(p.Committed()) - 1 }

// resolve finds out what a request wants, as things are now.
func resolve(s *stream.Stream, req *pb.SubscribeRequest) (span, error) {
	p := s.Partition()
	last := newest(p)
	asked, err := startOf(p, req, last)
	if err != nil {
		return span{}, err
	}
	start := min(max(asked, int64(p.First())-1), last+1)
	if req.Reverse {
		start = min(start, last)
		asked = start
	}
	stop, err := stopOf(s, req, last)
	if err != nil {
		return span{}, err
	}
	implied := req.StopPosition == pb.StopPosition_STOP_ON_CANCEL && stop != none
	switch {
	case req.Reverse && last < 0:
		return span{}, status.Error(codes.ResourceExhausted, "Stream is empty")
	case req.Reverse && (implied || stop < none):
		stop = none
	case req.Reverse || stop == none || stop >= asked:
	case implied:
		return span{}, status.Error(codes.ResourceExhausted, endOfReadOnly)
	default:
		return span{}, status.Errorf(codes.InvalidArgument, "Stop offset is before start offset: %d < %d", stop, asked)
	}
	return span{start, stop}, nil
}

// startOf is the first offset that is asked for, which may be gone or not there yet: what
// is to be the last one is held against it.
func startOf(p *partition.Partition, req *pb.SubscribeRequest, last int64) (int64, error) {
	var start int64
	switch req.StartPosition {
	case pb.StartPosition_NEW_ONLY:
		start = last + 1
	case pb.StartPosition_OFFSET:
		start = req.StartOffset
	case pb.StartPosition_EARLIEST:
		start = int64(p.First()) - 1
	case pb.StartPosition_LATEST:
		if start = last + 1; p.Status().Records > 0 {
			start = last
		}
	case pb.StartPosition_TIMESTAMP:
		seq, err := p.SeekTime(req.StartTimestamp)
		if err != nil {
			return 0, status.Errorf(codes.Internal, "Failed to lookup offset for timestamp: %v", err)
		}
		start = int64(seq) - 1
	default:
		return 0, status.Errorf(codes.InvalidArgument, "Unknown StartPosition %d", req.StartPosition)
	}
	return max(start, 0), nil
}

// stopOf is the last offset to deliver.
func stopOf(s *stream.Stream, req *pb.SubscribeRequest, last int64) (int64, error) {
	p := s.Partition()
	switch req.StopPosition {
	case pb.StopPosition_STOP_ON_CANCEL:
		if s.Config().Gate.ReadOnly {
			return last, nil
		}
		return none, nil
	case pb.StopPosition_STOP_OFFSET:
		return req.StopOffset, nil
	case pb.StopPosition_STOP_LATEST:
		if p.Status().Records == 0 {
			return 0, status.Error(codes.ResourceExhausted, "Stream is empty")
		}
		return last, nil
	case pb.StopPosition_STOP_TIMESTAMP:
		return before(p, req.StopTimestamp)
	}
	return 0, status.Errorf(codes.InvalidArgument, "Unknown StopPosition %d", req.StopPosition)
}

// before is the offset of the last message of a time or earlier.
func before(p *partition.Partition, t int64) (int64, error) {
	if t == math.MaxInt64 {
		t--
	}
	failed := func(why any) error {
		return status.Errorf(codes.Internal, "Failed to lookup offset for timestamp: %v", why)
	}
	seq, err := p.SeekTime(t + 1)
	switch {
	case err != nil:
		return 0, failed(err)
	case p.Committed() == 0:
		return 0, failed("failed to find log segment for timestamp: EOF")
	case seq <= p.First() || p.Status().Records == 0:
		return 0, failed("timestamp is before the beginning of the log")
	}
	return int64(seq) - 2, nil
}
