package liftbridge_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
	lift "github.com/liftbridge-io/go-liftbridge/v2"
	liftapi "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/conformance/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// The client here is written from api/weir.fbs by hand, with the library's builder and
// tables only: fields are numbers, as in the schema from 0 on.

// raw is a codec for finished buffers.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return v.([]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }
func (raw) Name() string                       { return "flatbuffers" }

// item is a message, published or stored.
type item struct {
	stream, key, value, correlation string
	partition                       int32
	headers                         map[string]string

	offset         int64
	subject, reply string
}

// object is a table to read.
type object struct{ flatbuffers.Table }

func rootOf(b []byte) object {
	return object{flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}}
}

func (o object) field(n int) flatbuffers.UOffsetT {
	return flatbuffers.UOffsetT(o.Offset(flatbuffers.VOffsetT(4 + 2*n)))
}

func (o object) long(n int) int64 {
	if at := o.field(n); at != 0 {
		return o.GetInt64(o.Pos + at)
	}
	return 0
}

func (o object) text(n int) string {
	if at := o.field(n); at != 0 {
		return string(o.ByteVector(o.Pos + at))
	}
	return ""
}

func (o object) child(n int) (object, bool) {
	at := o.field(n)
	if at == 0 {
		return object{}, false
	}
	return object{flatbuffers.Table{Bytes: o.Bytes, Pos: o.Indirect(o.Pos + at)}}, true
}

func (o object) children(n int) (out []object) {
	at := o.field(n)
	if at == 0 {
		return nil
	}
	first := o.Vector(at)
	for i := range o.VectorLen(at) {
		out = append(out, object{flatbuffers.Table{Bytes: o.Bytes, Pos: o.Indirect(first + flatbuffers.UOffsetT(4*i))}})
	}
	return out
}

func list(b *flatbuffers.Builder, tables []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(4, len(tables), 4)
	for _, t := range slices.Backward(tables) {
		b.PrependUOffsetT(t)
	}
	return b.EndVector(len(tables))
}

// batch writes a PublishBatch.
func batch(items ...item) []byte {
	b := flatbuffers.NewBuilder(0)
	var tables []flatbuffers.UOffsetT
	for _, m := range items {
		var headers []flatbuffers.UOffsetT
		for _, k := range slices.Sorted(maps.Keys(m.headers)) {
			name, value := b.CreateString(k), b.CreateByteString([]byte(m.headers[k]))
			b.StartObject(2)
			b.PrependUOffsetTSlot(0, name, 0)
			b.PrependUOffsetTSlot(1, value, 0)
			headers = append(headers, b.EndObject())
		}
		stream, key, value := b.CreateSharedString(m.stream), b.CreateByteString([]byte(m.key)), b.CreateByteString([]byte(m.value))
		all, correlation := list(b, headers), b.CreateString(m.correlation)
		b.StartObject(8)
		b.PrependUOffsetTSlot(0, stream, 0)
		b.PrependInt32Slot(1, m.partition, 0)
		b.PrependUOffsetTSlot(2, key, 0)
		b.PrependUOffsetTSlot(3, value, 0)
		b.PrependUOffsetTSlot(4, all, 0)
		b.PrependUOffsetTSlot(5, correlation, 0)
		tables = append(tables, b.EndObject())
	}
	all := list(b, tables)
	b.StartObject(1)
	b.PrependUOffsetTSlot(0, all, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

// fromEarliest writes a SubscribeRequest.
func fromEarliest(name string, partition int32) []byte {
	b := flatbuffers.NewBuilder(0)
	stream := b.CreateString(name)
	b.StartObject(15)
	b.PrependUOffsetTSlot(0, stream, 0)
	b.PrependInt32Slot(1, partition, 0)
	b.PrependByteSlot(2, 2, 0)
	b.Finish(b.EndObject())
	return b.FinishedBytes()
}

func dialBatches(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func openBatches(t testing.TB, ctx context.Context, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	call, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/weir.Stream/"+method, grpc.ForceCodec(raw{}))
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// answered receives the next batch of answers, of which none is a refusal: offsets by
// numbers.
func answered(t testing.TB, call grpc.ClientStream, into map[int64]int64) {
	t.Helper()
	var b []byte
	if err := call.RecvMsg(&b); err != nil {
		t.Fatal(err)
	}
	for _, a := range rootOf(b).children(0) {
		if f, refused := a.child(1); refused {
			t.Fatal(f.text(1))
		}
		into[a.long(0)] = a.long(3)
	}
}

// readBatches subscribes and receives so many messages.
func readBatches(t testing.TB, ctx context.Context, conn *grpc.ClientConn, stream string, partition int32, n int) (out []item) {
	t.Helper()
	call := openBatches(t, ctx, conn, "Subscribe")
	if err := call.SendMsg(fromEarliest(stream, partition)); err != nil {
		t.Fatal(err)
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for len(out) < n {
		var b []byte
		if err := call.RecvMsg(&b); err != nil {
			t.Fatal(err)
		}
		r := rootOf(b)
		for _, m := range r.children(2) {
			it := item{
				stream: r.text(0), partition: partition, offset: m.long(0), subject: m.text(2), value: m.text(3), key: m.text(4), reply: m.text(5),
				headers: map[string]string{},
			}
			for _, h := range m.children(6) {
				it.headers[h.text(0)] = h.text(1)
			}
			out = append(out, it)
		}
	}
	return out
}

// TestBatchesAreReadThroughEveryDoorAndOutliveAKill publishes in batches of Flatbuffers
// and reads with Flatbuffers, with the official client and with a NATS client, also
// what those publish.
func TestBatchesAreReadThroughEveryDoorAndOutliveAKill(t *testing.T) {
	s, addr, c := start(t, "")
	if err := c.CreateStream(deadline(t), "orders", "orders", lift.Partitions(2)); err != nil {
		t.Fatal(err)
	}
	conn := dialBatches(t, addr)
	call := openBatches(t, deadline(t), conn, "Publish")
	const batches, each = 20, 50
	for i := range batches {
		var items []item
		for k := range each {
			items = append(items, item{
				stream: "orders", partition: 1, key: fmt.Sprintf("\x00%d", k), value: fmt.Sprintf("%d\xff", i*each+k),
				headers: map[string]string{"h": "\xfe", "text": "x"},
			})
		}
		if err := call.SendMsg(batch(items...)); err != nil {
			t.Fatal(err)
		}
	}
	acked := map[int64]int64{}
	for len(acked) < batches*each {
		answered(t, call, acked)
	}
	s.Kill()
	s.Run()
	// What was connected before learns only by and by that it is not.
	conn, c = dialBatches(t, addr), connect(t, addr)
	nc := s.Connect()
	if err := nc.PublishMsg(&nats.Msg{Subject: "orders.1", Reply: "re", Header: nats.Header{"a": {"b"}}, Data: []byte("plain")}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(deadline(t), "orders", []byte("single"), lift.ToPartition(1)); err != nil {
		t.Fatal(err)
	}

	const all = batches*each + 2
	got := readBatches(t, deadline(t), conn, "orders", 1, all)
	official := receive(t, c, "orders", lift.Partition(1), lift.StartAtEarliestReceived())
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	part, err := js.Stream(deadline(t), "orders:1")
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got {
		if m.offset != int64(i) || m.stream != "orders" || m.subject != "orders.1" {
			t.Fatalf("message %d: %+v", i, m)
		}
		w := next(t, official)
		headers := w.Headers()
		delete(headers, "subject") // fields of their own in a batch
		delete(headers, "reply")
		if w.Offset() != m.offset || string(w.Value()) != m.value || string(w.Key()) != m.key || len(headers) != len(m.headers) {
			t.Fatalf("message %d is %+v in a batch, %q %q %q for the official client", i, m, w.Key(), w.Value(), headers)
		}
		for name, v := range headers {
			if m.headers[name] != string(v) {
				t.Fatalf("header %s of message %d is %q, not %q", name, i, m.headers[name], v)
			}
		}
		if i%100 == 0 || i >= batches*each {
			if raw, err := part.GetMsg(deadline(t), uint64(i)+1); err != nil || string(raw.Data) != m.value {
				t.Fatal(raw, err)
			}
		}
	}
	if m := got[all-2]; m.value != "plain" || m.reply != "re" || m.headers["a"] != "b" {
		t.Errorf("%+v", m)
	}
	for number, offset := range acked {
		if got[offset].value != fmt.Sprintf("%d\xff", number) {
			t.Fatalf("message %d was acked with offset %d, where %q is", number, offset, got[offset].value)
		}
	}
}

// BenchmarkProtobufAndFlatbuffers publishes to a server and reads from it, with acks
// from stable storage: values of 256 bytes, a window of 1,000 messages. It tells the
// server's processor time, too.
func BenchmarkProtobufAndFlatbuffers(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		b.Fatal(err)
	}
	l := &load{server: harness.Start(b, fmt.Sprintf("liftbridge { listen: %q }", addr)), conn: dialBatches(b, addr)}
	l.api = liftapi.NewAPIClient(l.conn)
	b.Run("publish/protobuf", l.publishSingly)
	for _, each := range []int{10, 100} {
		b.Run(fmt.Sprint("publish/flatbuffers-", each), func(b *testing.B) { l.publishBatches(b, each) })
	}
	b.Run("subscribe/protobuf", l.readSingly)
	b.Run("subscribe/flatbuffers", l.readInBatches)
}

// load is who loads a server.
type load struct {
	server *harness.Server
	conn   *grpc.ClientConn
	api    liftapi.APIClient
	made   int
}

// stream makes a stream and gives a message for it.
func (l *load) stream(b *testing.B) item {
	l.made++
	name := fmt.Sprint("s", l.made)
	if _, err := l.api.CreateStream(b.Context(), &liftapi.CreateStreamRequest{Name: name, Subject: name}); err != nil {
		b.Fatal(err)
	}
	return item{stream: name, value: string(make([]byte, 256))}
}

// measure runs what takes b.N messages to the server, or from it.
func (l *load) measure(b *testing.B, run func()) {
	cpu := l.server.CPU()
	b.ResetTimer()
	run()
	b.StopTimer()
	b.ReportMetric(float64(l.server.CPU()-cpu)/float64(b.N), "server-ns/op")
}

func (l *load) publishSingly(b *testing.B) {
	it := l.stream(b)
	call, err := l.api.PublishAsync(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	req := &liftapi.PublishRequest{Stream: it.stream, Value: []byte(it.value), ExpectedOffset: -1}
	l.measure(b, func() {
		inFlight(b, 1, func(int) error { return call.Send(req) }, func() int {
			if r, err := call.Recv(); err != nil || r.AsyncError != nil {
				b.Fatal(r, err)
			}
			return 1
		})
	})
}

func (l *load) publishBatches(b *testing.B, each int) {
	it := l.stream(b)
	l.measure(b, func() { l.fill(b, it, each) })
}

// fill publishes b.N messages.
func (l *load) fill(b *testing.B, it item, each int) {
	call := openBatches(b, b.Context(), l.conn, "Publish")
	full := batch(slices.Repeat([]item{it}, each)...)
	inFlight(b, each, func(n int) error {
		if n < each {
			return call.SendMsg(batch(slices.Repeat([]item{it}, n)...))
		}
		return call.SendMsg(full)
	}, func() int {
		into := map[int64]int64{}
		answered(b, call, into)
		return len(into)
	})
}

func (l *load) readSingly(b *testing.B) {
	it := l.stream(b)
	l.fill(b, it, 100)
	l.measure(b, func() {
		sub, err := l.api.Subscribe(b.Context(), &liftapi.SubscribeRequest{Stream: it.stream, StartPosition: liftapi.StartPosition_EARLIEST})
		if err != nil {
			b.Fatal(err)
		}
		for i := range b.N + 1 { // the first one is empty
			if m, err := sub.Recv(); err != nil || m.Offset != int64(max(i-1, 0)) {
				b.Fatal(m, err)
			}
		}
	})
}

func (l *load) readInBatches(b *testing.B) {
	it := l.stream(b)
	l.fill(b, it, 100)
	l.measure(b, func() { readBatches(b, b.Context(), l.conn, it.stream, 0, b.N) })
}

// inFlight sends b.N messages, so many at once, with a window's answers outstanding.
func inFlight(b *testing.B, each int, send func(n int) error, receive func() int) {
	const window = 1000
	slots, sent := make(chan struct{}, window/each), make(chan error, 1)
	go func() {
		for n := 0; n < b.N; n += each {
			slots <- struct{}{}
			if err := send(min(each, b.N-n)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for n, freed := 0, 0; n < b.N; {
		for n += receive(); n/each > freed; freed++ {
			<-slots
		}
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
}

// TestTheProgramOfTheDocumentationPrintsWhatItSays runs the program of
// docs/flatbuffers.md.
func TestTheProgramOfTheDocumentationPrintsWhatItSays(t *testing.T) {
	_, addr, c := start(t, "")
	if err := c.CreateStream(deadline(t), "orders", "orders"); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/flatbuffers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(page), "\n```go\n")
	program, behind, _ := strings.Cut(behind, "\n```\n")
	_, behind, _ = strings.Cut(behind, "\n```\n")
	prints, _, _ := strings.Cut(behind, "```\n")
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command("go", "run", file, addr)
	run.Dir = "../.." // in the module that has the generated code
	out, err := run.CombinedOutput()
	if err != nil || string(out) != prints {
		t.Fatalf("%v: the program prints\n%s\nnot\n%s", err, out, prints)
	}
}
