package http2_test

import (
	"fmt"
	"testing"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/weirmq/weir/conformance/harness"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// api begins the paths of Liftbridge's calls.
const api = "/proto.API/"

// patient is what a publish says that waits for its ack.
var patient = []string{"grpc-timeout", "20S"}

// served runs a server with a stream "s" of one partition.
func served(t *testing.T, settings string) (*harness.Server, string) {
	t.Helper()
	s, addr := start(t, settings)
	c := dial(t, addr)
	c.must(api+"CreateStream", &pb.CreateStreamRequest{Name: "s", Subject: "s"}, nil)
	return s, addr
}

// unary makes a call of one message and one answer.
func (c *client) unary(path string, m proto.Message, more ...string) (codes.Code, string, *call) {
	c.t.Helper()
	s := c.open(path, more...)
	c.send(s, true, message(m))
	code, said := c.finish(s)
	return code, said, s
}

// must is unary that succeeds; into takes the answer, nil if nothing in it matters.
func (c *client) must(path string, m, into proto.Message, more ...string) {
	c.t.Helper()
	code, said, s := c.unary(path, m, more...)
	if code != codes.OK {
		c.t.Fatalf("%s: %v %q", path, code, said)
	}
	list := s.messages(c.t)
	if len(list) != 1 {
		c.t.Fatalf("%s: %d messages", path, len(list))
	}
	if into == nil {
		return
	}
	if err := proto.Unmarshal(list[0], into); err != nil {
		c.t.Fatal(err)
	}
}

// publishing is a request that publishes a value to stream s.
func publishing(value []byte) *pb.PublishRequest {
	return &pb.PublishRequest{Stream: "s", Value: value, ExpectedOffset: -1}
}

// publish publishes a value and waits for the ack.
func (c *client) publish(value []byte) (offset int64) {
	c.t.Helper()
	var a pb.PublishResponse
	c.must(api+"Publish", publishing(value), &a, patient...)
	return a.Ack.Offset
}

// acks are the answers to asynchronous publishes that came so far.
func (s *call) acks(t testing.TB) (list []*pb.PublishResponse) {
	t.Helper()
	for _, m := range s.messages(t) {
		a := &pb.PublishResponse{}
		if err := proto.Unmarshal(m, a); err != nil {
			t.Fatal(err)
		}
		if a.AsyncError != nil {
			t.Fatal(a.AsyncError)
		}
		list = append(list, a)
	}
	return list
}

// awaitAcks waits until so many publishes are acknowledged, in order from an offset on.
func (c *client) awaitAcks(s *call, n int, first int64) {
	c.t.Helper()
	c.until(fmt.Sprintf("%d publishes are acknowledged", n), func() bool { return s.over() || len(s.messages(c.t)) >= n })
	list := s.acks(c.t)
	if len(list) != n {
		c.t.Fatalf("%d acks, not %d; trailer %v, reset %v", len(list), n, s.trailer, s.reset)
	}
	for i, a := range list {
		if a.Ack.Offset != first+int64(i) {
			c.t.Fatalf("ack %d has offset %d, not %d", i, a.Ack.Offset, first+int64(i))
		}
	}
}

// reading is a request for all of stream s, to its end if that is said.
func reading(end bool) *pb.SubscribeRequest {
	r := &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST}
	if end {
		r.StopPosition = pb.StopPosition_STOP_LATEST
	}
	return r
}

// values are what a subscription delivered so far, without its first message, which is empty.
func (s *call) values(t testing.TB) (list []string) {
	t.Helper()
	for i, b := range s.messages(t) {
		m := &pb.Message{}
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			list = append(list, string(m.Value))
		}
	}
	return list
}

// stored reads all values of stream s on a connection of its own.
func stored(t *testing.T, addr string) []string {
	t.Helper()
	c := dial(t, addr)
	_, _, s := c.unary(api+"Subscribe", reading(true))
	return s.values(t)
}

// fit fails unless a new connection is served as ever.
func fit(t testing.TB, addr string) {
	t.Helper()
	c := dial(t, addr)
	c.publish([]byte("fit"))
	c.hangUp()
}

func (c *client) hangUp() {
	c.t.Helper()
	if err := c.conn.Close(); err != nil {
		c.t.Error(err)
	}
}

// wantStatus fails unless a call ended so.
func wantStatus(t testing.TB, code codes.Code, said string, want codes.Code, text string) {
	t.Helper()
	if code != want || said != text {
		t.Errorf("%v %q, not %v %q", code, said, want, text)
	}
}
