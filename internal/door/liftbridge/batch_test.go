package liftbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/weirmq/weir/api/weirfb"
	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// inBatches is a client of weir.Stream as flatc makes it.
func (r *rig) inBatches() weirfb.StreamClient { return weirfb.NewStreamClient(forced{r.conn}) }

// forced has the library's codec for every call.
type forced struct{ *grpc.ClientConn }

func (f forced) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return f.ClientConn.NewStream(ctx, desc, method, append(opts, grpc.ForceCodec(flatbuffers.FlatbuffersCodec{}))...)
}

// tables writes a vector of tables.
func tables(b *flatbuffers.Builder, list []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(4, len(list), 4)
	for _, t := range slices.Backward(list) {
		b.PrependUOffsetT(t)
	}
	return b.EndVector(len(list))
}

// batchOf writes what other requests say as a batch.
func batchOf(reqs ...*pb.PublishRequest) *flatbuffers.Builder {
	b := flatbuffers.NewBuilder(0)
	var list []flatbuffers.UOffsetT
	for _, req := range reqs {
		var headers []flatbuffers.UOffsetT
		for _, k := range slices.Sorted(maps.Keys(req.Headers)) {
			name, value := b.CreateString(k), b.CreateByteVector(req.Headers[k])
			weirfb.HeaderStart(b)
			weirfb.HeaderAddName(b, name)
			weirfb.HeaderAddValue(b, value)
			headers = append(headers, weirfb.HeaderEnd(b))
		}
		all := tables(b, headers)
		stream, correlation := b.CreateSharedString(req.Stream), b.CreateString(req.CorrelationId)
		key, value := b.CreateByteVector(req.Key), b.CreateByteVector(req.Value)
		weirfb.NewMessageStart(b)
		weirfb.NewMessageAddStream(b, stream)
		weirfb.NewMessageAddPartition(b, req.Partition)
		weirfb.NewMessageAddKey(b, key)
		weirfb.NewMessageAddValue(b, value)
		weirfb.NewMessageAddHeaders(b, all)
		weirfb.NewMessageAddCorrelationId(b, correlation)
		weirfb.NewMessageAddAckPolicy(b, weirfb.AckPolicy(req.AckPolicy))
		weirfb.NewMessageAddExpectedOffset(b, req.ExpectedOffset)
		list = append(list, weirfb.NewMessageEnd(b))
	}
	all := tables(b, list)
	weirfb.PublishBatchStart(b)
	weirfb.PublishBatchAddMessages(b, all)
	b.Finish(weirfb.PublishBatchEnd(b))
	return b
}

func (r *rig) publishing() weirfb.Stream_PublishClient {
	r.t.Helper()
	call, err := r.inBatches().Publish(r.ctx())
	if err != nil {
		r.t.Fatal(err)
	}
	return call
}

// answers receives so many answers.
func answers(t testing.TB, call weirfb.Stream_PublishClient, n int) (out []*weirfb.Answer) {
	t.Helper()
	for len(out) < n {
		batch, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.AnswersLength() {
			a := new(weirfb.Answer)
			batch.Answers(a, i)
			out = append(out, a)
		}
	}
	return out
}

// requestOf writes what the other request says.
func requestOf(req *pb.SubscribeRequest, maxMessages, maxBytes uint32) *flatbuffers.Builder {
	b := flatbuffers.NewBuilder(0)
	stream, group, consumer := b.CreateString(req.Stream), b.CreateString(req.Consumer.GetGroupId()), b.CreateString(req.Consumer.GetConsumerId())
	weirfb.SubscribeRequestStart(b)
	weirfb.SubscribeRequestAddStream(b, stream)
	weirfb.SubscribeRequestAddPartition(b, req.Partition)
	weirfb.SubscribeRequestAddStartPosition(b, weirfb.StartPosition(req.StartPosition))
	weirfb.SubscribeRequestAddStartOffset(b, req.StartOffset)
	weirfb.SubscribeRequestAddStartTimestamp(b, req.StartTimestamp)
	weirfb.SubscribeRequestAddStopPosition(b, weirfb.StopPosition(req.StopPosition))
	weirfb.SubscribeRequestAddStopOffset(b, req.StopOffset)
	weirfb.SubscribeRequestAddStopTimestamp(b, req.StopTimestamp)
	weirfb.SubscribeRequestAddResume(b, req.Resume)
	weirfb.SubscribeRequestAddReverse(b, req.Reverse)
	weirfb.SubscribeRequestAddGroupId(b, group)
	weirfb.SubscribeRequestAddGroupEpoch(b, req.Consumer.GetGroupEpoch())
	weirfb.SubscribeRequestAddConsumerId(b, consumer)
	weirfb.SubscribeRequestAddMaxMessages(b, maxMessages)
	weirfb.SubscribeRequestAddMaxBytes(b, maxBytes)
	b.Finish(weirfb.SubscribeRequestEnd(b))
	return b
}

// collect receives until the subscription ends, in the words of the other one.
func (r *rig) collect(req *pb.SubscribeRequest, maxMessages, maxBytes uint32) (out []*pb.Message, sizes []int, err error) {
	r.t.Helper()
	call, err := r.inBatches().Subscribe(r.ctx(), requestOf(req, maxMessages, maxBytes))
	if err != nil {
		return nil, nil, err
	}
	first, err := call.Recv()
	if err != nil {
		return nil, nil, err
	}
	if first.MessagesLength() != 0 {
		r.t.Fatal("the first batch is not empty")
	}
	for {
		batch, err := call.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return out, sizes, err
		}
		sizes = append(sizes, batch.MessagesLength())
		for i := range batch.MessagesLength() {
			var m weirfb.Message
			batch.Messages(&m, i)
			p := &pb.Message{
				Offset: m.Offset(), Key: m.KeyBytes(), Value: m.ValueBytes(), Timestamp: m.Timestamp(), Stream: string(batch.Stream()),
				Partition: batch.Partition(), Subject: string(m.Subject()), ReplySubject: string(m.Reply()), Headers: map[string][]byte{},
			}
			for k := range m.HeadersLength() {
				var h weirfb.Header
				m.Headers(&h, k)
				p.Headers[string(h.Name())] = h.ValueBytes()
			}
			p.Headers[wire.SubjectHeader], p.Headers[wire.ReplyHeader] = m.Subject(), m.Reply()
			out = append(out, p)
		}
	}
}

// texts are messages as they can be compared.
func texts(msgs []*pb.Message) (out []string) {
	for _, m := range msgs {
		out = append(out, fmt.Sprintf("%d %d %s/%d %q %q %q %q %q", m.Offset, m.Timestamp, m.Stream, m.Partition, m.Subject, m.ReplySubject, m.Key, m.Value, m.Headers))
	}
	return out
}

func TestWhatIsPublishedInBatchesIsReadThroughEveryDoor(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	seen := r.listen("s.1")
	call := r.publishing()
	err := call.Send(batchOf(
		&pb.PublishRequest{Stream: "s", Partition: 1, Key: []byte{0, 255}, Value: []byte("v"), CorrelationId: "c", Headers: map[string][]byte{"a": []byte("b"), "ä": {0}}},
		&pb.PublishRequest{Stream: "s", Value: []byte("w"), ExpectedOffset: -1},
		&pb.PublishRequest{Stream: "s", Partition: 1, AckPolicy: pb.AckPolicy_NONE},
		&pb.PublishRequest{Stream: "s", Partition: 1, AckPolicy: pb.AckPolicy_ALL},
	))
	if err != nil {
		t.Fatal(err)
	}
	got := answers(t, call, 3)
	slices.SortFunc(got, func(a, b *weirfb.Answer) int { return int(a.Number()) - int(b.Number()) })
	for i, want := range []struct {
		number      uint64
		offset      int64
		correlation string
		subject     string
		policy      weirfb.AckPolicy
	}{{0, 0, "c", "s.1", weirfb.AckPolicyLEADER}, {1, 0, "", "s", weirfb.AckPolicyLEADER}, {3, 2, "", "s.1", weirfb.AckPolicyALL}} {
		a := got[i]
		if a.Refusal(nil) != nil || a.Number() != want.number || a.Offset() != want.offset || string(a.CorrelationId()) != want.correlation ||
			string(a.Stream()) != "s" || string(a.Subject()) != want.subject || a.AckPolicy() != want.policy ||
			a.ReceptionTimestamp() == 0 || a.CommitTimestamp() < a.ReceptionTimestamp() {
			t.Errorf("answer %d: %d %d %q %q %q", i, a.Number(), a.Offset(), a.CorrelationId(), a.Stream(), a.Subject())
		}
	}
	// A NATS client gets an envelope.
	var m wire.Message
	if in := seen.next(t); wire.DecodePublish(in.Data, &m) != nil || string(m.Value) != "v" || string(m.Key) != "\x00\xff" || string(m.CorrelationID) != "c" {
		t.Fatalf("%q", in.Data)
	}
	// A plain message of one with a subject for replies, and one through the other call.
	r.space.Publish(&broker.Message{Subject: []byte("s.1"), Reply: []byte("re"), Header: []byte("NATS/1.0\r\nx: y\r\n\r\n"), Data: []byte("plain")})
	r.put("s", 1, "single")
	// Protobuf reads the same.
	for n := range int32(2) {
		all := &pb.SubscribeRequest{Stream: "s", Partition: n, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST}
		want := r.read("s", n)
		batches, _, err := r.collect(all, 0, 0)
		code(t, err, codes.ResourceExhausted, endOfSpan)
		if !slices.Equal(texts(batches), texts(want)) || len(want) == 0 {
			t.Errorf("partition %d in batches:\n%q\none by one:\n%q", n, texts(batches), texts(want))
		}
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestABatchIsRefusedWhatTheOtherCallIsRefused(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.create("occ", 1, func(req *pb.CreateStreamRequest) { req.OptimisticConcurrencyControl = &pb.NullableBool{Value: true} })
	r.create("closed", 1)
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "closed", Readonly: true}); err != nil {
		t.Fatal(err)
	}
	reqs := []*pb.PublishRequest{
		{},
		{Stream: "none"},
		{Stream: "s", Partition: 1},
		{Stream: "s", Partition: -1},
		{Stream: "closed", AckPolicy: pb.AckPolicy_NONE},
		{Stream: "occ", AckPolicy: pb.AckPolicy_NONE},
		{Stream: "occ", ExpectedOffset: 7},
		{Stream: "s", Value: make([]byte, 1<<20)},
	}
	single, batched := r.async(), r.publishing()
	for i, req := range reqs {
		req.CorrelationId = fmt.Sprint(i)
		want := exchange(t, single, req)
		if err := batched.Send(batchOf(req)); err != nil {
			t.Fatal(err)
		}
		got := answers(t, batched, 1)[0]
		f := got.Refusal(nil)
		if f == nil || want.AsyncError == nil || int32(f.Code()) != int32(want.AsyncError.Code) || string(f.Message()) != want.AsyncError.Message ||
			string(got.CorrelationId()) != want.CorrelationId || got.Number() != uint64(i) || got.Stream() != nil {
			t.Errorf("%v: %v", req, want)
		}
	}
	// Refused and stored messages of one batch have their own fates, and an id is stored once.
	id := map[string][]byte{msgID: []byte("1")}
	err := batched.Send(batchOf(&pb.PublishRequest{Stream: "s", Headers: id, Value: []byte("x")}, &pb.PublishRequest{},
		&pb.PublishRequest{Stream: "s", Headers: id, Value: []byte("x")}, &pb.PublishRequest{Stream: "occ"}, &pb.PublishRequest{Stream: "occ", ExpectedOffset: 1}))
	if err != nil {
		t.Fatal(err)
	}
	fates := map[uint64]string{}
	for _, a := range answers(t, batched, 5) {
		fates[a.Number()-uint64(len(reqs))] = fmt.Sprint(a.Offset(), a.Refusal(nil) != nil)
	}
	want := map[uint64]string{0: "0 false", 1: "0 true", 2: "0 false", 3: "0 false", 4: "1 false"}
	if !maps.Equal(fates, want) {
		t.Errorf("%v, not %v", fates, want)
	}
	r.want("s", 0, "x")
}

func TestSubscriptionsInBatchesEndAsTheOthers(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.create("empty", 1)
	r.create("closed", 1)
	for _, name := range []string{"s", "closed"} {
		for i := range 20 {
			r.put(name, 0, fmt.Sprint(i))
		}
	}
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "closed", Readonly: true}); err != nil {
		t.Fatal(err)
	}
	times := r.read("s", 0)
	for _, req := range []*pb.SubscribeRequest{
		{},
		{Stream: "s", Partition: 7},
		{Stream: "s", StartPosition: 9},
		{Stream: "s", StopPosition: 9},
		{Stream: "s", Consumer: &pb.Consumer{GroupId: "g"}},
		{Stream: "s", StartPosition: pb.StartPosition_OFFSET, StartOffset: 5, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 2},
		{Stream: "s", StartPosition: pb.StartPosition_OFFSET, StartOffset: 5, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 12},
		{Stream: "s", StartPosition: pb.StartPosition_TIMESTAMP, StartTimestamp: times[3].Timestamp, StopPosition: pb.StopPosition_STOP_TIMESTAMP, StopTimestamp: times[8].Timestamp},
		{Stream: "s", StartPosition: pb.StartPosition_LATEST, StopPosition: pb.StopPosition_STOP_LATEST},
		{Stream: "s", StartPosition: pb.StartPosition_LATEST, Reverse: true},
		{Stream: "s", StartPosition: pb.StartPosition_OFFSET, StartOffset: 9, StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: 4, Reverse: true},
		{Stream: "empty", StopPosition: pb.StopPosition_STOP_LATEST},
		{Stream: "empty", Reverse: true},
		{Stream: "closed", StartPosition: pb.StartPosition_EARLIEST},
		{Stream: "closed"},
	} {
		want, wantErr := r.subscribe(req)
		got, _, err := r.collect(req, 3, 0)
		w := status.Convert(wantErr)
		code(t, err, w.Code(), w.Message())
		if !slices.Equal(texts(got), texts(want)) {
			t.Errorf("%v: %q, not %q", req, texts(got), texts(want))
		}
	}
}

func TestABatchHoldsWhatTheSubscriberTakes(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	for range 10 {
		r.put("s", 0, strings.Repeat("x", 1000))
	}
	all := &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST}
	for _, c := range []struct {
		messages, bytes uint32
		want            []int
	}{
		{0, 0, []int{10}},
		{3, 0, []int{3, 3, 3, 1}},
		{0, 3000, []int{2, 2, 2, 2, 2}},
		{0, 100, []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{1 << 31, 1 << 31, []int{10}},
	} {
		got, sizes, err := r.collect(all, c.messages, c.bytes)
		code(t, err, codes.ResourceExhausted, endOfSpan)
		if len(got) != 10 || !slices.Equal(sizes, c.want) {
			t.Errorf("%d messages, %d bytes: %v, not %v", c.messages, c.bytes, sizes, c.want)
		}
	}
}

// bare sends and receives bytes as they are, under a codec's name.
type bare string

func (bare) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (bare) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }
func (b bare) Name() string                     { return string(b) }

// send sends one message in a call of weir.Stream and receives the first one.
func (r *rig) send(method string, codec bare, message []byte) (answer []byte, err error) {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	call, err := r.conn.NewStream(r.ctx(), desc, "/weir.Stream/"+method, grpc.ForceCodec(codec))
	if err != nil {
		return nil, err
	}
	if err := call.SendMsg(message); err != nil {
		return nil, err
	}
	if err := call.CloseSend(); err != nil {
		return nil, err
	}
	err = call.RecvMsg(&answer)
	return answer, err
}

func TestABrokenBatchEndsItsCallOnlyAndStoresNothing(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	good := batchOf(&pb.PublishRequest{Stream: "s", Value: []byte("x")}, &pb.PublishRequest{Stream: "s", Value: []byte("last")}).FinishedBytes()
	other := r.publishing()
	for name, bad := range map[string][]byte{
		"empty":    {},
		"short":    good[:len(good)/2],
		"zeros":    make([]byte, 100),
		"ones":     slices.Repeat([]byte{255}, 100),
		"not text": slices.Concat(good[:len(good)-len("s")-3], []byte{255}, good[len(good)-len("s")-2:]),
	} {
		for _, method := range []string{"Publish", "Subscribe"} {
			if method == "Subscribe" && (name == "not text" || name == "short") {
				continue
			}
			if _, err := r.send(method, "flatbuffers", bad); status.Code(err) != codes.InvalidArgument {
				t.Errorf("%s, %s: %v", method, name, err)
			}
		}
	}
	if err := other.Send(batchOf(&pb.PublishRequest{Stream: "s", Value: []byte("y")})); err != nil {
		t.Fatal(err)
	}
	if a := answers(t, other, 1)[0]; a.Refusal(nil) != nil || a.Offset() != 0 {
		t.Fatal(a.Offset())
	}
}

func TestBatchesNeedNoContentTypeOfTheirOwn(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	b := batchOf(&pb.PublishRequest{Stream: "s", Value: []byte("x")}).FinishedBytes()
	for i, name := range []bare{"flatbuffers", "proto", "other"} {
		answer, err := r.send("Publish", name, b)
		if err != nil {
			t.Fatal(err)
		}
		var a weirfb.Answer
		if got := weirfb.GetRootAsAnswerBatch(answer, 0); !got.Answers(&a, 0) || a.Offset() != int64(i) {
			t.Errorf("%s: %q", name, answer)
		}
	}
	h, err := grpc_health_v1.NewHealthClient(r.conn).Check(r.ctx(), &grpc_health_v1.HealthCheckRequest{Service: "weir.Stream"})
	if err != nil || h.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Error(h, err)
	}
}

func TestASubscriberOfBatchesThatReadsNothingHoldsUpNobody(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	stuck, err := r.inBatches().Subscribe(r.ctx(), requestOf(&pb.SubscribeRequest{Stream: "s"}, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stuck.Recv(); err != nil {
		t.Fatal(err)
	}
	call := r.publishing()
	const batches, each, size = 40, 50, 2000 // more than the transport takes
	for range batches {
		reqs := slices.Repeat([]*pb.PublishRequest{{Stream: "s", Value: make([]byte, size)}}, each)
		if err := call.Send(batchOf(reqs...)); err != nil {
			t.Fatal(err)
		}
		answers(t, call, each)
	}
	if got := len(r.read("s", 0)); got != batches*each {
		t.Fatalf("%d messages", got)
	}
	for n := 0; n < batches*each; {
		b, err := stuck.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.MessagesLength() {
			var m weirfb.Message
			if b.Messages(&m, i); m.Offset() != int64(n) || m.ValueLength() != size {
				t.Fatalf("message %d is %d of %d bytes", n, m.Offset(), m.ValueLength())
			}
			n++
		}
	}
}

func TestABatchWeighsWhatItHoldsUntilItsLastMessageIsAnswered(t *testing.T) {
	two := batchOf(&pb.PublishRequest{Stream: "s", Value: []byte("x")}, &pb.PublishRequest{Stream: "s"}).FinishedBytes()
	padded := append(slices.Clone(two), make([]byte, 3<<20)...)
	// One value that both messages refer to.
	b := flatbuffers.NewBuilder(0)
	value := b.CreateByteVector(make([]byte, 20<<20))
	var shared []flatbuffers.UOffsetT
	for range 2 {
		weirfb.NewMessageStart(b)
		weirfb.NewMessageAddValue(b, value)
		shared = append(shared, weirfb.NewMessageEnd(b))
	}
	all := tables(b, shared)
	weirfb.PublishBatchStart(b)
	weirfb.PublishBatchAddMessages(b, all)
	b.Finish(weirfb.PublishBatchEnd(b))
	none := batchOf().FinishedBytes()

	call, messages := &publishing{budget: 64 << 20}, [][]byte{two, padded, b.FinishedBytes(), none}
	for i, want := range []int64{
		int64(len(two)) + 2*requestWeight,
		int64(len(padded)) + 2*requestWeight,
		asyncBytes,
		0,
	} {
		list, weight, err := call.decode(messages[i], nil)
		if err != nil || weight != want {
			t.Fatalf("batch %d weighs %d, not %d: %v", i, weight, want, err)
		}
		if want == 0 {
			if len(list) != 0 {
				t.Fatal(len(list))
			}
			continue
		}
		batch := list[0].kept.batch
		published, first, last := batch.release(), batch.release(), batch.release()
		if published != 0 || first != 0 || last != weight || list[0].kept.weight+list[1].kept.weight != 0 {
			t.Errorf("batch %d gives back %d and %d, then %d of %d", i, published, first, last, weight)
		}
	}
}

// nobody is a policy that allows nothing.
type nobody struct{}

func (nobody) Allows(string, string, string) (bool, error) { return false, nil }

func TestThePolicyHoldsForBatches(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.door.UpdateRules(nobody{})
	req := &pb.PublishRequest{Stream: "s"}
	want := exchange(t, r.async(), req)
	call := r.publishing()
	if err := call.Send(batchOf(req)); err != nil {
		t.Fatal(err)
	}
	f := answers(t, call, 1)[0].Refusal(nil)
	if f == nil || f.Code() != weirfb.RefusalCodePERMISSION_DENIED || string(f.Message()) != want.AsyncError.GetMessage() {
		t.Error(want)
	}
	_, wantErr := r.subscribe(&pb.SubscribeRequest{Stream: "s"})
	_, _, err := r.collect(&pb.SubscribeRequest{Stream: "s"}, 0, 0)
	if w := status.Convert(wantErr); w.Code() == codes.OK {
		t.Error(wantErr)
	} else {
		code(t, err, w.Code(), w.Message())
	}
}
