package leaf

import (
	"testing"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// TestMessagesAreSentAndReceivedWithoutAllocations holds for those that have no groups
// and for those that have.
func TestMessagesAreSentAndReceivedWithoutAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	g := h.guest()
	g.say("LS+ out", "LS+ out q1 1", "LS+ ready")
	n.interested(t, "ready")
	l := n.remotes[0].link()
	p := broker.NewPublisher(n.space, broker.PublisherOptions{Echo: true})
	defer p.Release()
	m := broker.Message{Subject: []byte("out"), Reply: []byte("re.ply"), Data: make([]byte, 128)}
	st := p.Touch(l).(*stage)
	if got := testing.AllocsPerRun(100, func() {
		for range 10 {
			p.Publish(&m)
		}
		st.finish()
		st.batch.Drop() // nothing is sent
		st.some = false
	}); got > 0 {
		t.Errorf("%v allocations for 10 messages out", got)
	}

	in := &counting{}
	n.space.Subscribe(&broker.Subscription{Subject: "in", Sink: in})
	n.space.Subscribe(&broker.Subscription{Subject: "in", Queue: "q1", Sink: in})
	r := &reader{link: l}
	r.pub = broker.NewPublisher(n.space, broker.PublisherOptions{Origin: l, Echo: true, Permissions: l.filter})
	defer r.pub.Release()
	buf := wire.AppendMsg(nil, []byte("in"), []byte("re.ply"), []string{"q1", "q2"}, nil, make([]byte, 128))
	if got := testing.AllocsPerRun(100, func() {
		for range 10 {
			if _, _, err := l.in.parser.Parse(&r.op, buf); err != nil {
				t.Fatal(err)
			}
			r.message(&r.op)
		}
		r.pub.HandOver()
	}); got > 0 || in.n < 2000 {
		t.Errorf("%v allocations for 10 messages in, %d delivered", got, in.n)
	}
}

// counting is a sink that counts.
type counting struct{ n int }

func (c *counting) OpenStage(*broker.Publisher) broker.Stage { return c }

func (c *counting) Add(*broker.Subscription, *broker.Message) broker.Verdict {
	c.n++
	return broker.Staged
}

func (c *counting) HandOver() {}
