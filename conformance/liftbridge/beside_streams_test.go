package liftbridge_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
)

// TestAnswersAreThoseOfTheOldServer asks both servers the same.
func TestAnswersAreThoseOfTheOldServer(t *testing.T) {
	t.Run("of a server with one client", func(t *testing.T) {
		t.Setenv("LIFTBRIDGE_ENCRYPTION_KEY", "0123456789abcdef")
		startBeside(t, "groups.consumer.timeout: 2s").compare(t, false, ownScript)
	})
	t.Run("of a busy server", func(t *testing.T) { busyScripts(t, startBeside(t)) })
	if some := flag.Lookup("test.run"); !t.Failed() && os.Getenv("LIFTBRIDGE_SERVER") != "" && !strings.Contains(some.Value.String(), "/") {
		areMet(t)
	}
}

// busyScripts runs scripts that use streams of their own, together.
func busyScripts(t *testing.T, p *beside) {
	for name, script := range map[string]func(*side){
		"create":             createScript,
		"settings":           settingsScript,
		"delete":             deleteScript,
		"pause":              pauseScript,
		"resume":             resumeScript,
		"auto pause":         autoPauseScript,
		"readonly":           readonlyScript,
		"publish":            publishScript,
		"publish async":      asyncScript,
		"concurrency":        concurrencyScript,
		"publish to subject": subjectScript,
		"subscribe":          subscribeScript,
		"start and stop":     spanScript,
		"times":              timesScript,
		"live":               liveScript,
		"fencing":            fencingScript,
		"cursors":            cursorsScript,
		"groups":             groupsScript,
		"assignments":        assignmentsScript,
		"envelopes":          envelopesScript,
		"shared subjects":    sharedScript,
		"retention":          retentionScript,
		"checks":             checksScript,
		"hidden":             hiddenScript,
		"grpc":               grpcScript,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.compare(t, true, script)
		})
	}
}

func createScript(s *side) {
	for _, q := range []*pb.CreateStreamRequest{
		{}, {Name: "c0"}, {Subject: "c0"}, {Name: "c0", Subject: "a b"}, {Name: "c0", Subject: "a..b"}, {Name: "c0", Subject: ".a"}, {Name: "c0", Subject: "a."},
		{Name: "c0", Subject: "a\tb"}, {Name: "c0", Subject: "a\nb"}, {Name: "__activity", Subject: "c0"}, {Name: "__cursors", Subject: "c0"},
		{Name: "__activity", Subject: "a b"}, {Name: "__activity", Subject: "c0", ReplicationFactor: -3}, {Subject: "a b", ReplicationFactor: 9},
		{Name: "c0", Subject: "c0", ReplicationFactor: -2}, {Name: "c0", Subject: "c0", ReplicationFactor: 2}, {Name: "c0", Subject: "c0", ReplicationFactor: 1000},
		{Name: "c0", Subject: "c0"}, {Name: "c0", Subject: "c0"}, {Name: "c0", Subject: "other"}, {Name: "c0", Subject: "a b"}, {Name: "c0", Subject: "c0", ReplicationFactor: 2},
		{Name: "c0", Subject: "c0", ReplicationFactor: -2}, {Name: "c0", Subject: "c0", Partitions: 3},
		{Name: "c1", Subject: "c0"}, {Name: "c2", Subject: "c2", ReplicationFactor: -1}, {Name: "c3", Subject: "c3", Partitions: 3, Group: "workers"},
		{Name: "c4.with.dots", Subject: "c4.*"}, {Name: "c5", Subject: "c5.>"}, {Name: "c6-ü_X:y", Subject: "c6.ü"}, {Name: "__c7", Subject: "c7"},
		{Name: "c9", Subject: "c9.a*b"}, {Name: "c10", Subject: "_INBOX.c"}, {Name: "c11", Subject: "$JS.API.c"}, {Name: "c12", Subject: "ns.c.ack.>"}, {Name: "c13", Subject: "$SYS.c"}, {Name: "C0", Subject: "c0"},
	} {
		s.create(q)
	}
	for _, name := range []string{"c0", "c1", "c2", "c3", "c4.with.dots", "c5", "c6-ü_X:y", "__c7", "c9", "C0"} {
		s.metadata([]string{name}, nil)
	}
	s.publish("c6-ü_X:y", 0, "x")
	s.all("c6-ü_X:y", 0)
	s.publish("c3", 2, "x")
	s.all("c3", 2)
}

// settingsScript makes streams with each setting and publishes to them.
func settingsScript(s *side) {
	n64 := func(n int64) *pb.NullableInt64 { return &pb.NullableInt64{Value: n} }
	n32 := func(n int32) *pb.NullableInt32 { return &pb.NullableInt32{Value: n} }
	yes, no := &pb.NullableBool{Value: true}, &pb.NullableBool{}
	for _, q := range []*pb.CreateStreamRequest{
		{
			Name: "s0", RetentionMaxBytes: n64(0), RetentionMaxMessages: n64(0), RetentionMaxAge: n64(0), CleanerInterval: n64(0), SegmentMaxBytes: n64(0),
			SegmentMaxAge: n64(0), CompactMaxGoroutines: n32(0), CompactEnabled: no, AutoPauseTime: n64(0), AutoPauseDisableIfSubscribers: no,
			OptimisticConcurrencyControl: no, Encryption: no,
		},
		{
			Name: "s1", RetentionMaxBytes: n64(1 << 30), RetentionMaxMessages: n64(1e6), RetentionMaxAge: n64(3600_000), CleanerInterval: n64(60_000),
			SegmentMaxBytes: n64(1 << 20), SegmentMaxAge: n64(60_000), CompactMaxGoroutines: n32(2), CompactEnabled: yes, AutoPauseTime: n64(3600_000),
			AutoPauseDisableIfSubscribers: yes, MinIsr: n32(1),
		},
		{Name: "s2", MinIsr: n32(0)},
		{Name: "s3", Encryption: yes},
		{Name: "s3", Encryption: yes, ReplicationFactor: 9},
	} {
		q.Subject = q.Name
		s.create(q)
		s.publish(q.Name, 0, "x")
		s.partition(q.Name, 0)
		s.metadata([]string{q.Name}, nil)
	}
	s.create(&pb.CreateStreamRequest{Name: "s4", Subject: "s4", RetentionMaxBytes: n64(-1)})
	s.create(&pb.CreateStreamRequest{Name: "s5", Subject: "s5", MinIsr: n32(2)})
}

func deleteScript(s *side) {
	for _, name := range []string{"", "nix", "__activity", "__cursors", "a b"} {
		s.remove(name)
	}
	s.stream("d0", 2)
	s.fill("d0", 3)
	r := s.subscribe(&pb.SubscribeRequest{Stream: "d0", StartPosition: pb.StartPosition_EARLIEST})
	other := s.subscribe(&pb.SubscribeRequest{Stream: "d0", Partition: 1})
	r.take(3)
	s.remove("d0")
	r.rest()
	other.rest()
	s.remove("d0")
	s.publish("d0", 0, "x")
	s.metadata([]string{"d0"}, nil)
	s.partition("d0", 0)
	s.stream("d0", 1)
	s.publish("d0", 0, "anew")
	s.publish("d0", 1, "of before")
	s.partition("d0", 0)
	s.all("d0", 0)
	s.stream("d1", 1)
	s.pause("d1", false)
	s.remove("d1")
	s.metadata([]string{"d1"}, nil)
	s.stream("d2", 1)
	s.readonly("d2", true)
	s.remove("d2")
	s.stream("d2", 1)
	s.publish("d2", 0, "x")
}

func pauseScript(s *side) {
	s.pause("", false)
	s.pause("", false, 0)
	s.pause("nix", false)
	s.pause("nix", false, 0)
	s.stream("p0", 3)
	s.publish("p0", 0, "m0")
	s.publish("p0", 0, "m1")
	s.pause("p0", false, 3)
	s.pause("p0", false, -1)
	s.pause("p0", false, 0, 3)
	s.metadata([]string{"p0"}, nil)
	r := s.subscribe(&pb.SubscribeRequest{Stream: "p0", StartPosition: pb.StartPosition_EARLIEST})
	r.take(2)
	s.pause("p0", false, 0)
	r.rest()
	s.partition("p0", 0)
	s.partition("p0", 1)
	s.metadata([]string{"p0"}, nil)
	s.pause("p0", false, 0)
	s.pause("p0", false, 0, 0, 1)
	s.metadata([]string{"p0"}, nil)
	for _, at := range []pb.StartPosition{pb.StartPosition_NEW_ONLY, pb.StartPosition_EARLIEST, pb.StartPosition_LATEST, 77} {
		s.read(&pb.SubscribeRequest{Stream: "p0", StartPosition: at})
	}
	s.read(&pb.SubscribeRequest{Stream: "p0", StartPosition: pb.StartPosition_OFFSET, StartOffset: 9})
	s.readonly("p0", true, 0)
	s.publish("p0", 0, "paused and read-only")
	s.readonly("p0", false, 0)
	askWithin(s, lull, "PublishToSubject", s.api.PublishToSubject, &pb.PublishToSubjectRequest{Subject: "p0", Value: []byte("lost")})
	s.plain("p0", "", []byte("lost, too"))
	s.publish("p0", 0, "m2")
	s.all("p0", 0)
	s.partition("p0", 1)
	s.publish("p0", 1, "m0")
	s.partition("p0", 1)
	s.pause("p0", false)
	s.partition("p0", 2)
}

// resumeScript has partitions resumed in each way.
func resumeScript(s *side) {
	s.stream("r0", 3)
	s.pause("r0", true)
	s.publish("r0", 1, "all go on")
	for n := range int32(3) {
		s.partition("r0", n)
	}
	s.pause("r0", true, 0, 1)
	s.pause("r0", false, 2)
	s.publish("r0", 2, "the last call counts")
	for n := range int32(3) {
		s.partition("r0", n)
	}
	s.pause("r0", true, 0)
	s.pause("r0", false, 1)
	s.publish("r0", 0, "the last call counts, again")
	for n := range int32(3) {
		s.partition("r0", n)
	}
	s.pause("r0", true, 0)
	s.publish("r0", 2, "not paused itself")
	for n := range int32(3) {
		s.partition("r0", n)
	}
	s.pause("r0", false)
	r := s.subscribe(&pb.SubscribeRequest{Stream: "r0", Partition: 2, Resume: true, StartPosition: pb.StartPosition_EARLIEST})
	r.take(2)
	s.publish("r0", 2, "live")
	r.take(1)
	r.cancel()
	for n := range int32(3) {
		s.partition("r0", n)
	}
	s.pause("r0", true)
	s.peek(0, &pb.SubscribeRequest{Stream: "r0", Resume: true})
	for n := range int32(3) {
		s.partition("r0", n)
	}
	a := s.async()
	s.pause("r0", false)
	a.ask("r0", 0, "by an asynchronous publish")
	s.partition("r0", 0)
	s.partition("r0", 1)
	a.ask("r0", 1, "wants no ack", func(q *pb.PublishRequest) { q.AckPolicy = pb.AckPolicy_LEADER })
	a.finish()
	s.peek(0, &pb.SubscribeRequest{Stream: "r0", Partition: 1, Resume: true})
}

func autoPauseScript(s *side) {
	q := &pb.CreateStreamRequest{Name: "q0", Subject: "q0", Partitions: 1, AutoPauseTime: &pb.NullableInt64{Value: 200}}
	s.create(q)
	s.publish("q0", 0, "m0")
	r := s.subscribe(&pb.SubscribeRequest{Stream: "q0"})
	r.rest()
	s.publish("q0", 0, "m1")
	s.read(&pb.SubscribeRequest{Stream: "q0", Resume: true, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST})
	q.Name, q.Subject, q.AutoPauseDisableIfSubscribers = "q1", "q1", &pb.NullableBool{Value: true}
	s.create(q)
	r = s.subscribe(&pb.SubscribeRequest{Stream: "q1"})
	for range 4 {
		r.quiet()
	}
	s.publish("q1", 0, "live")
	r.take(1)
	r.cancel()
}

func readonlyScript(s *side) {
	s.readonly("", true)
	s.readonly("nix", true)
	s.readonly("nix", true, 0)
	s.readonly("nix", false, 0)
	s.stream("o0", 2)
	s.readonly("o0", true, 2)
	s.readonly("o0", true, 0, -1)
	s.fill("o0", 2)
	r := s.subscribe(&pb.SubscribeRequest{Stream: "o0", StartPosition: pb.StartPosition_EARLIEST})
	r.take(2)
	s.readonly("o0", true, 0)
	r.rest()
	s.partition("o0", 0)
	s.readonly("o0", true, 0)
	s.partition("o0", 0)
	s.partition("o0", 1)
	s.publish("o0", 0, "x")
	s.publish("o0", 0, "x", func(q *pb.PublishRequest) { q.AckPolicy = pb.AckPolicy_NONE })
	s.publish("o0", 1, "x")
	s.publish("o0", 2, "x")
	askWithin(s, lull, "PublishToSubject", s.api.PublishToSubject, &pb.PublishToSubjectRequest{Subject: "o0", Value: []byte("x")})
	s.plain("o0", "", []byte("x"))
	a := s.async()
	a.ask("o0", 0, "x")
	a.ask("o0", 0, "y", func(q *pb.PublishRequest) { q.AckPolicy = pb.AckPolicy_NONE })
	a.finish()
	for _, q := range []*pb.SubscribeRequest{
		{StartPosition: pb.StartPosition_EARLIEST},
		{StartPosition: pb.StartPosition_LATEST},
		{StartPosition: pb.StartPosition_NEW_ONLY},
		{StartPosition: pb.StartPosition_OFFSET, StartOffset: 1},
		{StartPosition: pb.StartPosition_OFFSET, StartOffset: 2},
		{StartPosition: pb.StartPosition_OFFSET, StartOffset: 9},
		{StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 5},
		{StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 0},
		{StartPosition: pb.StartPosition_NEW_ONLY, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 5},
		{StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST},
		{StartPosition: pb.StartPosition_TIMESTAMP, StartTimestamp: 1},
	} {
		q.Stream = "o0"
		s.read(q)
	}
	s.readonly("o0", false, 0)
	s.partition("o0", 0)
	s.publish("o0", 0, "again")
	s.all("o0", 0)
	s.stream("o1", 1)
	s.readonly("o1", true)
	for _, at := range []pb.StartPosition{pb.StartPosition_NEW_ONLY, pb.StartPosition_EARLIEST, pb.StartPosition_LATEST} {
		s.read(&pb.SubscribeRequest{Stream: "o1", StartPosition: at})
		s.read(&pb.SubscribeRequest{Stream: "o1", StartPosition: at, StopPosition: pb.StopPosition_STOP_LATEST})
	}
	s.partition("o1", 0)
	s.pause("o1", false)
	s.publish("o1", 0, "x")
	s.metadata([]string{"o1"}, nil)
}
