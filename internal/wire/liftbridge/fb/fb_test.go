package fb

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/weirmq/weir/api/weirfb"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// plenty is a budget that no test's batch comes near.
const plenty = 1 << 20

// said is a message that a client publishes.
type said struct {
	stream, key, value, correlation string
	partition                       int32
	headers                         [][2]string
	policy                          weirfb.AckPolicy
	offset                          int64
}

// batch writes messages with the library, as clients do.
func batch(messages ...said) []byte {
	b := flatbuffers.NewBuilder(0)
	var tables []flatbuffers.UOffsetT
	for _, m := range messages {
		var headers []flatbuffers.UOffsetT
		for _, h := range m.headers {
			name, value := b.CreateString(h[0]), b.CreateByteVector([]byte(h[1]))
			weirfb.HeaderStart(b)
			weirfb.HeaderAddName(b, name)
			weirfb.HeaderAddValue(b, value)
			headers = append(headers, weirfb.HeaderEnd(b))
		}
		list := vector(b, headers)
		stream, correlation := b.CreateSharedString(m.stream), b.CreateString(m.correlation)
		key, value := b.CreateByteVector([]byte(m.key)), b.CreateByteVector([]byte(m.value))
		weirfb.NewMessageStart(b)
		weirfb.NewMessageAddStream(b, stream)
		weirfb.NewMessageAddPartition(b, m.partition)
		weirfb.NewMessageAddKey(b, key)
		weirfb.NewMessageAddValue(b, value)
		weirfb.NewMessageAddHeaders(b, list)
		weirfb.NewMessageAddCorrelationId(b, correlation)
		weirfb.NewMessageAddAckPolicy(b, m.policy)
		weirfb.NewMessageAddExpectedOffset(b, m.offset)
		tables = append(tables, weirfb.NewMessageEnd(b))
	}
	list := vector(b, tables)
	weirfb.PublishBatchStart(b)
	weirfb.PublishBatchAddMessages(b, list)
	b.Finish(weirfb.PublishBatchEnd(b))
	return b.FinishedBytes()
}

func vector(b *flatbuffers.Builder, tables []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(4, len(tables), 4)
	for _, t := range slices.Backward(tables) {
		b.PrependUOffsetT(t)
	}
	return b.EndVector(len(tables))
}

func TestABatchOfTheLibraryIsReadAsItWasWritten(t *testing.T) {
	want := []said{
		{stream: "s", partition: 3, key: "\x00k", value: "v", correlation: "c", policy: weirfb.AckPolicyNONE, offset: 7, headers: [][2]string{{"a", "\xff"}, {"ä", ""}}},
		{},
		{stream: "s", value: string(make([]byte, 1000)), offset: -1},
	}
	got, err := decode(batch(want...), plenty)
	if err != nil || len(got) != len(want) {
		t.Fatal(len(got), err)
	}
	for i, m := range got {
		w := want[i]
		size := len(w.stream) + len(w.key) + len(w.value) + len(w.correlation)
		if string(m.Stream) != w.stream || m.Partition != w.partition || string(m.Key) != w.key || string(m.Value) != w.value ||
			string(m.CorrelationID) != w.correlation || int8(m.AckPolicy) != int8(w.policy) || m.Offset != w.offset || len(m.Headers) != len(w.headers) {
			t.Errorf("message %d is %+v", i, m)
		}
		for k, h := range m.Headers {
			size += len(h.Name) + len(h.Value)
			if string(h.Name) != w.headers[k][0] || string(h.Value) != w.headers[k][1] {
				t.Errorf("header %d is %q", k, h)
			}
		}
		if m.Size != size {
			t.Errorf("message %d says %d bytes, not %d", i, m.Size, size)
		}
	}
}

func TestAbsentFieldsHaveTheirDefaults(t *testing.T) {
	b := flatbuffers.NewBuilder(0)
	weirfb.NewMessageStart(b)
	list := vector(b, []flatbuffers.UOffsetT{weirfb.NewMessageEnd(b)})
	weirfb.PublishBatchStart(b)
	weirfb.PublishBatchAddMessages(b, list)
	b.Finish(weirfb.PublishBatchEnd(b))
	got, err := decode(b.FinishedBytes(), 0)
	if err != nil || len(got) != 1 || got[0].Offset != -1 || got[0].AckPolicy != wire.AckLeader || got[0].Stream != nil || got[0].Size != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	weirfb.PublishBatchStart(b)
	b.Finish(weirfb.PublishBatchEnd(b))
	if got, err := decode(b.FinishedBytes(), 0); len(got) != 0 || err != nil {
		t.Fatal(got, err)
	}
}

func TestABatchIsBoundByWhatItSaysNotByItsLength(t *testing.T) {
	b := flatbuffers.NewBuilder(0)
	value := b.CreateByteVector(make([]byte, 1000))
	name := b.CreateString("n")
	weirfb.HeaderStart(b)
	weirfb.HeaderAddName(b, name)
	weirfb.HeaderAddValue(b, value)
	header := weirfb.HeaderEnd(b)
	build := func(messages, headers int) []byte {
		list := vector(b, slices.Repeat([]flatbuffers.UOffsetT{header}, headers))
		weirfb.NewMessageStart(b)
		weirfb.NewMessageAddValue(b, value)
		weirfb.NewMessageAddHeaders(b, list)
		all := vector(b, slices.Repeat([]flatbuffers.UOffsetT{weirfb.NewMessageEnd(b)}, messages))
		weirfb.PublishBatchStart(b)
		weirfb.PublishBatchAddMessages(b, all)
		b.Finish(weirfb.PublishBatchEnd(b))
		return b.FinishedBytes()
	}
	for _, c := range []struct {
		messages, headers, budget int
		fits                      bool
	}{
		{10, 0, 10_000, true},
		{10, 0, 9_999, false},
		{1, 10, 11_010, true},
		{1, 10, 11_009, false},
		{MaxMessages, 0, 1000 * MaxMessages, true},
		{MaxMessages + 1, 0, 1000 * (MaxMessages + 1), false},
		{2, MaxHeaders / 2, 1100 * MaxHeaders, true},
		{2, MaxHeaders/2 + 1, 1100 * MaxHeaders, false},
	} {
		_, err := decode(build(c.messages, c.headers), c.budget)
		if fits := err == nil; fits != c.fits || !fits && !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestWhatIsBrokenIsRefused(t *testing.T) {
	good := batch(said{stream: "stream", key: "key", headers: [][2]string{{"h", "v"}}})
	for n := range bytes.TrimRight(good, "\x00") { // it ends with zeros that align it
		if _, err := decode(good[:n], plenty); err == nil {
			t.Errorf("the first %d of %d bytes are taken", n, len(good))
		}
	}
	notText := bytes.Replace(good, []byte("stream"), []byte("stre\xffm"), 1)
	if _, err := decode(notText, plenty); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	unended := bytes.Replace(good, []byte("stream\x00"), []byte("stream!"), 1)
	if _, err := decode(unended, plenty); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

func TestNoChangedNumberLeadsOutOfTheBuffer(t *testing.T) {
	good := batch(said{stream: "stream", key: "key", correlation: "c", headers: [][2]string{{"h", "v"}, {"i", "w"}}}, said{})
	taken := 0
	for at := range len(good) - 3 {
		for _, n := range []uint32{0, 1, 2, 3, 4, 5, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 1<<31 - 1, 1 << 31, 1<<32 - 1,
			uint32(len(good) - at), uint32(len(good) - at - 4), uint32(at), uint32(-at), uint32(at - len(good))} {
			bad := bytes.Clone(good)
			le.PutUint32(bad[at:], n)
			got, err := decode(bad, plenty)
			if err == nil && len(got) > 0 {
				taken++
			}
			if _, err := DecodeSubscribe(bad); err != nil && !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
		}
	}
	if taken == 0 {
		t.Fatal("no changed batch is taken, not even one with another value")
	}
}

func TestARequestOfTheLibraryIsReadAsItWasWritten(t *testing.T) {
	b := flatbuffers.NewBuilder(0)
	stream, group, consumer := b.CreateString("s"), b.CreateString("g"), b.CreateString("c")
	weirfb.SubscribeRequestStart(b)
	weirfb.SubscribeRequestAddStream(b, stream)
	weirfb.SubscribeRequestAddPartition(b, 1)
	weirfb.SubscribeRequestAddStartPosition(b, weirfb.StartPositionTIMESTAMP)
	weirfb.SubscribeRequestAddStartOffset(b, 2)
	weirfb.SubscribeRequestAddStartTimestamp(b, 3)
	weirfb.SubscribeRequestAddStopPosition(b, weirfb.StopPositionAT_OFFSET)
	weirfb.SubscribeRequestAddStopOffset(b, 4)
	weirfb.SubscribeRequestAddStopTimestamp(b, 5)
	weirfb.SubscribeRequestAddResume(b, true)
	weirfb.SubscribeRequestAddReverse(b, true)
	weirfb.SubscribeRequestAddGroupId(b, group)
	weirfb.SubscribeRequestAddGroupEpoch(b, 6)
	weirfb.SubscribeRequestAddConsumerId(b, consumer)
	weirfb.SubscribeRequestAddMaxMessages(b, 7)
	weirfb.SubscribeRequestAddMaxBytes(b, 8)
	b.Finish(weirfb.SubscribeRequestEnd(b))
	got, err := DecodeSubscribe(b.FinishedBytes())
	want := SubscribeRequest{
		Stream: "s", Partition: 1, Start: 4, StartOffset: 2, StartTime: 3, Stop: 1, StopOffset: 4, StopTime: 5,
		Resume: true, Reverse: true, Group: "g", GroupEpoch: 6, Consumer: "c", MaxMessages: 7, MaxBytes: 8,
	}
	if err != nil || got != want {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestReadingAndWritingBatchesTakesNoMemoryForEachMessage(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const n = 1000
	in := batch(slices.Repeat([]said{{stream: "s", key: "k", value: "value", correlation: "c", headers: [][2]string{{"a", "b"}}}}, n)...)
	reads := testing.AllocsPerRun(20, func() {
		p, err := DecodePublish(in, plenty)
		if err != nil {
			t.Fatal(err)
		}
		for p.Len() > 0 {
			var m NewMessage
			if err := p.DecodeNext(&m); err != nil {
				t.Fatal(err)
			}
		}
	})
	var out MessageBatch
	var answers AnswerBatch
	buf, head := make([]byte, 0, 1<<20), make([]byte, 0, 1<<20)
	all := written()
	writes := testing.AllocsPerRun(20, func() {
		out.Reset(buf)
		for i := range n {
			out.Add(&all[i%len(all)])
		}
		out.Finish(head, "s", 0)
	})
	a := Answer{Correlation: []byte("c"), Stream: "s", Subject: "s"}
	tells := testing.AllocsPerRun(20, func() {
		answers.Reset(buf)
		for range n {
			answers.Add(&a)
		}
		answers.Finish(head)
	})
	// The headers' array grows some times.
	if reads > 20 || writes > 0 || tells > 0 {
		t.Errorf("%v allocations to read %d messages, %v to write them, %v to answer them", reads, n, writes, tells)
	}
}

func BenchmarkDecode(b *testing.B) {
	in := batch(slices.Repeat([]said{{stream: "s", value: string(make([]byte, 256)), correlation: "123"}}, 1000)...)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if got, err := DecodePublish(in, plenty); err != nil {
			b.Fatal(err)
		} else {
			for got.Len() > 0 {
				var m NewMessage
				if err := got.DecodeNext(&m); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/message")
}

// written are messages of every kind, as subscribers are sent them.
func written() (out []Message) {
	long := bytes.Repeat([]byte("long "), 100)
	for has := range 8 {
		for _, subject := range []string{"orders", "orders", "other", ""} {
			m := Message{Offset: int64(len(out)), Time: 1 << 60, Subject: []byte(subject), Value: long[:len(out)*3]}
			if has&hasKey != 0 {
				m.Key = []byte{0, 255}
			}
			if has&hasReply != 0 {
				m.Reply = []byte("inbox")
			}
			if has&hasHeaders != 0 {
				m.Headers = []wire.Header{{Name: []byte("a"), Value: long[:3]}, {Name: []byte("")}}
			}
			out = append(out, m)
		}
	}
	return out
}

// readMessages reads a batch with the library, as clients do.
func readMessages(t *testing.T, b []byte, stream string, partition int32) (out []Message) {
	t.Helper()
	r := weirfb.GetRootAsMessageBatch(b, 0)
	if string(r.Stream()) != stream || r.Partition() != partition {
		t.Fatalf("the batch is of %s/%d", r.Stream(), r.Partition())
	}
	for i := range r.MessagesLength() {
		var m weirfb.Message
		if !r.Messages(&m, i) {
			t.Fatal("no message", i)
		}
		v := Message{Offset: m.Offset(), Time: m.Timestamp(), Subject: m.Subject(), Value: m.ValueBytes(), Key: m.KeyBytes(), Reply: m.Reply()}
		for k := range m.HeadersLength() {
			var h weirfb.Header
			if !m.Headers(&h, k) {
				t.Fatal("no header", k)
			}
			v.Headers = append(v.Headers, wire.Header{Name: h.Name(), Value: h.ValueBytes()})
		}
		out = append(out, v)
	}
	return out
}

func same(a, b []Message) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestTheLibraryReadsWhatSubscribersAreSent(t *testing.T) {
	want := written()
	var b MessageBatch
	for range 2 { // and when the batch is used again
		for n := range len(want) + 1 {
			b.Reset(bytes.Repeat([]byte{0xaa}, 100))
			for i := range n {
				b.Add(&want[i])
			}
			if b.Len() != n {
				t.Fatal(b.Len(), n)
			}
			head, body := b.Finish(nil, "a stream", 5)
			if len(head)%8 != 0 {
				t.Fatalf("the head has %d bytes", len(head))
			}
			if got := readMessages(t, slices.Concat(head, body), "a stream", 5); !same(got, want[:n]) {
				t.Fatalf("%d messages are\n%+v\nnot\n%+v", n, got, want[:n])
			}
		}
	}
}

func TestABatchIsNotLongerThanItFits(t *testing.T) {
	all := written()
	for bytes := 200; bytes < 4000; bytes += 7 {
		var b MessageBatch
		for b.Fits(&all[b.Len()], bytes) && b.Len() < len(all)-1 {
			b.Add(&all[b.Len()])
		}
		head, body := b.Finish(nil, "s", 0)
		if n := len(head) + len(body); b.Len() > 1 && n > bytes {
			t.Fatalf("%d messages have %d bytes, not %d", b.Len(), n, bytes)
		}
	}
}

func TestTheLibraryReadsWhatPublishersAreAnswered(t *testing.T) {
	var want []Answer
	for i := range 40 {
		a := Answer{Number: uint64(i)}
		if i%2 == 0 {
			a.Offset, a.ReceptionTime, a.CommitTime, a.Policy = int64(i), 1<<60, 1<<61, int8(i%3)
			a.Stream, a.Subject = "s", fmt.Sprintf("s.%d", i/4)
		} else {
			a.Refusal, a.Code = fmt.Sprint("refusal ", i/8), int8(i%8)
		}
		if i%3 == 0 {
			a.Correlation = fmt.Append(nil, i)
		}
		want = append(want, a)
	}
	var b AnswerBatch
	for n := range len(want) + 1 {
		b.Reset(bytes.Repeat([]byte{0xaa}, 50))
		for i := range n {
			b.Add(&want[i])
		}
		head, body := b.Finish(nil)
		r := weirfb.GetRootAsAnswerBatch(slices.Concat(head, body), 0)
		if r.AnswersLength() != n || b.Len() != n {
			t.Fatal(r.AnswersLength(), b.Len(), n)
		}
		for i := range n {
			var a weirfb.Answer
			r.Answers(&a, i)
			got := Answer{
				Number: a.Number(), Correlation: a.CorrelationId(), Offset: a.Offset(), Policy: int8(a.AckPolicy()),
				ReceptionTime: a.ReceptionTimestamp(), CommitTime: a.CommitTimestamp(), Stream: string(a.Stream()), Subject: string(a.Subject()),
			}
			if f := a.Refusal(nil); f != nil {
				got.Refusal, got.Code = string(f.Message()), int8(f.Code())
			}
			if fmt.Sprint(got) != fmt.Sprint(want[i]) {
				t.Fatalf("answer %d of %d is\n%+v\nnot\n%+v", i, n, got, want[i])
			}
		}
	}
}
