package stan

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// publish takes a message for a channel.
func (s *stage) publish(m *broker.Message) broker.Verdict {
	p := &s.msg
	if p.Decode(m.Data) != nil {
		if wire.ParseControl(m.Data) != nil {
			return s.refusePublish(m, nil, wire.InvalidPubReq)
		}
		return broker.Staged
	}
	v := broker.Staged
	if len(p.GUID) == 0 || s.publisher(p) == nil {
		s.refusePublish(m, p.GUID, wire.InvalidPubReq)
	} else {
		v = s.store(m, p)
	}
	if v == broker.Staged {
		s.taken++
		s.takenBytes += uint64(len(m.Data))
	}
	return v
}

func (s *stage) refusePublish(m *broker.Message, guid []byte, text string) broker.Verdict {
	return s.refuse(m, wire.AppendPubAck(nil, guid, text))
}

// publisher is the client that a message is of; nil: nobody who is connected.
func (s *stage) publisher(p *wire.PubMsg) *client {
	if c := s.client; c != nil && !c.gone.Load() && c.published(p) {
		return c
	}
	d := s.door
	d.mu.RLock()
	var c *client
	if len(p.ConnID) > 0 {
		c = d.conns[string(p.ConnID)]
	} else {
		c = d.clients[string(p.ClientID)]
	}
	d.mu.RUnlock()
	s.client = c
	return c
}

// store stages a message in its channel, which is made if it is not there.
func (s *stage) store(m *broker.Message, p *wire.PubMsg) broker.Verdict {
	for {
		ch := s.channel
		if ch == nil || ch.name != string(p.Subject) || ch.state.Load() == channelGone {
			var text string
			if ch, text = s.door.open(string(p.Subject)); text != "" {
				return s.refusePublish(m, p.GUID, text)
			}
			s.channel = ch
		}
		if v, taken := ch.hold(m); taken {
			return v
		}
		if ch.state.Load() != channelOpen {
			continue
		}
		v, again := s.append(ch, m, p)
		if !again {
			return v
		}
	}
}

// append stages a message in an open channel. again says that the channel is gone:
// another one has to be found.
func (s *stage) append(ch *channel, m *broker.Message, p *wire.PubMsg) (v broker.Verdict, again bool) {
	st := s.stagingFor(ch)
	s.parts.Subject, s.parts.Data, s.parts.Reply = ch.as, p.Data, p.Reply
	var reply []byte
	reply, s.to = s.door.address(s.to, m.Reply)
	v = st.Add(&s.parts, reply, p.GUID)
	if v == broker.Gone {
		delete(s.stagings, ch)
		s.staging = nil
		if !ch.stream.Dropped() {
			return broker.Gone, false // the server stops
		}
		s.door.forget(ch)
		return v, true
	}
	if v == broker.Staged && !st.touched {
		st.touched = true
		s.touched = append(s.touched, st)
	}
	return v, false
}

// stagingFor is the way into a channel's log, most often the one that was used last.
func (s *stage) stagingFor(ch *channel) *staging {
	if st := s.staging; st != nil && st.channel == ch {
		return st
	}
	st := s.stagings[ch]
	if st == nil {
		st = &staging{channel: ch, Staging: ch.stream.Stage(pubAck)}
		s.stagings[ch] = st
	}
	s.staging = st
	return st
}

// pubAck is the answer to a publisher.
func pubAck(dst []byte, _ *stream.Stream, o partition.Outcome, guid []byte) []byte {
	if o.Refusal == partition.Accepted {
		return wire.AppendPubAck(dst, guid, "")
	}
	return wire.AppendPubAck(dst, guid, refusals[o.Refusal])
}

// refusals are the texts for what the log refuses. None of them is one of the old
// server's, whose log did not refuse: it panicked, or dropped what was oldest.
var refusals = map[partition.Refusal]string{
	partition.Accepted:   "",
	partition.Sealed:     "stan: channel is sealed",
	partition.TooLarge:   "stan: message is too large",
	partition.MaxRecords: "stan: channel is full",
	partition.MaxBytes:   "stan: channel is full",
	partition.NoSpace:    "stan: no space left for messages",
	partition.Overload:   "stan: too many messages at a time",
	partition.Deleted:    wire.ChannelDeleted,
	partition.Dead:       "stan: the server's storage has failed",
	partition.Unreadable: "stan: what is stored can not be read at present",
}
