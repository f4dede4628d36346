package liftbridge

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
)

// largest is a value with which the envelope of a message for a stream on a subject of its
// name is exactly so long.
func largest(t *testing.T, req *pb.PublishRequest, max int) []byte {
	t.Helper()
	m := wire.Message{
		Offset: req.ExpectedOffset, AckInbox: []byte(req.AckInbox), CorrelationID: []byte(req.CorrelationId), Value: make([]byte, max),
	}
	envelope := func() int { return len(wire.AppendPublishTo(nil, &m, req.Stream, req.Stream)) }
	m.Value = m.Value[:max-(envelope()-max)]
	if n := envelope(); n != max {
		t.Fatal(n)
	}
	return m.Value
}

func TestMessagesAreTakenUpToTheLimitAndNotBeyond(t *testing.T) {
	const limit = 5 << 20 // more than gRPC takes by itself
	r := newRig(t, func(o *Options) { o.MaxMessage = limit })
	r.create("s", 1)
	inbox := r.door.inbox() // the call that names none is given one of this length
	async := r.async()
	defer func() { _ = async.CloseSend() }()
	publish := func(req *pb.PublishRequest) error {
		_, err := r.Publish(r.ctx(), req)
		return err
	}
	req := &pb.PublishRequest{Stream: "s", CorrelationId: "c", AckInbox: inbox}
	req.Value = largest(t, req, limit)
	code(t, publish(req), codes.OK, "")
	if resp := exchange(t, async, req); resp.AsyncError != nil || resp.Ack.GetOffset() != 1 {
		t.Fatal(resp.AsyncError)
	}
	req.Value = append(req.Value, 0)
	code(t, publish(req), codes.InvalidArgument, "message exceeds max replication size")
	if resp := exchange(t, async, req); resp.AsyncError.GetCode() != pb.PublishAsyncError_BAD_REQUEST {
		t.Fatal(resp.AsyncError)
	}
	req.Value = make([]byte, r.door.receiveLimit())
	if err := publish(req); err == nil || !strings.Contains(err.Error(), "larger than max") {
		t.Fatal(err)
	}
	if err := async.Send(req); err != nil {
		t.Fatal(err)
	}
	_, err := async.Recv() // the call is over, others are not
	if err == nil || !strings.Contains(err.Error(), "larger than max") {
		t.Fatal(err)
	}
	req.Value = []byte("small")
	code(t, publish(req), codes.OK, "")
	if n := newest(r.door.find("A", "s").part(0).Partition()) + 1; n != 3 {
		t.Fatal(n, "messages")
	}
}

func TestPartitionsBelowZeroAreNone(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	for _, n := range []int32{-1, -1 << 31, 2, 1<<31 - 1} {
		text := fmt.Sprintf("no such partition: %d", n)
		_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "s", Partition: n})
		code(t, err, codes.NotFound, text)
		if resp := exchange(t, r.async(), &pb.PublishRequest{Stream: "s", Partition: n}); resp.AsyncError.GetMessage() != text {
			t.Error(resp)
		}
		sub, err := r.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", Partition: n})
		if err == nil {
			_, err = sub.Recv()
		}
		code(t, err, codes.NotFound, "No such partition")
		_, err = r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "s", Partitions: []int32{0, n}})
		code(t, err, codes.NotFound, "partition does not exist")
		_, err = r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: "s", Partitions: []int32{n}, Readonly: true})
		code(t, err, codes.NotFound, "partition does not exist")
		if _, err = r.FetchPartitionMetadata(r.ctx(), &pb.FetchPartitionMetadataRequest{Stream: "s", Partition: n}); err == nil {
			t.Error("there is something to say about partition", n)
		}
	}
}

func TestNamesThatArePathsNameNothing(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	for _, name := range []string{"../s", "..", "s/../s", "/s", `..\s`, "./s", "s\x00", "%2e%2e%2fs", "%73", "s%3A0", "s:0"} {
		_, err := r.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: name, Subject: "x"})
		if strings.ContainsAny(name, "%:") { // a name like others
			code(t, err, codes.OK, "")
			_, err = r.Publish(r.ctx(), &pb.PublishRequest{Stream: name, Value: []byte(name)})
			code(t, err, codes.OK, "")
			if got := r.read(name, 0); len(got) != 1 || string(got[0].Value) != name {
				t.Errorf("%q: %v", name, got)
			}
			_, err = r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: name})
			code(t, err, codes.OK, "")
			continue
		}
		code(t, err, codes.InvalidArgument, "Name is invalid")
		_, err = r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: name})
		code(t, err, codes.NotFound, "stream does not exist")
		_, err = r.Publish(r.ctx(), &pb.PublishRequest{Stream: name})
		code(t, err, codes.NotFound, "no such stream: "+name)
	}
	if got := r.read("s", 0); len(got) != 0 {
		t.Error(got)
	}
}

func TestBrokenEnvelopesAreStoredAsTheyCome(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	whole := wire.AppendPublish(nil, &wire.Message{Key: []byte("k"), Value: []byte("v"), AckInbox: []byte("i"), CorrelationID: []byte("c")})
	var want []string
	for n := range len(whole) { // cut anywhere; some are messages without what was cut
		broken := append([]byte(nil), whole[:n]...)
		var m wire.Message
		if wire.DecodePublish(broken, &m) == nil {
			continue
		}
		want = append(want, string(broken))
		r.space.Publish(&broker.Message{Subject: []byte("s"), Data: broken})
	}
	_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "s", Value: []byte("after")})
	code(t, err, codes.OK, "")
	want = append(want, "after")
	got := r.read("s", 0)
	for i, m := range got {
		if i >= len(want) || string(m.Value) != want[i] || len(m.Key) > 0 {
			t.Fatalf("%d: %q", i, m.Value)
		}
	}
	if len(got) != len(want) || len(want) < 10 {
		t.Fatal(len(got), len(want))
	}
}

func TestThousandsOfStreamsAreServed(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 100
	}
	r := newRig(t)
	var wg sync.WaitGroup
	for k := range 16 {
		wg.Go(func() {
			for i := k; i < n; i += 16 {
				name := fmt.Sprint("many.", i)
				if _, err := r.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: name, Subject: name}); err != nil {
					t.Error(err)
					return
				}
				if _, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: name, Value: []byte(name)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	m, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{})
	if err != nil || len(m.StreamMetadata) < n {
		t.Fatal(len(m.GetStreamMetadata()), err)
	}
	for _, i := range []int{0, n / 2, n - 1} {
		name := fmt.Sprint("many.", i)
		if got := r.read(name, 0); len(got) != 1 || string(got[0].Value) != name {
			t.Fatal(name, got)
		}
	}
}

func TestASubjectThatIsNoUTF8HoldsUpNoSubscriber(t *testing.T) {
	r := newRig(t)
	r.create("s", 1, func(req *pb.CreateStreamRequest) { req.Subject = "s.*" })
	for _, subject := range []string{"s.a", "s.\xff", "s.b"} {
		r.space.Publish(&broker.Message{Subject: []byte(subject), Data: []byte(subject)})
	}
	r.space.Publish(&broker.Message{Subject: []byte("s.c"), Reply: []byte("\xfe"), Header: []byte("NATS/1.0\r\n\xff: x\r\n\r\n"), Data: []byte("s.c")})
	s := r.Streams.Find("A", "s")
	for changed := s.Changed(); s.Partition().Committed() < 4; changed = s.Changed() {
		if s.Partition().Committed() < 4 {
			<-changed
		}
	}
	got := r.read("s", 0)
	if len(got) != 4 || string(got[1].Headers["subject"]) != "s.\xff" || got[1].Subject != "s.\uFFFD" || string(got[3].Headers["reply"]) != "\xfe" {
		t.Fatal(got)
	}
}
