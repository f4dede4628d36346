package liftbridge

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
)

// aged has all that a stream holds removed by its age.
func (r *rig) aged(name string) {
	r.t.Helper()
	s := r.Streams.Find("A", name)
	limit := func(age time.Duration) {
		err := s.Change(r.ctx(), func(c *stream.Config) error {
			c.Limits.MaxAge = int64(age)
			return nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	limit(time.Millisecond)
	for end := time.After(patience); s.Partition().Status().Records > 0; {
		changed := s.Changed()
		if s.Partition().Status().Records == 0 {
			break
		}
		select {
		case <-changed:
		case <-end:
			r.t.Fatal("nothing is removed")
		}
	}
	limit(0)
}

// firstFrom subscribes, publishes one more message and returns what comes first.
func (r *rig) firstFrom(req *pb.SubscribeRequest) string {
	r.t.Helper()
	sub, err := r.Subscribe(r.ctx(), req)
	if err == nil {
		_, err = sub.Recv()
	}
	if err != nil {
		r.t.Fatalf("%v: %v", req, err)
	}
	r.put(req.Stream, 0, "next")
	m, err := sub.Recv()
	if err != nil {
		r.t.Fatalf("%v: %v", req, err)
	}
	return string(m.Value)
}

func TestEveryStartIsServedOnEmptyIdleAndAgedStreams(t *testing.T) {
	const (
		newOnly, offset, earliest, latest, from = pb.StartPosition_NEW_ONLY, pb.StartPosition_OFFSET, pb.StartPosition_EARLIEST,
			pb.StartPosition_LATEST, pb.StartPosition_TIMESTAMP
		end = math.MaxInt64
	)
	r := newRig(t)
	for i, c := range []struct {
		start pb.StartPosition
		at    int64 // offset and time
		idle  string
	}{
		{newOnly, 0, "next"}, {earliest, 0, "0"}, {latest, 0, "2"},
		{offset, 0, "0"}, {offset, 2, "2"}, {offset, 3, "next"}, {offset, 4, "next"}, {offset, end, "next"}, {offset, -1, "0"}, {offset, -end, "0"},
		{from, 0, "0"}, {from, -end, "0"}, {from, time.Now().Add(time.Hour).UnixNano(), "next"}, {from, end, "next"},
	} {
		for _, kind := range []string{"empty", "idle", "aged"} {
			name, want := fmt.Sprint(kind, i), "next"
			r.create(name, 1)
			switch kind {
			case "idle":
				r.put(name, 0, "0", "1", "2")
				want = c.idle
			case "aged":
				r.put(name, 0, "0", "1", "2")
				r.aged(name)
			}
			got := r.firstFrom(&pb.SubscribeRequest{Stream: name, StartPosition: c.start, StartOffset: c.at, StartTimestamp: c.at})
			if got != want {
				t.Errorf("%s, %v %d: %s, not %s", kind, c.start, c.at, got, want)
			}
		}
	}
}

func TestAStopBeforeTheStartIsRefused(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.put("s", 0, "0", "1", "2")
	for _, c := range []struct {
		start, stop int64
		text        string
	}{
		{0, -2, "Stop offset is before start offset: -2 < 0"},
		{1, 0, "Stop offset is before start offset: 0 < 1"},
		{-5, math.MinInt64, "Stop offset is before start offset: -9223372036854775808 < 0"},
		{99, 2, "Stop offset is before start offset: 2 < 99"},
		{99, 50, "Stop offset is before start offset: 50 < 99"},
		{math.MaxInt64, 3, "Stop offset is before start offset: 3 < 9223372036854775807"},
	} {
		_, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_OFFSET, StartOffset: c.start,
			StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: c.stop})
		code(t, err, codes.InvalidArgument, c.text)
	}
}

// TestAStopThatIsGoneEndsTheSubscription though it is before all that is there: it is held
// against what was asked for.
func TestAStopThatIsGoneEndsTheSubscription(t *testing.T) {
	r := newRig(t)
	r.create("s", 1, func(req *pb.CreateStreamRequest) { req.RetentionMaxMessages = &pb.NullableInt64{Value: 1} })
	r.put("s", 0, "0", "1", "2", "3")
	msgs, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_OFFSET, StartOffset: 0,
		StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 1})
	code(t, err, codes.ResourceExhausted, "Stop offset reached")
	if len(msgs) != 0 {
		t.Error(msgs)
	}
}

func TestAStopTimeBeforeAllMessagesIsNotFound(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	for _, text := range []string{"failed to find log segment for timestamp: EOF", "timestamp is before the beginning of the log"} {
		_, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: 5})
		code(t, err, codes.Internal, "Failed to lookup offset for timestamp: "+text)
		r.put("s", 0, "x")
	}
}
