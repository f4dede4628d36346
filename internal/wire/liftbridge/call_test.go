package liftbridge

import (
	"bytes"
	"math"
	"testing"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/protobuf/proto"
)

// sameRequest says whether a request is what Protobuf made of it.
func sameRequest(r *Request, want *pb.PublishRequest) bool {
	headers := map[string][]byte{}
	for _, h := range r.Headers {
		headers[string(h.Name)] = h.Value
	}
	if len(headers) != len(want.Headers) {
		return false
	}
	for name, v := range want.Headers {
		if got, ok := headers[name]; !ok || !bytes.Equal(got, v) {
			return false
		}
	}
	return string(r.Stream) == want.Stream && r.Partition == want.Partition && bytes.Equal(r.Key, want.Key) && bytes.Equal(r.Value, want.Value) &&
		string(r.AckInbox) == want.AckInbox && string(r.CorrelationID) == want.CorrelationId &&
		int32(r.AckPolicy) == int32(want.AckPolicy) && r.Offset == want.ExpectedOffset
}

func FuzzDecodeRequest(f *testing.F) {
	for _, r := range []*pb.PublishRequest{
		{},
		{Stream: "s", Value: []byte("v"), CorrelationId: "c", ExpectedOffset: -1},
		{
			Stream: "s", Partition: -3, Key: []byte("k"), Value: make([]byte, 300), AckInbox: "i", AckPolicy: pb.AckPolicy_NONE,
			Headers: map[string][]byte{"": nil, "a": {0, 255}}, ExpectedOffset: math.MinInt64,
		},
	} {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x1a\x01\xff"))             // a name that is no text
	f.Add([]byte("\x2a\x03\x0a\x01\xff"))     // a header's
	f.Add([]byte("\x18\x05\x1a\x05ab"))       // a wrong kind, and too little
	f.Add([]byte("\x0b\x0c\x20\x80\x80\x01")) // a group
	f.Fuzz(func(t *testing.T, data []byte) {
		var want pb.PublishRequest
		wrong := proto.Unmarshal(data, &want)
		r := Request{Stream: []byte("left"), Message: Message{Headers: make([]Header, 1, 2)}}
		err := DecodeRequest(data, &r)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%v, Protobuf: %v", err, wrong)
		}
		if err == nil && !sameRequest(&r, &want) {
			t.Fatalf("%+v instead of %v", &r, &want)
		}
	})
}

func TestResponsesAreThoseOfProtobuf(t *testing.T) {
	ack := Ack{
		Stream: []byte("s"), PartitionSubject: []byte("p"), MsgSubject: []byte("p.1"), Offset: -1, AckInbox: bytes.Repeat([]byte("i"), 300),
		CorrelationID: []byte("c"), AckPolicy: AckAll, ReceptionTime: 5, CommitTime: math.MaxInt64, Error: AckTooLarge,
	}
	for _, c := range []struct {
		ack  *Ack
		why  *Refusal
		want *pb.PublishResponse
	}{
		{ack: &ack, want: &pb.PublishResponse{CorrelationId: "c", Ack: &pb.Ack{
			Stream: "s", PartitionSubject: "p", MsgSubject: "p.1", Offset: -1, AckInbox: string(ack.AckInbox), CorrelationId: "c",
			AckPolicy: pb.AckPolicy_ALL, ReceptionTimestamp: 5, CommitTimestamp: math.MaxInt64, AckError: pb.Ack_TOO_LARGE,
		}}},
		{ack: &Ack{}, want: &pb.PublishResponse{CorrelationId: "c", Ack: &pb.Ack{}}},
		{why: &Refusal{Code: 2, Text: "no"}, want: &pb.PublishResponse{
			CorrelationId: "c", Ack: &pb.Ack{}, AsyncError: &pb.PublishAsyncError{Code: pb.PublishAsyncError_NOT_FOUND, Message: "no"},
		}},
	} {
		before := []byte("before")
		b := AppendResponse(before, c.ack, c.why, []byte("c"))
		var got pb.PublishResponse
		if err := proto.Unmarshal(b[len(before):], &got); err != nil || !proto.Equal(&got, c.want) || !bytes.HasPrefix(b, before) {
			t.Errorf("%v, error %v, instead of %v", &got, err, c.want)
		}
	}
}

func TestDeliveredMessagesAreThoseOfProtobuf(t *testing.T) {
	for _, c := range []struct {
		m    Delivered
		want *pb.Message
	}{
		{Delivered{}, &pb.Message{Headers: map[string][]byte{"subject": {}, "reply": {}}}},
		{
			Delivered{
				Offset: 1 << 40, Time: -7, Partition: 3, Stream: "s", Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 1000), Subject: []byte("a.b"),
				Reply: []byte("r"), Headers: []Header{{[]byte("subject"), []byte("mine")}, {[]byte("h"), []byte{0, 1}}, {nil, nil}, {[]byte("reply"), nil}},
			},
			&pb.Message{
				Offset: 1 << 40, Timestamp: -7, Partition: 3, Stream: "s", Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 1000), Subject: "a.b",
				ReplySubject: "r", Headers: map[string][]byte{"subject": []byte("a.b"), "reply": []byte("r"), "h": {0, 1}, "": {}},
			},
		},
	} {
		var got pb.Message
		if err := proto.Unmarshal(AppendDelivered(nil, &c.m), &got); err != nil || !proto.Equal(&got, c.want) {
			t.Errorf("%v, error %v, instead of %v", &got, err, c.want)
		}
	}
}

func TestTextsThatAreNoUTF8AreDeliveredAllTheSame(t *testing.T) {
	m := Delivered{Stream: "s", Subject: []byte("a.\xff"), Reply: []byte("\xfe"), Headers: []Header{{[]byte("n\xff\xfe"), []byte{0xff}}}}
	var got pb.Message
	if err := proto.Unmarshal(AppendDelivered(nil, &m), &got); err != nil {
		t.Fatal(err)
	}
	want := &pb.Message{
		Stream: "s", Subject: "a.\uFFFD", ReplySubject: "\uFFFD",
		Headers: map[string][]byte{"subject": []byte("a.\xff"), "reply": []byte("\xfe"), "n\uFFFD": {0xff}},
	}
	if !proto.Equal(&got, want) {
		t.Errorf("%v instead of %v", &got, want)
	}
}

func TestMessagesOfCallsTakeNoMemoryOfTheirOwn(t *testing.T) {
	in := []byte("\x12\x02vv\x1a\x01s\x2a\x05\x0a\x01h\x12\x00\x3a\x01c") // value, stream, a header, correlation id
	r := Request{Message: Message{Headers: make([]Header, 1)}}
	ack, buf := Ack{Stream: []byte("s"), Offset: 3}, make([]byte, 0, 1<<10)
	m := Delivered{Stream: "s", Value: make([]byte, 256), Subject: []byte("s")}
	if n := testing.AllocsPerRun(100, func() {
		if err := DecodeRequest(in, &r); err != nil || len(r.Headers) != 1 {
			t.Fatal(err, r.Headers)
		}
		_ = AppendResponse(buf, &ack, nil, nil)
		_ = AppendDelivered(buf, &m)
	}); n > 0 {
		t.Error(n, "allocations")
	}
}
