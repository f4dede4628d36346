package stan_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/stan.go/pb"
)

type wanted = func(*pb.SubscriptionRequest)

func first(q *pb.SubscriptionRequest) { q.StartPosition = pb.StartPosition_First }
func durable(name string) wanted      { return func(q *pb.SubscriptionRequest) { q.DurableName = name } }
func group(name string) wanted        { return func(q *pb.SubscriptionRequest) { q.QGroup = name } }
func flight(n int32) wanted           { return func(q *pb.SubscriptionRequest) { q.MaxInFlight = n } }

func TestSessionsAreAnsweredAsByTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.discover("connect with nothing", &pb.ConnectRequest{})
		s.discover("connect without an inbox", &pb.ConnectRequest{ClientID: "a"})
		for _, id := range []string{"", "a.b", "a b", "a/b", "ü", "a:b", "A-b_9", cluster} {
			s.discover("connect "+id, &pb.ConnectRequest{ClientID: id, HeartbeatInbox: "hb", Protocol: 1, PingInterval: -50, PingMaxOut: 3})
		}
		for _, protocol := range []int32{-1, 0, 2} {
			s.discover("protocol", &pb.ConnectRequest{ClientID: fmt.Sprint("p", protocol+1), HeartbeatInbox: "hb", Protocol: protocol, PingInterval: 9, PingMaxOut: -1})
		}
		s.connect("me", true)
		me := s.conns["me"]
		s.connect("me", true)
		s.ping(s.conns["me"])
		s.conns["me"] = me
		s.publish("me", "foo", "still here")
		s.ping(me)
		s.connect("dead", false)
		dead := s.conns["dead"]
		s.connect("dead", true)
		s.ping(dead)
		s.ping(s.conns["dead"])
		s.publish("dead", "foo", "of the one before", func(m *pb.PubMsg) { m.ConnID = []byte(dead) })
		s.publish("dead", "foo", "without its connection", func(m *pb.PubMsg) { m.ConnID = nil })
		s.publish("dead", "foo", "without its id", func(m *pb.PubMsg) { m.ClientID = "" })
		s.publish("dead", "foo", "with another's id", func(m *pb.PubMsg) { m.ClientID = "nobody" })
		s.publish("nobody", "foo", "of nobody")
		rubbish := []byte("rubbish")
		for _, kind := range []string{"discover", "close", "unsub", "subclose", "sub", "pub"} {
			to, answer := "_STAN."+kind+"."+cluster, message(&pb.SubscriptionResponse{})
			switch kind {
			case "discover":
				answer = &pb.ConnectResponse{}
			case "close":
				answer = &pb.CloseResponse{}
			case "pub":
				to, answer = to+".foo", &pb.PubAck{}
			}
			s.ask("rubbish to "+kind, to, rubbish, answer)
			s.ask("nothing to "+kind, to, nil, answer)
		}
		s.get("clientsz")
		s.close("")
		s.close("nobody")
		s.close("me")
		s.close("me")
		s.publish("me", "foo", "too late")
	})
}

func TestPublishesAreAnsweredAsByTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.connect("me", true)
		for _, channel := range []string{
			"", "a", "a.b", "a..b", ".a", "a.", "a/b", "a*", "a>", "*", ">", "a.*", "A", "a:b", `a\b`, "ü", "Ü", "a%b", "a%2Eb", "a b", "a\tb", "$X",
			"_INBOX.x", "_STAN.x", "x=y,z", strings.Repeat("l", 200), "Foo.bar", "foo.bar",
		} {
			s.publish("me", channel, "x")
		}
		s.publish("me", "foo", "no name", func(m *pb.PubMsg) { m.Guid = "" })
		s.publish("me", "foo", "", func(m *pb.PubMsg) { m.Reply = "any reply" })
		s.publish("me", "foo", "a checksum", func(m *pb.PubMsg) { m.Sha256 = []byte("of something else") })
		s.publish("me", "foo", "\x00\xff")
		m := nats.NewMsg("_STAN.pub." + cluster + ".foo")
		for name, v := range map[string]string{"Nats-Msg-Id": "1", "Nats-TTL": "1s", "Nats-Expected-Last-Sequence": "77"} {
			m.Header.Set(name, v)
		}
		m.Data = s.encode(&pb.PubMsg{ClientID: "me", Guid: "twice", Subject: "foo", Data: []byte("headers say nothing")})
		for range 2 {
			r, err := s.nc.RequestMsg(m, patience)
			if err != nil {
				s.t.Fatal(err)
			}
			s.say("%q %v", r.Data, r.Header)
		}
		s.subscribe("all", "me", "foo", first)
		s.take("all", 5)
		for _, path := range []string{
			"channelsz", "channelsz?subs=1", "channelsz?channel=foo&subs=1", "channelsz?channel=foo", "channelsz?channel=nix", "channelsz?offset=3&limit=2",
			"channelsz?offset=99", "channelsz?offset=-1&limit=0", "channelsz?offset=x&limit=y", "channelsz?subs=1&limit=1", "channelsz?subs=true&limit=1",
			"clientsz?subs=1", "clientsz?client=me&subs=1", "clientsz?client=me", "clientsz?client=nix", "clientsz?offset=5", "serverz", "storez", "isFTActive",
		} {
			s.get(path)
		}
	})
}

func TestSubscribesAreAnsweredAsByTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.connect("me", true)
		for i, wrong := range []wanted{
			func(q *pb.SubscriptionRequest) { q.ClientID = "" },
			func(q *pb.SubscriptionRequest) { q.ClientID = "you" },
			func(q *pb.SubscriptionRequest) { q.AckWaitInSecs = 0 },
			func(q *pb.SubscriptionRequest) { q.AckWaitInSecs = -1 },
			flight(0), flight(-1),
			func(q *pb.SubscriptionRequest) { q.StartPosition = 5 },
			func(q *pb.SubscriptionRequest) { q.StartPosition = -1 },
			func(q *pb.SubscriptionRequest) { q.Subject = "" },
			func(q *pb.SubscriptionRequest) { q.Subject = "a..b" },
			func(q *pb.SubscriptionRequest) { q.Subject = "a.*" },
			func(q *pb.SubscriptionRequest) { q.Subject = "a b" },
			func(q *pb.SubscriptionRequest) {
				q.ClientID, q.AckWaitInSecs, q.MaxInFlight, q.StartPosition = "", 0, 0, 9
			},
			func(q *pb.SubscriptionRequest) {
				q.ClientID, q.MaxInFlight, q.StartPosition, q.Subject = "you", 0, 9, "*"
			},
			func(q *pb.SubscriptionRequest) { q.QGroup, q.DurableName = "g", "a:b" },
			func(q *pb.SubscriptionRequest) { q.QGroup = "a:b" },
			func(q *pb.SubscriptionRequest) { q.MaxInFlight, q.AckWaitInSecs = math.MaxInt32, math.MaxInt32 },
			durable("a b/c*>ü\x01"), durable("a b/c*>ü\x01"),
		} {
			s.subscribe(fmt.Sprint("case ", i), "me", "foo", wrong)
		}
		s.get("channelsz?channel=foo&subs=1")
	})
}

func TestStartPositionsAreThoseOfTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.connect("me", true)
		for _, stored := range []int{0, 5} {
			channel := fmt.Sprint("with", stored)
			s.publishAll("me", channel, 1, stored)
			gets := map[string]int{} // with one more
			try := func(name string, n int, f wanted) {
				gets[name] = n
				s.subscribe(name, "me", channel, f)
			}
			try("new", 1, func(*pb.SubscriptionRequest) {})
			try("last", min(stored, 1)+1, func(q *pb.SubscriptionRequest) { q.StartPosition = pb.StartPosition_LastReceived })
			try("first", stored+1, first)
			for _, seq := range []uint64{0, 1, 3, 5, 6, 1000, math.MaxInt64, math.MaxUint64} {
				n := 1
				if seq <= uint64(stored) {
					n = stored + 2 - int(max(seq, 1))
				}
				try(fmt.Sprint("sequence ", seq), n, func(q *pb.SubscriptionRequest) {
					q.StartPosition, q.StartSequence = pb.StartPosition_SequenceStart, seq
				})
			}
			for _, delta := range []int64{0, -1, -1e12, 1e13, math.MaxInt64} {
				n := 1
				if delta > 0 {
					n += stored
				}
				try(fmt.Sprint("delta ", delta), n, func(q *pb.SubscriptionRequest) {
					q.StartPosition, q.StartTimeDelta = pb.StartPosition_TimeDeltaStart, delta
				})
			}
			s.publish("me", channel, "more")
			said := len(s.said)
			for name, n := range gets {
				s.take(name, n)
			}
			sortFrom(s.said[said:])
		}
	})
}

func TestDurablesAreThoseOfTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.connect("me", true)
		s.connect("you", true)
		s.publishAll("me", "foo", 1, 7)
		s.subscribe("d", "me", "foo", first, durable("d"), flight(5))
		s.take("d", 5)
		s.ack("d", "foo", 1, 3)
		s.take("d", 2)
		s.subscribe("taken", "me", "foo", durable("d"))
		s.subscribe("another's", "you", "foo", durable("d"))
		s.subscribe("elsewhere", "me", "bar", durable("d"))
		s.end("subclose", "you", "foo", s.acks["d"])
		s.end("subclose", "nobody", "foo", s.acks["d"])
		s.end("subclose", "me", "nix", s.acks["d"])
		s.end("subclose", "me", "bar", s.acks["d"])
		s.end("subclose", "me", "foo", "nix")
		s.end("subclose", "me", "foo", "")
		s.end("subclose", "me", "foo", s.boxes["d"].Subject) // where messages go
		s.end("subclose", "me", "foo", s.acks["d"])
		s.ack("d", "foo", 2) // nobody hears it
		s.get("channelsz?channel=foo&subs=1")
		s.publish("me", "foo", "8")
		s.subscribe("resumed", "me", "foo", first, durable("d"), flight(1))
		s.take("resumed", 5)
		s.get("channelsz?channel=foo&subs=1")
		s.ack("resumed", "foo", 2, 4, 5, 6, 7)
		s.take("resumed", 1)
		s.ack("resumed", "foo", 8)
		s.close("me")
		s.get("channelsz?subs=1")
		s.get("clientsz?subs=1")
		s.connect("me", true)
		s.publish("me", "foo", "9")
		s.subscribe("last", "me", "foo", durable("d"))
		s.take("last", 1)
		s.end("unsub", "me", "foo", s.acks["last"])
		s.end("unsub", "me", "foo", s.acks["last"])
		s.subscribe("anew", "me", "foo", durable("d"))
		s.take("anew", 0)
		s.get("serverz")
	})
}

func TestReplacedDurablesAreThoseOfTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.connect("me", true)
		s.publishAll("me", "foo", 1, 4)
		s.subscribe("d", "me", "foo", durable("d"), first, flight(3))
		s.take("d", 3)
		s.ack("d", "foo", 1)
		s.take("d", 1) // it knows of the acknowledgement now
		s.subscribe("instead", "me", "foo", durable("d"))
		s.take("instead", 3)
		s.publish("me", "foo", "5")
		s.take("instead", 1)
		s.take("d", 0)
		s.end("subclose", "me", "foo", s.acks["d"])
		s.end("subclose", "me", "foo", s.acks["instead"])
		s.get("clientsz?subs=1")
	}, "-replace_durable")
}

func TestQueueGroupsAreThoseOfTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.connect("a", true)
		s.connect("b", true)
		s.publishAll("a", "foo", 1, 4)
		s.subscribe("one", "a", "foo", first, group("q"), durable("d"), flight(2))
		s.take("one", 2)
		s.subscribe("plain", "a", "foo", group("q"))
		s.subscribe("two", "b", "foo", group("q"), durable("d"))
		s.take("two", 2)
		s.publishAll("a", "foo", 5, 6)
		s.take("plain", 2)
		s.take("two", 2)
		s.get("channelsz?channel=foo")
		s.close("a") // what it had goes to the other member
		s.take("two", 2)
		s.ack("two", "foo", 1, 2, 3)
		s.end("subclose", "b", "foo", s.acks["two"])
		s.get("channelsz?channel=foo&subs=1")
		s.connect("a", true)
		s.publish("a", "foo", "7")
		s.subscribe("resumed", "a", "foo", first, group("q"), durable("d"), flight(1))
		s.take("resumed", 3)
		s.subscribe("four", "b", "foo", first, group("q"), durable("d"))
		s.take("four", 1)
		s.end("unsub", "b", "foo", s.acks["four"])
		s.take("resumed", 1)
		s.end("unsub", "a", "foo", s.acks["resumed"])
		s.subscribe("anew", "a", "foo", group("q"), durable("d"))
		s.take("anew", 0)
		s.subscribe("kept", "a", "foo", first, group("n"))
		s.take("kept", 7)
		s.end("subclose", "a", "foo", s.acks["kept"])
		s.subscribe("forgotten", "a", "foo", group("n"))
		s.take("forgotten", 0)
	})
}

func TestLimitsAreThoseOfTheOldServer(t *testing.T) {
	compare(t, func(s *side) {
		s.get("storez")
		s.connect("me", true)
		for _, channel := range []string{"foo", "foo.bar", "foo.baz", "foo.bar.x", "bar", "any.thing.else", "lit"} {
			s.publishAll("me", channel, 1, 5)
		}
		s.publish("me", "one.more", "x")
		s.publish("me", "too.many", "x")
		s.subscribe("too many", "me", "too.many")
		for range 2 {
			s.subscribe("lit", "me", "lit", durable("d"))
			s.end("subclose", "me", "lit", s.acks["lit"])
			s.subscribe("over", "me", "lit")
		}
		s.get("channelsz?subs=1")
		s.get("serverz")
	}, withFile(t, `streaming {
  ID: tc
  STORE_LIMITS {
    max_channels: 8, max_msgs: 4, max_subs: 7, max_age: "1h"
    channels {
      "foo.*" { max_msgs: 2, max_age: "2h" }
      "foo.>" { max_msgs: 3, max_bytes: 100000 }
      "foo.bar" { max_subs: 5 }
      "lit" { mm: 1, msu: 1, mb: 0, ma: "0s" }
      "un" { max_msgs: -1, max_subs: -1, max_bytes: -1, max_inactivity: "5s" }
    }
  }
}`)...)
}
