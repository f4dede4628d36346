package liftbridge_test

import (
	"math"
	"time"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
)

func subscribeScript(s *side) {
	s.stream("b0", 2)
	member := &pb.Consumer{GroupId: "g"}
	for _, q := range []*pb.SubscribeRequest{
		{}, {Stream: "nix"}, {Stream: "nix", Consumer: member}, {Stream: "b0", Consumer: member}, {Stream: "b0", Partition: 2}, {Stream: "b0", Partition: -1},
		{Stream: "b0", StartPosition: 5}, {Stream: "b0", StartPosition: -1}, {Stream: "b0", StopPosition: 4}, {Stream: "b0", StopPosition: -1},
		{Stream: "b0", StartPosition: 5, StopPosition: 4}, {Stream: "b0", Partition: 7, StartPosition: 5},
		{Stream: "b0", StopPosition: pb.StopPosition_STOP_LATEST}, {Stream: "b0", StartPosition: 5, StopPosition: pb.StopPosition_STOP_LATEST},
		{Stream: "b0", StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: math.MaxInt64},
		{Stream: "b0", StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: 1},
		{Stream: "b0", StopPosition: pb.StopPosition_STOP_TIMESTAMP},
		{Stream: "b0", StartPosition: pb.StartPosition_OFFSET, StartOffset: 5, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 2},
		{Stream: "b0", StartPosition: pb.StartPosition_OFFSET, StartOffset: -5, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: -2},
	} {
		s.read(q)
	}
	// Of an empty partition each start gives the first message.
	starts := []*pb.SubscribeRequest{
		{StartPosition: pb.StartPosition_NEW_ONLY}, {StartPosition: pb.StartPosition_EARLIEST}, {StartPosition: pb.StartPosition_LATEST},
		{StartPosition: pb.StartPosition_OFFSET}, {StartPosition: pb.StartPosition_OFFSET, StartOffset: 100}, {StartPosition: pb.StartPosition_OFFSET, StartOffset: -5},
		{StartPosition: pb.StartPosition_TIMESTAMP}, {StartPosition: pb.StartPosition_TIMESTAMP, StartTimestamp: -5},
		{StartPosition: pb.StartPosition_TIMESTAMP, StartTimestamp: math.MaxInt64}, {StopPosition: pb.StopPosition_STOP_OFFSET},
		{StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: -1}, {ReadISRReplica: true}, {Resume: true},
		{Consumer: &pb.Consumer{ConsumerId: "alone"}},
	}
	var all []*reading
	for _, q := range starts {
		q.Stream = "b0"
		all = append(all, s.subscribe(q))
	}
	s.publish("b0", 0, "the first")
	s.publish("b0", 0, "the second")
	for _, r := range all {
		r.take(2)
	}
	wait := lull // for all of them
	for _, r := range all {
		r.quietFor(wait)
		r.cancel()
		wait = time.Millisecond
	}
}

// spanScript reads from each start to each stop.
func spanScript(s *side) {
	s.stream("e0", 1)
	s.fill("e0", 5)
	type end struct {
		stop pb.StopPosition
		at   int64
	}
	for _, from := range []int64{math.MinInt64, -1, 0, 2, 4, 5, 6, 100, math.MaxInt64} {
		for _, to := range []end{
			{pb.StopPosition_STOP_LATEST, 0}, {pb.StopPosition_STOP_OFFSET, 0}, {pb.StopPosition_STOP_OFFSET, 2}, {pb.StopPosition_STOP_OFFSET, 4},
			{pb.StopPosition_STOP_OFFSET, -2}, {pb.StopPosition_STOP_TIMESTAMP, math.MaxInt64}, {pb.StopPosition_STOP_TIMESTAMP, 1},
		} {
			q := &pb.SubscribeRequest{Stream: "e0", StartPosition: pb.StartPosition_OFFSET, StartOffset: from, StopPosition: to.stop}
			if to.stop == pb.StopPosition_STOP_OFFSET {
				q.StopOffset = to.at
			} else {
				q.StopTimestamp = to.at
			}
			s.read(q)
		}
	}
	for _, at := range []pb.StartPosition{pb.StartPosition_NEW_ONLY, pb.StartPosition_EARLIEST, pb.StartPosition_LATEST} {
		s.read(&pb.SubscribeRequest{Stream: "e0", StartPosition: at, StopPosition: pb.StopPosition_STOP_LATEST})
		s.read(&pb.SubscribeRequest{Stream: "e0", StartPosition: at, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 3})
		s.read(&pb.SubscribeRequest{Stream: "e0", StartPosition: at, StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: math.MaxInt64})
	}
	// What is not there yet.
	ahead := []*reading{
		s.subscribe(&pb.SubscribeRequest{Stream: "e0", StartPosition: pb.StartPosition_OFFSET, StartOffset: 100}),
		s.subscribe(&pb.SubscribeRequest{Stream: "e0", StartPosition: pb.StartPosition_OFFSET, StartOffset: 6, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 6}),
		s.subscribe(&pb.SubscribeRequest{Stream: "e0", StartPosition: pb.StartPosition_LATEST, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 6}),
		s.subscribe(&pb.SubscribeRequest{Stream: "e0", StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 5}),
		s.subscribe(&pb.SubscribeRequest{Stream: "e0", StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: -1}),
		s.subscribe(&pb.SubscribeRequest{Stream: "e0"}),
	}
	s.publish("e0", 0, "m5")
	s.publish("e0", 0, "m6")
	for _, r := range ahead {
		r.take(1)
		r.take(1)
		r.quiet()
		r.cancel()
	}
}

// timesScript reads by the times of messages.
func timesScript(s *side) {
	s.stream("t0", 1)
	var at []int64
	for range 4 {
		at = append(at, s.publish("t0", 0, "x").GetReceptionTimestamp())
	}
	for _, from := range []int64{0, at[0] - 1, at[0], at[0] + 1, at[2], at[2] + 1, at[3], at[3] + 1, math.MaxInt64, math.MinInt64} {
		for _, to := range []int64{0, at[0] - 1, at[0], at[2] - 1, at[2], at[3], at[3] + 1, math.MaxInt64, math.MinInt64} {
			s.read(&pb.SubscribeRequest{
				Stream: "t0", StartPosition: pb.StartPosition_TIMESTAMP, StartTimestamp: from, StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: to,
			})
		}
	}
	r := s.subscribe(&pb.SubscribeRequest{Stream: "t0", StartPosition: pb.StartPosition_TIMESTAMP, StartTimestamp: at[3] + 1})
	s.publish("t0", 0, "later")
	r.take(1)
}

// liveScript has subscribers at the end of a partition when something befalls it.
func liveScript(s *side) {
	befallen := func(name string, stored int, befall func()) {
		s.stream(name, 1)
		s.fill(name, stored)
		all := []*reading{
			s.subscribe(&pb.SubscribeRequest{Stream: name, StartPosition: pb.StartPosition_EARLIEST}),
			s.subscribe(&pb.SubscribeRequest{Stream: name}),
			s.subscribe(&pb.SubscribeRequest{Stream: name, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 50}),
			s.subscribe(&pb.SubscribeRequest{Stream: name, Consumer: &pb.Consumer{GroupId: "g", ConsumerId: "c"}}),
		}
		if stored > 0 {
			all[0].take(stored)
			all[2].take(stored)
		}
		befall()
		for _, r := range all {
			r.rest()
		}
	}
	for _, stored := range []int{0, 2} {
		suffix := string(rune('0' + stored))
		befallen("l0"+suffix, stored, func() { s.remove("l0" + suffix) })
		befallen("l1"+suffix, stored, func() { s.pause("l1"+suffix, false) })
		befallen("l2"+suffix, stored, func() { s.readonly("l2"+suffix, true) })
	}
}

// fencingScript has members of a group subscribe to one partition.
func fencingScript(s *side) {
	s.stream("f0", 2)
	s.fill("f0", 2)
	as := func(group, id string, epoch uint64, change ...func(*pb.SubscribeRequest)) *reading {
		s.t.Helper()
		q := &pb.SubscribeRequest{Stream: "f0", StartPosition: pb.StartPosition_EARLIEST, Consumer: &pb.Consumer{GroupId: group, ConsumerId: id, GroupEpoch: epoch}}
		for _, f := range change {
			f(q)
		}
		return s.subscribe(q)
	}
	a := as("g", "a", 5)
	a.take(2)
	as("g", "b", 4).rest()
	as("g", "a", 4).rest()
	as("g", "b", 4, func(q *pb.SubscribeRequest) { q.StartPosition = 9 }).rest()
	as("g", "b", 6, func(q *pb.SubscribeRequest) { q.StartPosition = 9 }).rest()
	as("g", "", 6).rest()
	other := as("h", "b", 1)
	other.take(2)
	elsewhere := as("g", "a", 1, func(q *pb.SubscribeRequest) { q.Partition = 1 })
	a.quiet()
	b := as("g", "b", 5)
	a.rest()
	b.take(2)
	b2 := as("g", "b", 7)
	b.rest()
	b2.take(2)
	s.publish("f0", 0, "live")
	b2.take(1)
	other.take(1)
	elsewhere.quiet()
	b2.cancel()
	as("g", "c", 8, func(q *pb.SubscribeRequest) { q.StopPosition = pb.StopPosition_STOP_LATEST }).rest()
	last := as("g", "c", 9)
	last.take(3)
	last.quiet()
}
