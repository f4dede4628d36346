package liftbridge

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

func (r *rig) async() pb.API_PublishAsyncClient {
	r.t.Helper()
	a, err := r.PublishAsync(r.ctx())
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func exchange(t *testing.T, a pb.API_PublishAsyncClient, req *pb.PublishRequest) *pb.PublishResponse {
	t.Helper()
	if err := a.Send(req); err != nil {
		t.Fatal(err)
	}
	resp, err := a.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestAsyncErrorsHaveTheProtocolsCodesAndAnEmptyAck(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.create("occ", 1, func(req *pb.CreateStreamRequest) { req.OptimisticConcurrencyControl = &pb.NullableBool{Value: true} })
	r.create("closed", 1)
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "closed", Readonly: true}); err != nil {
		t.Fatal(err)
	}
	a := r.async()
	for _, c := range []struct {
		req  *pb.PublishRequest
		code pb.PublishAsyncError_Code
		text string
	}{
		{&pb.PublishRequest{}, pb.PublishAsyncError_NOT_FOUND, "no such stream: "},
		{&pb.PublishRequest{Stream: "none"}, pb.PublishAsyncError_NOT_FOUND, "no such stream: none"},
		{&pb.PublishRequest{Stream: "s", Partition: 1}, pb.PublishAsyncError_NOT_FOUND, "no such partition: 1"},
		{&pb.PublishRequest{Stream: "closed", AckPolicy: pb.AckPolicy_NONE}, pb.PublishAsyncError_READONLY, "readonly partition: 0"},
		{&pb.PublishRequest{Stream: "occ", AckPolicy: pb.AckPolicy_NONE}, pb.PublishAsyncError_BAD_REQUEST, "stream with concurrency control must have AckPolicy set"},
		{&pb.PublishRequest{Stream: "occ", ExpectedOffset: 7}, pb.PublishAsyncError_INCORRECT_OFFSET, "incorrect expected offset"},
		{&pb.PublishRequest{Stream: "s", Value: make([]byte, 1<<20)}, pb.PublishAsyncError_BAD_REQUEST, "message exceeds max replication size"},
	} {
		c.req.CorrelationId = "c"
		resp := exchange(t, a, c.req)
		if e := resp.AsyncError; e.GetCode() != c.code || e.GetMessage() != c.text || resp.CorrelationId != "c" || resp.Ack == nil || resp.Ack.Stream != "" {
			t.Errorf("%v: %v", c.req.Stream, resp)
		}
	}
	if resp := exchange(t, a, &pb.PublishRequest{Stream: "s", CorrelationId: "d"}); resp.AsyncError != nil || resp.Ack.CorrelationId != "d" || resp.CorrelationId != "d" {
		t.Error(resp)
	}
}

// Acks are written with what was written for the last one to the same place.
func TestAsyncAcksNameTheirOwnPartition(t *testing.T) {
	r := newRig(t)
	r.create("a", 3)
	r.create("b", 2)
	call := r.async()
	const rounds = 50
	type place struct {
		stream, subject string
		number          int32
	}
	places := []place{{"a", "a", 0}, {"b", "b.1", 1}, {"a", "a.2", 2}, {"a", "a.1", 1}, {"b", "b", 0}, {"none", "", 0}}
	for i := range rounds * len(places) {
		to := places[i%len(places)]
		err := call.Send(&pb.PublishRequest{Stream: to.stream, Partition: to.number, CorrelationId: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range rounds * len(places) {
		resp, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		i, err := strconv.Atoi(resp.CorrelationId)
		if err != nil {
			t.Fatal(err)
		}
		to, a := places[i%len(places)], resp.Ack
		if to.subject == "" {
			if resp.AsyncError.GetMessage() != "no such stream: none" {
				t.Fatalf("message %d: %v", i, resp)
			}
			continue
		}
		if a.Stream != to.stream || a.PartitionSubject != to.stream || a.MsgSubject != to.subject || a.Offset != int64(i/len(places)) {
			t.Fatalf("message %d to %v: %v", i, to, resp)
		}
	}
	// A name is another stream now, with other subjects.
	if _, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	r.create("b", 2, func(req *pb.CreateStreamRequest) { req.Subject = "other" })
	resp := exchange(t, call, &pb.PublishRequest{Stream: "b", Partition: 1})
	if a := resp.Ack; resp.AsyncError != nil || a.PartitionSubject != "other" || a.MsgSubject != "other.1" || a.Offset != 0 {
		t.Fatal(resp)
	}
}

func TestAsyncAnswersAllThatIsOutstandingWhenTheClientIsDone(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	a := r.async()
	for i := range 2000 {
		policy := pb.AckPolicy_LEADER
		if i%2 == 1 {
			policy = pb.AckPolicy_NONE
		}
		if err := a.Send(&pb.PublishRequest{Stream: "s", Value: []byte(fmt.Sprint(i)), AckPolicy: policy}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 2000; i += 2 {
		if resp, err := a.Recv(); err != nil || resp.Ack.GetOffset() != int64(i) {
			t.Fatal(i, resp, err)
		}
	}
	if _, err := a.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for i, m := range r.read("s", 0) {
		if string(m.Value) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Value)
		}
	}
}

func TestPausedPartitionsTakeNothingUntilTheyAreResumed(t *testing.T) {
	r := newRig(t)
	r.create("s", 3)
	follower, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := follower.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s", ResumeAll: true}); err != nil {
		t.Fatal(err)
	}
	_, err = follower.Recv()
	code(t, err, codes.FailedPrecondition, "commit log was closed")
	r.space.Publish(&broker.Message{Subject: []byte("s"), Data: []byte("lost")})
	_, err = r.FetchPartitionMetadata(r.ctx(), &pb.FetchPartitionMetadataRequest{Stream: "s"})
	code(t, err, codes.FailedPrecondition, "The request should be sent to partition leader")
	if ack := r.put("s", 1, "x")[0]; ack.Offset != 0 {
		t.Fatal(ack)
	}
	meta, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{Streams: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	for n, p := range meta.StreamMetadata[0].Partitions {
		if p.Paused || p.PauseTimestamps.FirstTimestamp == 0 || p.PauseTimestamps.FirstTimestamp >= p.PauseTimestamps.LatestTimestamp {
			t.Errorf("partition %d: %v", n, p)
		}
	}
	r.put("s", 0, "y")
	r.want("s", 0, "y")
}

// TestWhetherAllIsResumedIsSaidByTheLastPause of the stream, and any of its partitions that is
// published to or read on resumes them.
func TestWhetherAllIsResumedIsSaidByTheLastPause(t *testing.T) {
	r := newRig(t)
	r.create("s", 3)
	pause := func(all bool, list ...int32) {
		t.Helper()
		if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s", Partitions: list, ResumeAll: all}); err != nil {
			t.Fatal(err)
		}
	}
	paused := func(want ...int32) {
		t.Helper()
		var got []int32
		for n, s := range r.door.find("A", "s").parts {
			if s.Config().Gate.Paused {
				got = append(got, int32(n))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v are paused, not %v", got, want)
		}
	}
	pause(true, 0, 1)
	r.put("s", 2, "was not paused")
	paused()
	pause(true, 0, 1)
	pause(false, 2)
	r.put("s", 0, "the last call says: it alone")
	paused(1, 2)
	pause(true, 1)
	if resp := exchange(t, r.async(), &pb.PublishRequest{Stream: "s"}); resp.AsyncError != nil {
		t.Fatal(resp)
	}
	paused()
	pause(true, 0, 1)
	sub, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", Partition: 2, Resume: true})
	if err == nil {
		_, err = sub.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	paused()
	pause(false, 1)
	r.put("s", 2, "what was said before is done with")
	paused(1)
}

func TestIdlePartitionsPauseByThemselves(t *testing.T) {
	r := newRig(t)
	r.create("s", 1, func(req *pb.CreateStreamRequest) { req.AutoPauseTime = &pb.NullableInt64{Value: 30} })
	s := r.Streams.Find("A", "s")
	for end := time.Now().Add(patience); !s.Config().Gate.Paused; {
		changed := s.Changed()
		if s.Config().Gate.Paused {
			break
		}
		select {
		case <-changed:
		case <-time.After(time.Until(end)):
			t.Fatal("it is not paused")
		}
	}
	r.put("s", 0, "x")
}

// TestAResumedPartitionIsIdleFromThenOn, and not since it was made or published to.
func TestAResumedPartitionIsIdleFromThenOn(t *testing.T) {
	r := newRig(t)
	r.create("s", 1, func(req *pb.CreateStreamRequest) {
		req.AutoPauseTime = &pb.NullableInt64{Value: time.Hour.Milliseconds()}
	})
	s, p := r.Streams.Find("A", "s"), &r.door.pauser
	r.door.pauseThoseIdle(r.ctx()) // it is known now
	p.mu.Lock()
	p.began[s.ID().ID] -= int64(2 * time.Hour)
	p.mu.Unlock()
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	sub, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", Resume: true})
	if err == nil {
		_, err = sub.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.door.pauseThoseIdle(r.ctx())
	if s.Config().Gate.Paused {
		t.Error("it is paused again at once")
	}
}

func TestReadonlyPartitionsStaySoThroughAPauseAndARestart(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.put("s", 0, "x")
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "s", Readonly: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	r = r.restart()
	msgs, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST, Resume: true})
	code(t, err, codes.ResourceExhausted, "Stop offset reached")
	if len(msgs) != 1 {
		t.Fatal(msgs)
	}
	acks := r.listen("acks")
	r.space.Publish(&broker.Message{Subject: []byte("s"), Data: wire.AppendPublish(nil, &wire.Message{AckInbox: []byte("acks")})})
	_, err = r.Publish(r.ctx(), &pb.PublishRequest{Stream: "s"})
	code(t, err, codes.FailedPrecondition, "readonly partition: 0")
	r.want("s", 0, "x")
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	r.put("s", 0, "y")
	select {
	case m := <-acks:
		t.Fatalf("a readonly partition acks: %x", m.Data)
	default:
	}
}

func TestReverseDeliversDownwardsAndEnds(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.put("s", 0, "0", "1", "2")
	for start, want := range map[pb.StartPosition]string{pb.StartPosition_LATEST: "2 1 0", pb.StartPosition_NEW_ONLY: "2 1 0", pb.StartPosition_EARLIEST: "0"} {
		msgs, err := r.subscribe(&pb.SubscribeRequest{Stream: "s", StartPosition: start, Reverse: true})
		code(t, err, codes.ResourceExhausted, "Stop offset reached")
		if got := strings.Join(values(msgs), " "); got != want {
			t.Errorf("%v: %s", start, got)
		}
	}
}

// keeper lets one user in, who may publish and read below "mine".
type keeper struct{}

func (keeper) Authenticate(c Credentials) (*Identity, error) {
	if c.User != "me" || c.Password != "secret" || c.Token != "" {
		return nil, errors.New("somebody else")
	}
	return &Identity{Account: "A", User: c.User, May: below("mine")}, nil
}

// below are permissions for what begins with a text.
type below string

func (b below) MayPublish(subject string) bool    { return strings.HasPrefix(subject, string(b)) }
func (b below) MayPublishAll(pattern string) bool { return strings.HasPrefix(pattern, string(b)) }
func (b below) MayRead(pattern string) bool       { return strings.HasPrefix(pattern, string(b)) }

func TestPermissionsOfAUserHoldForGRPC(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Auth = keeper{} })
	ctx := r.ctx()
	_, err := r.FetchMetadata(ctx, &pb.FetchMetadataRequest{})
	code(t, err, codes.Unauthenticated, "Authorization Violation")
	as := func(secret string) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("me:"+secret)))
	}
	_, err = r.FetchMetadata(as("wrong"), &pb.FetchMetadataRequest{})
	code(t, err, codes.Unauthenticated, "Authorization Violation")
	me := as("secret")
	_, err = r.CreateStream(me, &pb.CreateStreamRequest{Name: "s", Subject: "yours"})
	code(t, err, codes.Unknown, "The client is not authorized to call CreateStream on resource s")
	if _, err := r.CreateStream(me, &pb.CreateStreamRequest{Name: "s", Subject: "mine"}); err != nil {
		t.Fatal(err)
	}
	if resp, err := r.Publish(me, &pb.PublishRequest{Stream: "s"}); err != nil || resp.Ack == nil {
		t.Fatal(resp, err)
	}
	_, err = r.PublishToSubject(me, &pb.PublishToSubjectRequest{Subject: "yours"})
	code(t, err, codes.Unknown, "The client is not authorized to call PublishToSubject on resource yours")
	sub, err := r.Subscribe(me, &pb.SubscribeRequest{Stream: "__activity"})
	if err == nil {
		_, err = sub.Recv()
	}
	code(t, err, codes.Unknown, "The client is not authorized to call Subscribe on resource __activity")
}

func TestCursorsOfOtherAccountsAreOthers(t *testing.T) {
	r := newRig(t)
	in := func(account string) context.Context {
		return context.WithValue(r.ctx(), callerKey{}, &caller{Identity: Identity{Account: account}})
	}
	if _, err := r.door.SetCursor(in("A"), &pb.SetCursorRequest{Stream: "s", CursorId: "c", Offset: 4}); err != nil {
		t.Fatal(err)
	}
	if c, err := r.door.FetchCursor(in("B"), &pb.FetchCursorRequest{Stream: "s", CursorId: "c"}); err != nil || c.Offset != -1 {
		t.Fatal(c, err)
	}
	if c, err := r.door.FetchCursor(in("A"), &pb.FetchCursorRequest{Stream: "s", CursorId: "c"}); err != nil || c.Offset != 4 {
		t.Fatal(c, err)
	}
}
