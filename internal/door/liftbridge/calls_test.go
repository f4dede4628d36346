package liftbridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

func TestCreateStreamIsRefusedInTheProtocolsOrder(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Encryption = fmt.Errorf("there is no key") })
	r.create("taken", 1)
	for _, c := range []struct {
		req  *pb.CreateStreamRequest
		code codes.Code
		text string
	}{
		{&pb.CreateStreamRequest{Subject: "a b", ReplicationFactor: 9}, codes.InvalidArgument, "Name cannot be empty"},
		{&pb.CreateStreamRequest{Name: "__cursors", Subject: "a b"}, codes.InvalidArgument, "Subject is invalid"},
		{&pb.CreateStreamRequest{Name: "s"}, codes.InvalidArgument, "Subject is invalid"},
		{&pb.CreateStreamRequest{Name: "__activity", Subject: "x", ReplicationFactor: 9}, codes.InvalidArgument, "Stream is reserved"},
		{&pb.CreateStreamRequest{Name: "../x", Subject: "x"}, codes.InvalidArgument, "Name is invalid"},
		{&pb.CreateStreamRequest{Name: "a b", Subject: "x"}, codes.InvalidArgument, "Name is invalid"},
		{&pb.CreateStreamRequest{Name: strings.Repeat("x", 300), Subject: "x"}, codes.InvalidArgument, "Name is invalid"},
		{&pb.CreateStreamRequest{Name: "s", Subject: "x", Partitions: -1}, codes.InvalidArgument, "Invalid partitions -1"},
		{&pb.CreateStreamRequest{Name: "s", Subject: "x.>", Partitions: 2}, codes.InvalidArgument, "Subject is invalid: partitions need one that does not end with >"},
		{&pb.CreateStreamRequest{Name: "s", Subject: "x", Encryption: &pb.NullableBool{Value: true}, ReplicationFactor: 9},
			codes.FailedPrecondition, "Failed on preconditions for stream's encryption handler: there is no key"},
		{&pb.CreateStreamRequest{Name: "s", Subject: "x", ReplicationFactor: -2}, codes.InvalidArgument, "Invalid replicationFactor -2"},
		{&pb.CreateStreamRequest{Name: "taken", Subject: "x", ReplicationFactor: 2}, codes.InvalidArgument, "Invalid replicationFactor 2, cluster size 1"},
		{&pb.CreateStreamRequest{Name: "s", Subject: "x", RetentionMaxAge: &pb.NullableInt64{Value: -1}}, codes.InvalidArgument, "Invalid retentionMaxAge -1"},
		{&pb.CreateStreamRequest{Name: "s", Subject: "x", MinIsr: &pb.NullableInt32{Value: 2}}, codes.InvalidArgument, "Invalid minIsr 2, cluster size 1"},
		{&pb.CreateStreamRequest{Name: "taken", Subject: "x"}, codes.AlreadyExists, "stream already exists"},
		{&pb.CreateStreamRequest{Name: "s", Subject: "x", ReplicationFactor: -1}, codes.OK, ""},
	} {
		_, err := r.CreateStream(r.ctx(), c.req)
		code(t, err, c.code, c.text)
	}
}

func TestPublishIsRefusedInTheProtocolsOrder(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.create("occ", 1, func(req *pb.CreateStreamRequest) { req.OptimisticConcurrencyControl = &pb.NullableBool{Value: true} })
	r.create("closed", 1)
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "closed", Readonly: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		req  *pb.PublishRequest
		code codes.Code
		text string
	}{
		{&pb.PublishRequest{}, codes.InvalidArgument, "no stream provided"},
		{&pb.PublishRequest{Stream: "none", Partition: 4}, codes.NotFound, "no such stream: none"},
		{&pb.PublishRequest{Stream: "closed", Partition: 4}, codes.NotFound, "no such partition: 4"},
		{&pb.PublishRequest{Stream: "closed"}, codes.FailedPrecondition, "readonly partition: 0"},
		{&pb.PublishRequest{Stream: "occ", AckPolicy: pb.AckPolicy_NONE}, codes.InvalidArgument, "stream with concurrency control must have AckPolicy set"},
		{&pb.PublishRequest{Stream: "occ", ExpectedOffset: 3}, codes.Unknown, "incorrect expected offset"},
		{&pb.PublishRequest{Stream: "s", AckInbox: "no subject"}, codes.Unknown, "failed to subscribe to ack inbox: nats: invalid subject"},
		{&pb.PublishRequest{Stream: "closed", AckInbox: "no subject"}, codes.FailedPrecondition, "readonly partition: 0"},
		{&pb.PublishRequest{Stream: "s", Value: make([]byte, 1<<20)}, codes.InvalidArgument, "message exceeds max replication size"},
		{&pb.PublishRequest{Stream: "__groups"}, codes.NotFound, "no such stream: __groups"},
		{&pb.PublishRequest{Stream: "s"}, codes.OK, ""},
	} {
		_, err := r.Publish(r.ctx(), c.req)
		code(t, err, c.code, c.text)
	}
}

func TestSubscribeIsRefusedWithTheProtocolsStatuses(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.create("empty", 1)
	r.put("s", 0, "0", "1", "2")
	for _, c := range []struct {
		req  *pb.SubscribeRequest
		code codes.Code
		text string
	}{
		{&pb.SubscribeRequest{Stream: "none", Consumer: &pb.Consumer{GroupId: "g"}}, codes.InvalidArgument, "Consumer id cannot be empty when group id is provided"},
		{&pb.SubscribeRequest{Stream: "s", Partition: 1}, codes.NotFound, "No such partition"},
		{&pb.SubscribeRequest{Stream: "s", StartPosition: 9}, codes.InvalidArgument, "Unknown StartPosition 9"},
		{&pb.SubscribeRequest{Stream: "s", StopPosition: 9}, codes.InvalidArgument, "Unknown StopPosition 9"},
		{&pb.SubscribeRequest{Stream: "s", StopPosition: pb.StopPosition_STOP_LATEST}, codes.InvalidArgument, "Stop offset is before start offset: 2 < 3"},
		{&pb.SubscribeRequest{Stream: "empty", StopPosition: pb.StopPosition_STOP_LATEST}, codes.ResourceExhausted, "Stream is empty"},
		{&pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 1},
			codes.ResourceExhausted, "Stop offset reached"},
	} {
		_, err := r.subscribe(c.req)
		code(t, err, c.code, c.text)
	}
}

func TestAcknowledgedMessagesSurviveACrash(t *testing.T) {
	r := newRig(t)
	r.create("s", 3)
	r.put("s", 2, "a", "b")
	if _, err := r.SetCursor(r.ctx(), &pb.SetCursorRequest{Stream: "s", Partition: 2, CursorId: "c", Offset: 1}); err != nil {
		t.Fatal(err)
	}
	joined, err := r.JoinConsumerGroup(r.ctx(), &pb.JoinConsumerGroupRequest{GroupId: "g", ConsumerId: "m", Streams: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s", Partitions: []int32{1}}); err != nil {
		t.Fatal(err)
	}
	r = r.crash(1)
	r.want("s", 2, "a", "b")
	if c, err := r.FetchCursor(r.ctx(), &pb.FetchCursorRequest{Stream: "s", Partition: 2, CursorId: "c"}); err != nil || c.Offset != 1 {
		t.Fatal(c, err)
	}
	a, err := r.FetchConsumerGroupAssignments(r.ctx(), &pb.FetchConsumerGroupAssignmentsRequest{GroupId: "g", ConsumerId: "m", Epoch: joined.Epoch})
	if err != nil || len(a.Assignments) != 1 || len(a.Assignments[0].Partitions) != 3 {
		t.Fatal(a, err)
	}
	meta, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{Streams: []string{"s"}})
	if err != nil || !meta.StreamMetadata[0].Partitions[1].Paused || meta.StreamMetadata[0].Partitions[0].Paused {
		t.Fatal(meta, err)
	}
	events, err := r.subscribe(&pb.SubscribeRequest{Stream: "__activity", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST})
	if len(events) != 5 {
		t.Fatal(len(events), " events: ", err)
	}
}

func TestPartitionsOfAStreamThatWasNotFinishedAreRemoved(t *testing.T) {
	r := newRig(t)
	p := &newStream{set: settings{Name: "half", Subject: "half", Partitions: 3}}
	configs := p.configs()
	for _, c := range configs[1:] {
		if _, err := r.Streams.Create(r.ctx(), "A", c); err != nil {
			t.Fatal(err)
		}
	}
	if r.door.find("A", "half") != nil {
		t.Fatal("half a stream is found")
	}
	r = r.restart()
	for _, name := range []string{"half:1", "half:2"} {
		for s := r.Streams.Find("A", name); s != nil; s = r.Streams.Find("A", name) {
			waitFor(t, s)
		}
	}
	r.create("half", 3)
}

// waitFor waits until something of a stream changes.
func waitFor(t *testing.T, s *stream.Stream) {
	t.Helper()
	changed := s.Changed()
	if s.Dropped() {
		return
	}
	select {
	case <-changed:
	case <-t.Context().Done():
		t.Fatal("nothing changes")
	}
}

func TestASubscriberOfAGroupIsReplacedByOneOfTheSameEpoch(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	sub := func(consumer string, epoch uint64) (pb.API_SubscribeClient, error) {
		s, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", Consumer: &pb.Consumer{GroupId: "g", ConsumerId: consumer, GroupEpoch: epoch}})
		if err != nil {
			return nil, err
		}
		_, err = s.Recv()
		return s, err
	}
	old, err := sub("a", 5)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sub("b", 4)
	code(t, err, codes.FailedPrecondition, "Consumer is not currently assigned this partition")
	if _, err := sub("b", 5); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Recv(); err == nil || err.Error() != "EOF" {
		t.Fatal(err)
	}
}

func TestOneOfManyWhoCreateAStreamAtOnceSucceeds(t *testing.T) {
	r := newRig(t)
	made := make(chan error, 20)
	for n := range int32(20) {
		go func() {
			_, err := r.CreateStream(t.Context(), &pb.CreateStreamRequest{Name: "s", Subject: "s", Partitions: 1 + n%3})
			made <- err
		}()
	}
	won := 0
	for range 20 {
		if err := <-made; err == nil {
			won++
		} else {
			code(t, err, codes.AlreadyExists, "stream already exists")
		}
	}
	r.door.naming.mu.Lock()
	defer r.door.naming.mu.Unlock()
	if won != 1 || len(r.door.naming.names) != 0 {
		t.Fatal(won, len(r.door.naming.names))
	}
}

func TestASubscriberThatTakesNothingHoldsUpNobody(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	stuck, err := r.Subscribe(t.Context(), &pb.SubscribeRequest{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stuck.Recv(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r.put("s", 0, strings.Repeat("x", 500_000))
	}
	if got := r.read("s", 0); len(got) != 20 {
		t.Fatal(len(got))
	}
	if _, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	r.end() // returns although the subscriber still takes nothing
}

func TestTheInterfaceDescribesItself(t *testing.T) {
	r := newRig(t)
	ask, err := reflection.NewServerReflectionClient(r.conn).ServerReflectionInfo(r.ctx())
	if err != nil {
		t.Fatal(err)
	}
	err = ask.Send(&reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "proto.API"},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ask.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var file descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(answer.GetFileDescriptorResponse().GetFileDescriptorProto()[0], &file); err != nil {
		t.Fatal(err)
	}
	if file.GetPackage() != "proto" || len(file.Service) != 1 || len(file.Service[0].Method) != 16 {
		t.Error(file.GetPackage(), file.Service)
	}
	if err := ask.CloseSend(); err != nil {
		t.Fatal(err)
	}
}
