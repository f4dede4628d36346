package stan

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// ackBatch is one publisher's acknowledgements for one stream, in order.
type ackBatch struct {
	stream *stream.Stream
	acks   []stream.Ack
}

// ack takes a message that came to one of the door's inboxes: an acknowledgement, or
// an answer that somebody waits for. What is for nobody is ignored: the protocol has
// no answer to it.
func (s *stage) ack(m *broker.Message) {
	mb := s.member
	if mb == nil || mb.AckInbox != string(m.Subject) || mb.gone.Load() {
		d := s.door
		d.mu.RLock()
		mb = d.inboxes[string(m.Subject)]
		answered := d.waiting[string(m.Subject)]
		d.mu.RUnlock()
		if answered != nil {
			answered(!nobody(m))
		}
		if mb == nil {
			return
		}
		s.member = mb
	}
	var a wire.Ack
	if a.Decode(m.Data) != nil || string(a.Subject) != mb.group.channel.name {
		return
	}
	c := mb.group.consumer
	if n := len(s.acks); n == 0 || s.acks[n-1].stream != c.Stream() {
		s.acks = append(s.acks, ackBatch{stream: c.Stream()})
	}
	b := &s.acks[len(s.acks)-1]
	b.acks = append(b.acks, stream.Ack{Consumer: c, Ack: consumer.Ack{Kind: consumer.Acked, Seq: a.Sequence}})
}

// await has answered called, on any goroutine and maybe more than once, for what
// comes to an inbox, until forgo. there is false for the status that nobody was asked.
func (d *Door) await(inbox string, answered func(there bool)) {
	d.mu.Lock()
	d.waiting[inbox] = answered
	d.mu.Unlock()
}

func (d *Door) forgo(inbox string) {
	d.mu.Lock()
	delete(d.waiting, inbox)
	d.mu.Unlock()
}
