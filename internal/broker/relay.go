package broker

import (
	"bytes"
	"time"
)

// relayCache bounds the routing cache of each publisher that carries what one other
// publishes into another space.
const relayCache = 256 << 10

// relay carries messages of one publisher into another space.
type relay struct {
	outer, inner *Publisher
	message      Message
	names        []byte // subjects, replies and headers since the last hand-over
	waits        bool   // message is over some sink's budget
	serial       uint64 // of the publisher, for message
}

// into makes the publisher in the other space.
func (r *relay) into(s *Space, private bool) {
	if r.inner == nil {
		r.inner = NewPublisher(s, PublisherOptions{
			Echo: true, Origin: r.outer.Origin(), CacheBytes: relayCache, foreign: true, private: private || r.outer.opts.private,
		})
	}
}

// keep copies bytes that stay as they are until the hand-over.
func (r *relay) keep(b ...[]byte) []byte {
	from := len(r.names)
	for _, x := range b {
		r.names = append(r.names, x...)
	}
	return r.names[from:len(r.names):len(r.names)]
}

// again says whether the message is the one that found a sink full, and if so
// offers it once more.
func (r *relay) again() (v Verdict, ok bool) {
	if !r.waits || r.serial != r.outer.Serial() {
		r.waits = false
		return 0, false
	}
	if r.inner.Again(&r.message) {
		r.waits = false
		return Staged, true
	}
	return Full, true
}

// deliver stages the message with those that the inner publisher's Route found.
func (r *relay) deliver() Verdict {
	r.message.Memo, r.message.Groups = nil, nil
	result := r.inner.Deliver(&r.message)
	switch {
	case result.Full:
		r.waits, r.serial = true, r.outer.Serial()
		return Full
	case result.Nobody():
		return Gone
	}
	return Staged
}

// HandOver implements Stage.
func (r *relay) HandOver() {
	if r.inner != nil {
		r.inner.HandOver()
	}
	r.names = r.names[:0]
}

// requestSink takes the requests of an import.
type requestSink struct{ bridge *bridge }

// OpenStage implements Sink.
func (s *requestSink) OpenStage(p *Publisher) Stage {
	return &requestStage{relay: relay{outer: p}, bridge: s.bridge}
}

type requestStage struct {
	relay
	bridge *bridge
}

// Add implements Stage. Where nobody is there who could answer, nobody took the
// message.
func (s *requestStage) Add(_ *Subscription, m *Message) Verdict {
	if v, ok := s.again(); ok {
		return v
	}
	b := s.bridge
	s.into(b.From, !b.Share)
	from := len(s.names)
	names, ok := b.theirs.Append(s.names, m.route())
	if !ok {
		return Gone
	}
	s.names = names
	subject := names[from:len(names):len(names)]
	if s.inner.Route(subject) == Nobody {
		return Gone
	}
	im := &s.message
	*im = *m
	if m.To != nil {
		im.To = subject
	} else {
		im.Subject = subject
	}
	token, fresh := "", false
	if len(m.Reply) > 0 {
		if token, fresh = b.ask(m.Reply, time.Now()); token == "" {
			return Gone
		}
		im.Reply, im.Tail = s.keep([]byte(b.prefix), []byte(token)), nil
	}
	if who, ok := s.outer.Origin().(Requester); ok {
		via := ""
		if s.outer.opts.foreign {
			via = b.space.Name()
		}
		from := len(s.names)
		s.names = who.AppendRequestHeader(s.names, m.Header, !s.inner.opts.private, via)
		im.Header, im.Tail = s.names[from:len(s.names):len(s.names)], nil
		if !m.Annotated {
			im.Annotated, im.Plain = true, m.Header
		}
	}
	v := s.deliver()
	if v == Gone && fresh {
		b.forget(token)
	}
	return v
}

// answerSink takes the answers to the requests of an import.
type answerSink struct{ bridge *bridge }

// listens says whether somebody waits for what is published to a subject.
func (s *answerSink) listens(subject []byte) bool {
	b := s.bridge
	b.mu.Lock()
	reply := ""
	if e := b.asked[string(lastToken(subject))]; e != nil {
		reply = e.Value.(*asked).reply
	}
	b.mu.Unlock()
	return reply != "" && b.space.Interested([]byte(reply))
}

// OpenStage implements Sink.
func (s *answerSink) OpenStage(p *Publisher) Stage {
	return &answerStage{relay: relay{outer: p}, bridge: s.bridge}
}

type answerStage struct {
	relay
	bridge *bridge
}

// Add implements Stage. When nobody listens to the answers any more, no other is
// waited for.
func (s *answerStage) Add(_ *Subscription, m *Message) Verdict {
	if v, ok := s.again(); ok {
		return v
	}
	b := s.bridge
	token := lastToken(m.route())
	reply, ok := b.answered(token, len(m.Data) == 0, time.Now())
	if !ok {
		return Gone
	}
	s.into(b.space, false)
	to := s.keep([]byte(reply))
	if s.inner.Route(to) == Nobody {
		b.forget(string(token))
		return Gone
	}
	s.message = *m
	if m.To != nil {
		s.message.To = to
	} else {
		s.message.Subject = to
	}
	return s.deliver()
}

func lastToken(subject []byte) []byte { return subject[bytes.LastIndexByte(subject, '.')+1:] }
