package liftbridge

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	natswire "github.com/weirmq/weir/internal/wire/nats"
	"google.golang.org/grpc/codes"
)

// stored is a message as JetStream shows it.
type stored struct {
	Error   *struct{ ErrCode int }
	Message struct {
		Subject, Data, Hdrs string
		Seq                 uint64
	}
}

func (r *rig) get(streamName string, seq uint64) (subject string, header, data []byte) {
	r.t.Helper()
	var s stored
	r.request("STREAM.MSG.GET."+streamName, map[string]any{"seq": seq}, &s)
	if s.Error != nil {
		r.t.Fatalf("%s: message %d: error %d", streamName, seq, s.Error.ErrCode)
	}
	header, err := base64.StdEncoding.DecodeString(s.Message.Hdrs)
	if err != nil {
		r.t.Fatal(err)
	}
	if data, err = base64.StdEncoding.DecodeString(s.Message.Data); err != nil {
		r.t.Fatal(err)
	}
	return s.Message.Subject, header, data
}

// odd are headers and a key that no line of text can hold.
var (
	oddKey     = []byte{0, 1, '\r', '\n', 0xff}
	oddHeaders = map[string][]byte{"plain": []byte("v"), "empty": {}, "binary": {0, 255, '\n'}, "a name: with all": []byte(" spaces "), "": []byte("x")}
)

func TestMessagesReadTheSameThroughEveryDoor(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	msg := wire.Message{Key: oddKey, Value: []byte("hello")}
	for k, v := range oddHeaders {
		msg.Headers = append(msg.Headers, wire.Header{Name: []byte(k), Value: v})
	}
	// 0: gRPC; 1: an envelope on NATS; 2: a NATS client that writes the lines itself.
	if _, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "s", Partition: 1, Key: oddKey, Value: []byte("hello"), Headers: oddHeaders}); err != nil {
		t.Fatal(err)
	}
	acks := r.listen("acks")
	msg.AckInbox = []byte("acks")
	r.space.Publish(&broker.Message{Subject: []byte("s.1"), Data: wire.AppendPublish(nil, &msg)})
	acks.next(t)
	r.space.Publish(&broker.Message{
		Subject: []byte("s.1"), Reply: []byte("acks"), Data: []byte("hello"),
		Header: wire.AppendHeaderBlock([]byte(nil), oddKey, append(msg.Headers, wire.Header{Name: []byte("Nats-Expected-Stream"), Value: []byte("s:1")})),
	})
	if m := acks.next(t); !bytes.Contains(m.Data, []byte(`"stream":"s:1"`)) || !bytes.Contains(m.Data, []byte(`"seq":3`)) {
		t.Fatalf("PubAck %s", m.Data)
	}

	for i, m := range r.read("s", 1) {
		delete(m.Headers, "Nats-Expected-Stream")
		want := maps.Clone(oddHeaders)
		want["subject"], want["reply"] = []byte("s.1"), []byte(m.ReplySubject)
		if !bytes.Equal(m.Key, oddKey) || string(m.Value) != "hello" || m.Offset != int64(i) || m.Subject != "s.1" || m.Partition != 1 || m.Stream != "s" {
			t.Errorf("message %d: %v", i, m)
		}
		if !maps.EqualFunc(m.Headers, want, bytes.Equal) {
			t.Errorf("headers of %d: %q, not %q", i, m.Headers, want)
		}
		subject, header, data := r.get("s:1", uint64(m.Offset)+1)
		key, headers := wire.DecodeHeaderBlock(nil, header)
		if subject != "s.1" || string(data) != "hello" || !bytes.Equal(key, oddKey) || len(headers) < len(oddHeaders) {
			t.Errorf("JetStream's %d: %s %q %q", i, subject, data, header)
		}
		if string(natswire.HeaderValue(header, "plain")) != "v" {
			t.Errorf("a plain header is no plain line: %q", header)
		}
	}
}

func TestAJetStreamStreamIsReadThroughLiftbridge(t *testing.T) {
	r := newRig(t)
	var made struct{ Error any }
	r.request("STREAM.CREATE.js", map[string]any{"name": "js", "subjects": []string{"js.>"}, "storage": "file"}, &made)
	if made.Error != nil {
		t.Fatal(made.Error)
	}
	acks := r.listen("acks")
	r.space.Publish(&broker.Message{Subject: []byte("js.a"), Reply: []byte("acks"), Header: []byte("NATS/1.0\r\nA: 1\r\nA: 2\r\n\r\n"), Data: []byte("x")})
	acks.next(t)
	m := r.read("js", 0)[0]
	if m.Subject != "js.a" || string(m.Value) != "x" || m.Offset != 0 || string(m.Headers["A"]) != "1\r\n2" {
		t.Fatal(m)
	}
	_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "js"})
	code(t, err, codes.FailedPrecondition, faultPattern.text)
	meta, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{Streams: []string{"js"}})
	if err != nil || meta.StreamMetadata[0].Error != pb.StreamMetadata_OK || meta.StreamMetadata[0].Partitions[0].NewestOffset != 0 {
		t.Fatal(meta, err)
	}
}

func TestStreamsOfOneSubjectTakeMessagesBesideEachOther(t *testing.T) {
	r := newRig(t)
	var made struct{ Error any }
	r.request("STREAM.CREATE.js", map[string]any{"name": "js", "subjects": []string{"x"}, "storage": "memory"}, &made)
	if made.Error != nil {
		t.Fatal(made.Error)
	}
	for _, name := range []string{"a", "b"} {
		r.create(name, 1, func(req *pb.CreateStreamRequest) { req.Subject = "x" })
	}
	acks := r.listen("acks")
	r.space.Publish(&broker.Message{Subject: []byte("x"), Reply: []byte("acks"), Data: []byte("1")})
	if m := acks.next(t); !bytes.Contains(m.Data, []byte(`"stream":"js"`)) {
		t.Fatalf("%s", m.Data)
	}
	ack := r.put("a", 0, "2")[0]
	if ack.Stream != "a" || ack.Offset != 1 {
		t.Fatal(ack)
	}
	r.want("a", 0, "1", "2")
	r.want("b", 0, "1", "2")
	select {
	case m := <-acks:
		t.Fatalf("a second answer: %s", m.Data)
	default:
	}
}

func TestStreamsOfOneQueueGroupShareMessages(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"a", "b"} {
		r.create(name, 1, func(req *pb.CreateStreamRequest) { req.Subject, req.Group = "x", "g" })
	}
	for i := range 50 {
		r.put("a", 0, fmt.Sprint(i))
	}
	a, b := len(r.read("a", 0)), len(r.read("b", 0))
	if a+b != 50 || a == 0 || b == 0 {
		t.Fatal(a, b)
	}
}

func TestConfigurationIsReadAndChangedThroughJetStream(t *testing.T) {
	r := newRig(t)
	r.create("a.b", 1, func(req *pb.CreateStreamRequest) {
		req.RetentionMaxMessages = &pb.NullableInt64{Value: 5}
		req.OptimisticConcurrencyControl = &pb.NullableBool{Value: true}
	})
	var info struct {
		Error  any
		Config map[string]any
	}
	r.request("STREAM.INFO.a%2Eb", nil, &info)
	if info.Error != nil || info.Config["max_msgs"] != 5.0 {
		t.Fatal(info)
	}
	info.Config["max_msgs"] = 2
	next := info.Config
	r.request("STREAM.UPDATE.a%2Eb", next, &info)
	if info.Error != nil {
		t.Fatal(info.Error)
	}
	r.put("a.b", 0, "0", "1", "2", "3")
	r.want("a.b", 0, "2", "3")
	if _, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "a.b", ExpectedOffset: 1}); err == nil {
		t.Fatal("expected offsets are not checked any more")
	}
	for key, value := range map[string]any{"metadata": map[string]string{}, "subjects": []string{"other"}} {
		bad := maps.Clone(next)
		bad[key] = value
		info.Error = nil
		if r.request("STREAM.UPDATE.a%2Eb", bad, &info); info.Error == nil {
			t.Errorf("another %s is accepted", key)
		}
	}
	r.put("a.b", 0, "4")
}

func TestAMessageIDIsStoredOnce(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	for range 2 {
		resp, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "s", Value: []byte("x"), Headers: map[string][]byte{"Nats-Msg-Id": []byte("1")}})
		if err != nil || resp.Ack.Offset != 0 {
			t.Fatal(resp, err)
		}
	}
	acks := r.listen("acks")
	env := wire.AppendPublish(nil, &wire.Message{AckInbox: []byte("acks"), Headers: []wire.Header{{Name: []byte("Nats-Msg-Id"), Value: []byte("1")}}})
	r.space.Publish(&broker.Message{Subject: []byte("s"), Data: env})
	var a wire.Ack
	if err := wire.DecodeAck(acks.next(t).Data, &a); err != nil || a.Offset != 0 || a.Error != wire.AckOK {
		t.Fatal(a, err)
	}
	r.want("s", 0, "x")
}

func TestAPartitionIsNotDeletedWithoutTheOthers(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	var answer struct {
		Error   *struct{ Description string }
		Success bool
	}
	if r.request("STREAM.DELETE.s:1", nil, &answer); answer.Error == nil || !strings.Contains(answer.Error.Description, "deleted as a whole") {
		t.Fatalf("%+v", answer.Error)
	}
	r.put("s", 1, "x")
	if _, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: "s"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s:0", "s:1"} {
		if r.Streams.Find("A", name) != nil {
			t.Errorf("%s is there still", name)
		}
	}
	r.create("one", 1)
	answer.Error = nil
	if r.request("STREAM.DELETE.one", nil, &answer); answer.Error != nil || !answer.Success {
		t.Fatalf("%+v", answer.Error)
	}
	if r.door.find("A", "one") != nil {
		t.Fatal("it is found still")
	}
}

func TestPartitionsOfAJetStreamStreamAreSubscribedTo(t *testing.T) {
	r := newRig(t)
	var made struct{ Error any }
	r.request("STREAM.CREATE.js", map[string]any{
		"name": "js", "subjects": []string{"js.>"}, "storage": "memory", "metadata": map[string]string{"weir.partitions": "3"},
	}, &made)
	if made.Error != nil {
		t.Fatal(made.Error)
	}
	acks := r.listen("acks")
	for i := range 9 {
		header := fmt.Appendf(nil, "NATS/1.0\r\nWeir-Key: k%d\r\n\r\n", i)
		r.space.Publish(&broker.Message{Subject: []byte("js.a"), Reply: []byte("acks"), Header: header, Data: []byte("x")})
		acks.next(t)
	}
	meta, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(meta.StreamMetadata, func(s *pb.StreamMetadata) bool { return s.Name == "js" })
	if i < 0 || len(meta.StreamMetadata[i].Partitions) != 3 {
		t.Fatal(meta)
	}
	n := 0
	for p := range int32(3) {
		for _, m := range r.read("js", p) {
			if n++; int32(crc32.ChecksumIEEE(m.Key)%3) != p {
				t.Errorf("key %s is in partition %d", m.Key, p)
			}
		}
	}
	if n != 9 {
		t.Fatal(n)
	}
}

func TestAFamilyIsExpectedAndDescribedByItsName(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	r.create("one", 1)
	acks := r.listen("acks")
	for expected, want := range map[string]string{"s": "s:1", "s:1": "s:1"} {
		header := fmt.Appendf(nil, "NATS/1.0\r\nNats-Expected-Stream: %s\r\n\r\n", expected)
		r.space.Publish(&broker.Message{Subject: []byte("s.1"), Reply: []byte("acks"), Header: header, Data: []byte("x")})
		if m := acks.next(t); !bytes.Contains(m.Data, fmt.Appendf(nil, `"stream":%q`, want)) || bytes.Contains(m.Data, []byte("error")) {
			t.Errorf("expected %s: %s", expected, m.Data)
		}
	}
	r.put("s", 0, "y")
	var info struct {
		Error  any
		Config struct {
			Name     string
			Subjects []string
		}
		State struct{ Messages int }
	}
	r.request("STREAM.INFO.s", nil, &info)
	if info.Error != nil || info.Config.Name != "s" || !slices.Equal(info.Config.Subjects, []string{"s", "s.1"}) || info.State.Messages != 3 {
		t.Fatalf("%+v", info)
	}
}
