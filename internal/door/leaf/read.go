package leaf

import (
	"bytes"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// publisherCache bounds what a link remembers of where subjects lead.
const publisherCache = 8 << 20

// reader is what reading keeps.
type reader struct {
	*link
	pub    *broker.Publisher
	op     wire.Op
	info   wire.Info
	groups broker.Groups
	// buckets are for messages that name this server's domain.
	buckets buckets

	msgs, bytes uint64 // since the last hand-over
	names       []byte // of messages since then, which stay as they are until then
}

// read takes what the other side sends, until the connection ends.
func (l *link) read() error {
	r := &reader{link: l, info: l.info}
	r.pub = broker.NewPublisher(l.remote.space, broker.PublisherOptions{
		Origin: l, Echo: true, Permissions: l.filter, CacheBytes: publisherCache,
	})
	l.wanted.wantAcks()
	defer l.wanted.clear()
	defer r.pub.Release()
	r.buckets.init(l.remote.door.o.Domain)
	defer r.buckets.release()
	for {
		need, err := r.all()
		r.handOver()
		if err != nil {
			return err
		}
		if err := l.in.fill(need); err != nil {
			return err
		}
	}
}

// all takes what is buffered; so many bytes are needed to go on.
func (r *reader) all() (need int, err error) {
	for {
		if need, err := r.in.next(&r.op); need > 0 || err != nil {
			return need, err
		}
		if err := r.do(&r.op); err != nil {
			return 0, err
		}
	}
}

func (r *reader) handOver() {
	r.pub.HandOver()
	r.buckets.handOver()
	r.names = r.names[:0]
	if r.msgs == 0 {
		return
	}
	for _, c := range []*counters{&r.counts, &r.remote.door.totals} {
		c.inMsgs.Add(r.msgs)
		c.inBytes.Add(r.bytes)
	}
	r.msgs, r.bytes = 0, 0
}

// do does what an operation says. Any but a message is behind those before it.
func (r *reader) do(op *wire.Op) error {
	if op.Kind == wire.OpMsg {
		r.message(op)
		return nil
	}
	r.handOver()
	switch op.Kind {
	case wire.OpSub:
		return r.wanted.add(op)
	case wire.OpUnsub:
		r.wanted.remove(op)
	case wire.OpPing:
		r.send(wire.AppendPong(nil))
	case wire.OpPong:
		r.pong()
	case wire.OpErr:
		return &errTold{string(op.Arg)}
	case wire.OpInfo:
		if err := r.info.Decode(op.Arg); err != nil {
			return err
		}
		r.remote.learn(&r.info)
	}
	return nil
}

// message publishes what came. Only the groups that it names get it, as the other side
// has chosen among all.
func (r *reader) message(op *wire.Op) {
	r.msgs++
	r.bytes += uint64(len(op.Header) + len(op.Data))
	if reserved(op.Subject) {
		if inside := r.buckets.inside(op.Subject); inside != nil {
			m := broker.Message{Reply: op.Reply, Header: op.Header, Data: op.Data, Stable: true}
			if r.buckets.deliver(r.remote.space, &m, inside).Full {
				r.refuse(inside)
			}
			return
		}
	}
	m := r.pub.Draft()
	r.groups.Names = op.Groups
	*m = broker.Message{
		Subject: op.Subject, Reply: op.Reply, Header: op.Header, Data: op.Data, Tail: op.Tail, Stable: true, Groups: &r.groups,
	}
	if at := bytes.IndexByte(op.Reply, '@'); at >= 0 && bytes.HasPrefix(op.Reply, []byte(ackPrefix)) {
		// A delivery of a consumer there: the message's own subject stands behind the reply.
		m.To, m.Subject, m.Reply, m.Tail = op.Subject, op.Reply[at+1:], r.delivered(op.Reply[:at:at]), nil
	}
	to := m.Subject
	if m.To != nil {
		to = m.To
	}
	if r.pub.Route(to) != broker.Wanted {
		return
	}
	if r.pub.Deliver(m).Full {
		r.refuse(m.Subject)
	}
}

// delivered gives the subject at which a delivery from there is acknowledged here.
func (r *reader) delivered(reply []byte) []byte {
	if r.acks == nil {
		return reply
	}
	from := len(r.names)
	r.names = appendDomain(r.names, reply, r.info.Domain)
	return r.names[from:len(r.names):len(r.names)]
}
