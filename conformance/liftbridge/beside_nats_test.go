package liftbridge_test

import (
	"fmt"
	"strings"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

// envelopesScript publishes over NATS what is an envelope, and what is none.
func envelopesScript(s *side) {
	s.stream("n0", 2)
	b := s.listen("n0.acks")
	whole := &pb.Message{
		Offset: 99, Key: []byte("k"), Value: []byte("v"), Timestamp: 5, Stream: "other", Partition: 7, Subject: "other", ReplySubject: "other",
		Headers: map[string][]byte{"h": []byte("v"), "subject": []byte("mine")}, AckInbox: "n0.acks", CorrelationId: "c",
	}
	good := s.sealed(envelopePublish, whole)
	s.plain("n0", "", good)
	b.hear()
	s.plain("n0", "n0.reply", good)
	b.hear()
	s.plain("n0.1", "", good)
	b.hear()
	for _, p := range []pb.AckPolicy{pb.AckPolicy_ALL, pb.AckPolicy_NONE, 7} {
		s.plain("n0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("v"), AckInbox: "n0.acks", AckPolicy: p}))
		b.quietFor(longLull)
	}
	s.plain("n0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("no inbox")}))
	s.plain("n0", "", s.summed(whole))
	b.hear()
	s.plain("n0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte(strings.Repeat("x", 100_000)), AckInbox: "n0.acks", CorrelationId: "large", AckPolicy: pb.AckPolicy_NONE}))
	b.hear()
	s.plain("n0", "", []byte(strings.Repeat("x", 100_001)))
	s.plain("n0", "", []byte(strings.Repeat("x", 100_000)))
	changed := func(in []byte, at int, to byte) []byte {
		out := append([]byte(nil), in...)
		out[at] = to
		return out
	}
	for _, data := range [][]byte{
		nil, []byte("plain"), good[:7], good[:8], s.sealed(envelopeAck, &pb.Ack{Offset: 5}), changed(good, 0, 0), changed(good, 4, 1), changed(good, 7, 14),
		changed(good, 7, 255), changed(good, 6, 2), changed(good, 6, 1), changed(s.summed(whole), 9, 77), changed(s.summed(whole), 6, 0), changed(good, 5, 12), good[:len(good)-1],
	} {
		s.plain("n0", "", data)
	}
	s.plain("n0", "n0.reply", []byte("with a reply"))
	m := nats.NewMsg("n0")
	m.Header.Set("H", "v")
	m.Data = good
	s.send(m)
	s.publish("n0", 0, "last")
	s.all("n0", 0)
	s.all("n0", 1)
	b.quiet()
}

// sharedScript has streams on subjects of others.
func sharedScript(s *side) {
	s.stream("m0", 2)
	for _, q := range []*pb.CreateStreamRequest{
		{Name: "m1", Subject: "m0"}, {Name: "m2", Subject: "m0.1"}, {Name: "m3", Subject: "m0.*"}, {Name: "m4", Subject: "m0.>"},
		{Name: "m5", Subject: "m6.*", Partitions: 2}, {Name: "m7", Subject: "m6.x.1", Partitions: 1},
	} {
		s.create(q)
	}
	// Each of them acks, and the first ack is the answer.
	s.publish("m0", 0, "to 0", policy(pb.AckPolicy_NONE))
	s.publish("m0", 1, "to 1", policy(pb.AckPolicy_NONE))
	s.publish("m1", 0, "to m1", policy(pb.AckPolicy_NONE))
	s.plain("m6.x", "", []byte("the first partition"))
	s.plain("m6.x.1", "", []byte("the second partition"))
	s.publish("m7", 0, "to both", policy(pb.AckPolicy_NONE))
	for name, last := range map[string]int64{"m0": 1, "m1": 1, "m2": 0, "m3": 0, "m4": 0, "m5": 0, "m7": 1} {
		s.reach(name, 0, last)
	}
	s.reach("m0", 1, 0)
	s.reach("m5", 1, 1)
	for _, name := range []string{"m0", "m1", "m2", "m3", "m4", "m5", "m7"} {
		s.all(name, 0)
	}
	s.all("m0", 1)
	s.all("m5", 1)
	s.create(&pb.CreateStreamRequest{Name: "ma", Subject: "mg", Group: "workers"})
	s.create(&pb.CreateStreamRequest{Name: "mb", Subject: "mg", Group: "workers"})
	for i := range 20 {
		s.plain("mg", "", fmt.Append(nil, i))
	}
	var both int
	harness.Eventually(s.t, "20 messages are shared by a group", func() bool {
		both = s.holds("ma") + s.holds("mb")
		return both >= 20
	})
	s.say("a group holds", "%d", both)
	b := s.listen("mx.acks")
	s.stream("m8", 1)
	s.create(&pb.CreateStreamRequest{Name: "m9", Subject: "m8"})
	s.plain("m8", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("v"), AckInbox: "mx.acks"}))
	b.gather(2)
	s.remove("m9")
	s.plain("m8", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("v"), AckInbox: "mx.acks"}))
	b.hear()
	b.quiet()
}
