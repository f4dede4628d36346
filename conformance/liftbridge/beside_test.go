package liftbridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// besideServer is one of two servers that are asked the same.
type besideServer struct {
	conn *grpc.ClientConn
	api  pb.APIClient
	nc   *nats.Conn
	port string // that it advertises
}

// beside are Liftbridge's server and weir, with the same configuration file.
type beside struct{ old, weir *besideServer }

// startBeside starts both.
func startBeside(t *testing.T, settings ...string) *beside {
	t.Helper()
	bin := oldServer(t)
	old, weir := &besideServer{}, &besideServer{}
	_, monitor, _ := net.SplitHostPort(harness.Free(t))
	ready := []func(){
		old.launch(t, settings, func(config, _ string) *exec.Cmd { return exec.Command(bin, "-c", config) }),
		weir.launch(t, settings, func(config, port string) *exec.Cmd {
			return exec.Command(harness.Binary(), "serve", "--liftbridge-config", config, "-a", "127.0.0.1", "-p", port, "-m", monitor)
		}),
	}
	for _, wait := range ready {
		wait()
	}
	return &beside{old, weir}
}

// launch starts a server; wait returns when it serves.
func (s *besideServer) launch(t *testing.T, settings []string, command func(config, natsPort string) *exec.Cmd) (wait func()) {
	t.Helper()
	addr, embedded := harness.Free(t), harness.Free(t)
	_, natsPort, _ := net.SplitHostPort(embedded)
	_, s.port, _ = net.SplitHostPort(addr)
	config, _ := writeOldConfig(t, t.TempDir(), addr, embedded, append([]string{
		"clustering.server.id: one", "clustering.namespace: ns", "clustering.replication.max.bytes: 100000",
		"cursors.stream.partitions: 3", "activity.stream.enabled: true", "metadata.cache.max.age: 1ms",
	}, settings...)...)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.conn, s.api = conn, pb.NewAPIClient(conn)
	startProcess(t, command(config, natsPort))
	return func() {
		t.Helper()
		harness.Eventually(t, "the server has its own streams", s.serves)
		if s.nc, err = nats.Connect("nats://" + embedded); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.nc.Close)
	}
}

// startProcess starts a server, which ends with the test.
func startProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	log := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has served
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", cmd.Path, log.Bytes()[max(0, log.Len()-logEnd):])
		}
	})
}

// serves says whether the server leads the partitions of its own streams.
func (s *besideServer) serves() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for name, partitions := range map[string]int32{"__activity": 1, "__cursors": 3} {
		for n := range partitions {
			if _, err := s.api.FetchPartitionMetadata(ctx, &pb.FetchPartitionMetadataRequest{Stream: name, Partition: n}, grpc.WaitForReady(true)); err != nil {
				return false
			}
		}
	}
	return true
}

// logEnd is how much of a server's log is shown, bytes.
const logEnd = 4 << 10

// step is something that a script does, and what came of it.
type step struct{ what, said string }

// side is a script's view of one of the servers. The requests are the protocol's own: no
// client's library is between.
type side struct {
	t *testing.T
	*besideServer
	steps []step
	names map[string]string // by what stands for it
	busy  bool              // others use the server meanwhile
	// events: values of messages are those of the activity stream.
	events bool
}

// lull is how long nothing comes where nothing more is to come, longLull where weir says what
// the old server does not, and besideLimit how long what must come may take.
const (
	lull        = 150 * time.Millisecond
	longLull    = 500 * time.Millisecond
	besideLimit = 10 * time.Second
)

// compare runs a script against both servers, and compares what they say.
func (p *beside) compare(t *testing.T, busy bool, script func(s *side)) {
	t.Helper()
	var sides [2]*side
	for i, server := range []*besideServer{p.old, p.weir} {
		s := &side{t: t, besideServer: server, names: map[string]string{}, busy: busy}
		script(s)
		sides[i] = s
	}
	a, b := sides[0].steps, sides[1].steps
	if len(a) != len(b) {
		t.Fatalf("the script took %d steps with the old server and %d with weir", len(a), len(b))
	}
	for i := range a {
		if os.Getenv("BESIDE_SHOW") != "" {
			t.Logf("%s\n\t%s", a[i].what, a[i].said)
		}
		if a[i].what != b[i].what {
			t.Fatalf("what was asked differs:\n  %s\n  %s", a[i].what, b[i].what)
		}
		if a[i].said != b[i].said && !deliberate(a[i].what, a[i].said, b[i].said) {
			t.Errorf("%s\nthe old server says\n  %s\nand weir\n  %s", a[i].what, a[i].said, b[i].said)
		}
	}
}

func (s *side) say(what, format string, args ...any) {
	s.steps = append(s.steps, step{what, fmt.Sprintf(format, args...)})
}

// call is one of the interface that is answered once.
type call[Q, A proto.Message] func(context.Context, Q, ...grpc.CallOption) (A, error)

// ask makes a call, with a deadline, and says what the answer is.
func ask[Q, A proto.Message](s *side, verb string, f call[Q, A], q Q) {
	s.t.Helper()
	askWithin(s, besideLimit, verb, f, q)
}

// askWithin makes a call with this deadline; 0: with none.
func askWithin[Q, A proto.Message](s *side, limit time.Duration, verb string, f call[Q, A], q Q) A {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	what := verb + s.show(q)
	switch limit {
	case 0:
		what += " without a deadline"
	case besideLimit:
	default:
		what += " for " + limit.String()
	}
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	a, err := f(ctx, q)
	if err != nil {
		s.say(what, "%s", s.failure(err))
		return a
	}
	s.say(what, "%s", s.show(a))
	return a
}

func (s *side) failure(err error) string {
	st := status.Convert(err)
	return fmt.Sprintf("%s %q", st.Code(), s.normal(st.Message()))
}

func (s *side) create(q *pb.CreateStreamRequest) {
	s.t.Helper()
	ask(s, "CreateStream", s.api.CreateStream, q)
}

// stream makes one of a name that is its subject, too.
func (s *side) stream(name string, partitions int32) {
	s.t.Helper()
	s.create(&pb.CreateStreamRequest{Name: name, Subject: name, Partitions: partitions})
}

func (s *side) remove(name string) {
	s.t.Helper()
	ask(s, "DeleteStream", s.api.DeleteStream, &pb.DeleteStreamRequest{Name: name})
}

func (s *side) pause(name string, resumeAll bool, partitions ...int32) {
	s.t.Helper()
	ask(s, "PauseStream", s.api.PauseStream, &pb.PauseStreamRequest{Name: name, Partitions: partitions, ResumeAll: resumeAll})
}

func (s *side) readonly(name string, on bool, partitions ...int32) {
	s.t.Helper()
	ask(s, "SetStreamReadonly", s.api.SetStreamReadonly, &pb.SetStreamReadonlyRequest{Name: name, Partitions: partitions, Readonly: on})
}

func (s *side) metadata(streams, groups []string) {
	s.t.Helper()
	ask(s, "FetchMetadata", s.api.FetchMetadata, &pb.FetchMetadataRequest{Streams: streams, Groups: groups})
}

func (s *side) partition(name string, n int32) {
	s.t.Helper()
	ask(s, "FetchPartitionMetadata", s.api.FetchPartitionMetadata, &pb.FetchPartitionMetadataRequest{Stream: name, Partition: n})
}

// publish sends a message to a stream and waits for its ack. What is expected of its
// offset is nothing, unless a change says so.
func (s *side) publish(stream string, n int32, value string, change ...func(*pb.PublishRequest)) *pb.Ack {
	s.t.Helper()
	return askWithin(s, besideLimit, "Publish", s.api.Publish, publishRequest(stream, n, value, change)).GetAck()
}

func publishRequest(stream string, n int32, value string, change []func(*pb.PublishRequest)) *pb.PublishRequest {
	q := &pb.PublishRequest{Stream: stream, Partition: n, Value: []byte(value), ExpectedOffset: -1}
	for _, f := range change {
		f(q)
	}
	return q
}

// fill publishes so many messages.
func (s *side) fill(stream string, count int) {
	s.t.Helper()
	for i := range count {
		s.publish(stream, 0, fmt.Sprint("m", i))
	}
}

// reach waits until a partition has a message with an offset.
func (s *side) reach(stream string, n int32, offset int64) {
	s.t.Helper()
	harness.Eventually(s.t, fmt.Sprintf("%s/%d has offset %d", stream, n, offset), func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), besideLimit)
		defer cancel()
		a, err := s.api.FetchPartitionMetadata(ctx, &pb.FetchPartitionMetadataRequest{Stream: stream, Partition: n})
		return err == nil && a.Metadata.NewestOffset >= offset
	})
}

// epoch is that of a group.
func (s *side) epoch(group string) uint64 {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), besideLimit)
	defer cancel()
	a, err := s.api.FetchMetadata(ctx, &pb.FetchMetadataRequest{Groups: []string{group}})
	if err != nil {
		s.t.Fatal(err)
	}
	return a.GroupMetadata[0].Epoch
}

// received is what a call gives at one time.
type received struct {
	m   proto.Message
	err error
}

// reading is a call that gives many messages.
type reading struct {
	s      *side
	what   string
	got    chan received
	cancel func()
	taken  int
	ended  bool // it has given its end
}

// readings bounds what a reading has that nobody took.
const readings = 1000

// pump takes what a call gives until its end.
func (s *side) pump(what string, cancel func(), recv func() (proto.Message, error)) *reading {
	r := &reading{s: s, what: what, got: make(chan received, readings), cancel: cancel}
	s.t.Cleanup(cancel)
	go func() {
		for {
			m, err := recv()
			r.got <- received{m, err}
			if err != nil {
				return
			}
		}
	}()
	return r
}

// subscribe begins to read a partition and says whether that stands.
func (s *side) subscribe(q *pb.SubscribeRequest) *reading {
	s.t.Helper()
	r := s.open(q)
	r.take(1)
	return r
}

// open begins to read a partition.
func (s *side) open(q *pb.SubscribeRequest) *reading {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	in, err := s.api.Subscribe(ctx, q)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.pump("Subscribe"+s.show(q), cancel, func() (proto.Message, error) { return in.Recv() })
}

// next gives what comes next; false: nothing does.
func (r *reading) next(wait time.Duration) (received, bool) {
	select {
	case x := <-r.got:
		return x, true
	case <-time.After(wait):
		return received{}, false
	}
}

// take says the next n messages, or how the call ends before.
func (r *reading) take(n int) {
	r.s.t.Helper()
	var said []string
	for len(said) < n && !r.ended {
		x, ok := r.next(besideLimit)
		if !ok {
			said = append(said, "nothing")
			break
		}
		said = append(said, r.show(x))
		r.ended = x.err != nil
	}
	r.taken++
	r.s.say(fmt.Sprintf("%s gives, %d", r.what, r.taken), "%s", strings.Join(said, "\n  "))
}

func (r *reading) show(x received) string {
	if x.err != nil {
		return "the end, " + r.s.failure(x.err)
	}
	return r.s.show(x.m)
}

// rest says all that comes to the call's end.
func (r *reading) rest() {
	r.s.t.Helper()
	r.take(readings)
	r.cancel()
}

// quiet says whether something comes, for a while.
func (r *reading) quiet() {
	r.s.t.Helper()
	r.quietFor(lull)
}

func (r *reading) quietFor(d time.Duration) {
	r.s.t.Helper()
	said := "nothing"
	if !r.ended {
		if x, ok := r.next(d); ok {
			said, r.ended = r.show(x), x.err != nil
		}
	}
	r.s.say(r.what+" gives more", "%s", said)
}

// read says all of a subscription that ends by itself.
func (s *side) read(q *pb.SubscribeRequest) {
	s.t.Helper()
	s.open(q).rest()
}

// peek says the first n messages of a subscription, and that no more come.
func (s *side) peek(n int, q *pb.SubscribeRequest) {
	s.t.Helper()
	r := s.subscribe(q)
	if n > 0 {
		r.take(n)
	}
	r.quiet()
	r.cancel()
}

// all says what a partition holds.
func (s *side) all(stream string, n int32) {
	s.t.Helper()
	s.read(&pb.SubscribeRequest{Stream: stream, Partition: n, StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST})
}

// publishing is a call that publishes without waiting.
type publishing struct {
	*reading
	out  pb.API_PublishAsyncClient
	stop func()
}

func (s *side) async() *publishing {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, err := s.api.PublishAsync(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return &publishing{s.pump("PublishAsync", cancel, func() (proto.Message, error) { return out.Recv() }), out, cancel}
}

// send publishes a message.
func (p *publishing) send(stream string, n int32, value string, change ...func(*pb.PublishRequest)) {
	p.s.t.Helper()
	q := publishRequest(stream, n, value, change)
	if q.CorrelationId == "" {
		q.CorrelationId = value
	}
	p.what = "PublishAsync" + p.s.show(q)
	if err := p.out.Send(q); err != nil {
		p.s.t.Fatal(err)
	}
}

// ask publishes a message and says the response.
func (p *publishing) ask(stream string, n int32, value string, change ...func(*pb.PublishRequest)) {
	p.s.t.Helper()
	p.send(stream, n, value, change...)
	p.take(1)
}

// finish publishes no more and says what comes.
func (p *publishing) finish() {
	p.s.t.Helper()
	if err := p.out.CloseSend(); err != nil {
		p.s.t.Fatal(err)
	}
	p.what = "PublishAsync, closed"
	p.rest()
}

// box is where NATS messages go.
type box struct {
	s   *side
	sub *nats.Subscription
}

func (s *side) listen(subject string) *box {
	s.t.Helper()
	sub, err := s.nc.SubscribeSync(subject)
	if err == nil {
		err = s.nc.Flush()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = sub.Unsubscribe() }) // the connection may be closed
	return &box{s, sub}
}

// hear says the next message, which an envelope may be in.
func (b *box) hear() {
	b.s.t.Helper()
	m, err := b.sub.NextMsg(besideLimit)
	b.say(m, err)
}

// gather says the next n messages, in an order of words.
func (b *box) gather(n int) {
	b.s.t.Helper()
	first := len(b.s.steps)
	for range n {
		b.hear()
	}
	slices.SortFunc(b.s.steps[first:], func(x, y step) int { return strings.Compare(x.said, y.said) })
}

// quiet says whether one comes, for a while.
func (b *box) quiet() {
	b.s.t.Helper()
	b.quietFor(lull)
}

func (b *box) quietFor(d time.Duration) {
	b.s.t.Helper()
	m, err := b.sub.NextMsg(d)
	b.say(m, err)
}

func (b *box) say(m *nats.Msg, err error) {
	b.s.t.Helper()
	what := "on " + b.sub.Subject
	switch {
	case errors.Is(err, nats.ErrTimeout):
		b.s.say(what, "nothing")
	case err != nil:
		b.s.t.Fatal(err)
	default:
		b.s.say(what, "%q, reply %q: %s", m.Subject, m.Reply, b.s.envelope(m.Data))
	}
}

// plain publishes over NATS.
func (s *side) plain(subject, reply string, data []byte) {
	s.t.Helper()
	s.send(&nats.Msg{Subject: subject, Reply: reply, Data: data})
}

func (s *side) send(m *nats.Msg) {
	s.t.Helper()
	err := s.nc.PublishMsg(m)
	if err == nil {
		err = s.nc.Flush()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
