package stan

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// ackBatch is one publisher's acknowledgements for one consumer, in order.
type ackBatch struct {
	consumer *stream.Consumer
	seqs     []uint64
}

// ackBatches bounds how many consumers a publisher's acknowledgements gather for, and
// ackedAt how many gather for one: then the consumer goes on while more is read.
const (
	ackBatches = 16
	ackedAt    = 256
)

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
	b := s.batchFor(mb.group.consumer)
	if b.seqs == nil {
		b.seqs = make([]uint64, 0, s.acked) // as many as the last time
	}
	if b.seqs = append(b.seqs, a.Sequence); len(b.seqs) == ackedAt {
		s.hand(b)
	}
}

// batchFor is where a consumer's acknowledgements gather. Whatever the order between
// consumers was, it does not matter to them.
func (s *stage) batchFor(c *stream.Consumer) *ackBatch {
	for i := range s.acks {
		if s.acks[i].consumer == c {
			return &s.acks[i]
		}
	}
	if len(s.acks) == ackBatches {
		s.handAcks()
	}
	s.acks = append(s.acks, ackBatch{consumer: c})
	return &s.acks[len(s.acks)-1]
}

// hand gives the consumer what has gathered.
func (s *stage) hand(b *ackBatch) {
	if len(b.seqs) > 0 {
		s.acked = len(b.seqs)
		b.consumer.Acked(b.seqs)
		b.seqs = nil
	}
}

func (s *stage) handAcks() {
	for i := range s.acks {
		s.hand(&s.acks[i])
	}
	clear(s.acks)
	s.acks = s.acks[:0]
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
