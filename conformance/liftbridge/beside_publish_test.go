package liftbridge_test

import (
	"strings"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
)

type sent = func(*pb.PublishRequest)

func policy(p pb.AckPolicy) sent { return func(q *pb.PublishRequest) { q.AckPolicy = p } }
func inbox(to string) sent       { return func(q *pb.PublishRequest) { q.AckInbox = to } }
func expected(offset int64) sent { return func(q *pb.PublishRequest) { q.ExpectedOffset = offset } }

// odd changes all of a message that its sender chooses.
func odd(q *pb.PublishRequest) {
	q.Key, q.CorrelationId = []byte("k\x00\xff"), "corr"
	q.Headers = map[string][]byte{"h": []byte("v\x00\xff"), "": []byte("no name"), "empty": nil, "Nats-Msg-Id": []byte("1"), "subject": []byte("mine"), "reply": []byte("mine")}
}

func publishScript(s *side) {
	s.stream("u0", 2)
	s.publish("", 0, "x")
	s.publish("", 9, "x", policy(7))
	s.publish("nix", 0, "x")
	s.publish("u0", 2, "x")
	s.publish("u0", -1, "x")
	s.publish("u0", 0, "x")
	s.publish("u0", 1, "x", odd)
	s.publish("u0", 0, "", func(q *pb.PublishRequest) { q.Value, q.Key = nil, []byte{} })
	for _, p := range []pb.AckPolicy{pb.AckPolicy_LEADER, pb.AckPolicy_ALL, pb.AckPolicy_NONE, 7, -1} {
		limit := besideLimit
		if p < 0 || p > pb.AckPolicy_NONE {
			limit = longLull
		}
		askWithin(s, limit, "Publish", s.api.Publish, publishRequest("u0", 0, "with a policy", []sent{policy(p)}))
		askWithin(s, 0, "Publish", s.api.Publish, publishRequest("u0", 0, "with a policy", []sent{policy(p)}))
	}
	s.publish("u0", 1, "after those") // of another partition, so that it waits for nothing
	s.publish("u0", 0, "expects an offset", expected(77))
	b := s.listen("u0.acks")
	for _, p := range []pb.AckPolicy{pb.AckPolicy_LEADER, pb.AckPolicy_ALL, pb.AckPolicy_NONE} {
		s.publish("u0", 0, "to an inbox", policy(p), inbox("u0.acks"))
		if p != pb.AckPolicy_NONE {
			b.hear()
		}
		b.quiet()
	}
	askWithin(s, 0, "Publish", s.api.Publish, publishRequest("u0", 0, "to an inbox", []sent{inbox("u0.acks")}))
	b.hear()
	for _, to := range []string{"a b", "a..b", ".", "u0.none.*"} {
		s.publish("u0", 0, "to what is no subject", inbox(to))
		s.publish("u0", 0, "to what is no subject", inbox(to), policy(pb.AckPolicy_NONE))
		s.publish("u0", 9, "to what is no subject", inbox(to))
	}
	s.publish("u0", 0, strings.Repeat("x", 99_000))
	s.publish("u0", 0, strings.Repeat("x", 100_000))
	s.publish("u0", 0, strings.Repeat("x", 100_000), inbox("u0.acks"))
	b.hear()
	s.publish("u0", 0, strings.Repeat("x", 100_000), policy(pb.AckPolicy_NONE))
	s.publish("u0", 0, strings.Repeat("x", 1<<20))
	on := s.listen("u0")
	s.publish("u0", 0, "as others see it", odd, inbox("u0.acks"))
	on.hear()
	s.all("u0", 0)
	s.all("u0", 1)
	s.partition("u0", 0)
	s.metadata([]string{"u0"}, nil)
	s.create(&pb.CreateStreamRequest{Name: "u1", Subject: "u1.*"})
	askWithin(s, lull, "Publish", s.api.Publish, publishRequest("u1", 0, "to a pattern", nil))
	s.all("u1", 0)
}

func asyncScript(s *side) {
	s.stream("v0", 2)
	a := s.async()
	a.ask("", 0, "x")
	a.ask("", 7, "x", policy(pb.AckPolicy_NONE))
	a.ask("nix", 0, "x")
	a.ask("nix", 0, "x", policy(pb.AckPolicy_NONE))
	a.ask("v0", 2, "x")
	a.ask("v0", -1, "x")
	a.ask("v0", 0, "m0")
	a.ask("v0", 1, "m1", odd)
	a.ask("v0", 0, "m2", policy(pb.AckPolicy_ALL), inbox("mine"))
	a.send("v0", 0, "m3", policy(pb.AckPolicy_NONE))
	a.quiet()
	a.ask("v0", 0, "m4", expected(99))
	a.ask("v0", 0, strings.Repeat("x", 100_000), func(q *pb.PublishRequest) { q.CorrelationId = "large" })
	a.ask("v0", 0, strings.Repeat("x", 100_000), policy(pb.AckPolicy_NONE), func(q *pb.PublishRequest) { q.CorrelationId = "large" })
	a.send("v0", 0, "m6", func(q *pb.PublishRequest) { q.CorrelationId = " " })
	a.take(1)
	for _, v := range []string{"m7", "m8", "m9"} {
		a.send("v0", 0, v)
	}
	a.take(3)
	a.send("v0", 0, "last")
	a.finish()
	s.all("v0", 0)
	s.all("v0", 1)
	s.async().finish()
	open := s.async() // which is not closed: the old server would wait for acks
	open.ask("v0", 0, strings.Repeat("x", 1<<20), func(q *pb.PublishRequest) { q.CorrelationId = "larger" })
	open.send("v0", 0, "m10", policy(9))
	open.quietFor(longLull)
}

func concurrencyScript(s *side) {
	s.create(&pb.CreateStreamRequest{Name: "w0", Subject: "w0", OptimisticConcurrencyControl: &pb.NullableBool{Value: true}})
	b := s.listen("w0.acks")
	for _, offset := range []int64{1, 100, -2, 0, 0, 1, 3, -1, 3} {
		s.publish("w0", 0, "x", expected(offset))
	}
	s.publish("w0", 0, "x", expected(4), policy(pb.AckPolicy_ALL))
	s.publish("w0", 0, "x", expected(4), policy(pb.AckPolicy_ALL), inbox("w0.acks"))
	b.hear()
	s.publish("w0", 0, "x", expected(5), policy(pb.AckPolicy_NONE))
	s.publish("w0", 1, "x", expected(5), policy(pb.AckPolicy_NONE))
	s.publish("w0", 0, strings.Repeat("x", 100_000), expected(99))
	s.publish("w0", 0, strings.Repeat("x", 100_000), expected(5))
	a := s.async()
	a.ask("w0", 0, "a", expected(5))
	a.ask("w0", 0, "b", expected(5))
	a.ask("w0", 0, "c", policy(pb.AckPolicy_NONE))
	a.ask("w0", 0, "d", expected(6), policy(pb.AckPolicy_ALL))
	a.ask("w0", 0, "e", expected(-7))
	a.finish()
	subject := func(value string, p pb.AckPolicy) {
		s.t.Helper()
		ask(s, "PublishToSubject", s.api.PublishToSubject, &pb.PublishToSubjectRequest{Subject: "w0", Value: []byte(value), AckPolicy: p})
	}
	subject("expects 0", pb.AckPolicy_LEADER)
	subject("expects 0", pb.AckPolicy_NONE)
	s.plain("w0", "", []byte("expects 0, too"))
	s.plain("w0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("e"), Offset: 3, AckInbox: "w0.acks", CorrelationId: "wrong"}))
	b.hear()
	s.plain("w0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("e"), Offset: 3, AckInbox: "w0.acks", AckPolicy: pb.AckPolicy_NONE}))
	b.hear()
	s.plain("w0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("e"), Offset: 7, AckInbox: "w0.acks", CorrelationId: "right"}))
	b.hear()
	s.plain("w0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("e"), Offset: 8, AckInbox: "w0.acks", AckPolicy: pb.AckPolicy_NONE}))
	b.quiet()
	s.plain("w0", "", s.sealed(envelopePublish, &pb.Message{Value: []byte("e"), Offset: -1, AckInbox: "w0.acks", AckPolicy: pb.AckPolicy_ALL}))
	b.hear()
	s.readonly("w0", true)
	s.publish("w0", 0, "x", policy(pb.AckPolicy_NONE))
	s.readonly("w0", false)
	s.pause("w0", false)
	s.publish("w0", 0, "x", policy(pb.AckPolicy_NONE))
	s.partition("w0", 0)
	s.publish("w0", 0, "x", expected(77))
	s.all("w0", 0)
	s.create(&pb.CreateStreamRequest{Name: "w1", Subject: "w1", OptimisticConcurrencyControl: &pb.NullableBool{Value: true}})
	s.plain("w1", "", []byte("the first one may"))
	s.publish("w1", 0, "x", expected(1))
	s.all("w1", 0)
}

func subjectScript(s *side) {
	s.stream("x0", 2)
	s.create(&pb.CreateStreamRequest{Name: "x1", Subject: "x.>"})
	b := s.listen("x0.acks")
	put := func(q *pb.PublishToSubjectRequest) {
		s.t.Helper()
		if q.Value == nil {
			q.Value = []byte("v")
		}
		limit := besideLimit
		switch {
		case q.AckPolicy == 7:
			limit = longLull
		case !strings.HasPrefix(q.Subject, "x"):
			limit = lull
		}
		askWithin(s, limit, "PublishToSubject", s.api.PublishToSubject, q)
	}
	for _, p := range []pb.AckPolicy{pb.AckPolicy_LEADER, pb.AckPolicy_ALL, pb.AckPolicy_NONE} {
		put(&pb.PublishToSubjectRequest{Subject: "x0", AckPolicy: p})
		put(&pb.PublishToSubjectRequest{Subject: "x.y", AckPolicy: p, Key: []byte("k"), Headers: map[string][]byte{"h": []byte("v")}, CorrelationId: "c"})
		put(&pb.PublishToSubjectRequest{Subject: "nobody.there", AckPolicy: p})
		askWithin(s, 0, "PublishToSubject", s.api.PublishToSubject, &pb.PublishToSubjectRequest{Subject: "x0.1", Value: []byte("v"), AckPolicy: p})
	}
	put(&pb.PublishToSubjectRequest{Subject: "x0", AckPolicy: 7})
	put(&pb.PublishToSubjectRequest{Subject: "x0", AckInbox: "x0.acks", CorrelationId: "c"})
	b.hear()
	b.quiet()
	put(&pb.PublishToSubjectRequest{Subject: "x.y", AckPolicy: pb.AckPolicy_NONE, AckInbox: "x0.acks"})
	b.quiet()
	put(&pb.PublishToSubjectRequest{Subject: "x0", Value: []byte(strings.Repeat("x", 100_000))})
	put(&pb.PublishToSubjectRequest{Subject: "x0", Value: []byte(strings.Repeat("x", 1<<20))})
	for _, subject := range []string{"", "x.*", "x.>", "x a", "x..y", "*"} { // which weir refuses
		askWithin(s, longLull, "PublishToSubject", s.api.PublishToSubject, &pb.PublishToSubjectRequest{Subject: subject, Value: []byte("no subject")})
	}
	on := s.listen("plain.x")
	put(&pb.PublishToSubjectRequest{Subject: "plain.x", Key: []byte("k"), Headers: map[string][]byte{"h": []byte("v")}, CorrelationId: "c", AckPolicy: pb.AckPolicy_ALL, AckInbox: "in"})
	on.hear()
	s.pause("x0", false)
	askWithin(s, lull, "PublishToSubject", s.api.PublishToSubject, &pb.PublishToSubjectRequest{Subject: "x0", Value: []byte("paused")})
	s.publish("x0", 0, "on")
	s.all("x0", 0)
	s.all("x0", 1)
	s.all("x1", 0)
}
