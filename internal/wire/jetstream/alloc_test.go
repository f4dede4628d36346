//go:build !race

package jetstream

import "testing"

func TestHotFunctionsDoNotAllocate(t *testing.T) {
	hdr := block("X: 1", "Nats-Msg-Id: id-7", "Nats-Expected-Stream: S", "Nats-Expected-Last-Sequence: 42",
		"Nats-Expected-Last-Subject-Sequence: 0", "Nats-Rollup: sub", "Nats-TTL: 90s")
	buf := make([]byte, 0, 1024)
	v1 := AppendAck(nil, "S", "C", 1, 2, 3, 4, 5)
	v2 := []byte("$JS.ACK.hub.hash.S.C.1.2.3.4.5.r")
	next := []byte("$JS.API.CONSUMER.MSG.NEXT.S.C")
	pull := []byte(`{"expires":5000000000,"batch":500,"no_wait":true,"max_bytes":1024,"idle_heartbeat":2500000000}`)
	nak, delay := []byte("-NAK 1m30s"), []byte(`-NAK {"delay": 5000000000}`)
	term := []byte("+TERM why")
	refusal := ErrWith(CodeWrongLastSequence, "seq", "4")
	direct := &DirectInfo{Stream: "S", Subject: []byte("a.b"), Seq: 7, Time: 1_700_000_000_123_456_789, Batch: true}
	var h PublishHeader
	var w AckWriter
	for name, f := range map[string]func(){
		"publish header": func() { h.Parse(hdr) },
		"refusals": func() {
			_, _, _ = h.RefuseIncr(&plainStream, 0), h.RefuseExpectation(&plainStream), h.RefuseFeature(nil)
		},
		"ack subject":  func() { buf = AppendAck(buf[:0], "S", "C", 1, 2, 3, 4, 5) },
		"ack subjects": func() { w.Append(buf[:0], "S", "C", 1, 2, 3, 4, 5) },
		"read ack":     func() { _, _ = ParseAck(v1) },
		"read ack v2":  func() { _, _ = ParseAck(v2) },
		"read next":    func() { _, _, _ = ParseMsgNext(next) },
		"payload":      func() { _, _ = ParseAckPayload(term), ParseAckPayload(nil) },
		"nak":          func() { _, _ = ParseAckPayload(nak), ParseAckPayload(delay) },
		"pull":         func() { _, _, _ = ParsePull(pull) },
		"pull nothing": func() { _, _, _ = ParsePull(nil) },
		"puback":       func() { buf = (&PubAck{Stream: "S", Seq: 5, Domain: "hub", Duplicate: true}).Append(buf[:0]) },
		"puberror":     func() { buf = AppendPubError(buf[:0], "S", refusal) },
		"status":       func() { buf = AppendStatusPending(buf[:0], StatusRequestTimeout, 3, 4) },
		"heartbeat":    func() { buf = AppendHeartbeat(buf[:0], 3, 4, nil) },
		"direct":       func() { buf = AppendDirect(buf[:0], hdr, direct) },
		"size":         func() { buf = AppendMsgSize(buf[:0], hdr, 5) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkParsePublishHeader(b *testing.B) {
	hdr := block("X: 1", "Nats-Msg-Id: id-7", "Nats-Expected-Last-Sequence: 42")
	var h PublishHeader
	for b.Loop() {
		h.Parse(hdr)
	}
}

func BenchmarkParseAck(b *testing.B) {
	s := AppendAck(nil, "ORDERS", "worker", 1, 123456, 123456, 1_700_000_000_123_456_789, 1000)
	for b.Loop() {
		if _, ok := ParseAck(s); !ok {
			b.Fatal("not read")
		}
	}
}

func BenchmarkParsePull(b *testing.B) {
	body := []byte(`{"expires":5000000000,"batch":500,"idle_heartbeat":2500000000}`)
	for b.Loop() {
		if _, _, ok := ParsePull(body); !ok {
			b.Fatal("not read")
		}
	}
}
