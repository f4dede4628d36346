package liftbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// TestASubscriptionBeginsWithAnEmptyMessage, which says that it stands: what is published from
// then on is delivered.
func TestASubscriptionBeginsWithAnEmptyMessage(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.put("s", 0, "before")
	for _, start := range []pb.StartPosition{pb.StartPosition_NEW_ONLY, pb.StartPosition_EARLIEST} {
		sub, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", StartPosition: start})
		if err != nil {
			t.Fatal(err)
		}
		m, err := sub.Recv()
		if err != nil || !proto.Equal(m, &pb.Message{}) {
			t.Fatal(m, err)
		}
		r.put("s", 0, "next")
		want := "next"
		if start == pb.StartPosition_EARLIEST {
			want = "before"
		}
		if m, err = sub.Recv(); err != nil || string(m.Value) != want {
			t.Fatal(m, err)
		}
	}
}

// TestASubscriptionEndsWithTheStatusOfItsCause.
func TestASubscriptionEndsWithTheStatusOfItsCause(t *testing.T) {
	for name, c := range map[string]struct {
		cause func(r *rig, cancel func()) error
		code  codes.Code
		text  string
	}{
		"cancelled": {func(_ *rig, cancel func()) error { cancel(); return nil }, codes.Canceled, "context canceled"},
		"deleted": {func(r *rig, _ func()) error {
			_, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: "s"})
			return err
		}, codes.NotFound, "commit log was deleted"},
		"paused": {func(r *rig, _ func()) error {
			_, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s", Partitions: []int32{0}})
			return err
		}, codes.FailedPrecondition, "commit log was closed"},
		"read-only": {func(r *rig, _ func()) error {
			_, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "s", Partitions: []int32{0}, Readonly: true})
			return err
		}, codes.ResourceExhausted, "End of readonly partition"},
		"server stops": {func(r *rig, _ func()) error { r.door.end(); return nil }, codes.Unavailable, "the server stops"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.create("s", 1)
			r.put("s", 0, "x")
			ctx, cancel := context.WithCancel(r.ctx())
			defer cancel()
			sub, err := r.Subscribe(ctx, &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the empty message, and the one that is there
				if _, err := sub.Recv(); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.cause(r, cancel); err != nil {
				t.Fatal(err)
			}
			_, err = sub.Recv()
			code(t, err, c.code, c.text)
		})
	}
}

// TestAReadOnlyPartitionIsReadToItsEnd, wherever a subscriber begins.
func TestAReadOnlyPartitionIsReadToItsEnd(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"full", "empty"} {
		r.create(name, 1)
		if name == "full" {
			r.put(name, 0, "0", "1")
		}
		if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: name, Readonly: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		start pb.StartPosition
		want  []string
		text  string
	}{
		{"full", pb.StartPosition_EARLIEST, []string{"0", "1"}, "Stop offset reached"},
		{"full", pb.StartPosition_LATEST, []string{"1"}, "Stop offset reached"},
		{"full", pb.StartPosition_NEW_ONLY, nil, "End of readonly partition"},
		{"empty", pb.StartPosition_EARLIEST, nil, "End of readonly partition"},
		{"empty", pb.StartPosition_NEW_ONLY, nil, "End of readonly partition"},
	} {
		msgs, err := r.subscribe(&pb.SubscribeRequest{Stream: c.name, StartPosition: c.start})
		code(t, err, codes.ResourceExhausted, c.text)
		if got := values(msgs); !slices.Equal(got, c.want) {
			t.Errorf("%s, %v: %q", c.name, c.start, got)
		}
	}
}

// TestAPausedPartitionIsNotRead until somebody resumes it: a subscriber may.
func TestAPausedPartitionIsNotRead(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.put("s", 0, "x")
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	for _, start := range []pb.StartPosition{pb.StartPosition_NEW_ONLY, pb.StartPosition_EARLIEST, pb.StartPosition_LATEST} {
		msgs, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StartPosition: start})
		code(t, err, codes.FailedPrecondition, "commit log was closed")
		if len(msgs) > 0 {
			t.Error(msgs)
		}
	}
	msgs, err := r.subscribe(&pb.SubscribeRequest{
		Stream: "s", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST, Resume: true,
	})
	code(t, err, codes.ResourceExhausted, "Stop offset reached")
	if got := values(msgs); !slices.Equal(got, []string{"x"}) {
		t.Error(got)
	}
}

// TestAStopByTimeIsTheLastMessageUpToThen.
func TestAStopByTimeIsTheLastMessageUpToThen(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.create("empty", 1)
	acks := r.put("s", 0, "0", "1", "2")
	for _, c := range []struct {
		name string
		stop int64
		want []string
		code codes.Code
	}{
		{"s", acks[1].ReceptionTimestamp, []string{"0", "1"}, codes.ResourceExhausted},
		{"s", acks[2].ReceptionTimestamp - 1, []string{"0", "1"}, codes.ResourceExhausted},
		{"s", time.Now().Add(time.Hour).UnixNano(), []string{"0", "1", "2"}, codes.ResourceExhausted},
		{"s", acks[0].ReceptionTimestamp - 1, nil, codes.Internal},
		{"empty", acks[0].ReceptionTimestamp, nil, codes.Internal},
	} {
		msgs, err := r.subscribe(&pb.SubscribeRequest{
			Stream: c.name, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: c.stop,
		})
		if status.Code(err) != c.code || !slices.Equal(values(msgs), c.want) {
			t.Errorf("%s up to %d: %q, %v", c.name, c.stop, values(msgs), err)
		}
	}
	sub, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: -1})
	if err == nil {
		_, err = sub.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // a stop at -1 is none
		r.put("s", 0, "on")
		if m, err := sub.Recv(); err != nil || m.Offset != int64(3+i) {
			t.Fatal(m, err)
		}
	}
}

// TestCallsAboutWhatIsNotThereEndWithTheProtocolsStatuses.
func TestCallsAboutWhatIsNotThereEndWithTheProtocolsStatuses(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	ctx := r.ctx()
	for _, c := range []struct {
		call func() error
		code codes.Code
		text string
	}{
		{func() error { _, err := r.DeleteStream(ctx, &pb.DeleteStreamRequest{Name: "none"}); return err }, codes.NotFound, "stream does not exist"},
		{func() error { _, err := r.DeleteStream(ctx, &pb.DeleteStreamRequest{Name: "__cursors"}); return err }, codes.InvalidArgument, "Stream is reserved"},
		{func() error { _, err := r.DeleteStream(ctx, &pb.DeleteStreamRequest{Name: "__activity"}); return err }, codes.InvalidArgument, "Stream is reserved"},
		{func() error { _, err := r.PauseStream(ctx, &pb.PauseStreamRequest{Name: "none"}); return err }, codes.NotFound, "stream not found"},
		{func() error {
			_, err := r.PauseStream(ctx, &pb.PauseStreamRequest{Name: "none", Partitions: []int32{0}})
			return err
		}, codes.NotFound, "stream does not exist"},
		{func() error {
			_, err := r.PauseStream(ctx, &pb.PauseStreamRequest{Name: "s", Partitions: []int32{2}})
			return err
		}, codes.NotFound, "partition does not exist"},
		{func() error {
			_, err := r.SetStreamReadonly(ctx, &pb.SetStreamReadonlyRequest{Name: "none"})
			return err
		}, codes.NotFound, "stream not found"},
		{func() error {
			_, err := r.SetStreamReadonly(ctx, &pb.SetStreamReadonlyRequest{Name: "none", Partitions: []int32{0}})
			return err
		}, codes.NotFound, "stream does not exist"},
		{func() error {
			_, err := r.FetchPartitionMetadata(ctx, &pb.FetchPartitionMetadataRequest{Stream: "none"})
			return err
		}, codes.NotFound, "partition not found"},
		{func() error {
			_, err := r.FetchPartitionMetadata(ctx, &pb.FetchPartitionMetadataRequest{Stream: "s", Partition: 2})
			return err
		}, codes.NotFound, "partition not found"},
		{func() error { _, err := r.SetCursor(ctx, &pb.SetCursorRequest{CursorId: "c"}); return err }, codes.InvalidArgument, "No stream provided"},
		{func() error { _, err := r.SetCursor(ctx, &pb.SetCursorRequest{Stream: "s"}); return err }, codes.InvalidArgument, "No cursorId provided"},
		{func() error { _, err := r.FetchCursor(ctx, &pb.FetchCursorRequest{CursorId: "c"}); return err }, codes.InvalidArgument, "No stream provided"},
		{func() error { _, err := r.FetchCursor(ctx, &pb.FetchCursorRequest{Stream: "s"}); return err }, codes.InvalidArgument, "No cursorId provided"},
	} {
		code(t, c.call(), c.code, c.text)
	}
	m, err := r.FetchMetadata(ctx, &pb.FetchMetadataRequest{Streams: []string{"none", "s"}, Groups: []string{"g"}})
	if err != nil || m.StreamMetadata[0].Error != pb.StreamMetadata_UNKNOWN_STREAM || m.StreamMetadata[0].Name != "none" ||
		m.StreamMetadata[1].Error != pb.StreamMetadata_OK || m.GroupMetadata[0].Error != pb.ConsumerGroupMetadata_UNKNOWN_GROUP {
		t.Error(m, err)
	}
	off := newRig(t, func(o *Options) { o.Cursors = 0 })
	_, err = off.SetCursor(off.ctx(), &pb.SetCursorRequest{Stream: "s", CursorId: "c"})
	code(t, err, codes.Internal, "Cursors stream does not exist")
	_, err = off.FetchCursor(off.ctx(), &pb.FetchCursorRequest{Stream: "s", CursorId: "c"})
	code(t, err, codes.Internal, "Cursors stream does not exist")
}

// TestCallsOfGroupsEndWithTheProtocolsStatuses goes through a group's life.
func TestCallsOfGroupsEndWithTheProtocolsStatuses(t *testing.T) {
	r := newRig(t)
	r.create("s", 3)
	ctx := r.ctx()
	join := func(group, consumer string, streams ...string) (*pb.JoinConsumerGroupResponse, error) {
		return r.JoinConsumerGroup(ctx, &pb.JoinConsumerGroupRequest{GroupId: group, ConsumerId: consumer, Streams: streams})
	}
	leave := func(group, consumer string) error {
		_, err := r.LeaveConsumerGroup(ctx, &pb.LeaveConsumerGroupRequest{GroupId: group, ConsumerId: consumer})
		return err
	}
	assigned := func(group, consumer string, epoch uint64) (*pb.FetchConsumerGroupAssignmentsResponse, error) {
		return r.FetchConsumerGroupAssignments(ctx, &pb.FetchConsumerGroupAssignmentsRequest{GroupId: group, ConsumerId: consumer, Epoch: epoch})
	}
	report := func(group, consumer, coordinator string, epoch uint64) error {
		_, err := r.ReportConsumerGroupCoordinator(ctx, &pb.ReportConsumerGroupCoordinatorRequest{
			GroupId: group, ConsumerId: consumer, Coordinator: coordinator, Epoch: epoch,
		})
		return err
	}
	refused := func(_ any, err error) error { return err }
	code(t, refused(join("", "a", "s")), codes.InvalidArgument, "No groupId provided")
	code(t, refused(join("g", "", "s")), codes.InvalidArgument, "No consumerId provided")
	code(t, refused(join("g", "a")), codes.InvalidArgument, "No streams provided")
	code(t, refused(join("g", "a", "none")), codes.FailedPrecondition, "stream does not exist")
	code(t, leave("", "a"), codes.InvalidArgument, "No groupId provided")
	code(t, leave("g", ""), codes.InvalidArgument, "No consumerId provided")
	code(t, leave("g", "a"), codes.NotFound, "consumer group does not exist")
	code(t, refused(assigned("", "a", 0)), codes.InvalidArgument, "No groupId provided")
	code(t, refused(assigned("g", "", 0)), codes.InvalidArgument, "No consumerId provided")
	code(t, refused(assigned("g", "a", 0)), codes.NotFound, "consumer group does not exist")
	code(t, report("g", "a", "me", 0), codes.FailedPrecondition, "No such consumer group g")
	code(t, report("g", "a", "", 0), codes.InvalidArgument, "No coordinator provided")
	a, err := join("g", "a", "s")
	if err != nil || a.Epoch != 0 || a.Coordinator != r.o.ID || a.ConsumerTimeout != int64(time.Minute) || a.CoordinatorTimeout != int64(time.Minute) {
		t.Fatal(a, err)
	}
	code(t, refused(join("g", "a", "s")), codes.FailedPrecondition, "consumer is already a member of the consumer group")
	b, err := join("g", "b", "s")
	if err != nil || b.Epoch <= a.Epoch {
		t.Fatal(b, err)
	}
	for _, epoch := range []uint64{a.Epoch, b.Epoch + 1} {
		code(t, refused(assigned("g", "a", epoch)), codes.FailedPrecondition, "client-provided group epoch differs from broker group epoch")
	}
	code(t, refused(assigned("g", "c", b.Epoch)), codes.FailedPrecondition, "consumer is not a member of the consumer group")
	for consumer, want := range map[string][]int32{"a": {0, 2}, "b": {1}} {
		got, err := assigned("g", consumer, b.Epoch)
		if err != nil || got.Epoch != b.Epoch || len(got.Assignments) != 1 || got.Assignments[0].Stream != "s" || !slices.Equal(got.Assignments[0].Partitions, want) {
			t.Errorf("%s reads %v, %v", consumer, got, err)
		}
	}
	code(t, leave("g", "c"), codes.FailedPrecondition, "consumer is not a member of the consumer group")
	code(t, report("g", "c", r.o.ID, b.Epoch), codes.FailedPrecondition, "Consumer c is not a member of consumer group g")
	for coordinator, epoch := range map[string]uint64{"other": b.Epoch, r.o.ID: b.Epoch + 1} {
		code(t, report("g", "a", coordinator, epoch), codes.FailedPrecondition, fmt.Sprintf(
			"Coordinator generation mismatch, current coordinator: %s epoch: %d, got coordinator: %s epoch: %d", r.o.ID, b.Epoch, coordinator, epoch))
	}
	code(t, report("g", "a", r.o.ID, b.Epoch), codes.OK, "") // one of two is not enough
	code(t, report("g", "b", r.o.ID, b.Epoch), codes.FailedPrecondition, "No group coordinator candidates")
	m, err := r.FetchMetadata(ctx, &pb.FetchMetadataRequest{Groups: []string{"g"}})
	if err != nil || m.GroupMetadata[0].Coordinator != r.o.ID || m.GroupMetadata[0].Epoch != b.Epoch {
		t.Error(m, err)
	}
	code(t, leave("g", "a"), codes.OK, "")
}

// TestAPublishWithoutADeadlineIsNotWaitedFor, nor one that wants no ack: both are stored.
func TestAPublishWithoutADeadlineIsNotWaitedFor(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	for _, c := range []struct {
		ctx    context.Context
		policy pb.AckPolicy
		acked  bool
	}{
		{context.Background(), pb.AckPolicy_LEADER, false}, {context.Background(), pb.AckPolicy_ALL, false},
		{r.ctx(), pb.AckPolicy_NONE, false}, {r.ctx(), pb.AckPolicy_LEADER, true}, {r.ctx(), pb.AckPolicy_ALL, true},
	} {
		resp, err := r.Publish(c.ctx, &pb.PublishRequest{Stream: "s", AckPolicy: c.policy, CorrelationId: "c"})
		if err != nil || (resp.Ack != nil) != c.acked || resp.CorrelationId != "" || resp.Ack.GetCorrelationId() == "c" != c.acked {
			t.Errorf("%v: %v, %v", c.policy, resp, err)
		}
		toSubject, err := r.PublishToSubject(c.ctx, &pb.PublishToSubjectRequest{Subject: "s", AckPolicy: c.policy})
		if err != nil || (toSubject.Ack != nil) != c.acked {
			t.Errorf("to the subject, %v: %v, %v", c.policy, toSubject, err)
		}
	}
	if got := r.read("s", 0); len(got) != 10 {
		t.Errorf("%d messages", len(got))
	}
	async := r.async()
	resp := exchange(t, async, &pb.PublishRequest{Stream: "s", CorrelationId: "d"})
	if err := async.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := async.Recv(); !errors.Is(err, io.EOF) || resp.Ack.GetOffset() != 10 {
		t.Error(resp, err)
	}
}
