package liftbridge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	jsdoor "github.com/weirmq/weir/internal/door/jetstream"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// rig is a node that serves Liftbridge and JetStream, and a client of it.
type rig struct {
	pb.APIClient
	*streamtest.Node
	conn  *grpc.ClientConn
	t     testing.TB
	space *broker.Space
	door  *Door
	// noStreams: the account may not have streams, so no groups either.
	noStreams atomic.Bool
	o         Options
	at        *atomic.Pointer[Door] // the door that hears of deleted streams
	end       func()
}

// testOptions are those of a server of which little was said.
func testOptions() Options {
	return Options{
		ID: "me", Namespace: "ns", Account: "A", MaxMessage: 1 << 20, Cursors: 3, ActivityTimeout: patience, Activity: true,
		ConsumerTimeout: time.Minute, CoordinatorTimeout: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
}

func nodeOptions(o *Options, at *atomic.Pointer[Door]) streamtest.Options {
	return streamtest.Options{
		Deleted: func(account, name string, m *stream.Member) {
			if d := at.Load(); d != nil {
				d.StreamDeleted(account, name, m)
			}
		},
		Dialects: map[string]stream.Dialect{
			jsdoor.DialectName: jsdoor.Dialect{},
			DialectName:        Dialect{Dialect: jsdoor.Dialect{}, MaxMessage: o.MaxMessage},
		},
		Outlet: func() stream.Outlet { return new(jsdoor.Outlet) },
		Serve: func(d *stream.Directory, s *broker.Space) func() {
			a := &account.Account{Name: "A", JetStream: account.Unlimited(true)}
			door := jsdoor.New(jsdoor.Options{ServerName: "n", Version: "2.12.0", MaxPayload: 1 << 20, Log: o.Log, Restored: Restored})
			door.Start(d)
			return door.Serve(s, func() *account.Account { return a })
		},
	}
}

func newRig(t testing.TB, change ...func(*Options)) *rig {
	o := testOptions()
	for _, f := range change {
		f(&o)
	}
	at := new(atomic.Pointer[Door])
	return serve(t, streamtest.Start(t, nodeOptions(&o, at)), o, at)
}

// serve lets a door serve the streams of a node.
func serve(t testing.TB, n *streamtest.Node, o Options, at *atomic.Pointer[Door]) *rig {
	t.Helper()
	r := &rig{Node: n, t: t, space: n.Space("A"), o: o, at: at}
	o.Space = n.Space
	r.door = New(o)
	r.door.Start(n.Streams)
	at.Store(r.door)
	stopGroups := r.door.ServeGroups(r.space, func() bool { return !r.noStreams.Load() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.door.Advertise("127.0.0.1", ln.Addr().(*net.TCPAddr).Port)
	if err := r.door.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 2)
	go func() { served <- r.door.Run(context.Background()) }()
	go func() { served <- r.door.Serve(ln) }()
	conn, err := grpc.NewClient(ln.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	r.conn, r.APIClient = conn, pb.NewAPIClient(conn)
	ended := false
	r.end = func() {
		if ended {
			return
		}
		ended = true
		stopGroups()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		r.door.Shutdown(ctx)
		for range cap(served) {
			if err := <-served; err != nil {
				t.Error("serve:", err)
			}
		}
		conn.Close()
	}
	t.Cleanup(r.end)
	return r
}

func (r *rig) restart() *rig {
	r.end()
	return serve(r.t, r.Restart(), r.o, r.at)
}

// crash ends the node at once; nothing that was not synced is left.
func (r *rig) crash(seed uint64) *rig {
	r.t.Helper()
	n := r.Crash(faultfs.DropUnsynced, seed)
	r.end()
	return serve(r.t, n, r.o, r.at)
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

// create makes a stream on a subject of its name.
func (r *rig) create(name string, partitions int32, change ...func(*pb.CreateStreamRequest)) {
	r.t.Helper()
	req := &pb.CreateStreamRequest{Name: name, Subject: name, Partitions: partitions}
	for _, f := range change {
		f(req)
	}
	if _, err := r.CreateStream(r.ctx(), req); err != nil {
		r.t.Fatal(err)
	}
}

// put publishes values and returns the acks.
func (r *rig) put(name string, partition int32, values ...string) (acks []*pb.Ack) {
	r.t.Helper()
	for _, v := range values {
		resp, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: name, Partition: partition, Value: []byte(v), ExpectedOffset: -1})
		if err != nil {
			r.t.Fatal(err)
		}
		acks = append(acks, resp.Ack)
	}
	return acks
}

// read gives all that a partition holds.
func (r *rig) read(name string, partition int32) []*pb.Message {
	r.t.Helper()
	msgs, err := r.subscribe(&pb.SubscribeRequest{
		Stream: name, Partition: partition, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST,
	})
	if status.Code(err) != codes.ResourceExhausted {
		r.t.Fatal(err)
	}
	return msgs
}

// subscribe receives until the subscription ends.
func (r *rig) subscribe(req *pb.SubscribeRequest) (out []*pb.Message, err error) {
	sub, err := r.Subscribe(r.ctx(), req)
	if err != nil {
		return nil, err
	}
	if _, err := sub.Recv(); err != nil {
		return nil, err
	}
	for {
		m, err := sub.Recv()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return out, err
		}
		out = append(out, m)
	}
}

func values(msgs []*pb.Message) (out []string) {
	for _, m := range msgs {
		out = append(out, string(m.Value))
	}
	return out
}

// want compares what a partition holds.
func (r *rig) want(name string, partition int32, want ...string) {
	r.t.Helper()
	if got := values(r.read(name, partition)); !slices.Equal(got, want) {
		r.t.Fatalf("%s/%d holds %q, not %q", name, partition, got, want)
	}
}

// inbox takes what is published on a subject.
type inbox chan broker.Message

func (in inbox) OpenStage(*broker.Publisher) broker.Stage { return in }

func (in inbox) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	in <- broker.Message{
		Subject: slices.Clone(m.Subject), Reply: slices.Clone(m.Reply), Header: slices.Clone(m.Header), Data: slices.Clone(m.Data),
	}
	return broker.Staged
}

func (inbox) HandOver() {}

// listen subscribes as a NATS client does.
func (r *rig) listen(subject string) inbox {
	in := make(inbox, 100)
	sub := &broker.Subscription{Subject: subject, Sink: &struct{ inbox }{in}, Kind: broker.KindClient}
	r.space.Subscribe(sub)
	r.t.Cleanup(func() { r.space.Unsubscribe(sub) })
	return in
}

func (in inbox) next(t testing.TB) broker.Message {
	t.Helper()
	select {
	case m := <-in:
		return m
	case <-time.After(patience):
		t.Fatal("no message")
		return broker.Message{}
	}
}

// request asks JetStream.
func (r *rig) request(subject string, body, answer any) {
	r.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	if body == nil {
		b = nil
	}
	in := r.listen(fmt.Sprintf("_reply.%p", &b))
	r.space.Publish(&broker.Message{Subject: []byte("$JS.API." + subject), Reply: fmt.Appendf(nil, "_reply.%p", &b), Data: b})
	m := in.next(r.t)
	if err := json.Unmarshal(m.Data, answer); err != nil {
		r.t.Fatalf("%s: %v: %s", subject, err, m.Data)
	}
}

// code compares a status and its text.
func code(t testing.TB, err error, want codes.Code, text string) {
	t.Helper()
	if s := status.Convert(err); s.Code() != want || s.Message() != text {
		t.Errorf("%v %q, not %v %q", s.Code(), s.Message(), want, text)
	}
}
