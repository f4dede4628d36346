package fb

import (
	"errors"
	"testing"

	"github.com/weirmq/weir/api/weirfb"
)

// decode reads all of a batch.
func decode(b []byte, budget int) (out []NewMessage, err error) {
	p, err := DecodePublish(b, budget)
	for err == nil && p.Len() > 0 {
		var m NewMessage
		if err = p.DecodeNext(&m); err == nil {
			out = append(out, m)
		}
	}
	return out, err
}

// FuzzPublish reads any bytes as a batch. What is taken says the same to the library.
func FuzzPublish(f *testing.F) {
	f.Add(batch())
	f.Add(batch(said{}))
	f.Add(batch(said{stream: "s", partition: -1, key: "k", value: "v", correlation: "c", offset: 3, headers: [][2]string{{"a", "b"}, {"a", ""}}}, said{stream: "s"}))
	f.Add([]byte{4, 0, 0, 0, 4, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		const budget = 10_000
		got, err := decode(b, budget)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) {
				t.Fatal(err)
			}
			return
		}
		r := weirfb.GetRootAsPublishBatch(b, 0)
		if r.MessagesLength() != len(got) {
			t.Fatal(r.MessagesLength(), len(got))
		}
		size := 0
		for i, m := range got {
			var w weirfb.NewMessage
			r.Messages(&w, i)
			if string(m.Stream) != string(w.Stream()) || m.Partition != w.Partition() || string(m.Key) != string(w.KeyBytes()) ||
				string(m.Value) != string(w.ValueBytes()) || string(m.CorrelationID) != string(w.CorrelationId()) ||
				int8(m.AckPolicy) != int8(w.AckPolicy()) || m.Offset != w.ExpectedOffset() || len(m.Headers) != w.HeadersLength() {
				t.Fatalf("message %d is %+v", i, m)
			}
			for k, h := range m.Headers {
				var x weirfb.Header
				w.Headers(&x, k)
				if string(h.Name) != string(x.Name()) || string(h.Value) != string(x.ValueBytes()) {
					t.Fatalf("header %d of message %d is %q", k, i, h)
				}
			}
			size += m.Size
		}
		if size > budget {
			t.Fatalf("the messages say %d bytes", size)
		}
	})
}

// FuzzSubscribe reads any bytes as a request. What is taken says the same to the
// library.
func FuzzSubscribe(f *testing.F) {
	f.Add(batch())
	f.Add([]byte{12, 0, 0, 0, 8, 0, 8, 0, 4, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 's', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := DecodeSubscribe(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		r := weirfb.GetRootAsSubscribeRequest(b, 0)
		want := SubscribeRequest{
			Stream: string(r.Stream()), Partition: r.Partition(), Start: int32(r.StartPosition()), StartOffset: r.StartOffset(),
			StartTime: r.StartTimestamp(), Stop: int32(r.StopPosition()), StopOffset: r.StopOffset(), StopTime: r.StopTimestamp(),
			Resume: r.Resume(), Reverse: r.Reverse(), Group: string(r.GroupId()), GroupEpoch: r.GroupEpoch(), Consumer: string(r.ConsumerId()),
			MaxMessages: r.MaxMessages(), MaxBytes: r.MaxBytes(),
		}
		if got != want {
			t.Fatalf("%+v, not %+v", got, want)
		}
	})
}
