package liftbridge_test

import (
	"math"
	"strings"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/weirmq/weir/conformance/harness"
)

func cursorsScript(s *side) {
	set := func(stream string, n int32, id string, offset int64) {
		s.t.Helper()
		ask(s, "SetCursor", s.api.SetCursor, &pb.SetCursorRequest{Stream: stream, Partition: n, CursorId: id, Offset: offset})
	}
	fetch := func(stream string, n int32, id string) {
		s.t.Helper()
		ask(s, "FetchCursor", s.api.FetchCursor, &pb.FetchCursorRequest{Stream: stream, Partition: n, CursorId: id})
	}
	s.stream("k0", 2)
	for _, stream := range []string{"", "k0", "no-such"} {
		for _, id := range []string{"", "c", "a,b c.d*>/é"} {
			for _, n := range []int32{0, 1, 7, -1} {
				fetch(stream, n, id)
				set(stream, n, id, int64(n)+3)
				fetch(stream, n, id)
			}
		}
	}
	for _, offset := range []int64{5, 2, 0, -1, -7, math.MaxInt64, math.MinInt64} {
		set("k0", 0, "c", offset)
		fetch("k0", 0, "c")
	}
	fetch("k0", 1, "c")
	s.remove("k0")
	fetch("k0", 1, "c")
	s.stream("k0", 2)
	fetch("k0", 1, "c")
	askWithin(s, 0, "SetCursor", s.api.SetCursor, &pb.SetCursorRequest{Stream: "k0", CursorId: "d", Offset: 8})
	askWithin(s, 0, "FetchCursor", s.api.FetchCursor, &pb.FetchCursorRequest{Stream: "k0", CursorId: "d"})
}

// member is a consumer of groups.
type member struct {
	s         *side
	group, id string
}

func (m member) join(streams ...string) uint64 {
	m.s.t.Helper()
	a := askWithin(m.s, besideLimit, "JoinConsumerGroup", m.s.api.JoinConsumerGroup, &pb.JoinConsumerGroupRequest{GroupId: m.group, ConsumerId: m.id, Streams: streams})
	return a.GetEpoch()
}

func (m member) leave() {
	m.s.t.Helper()
	ask(m.s, "LeaveConsumerGroup", m.s.api.LeaveConsumerGroup, &pb.LeaveConsumerGroupRequest{GroupId: m.group, ConsumerId: m.id})
}

func (m member) fetch(epoch uint64) {
	m.s.t.Helper()
	ask(m.s, "FetchConsumerGroupAssignments", m.s.api.FetchConsumerGroupAssignments, &pb.FetchConsumerGroupAssignmentsRequest{GroupId: m.group, ConsumerId: m.id, Epoch: epoch})
}

func (m member) report(coordinator string, epoch uint64) {
	m.s.t.Helper()
	ask(m.s, "ReportConsumerGroupCoordinator", m.s.api.ReportConsumerGroupCoordinator,
		&pb.ReportConsumerGroupCoordinatorRequest{GroupId: m.group, ConsumerId: m.id, Coordinator: coordinator, Epoch: epoch})
}

// wrong is an epoch that no group has.
const wrong = 1 << 40

func groupsScript(s *side) {
	s.stream("g0", 2)
	s.stream("g1", 1)
	a, b := member{s, "gg", "a"}, member{s, "gg", "b"}
	for _, m := range []member{{s, "", ""}, {s, "", "a"}, {s, "gg", ""}, a} {
		m.join()
		m.join("nix")
		m.leave()
		m.fetch(0)
		m.fetch(wrong)
		m.report("", 0)
		m.report("one", 0)
	}
	a.join("g0", "nix")
	s.metadata([]string{"g0"}, []string{"gg", "", "nix", "gg"})
	first := a.join("g0")
	s.metadata([]string{"g0"}, []string{"gg"})
	a.join("g0")
	a.join("nix")
	b.join("nix")
	a.fetch(first)
	a.fetch(first + wrong)
	b.fetch(first)
	b.fetch(first + wrong)
	b.leave()
	a.report("one", first)
	a.report("one", first+wrong)
	a.report("two", first)
	b.report("one", first)
	b.report("one", first+wrong)
	second := b.join("g0", "g1", "g0")
	s.metadata([]string{"g0"}, []string{"gg"})
	a.fetch(first)
	a.fetch(second)
	b.fetch(second)
	a.report("one", second)
	a.report("one", second)
	b.report("one", second)
	a.leave()
	a.leave()
	b.fetch(second)
	b.report("one", second)
	b.leave()
	b.leave()
	s.metadata([]string{"g0"}, []string{"gg"})
	b.fetch(0)
	b.report("one", 0)
}

// assignmentsScript has members come and go, and their streams.
func assignmentsScript(s *side) {
	s.stream("h0", 3)
	s.stream("h1", 4)
	s.stream("h2", 1)
	members := map[string]member{}
	for _, id := range []string{"a", "b", "c"} {
		members[id] = member{s, "hg", id}
	}
	var epoch uint64
	all := func(ids ...string) {
		for _, id := range ids {
			members[id].fetch(epoch)
		}
	}
	epoch = members["b"].join("h0", "h1")
	all("b")
	epoch = members["a"].join("h0")
	all("a", "b")
	epoch = members["c"].join("h1", "h2", "h0")
	all("a", "b", "c")
	members["b"].leave()
	epoch = s.epoch("hg")
	all("a", "c")
	epoch = members["b"].join("h2")
	all("a", "b", "c")
	s.remove("h0")
	before := epoch
	harness.Eventually(s.t, "the group knows that its stream is gone", func() bool {
		epoch = s.epoch("hg")
		return epoch != before
	})
	all("a", "b", "c")
	s.stream("h0", 2)
	all("a", "b", "c")
	// Of one that was deleted there is nothing left to read.
	s.metadata([]string{"h0"}, []string{"hg"})
}

// ownScript has a server to itself.
func ownScript(s *side) {
	metadataScript(s)
	activityScript(s)
	encryptionScript(s)
	reservedScript(s)
}

// reservedScript does with the server's own streams what clients may.
func reservedScript(s *side) {
	set := func(id string, offset int64) {
		s.t.Helper()
		ask(s, "SetCursor", s.api.SetCursor, &pb.SetCursorRequest{Stream: "z0", CursorId: id, Offset: offset})
	}
	fetch := func(id string) {
		s.t.Helper()
		ask(s, "FetchCursor", s.api.FetchCursor, &pb.FetchCursorRequest{Stream: "z0", CursorId: id})
	}
	set("a", 5)
	s.pause("__cursors", false)
	fetch("a")
	fetch("b")
	s.pause("__cursors", false)
	set("a", 6)
	set("c", 7)
	fetch("a")
	s.readonly("__cursors", true)
	set("a", 8)
	fetch("a")
	fetch("d")
	s.pause("__cursors", false)
	s.readonly("__cursors", false)
	set("a", 9)
	fetch("a")
	for n := range int32(3) {
		s.all("__cursors", n)
	}
	a := member{s, "zg", "a"}
	a.fetch(a.join("__activity", "__cursors"))
	a.leave()
}

// metadataScript says what there is, and how much.
func metadataScript(s *side) {
	s.reach("__activity", 0, 1) // the server's own streams are told of
	s.metadata(nil, nil)
	s.stream("a0", 3)
	s.stream("a1", 1)
	s.reach("__activity", 0, 3)
	s.metadata(nil, []string{"none"})
	s.pause("a0", false, 1)
	s.reach("__activity", 0, 4)
	s.metadata(nil, nil)
	s.pause("a0", false, 1)
	s.publish("a0", 1, "x")
	s.metadata([]string{"a0", "a0", "", "a b"}, nil)
	s.busy = true // what the old server counts is wrong from here on
	s.readonly("a1", true)
	s.metadata([]string{"a1"}, nil)
	s.pause("a1", false)
	s.remove("a1")
	s.metadata([]string{"a1"}, nil)
	s.remove("a0")
	s.reach("__activity", 0, 10)
	s.metadata(nil, nil)
}

// activityScript does what is told in the activity stream, and what is not.
func activityScript(s *side) {
	s.stream("a2", 3)
	s.stream("a2", 1)
	s.pause("a2", true, 2, 0)
	s.pause("a2", false)
	s.publish("a2", 1, "x")
	s.pause("a2", true)
	s.publish("a2", 1, "x")
	s.publish("a2", 1, "x")
	s.pause("a2", false, 1, 1)
	s.peek(0, &pb.SubscribeRequest{Stream: "a2", Partition: 1, Resume: true})
	s.readonly("a2", true, 2, 1)
	s.readonly("a2", true)
	s.readonly("a2", false)
	s.readonly("a2", false, 7)
	a, b := member{s, "ag", "a"}, member{s, "ag", "b"}
	a.join("none")
	a.join("a2")
	b.join("a2", "a2")
	b.leave()
	b.leave()
	harness.Eventually(s.t, "the other one expires", func() bool { return s.epoch("ag") == 0 })
	s.metadata([]string{"a2"}, []string{"ag"})
	s.remove("a2")
	s.create(&pb.CreateStreamRequest{Name: "a3", Subject: "a3", AutoPauseTime: &pb.NullableInt64{Value: 200}})
	s.subscribe(&pb.SubscribeRequest{Stream: "a3"}).rest()
	s.remove("a3")
	s.create(&pb.CreateStreamRequest{Name: "a4", Subject: "a4"})
	s.remove("__activity")
	s.events = true
	r := s.subscribe(&pb.SubscribeRequest{Stream: "__activity", StartPosition: pb.StartPosition_EARLIEST})
	for !r.ended {
		r.take(1)
		if last := s.steps[len(s.steps)-1].said; strings.Contains(last, `"a4"`) || last == "nothing" {
			break
		}
	}
	r.quiet()
	r.cancel()
	s.events = false
}

// encryptionScript keeps messages that nobody sees encrypted.
func encryptionScript(s *side) {
	s.create(&pb.CreateStreamRequest{Name: "a5", Subject: "a5", Encryption: &pb.NullableBool{Value: true}})
	on := s.listen("a5")
	s.publish("a5", 0, "secret", odd)
	on.hear()
	s.plain("a5", "", []byte("plain"))
	s.publish("a5", 0, "")
	s.all("a5", 0)
	s.partition("a5", 0)
	s.pause("a5", false)
	s.publish("a5", 0, "with another key")
	s.all("a5", 0)
}
