package jetstream

import (
	"encoding/json"
	"testing"
	"time"
)

func TestAFeedsRequestMakesAConsumerThatIsValid(t *testing.T) {
	for _, f := range []FeedConsumer{
		{Name: "JS_SRC_1", Deliver: "$JS.S.1", Account: "A", Stream: "S", FlowControl: true},
		{Name: "JS_MIRROR_1", Deliver: "x.1", Mirror: true, StartSeq: 7, Filters: []string{"a.*"}},
		{Name: "JS_SRC_1", Deliver: "x.1", StartTime: time.Unix(5, 0), Filters: []string{"a.*", "b.>"}},
	} {
		subject, body := f.Request("ORIGIN")
		req, ok := ParseRequest(APIPrefix+subject, "")
		if !ok || req.Stream != "ORIGIN" || req.Consumer != f.Name || len(f.Filters) == 1 && req.Filter != f.Filters[0] {
			t.Fatalf("%s: %+v", subject, req)
		}
		r, err := (&Decoder{}).DecodeConsumerCreate(req, body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := r.Config.Check(ConsumerOptions{Stream: &plainStream}); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if r.Config.OptStartSeq != f.StartSeq || (r.Config.OptStartTime != nil) != !f.StartTime.IsZero() || len(r.Config.Filters()) != len(f.Filters) {
			t.Errorf("%s: %+v", body, r.Config)
		}
	}
	var a FeedAnswer
	if err := json.Unmarshal([]byte(`{"type":"x","error":{"code":404,"err_code":10059,"description":"stream not found"},"num_pending":3}`), &a); err != nil || a.Error == nil || a.Error.ErrCode != CodeStreamNotFound || a.Pending != 3 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestBeatsAreReadAsTheyAreWritten(t *testing.T) {
	b, ok := ParseBeat(AppendHeartbeat(nil, 4, 9, []byte("$JS.FC.s.c.2")))
	if !ok || b != (Beat{LastConsumer: 4, LastStream: 9, Stalled: "$JS.FC.s.c.2"}) {
		t.Errorf("%+v, %v", b, ok)
	}
	if b, ok = ParseBeat(AppendStatus(nil, StatusFlowControl)); !ok || b != (Beat{Flow: true}) {
		t.Errorf("%+v, %v", b, ok)
	}
	for _, h := range []string{"", "NATS/1.0\r\nA: b\r\n\r\n", "NATS/1.0 503\r\n\r\n", "NATS/1.0 100 Other\r\n\r\n"} {
		if b, ok := ParseBeat([]byte(h)); ok {
			t.Errorf("%q is %+v", h, b)
		}
	}
	last, seq, ok := ParseConfirm(AppendConfirm(nil, 3, 8))
	if !ok || last != 3 || seq != 8 {
		t.Errorf("%d, %d, %v", last, seq, ok)
	}
	for _, h := range []string{"", "NATS/1.0\r\nNats-Last-Consumer: 1\r\n\r\n", "NATS/1.0\r\nNats-Last-Consumer: x\r\nNats-Last-Stream: 3\r\n\r\n"} {
		if _, _, ok := ParseConfirm([]byte(h)); ok {
			t.Errorf("%q confirms", h)
		}
	}
}

func FuzzFeed(f *testing.F) {
	f.Add(AppendHeartbeat(nil, 4, 9, []byte("x")))
	f.Add(AppendConfirm(nil, 1, 2))
	f.Fuzz(func(t *testing.T, header []byte) {
		if b, ok := ParseBeat(header); ok && !b.Flow && b.Stalled == "" {
			back, ok := ParseBeat(AppendHeartbeat(nil, b.LastConsumer, b.LastStream, nil))
			if !ok || back != b {
				t.Fatalf("%q: %+v becomes %+v", header, b, back)
			}
		}
		if last, seq, ok := ParseConfirm(header); ok {
			if l, s, ok := ParseConfirm(AppendConfirm(nil, last, seq)); !ok || l != last || s != seq {
				t.Fatalf("%q", header)
			}
		}
	})
}
