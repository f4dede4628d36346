package stan

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	jsdoor "github.com/weirmq/weir/internal/door/jetstream"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	wire "github.com/weirmq/weir/internal/wire/stan"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a node with a streaming server and JetStream in one account.
type rig struct {
	t *testing.T
	*streamtest.Node
	space *broker.Space
	door  *Door
	fresh func() // makes the door of a node that starts
}

// outlet leads each consumer to its door.
type outlet struct {
	jsdoor.Outlet
	stan *Outlet
}

func (o *outlet) Deliver(p *broker.Publisher, c *stream.Consumer, d *consumer.Delivery, v *record.View) {
	if c.Config().Dialect == DialectName {
		o.stan.Deliver(p, c, d, v)
		return
	}
	o.Outlet.Deliver(p, c, d, v)
}

func (o *outlet) Deleted(p *broker.Publisher, c *stream.Consumer) {
	if c.Config().Dialect == DialectName {
		o.stan.Deleted(c)
		return
	}
	o.Outlet.Deleted(p, c)
}

func newRig(t *testing.T, change ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t}
	log := slog.New(slog.DiscardHandler)
	r.fresh = func() {
		o := Options{Cluster: "tc", ServerID: "S", Limits: DefaultLimits(), HeartbeatFails: DefaultFails, Log: log}
		for _, f := range change {
			f(&o)
		}
		r.door = New(o)
	}
	a := &account.Account{Name: "A"}
	a.JetStream.Enabled = true
	r.fresh()
	r.Node = streamtest.Start(t, streamtest.Options{
		Dialects: map[string]stream.Dialect{streamDialect: jsdoor.Dialect{}},
		Foreign:  map[string]func([]byte) (any, error){DialectName: OpenConsumer},
		Outlet:   func() stream.Outlet { return &outlet{stan: &Outlet{door: r.door}} },
		Serve: func(dir *stream.Directory, s *broker.Space) func() {
			js := jsdoor.New(jsdoor.Options{ServerName: "n", Version: "2.12.0", MaxPayload: 1 << 20, Log: log})
			js.Start(dir)
			stopJS := js.Serve(s, func() *account.Account { return a })
			d := r.door
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- d.Run(ctx) }()
			if err := d.Start(ctx, dir, s); err != nil {
				t.Fatal(err)
			}
			return func() {
				d.Stop()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				stopJS()
			}
		},
	})
	r.space = r.Node.Space("A")
	return r
}

func (r *rig) on(n *streamtest.Node) *rig {
	r.Node, r.space = n, n.Space("A")
	return r
}

// restart stops the node in order and starts it again; crash does not stop it.
func (r *rig) restart() {
	r.t.Helper()
	r.fresh()
	r.on(r.Node.Restart())
}

func (r *rig) crash(seed uint64) {
	r.t.Helper()
	r.fresh()
	r.on(r.Node.Crash(faultfs.RandomWrites, seed))
}

// peer is a streaming client.
type peer struct {
	r         *rig
	id, conn  string
	beats     *streamtest.Inbox
	acks      *streamtest.Inbox
	guid      int
	stopBeats func()
}

// connect begins a session that must be granted. The client answers heartbeats.
func (r *rig) connect(id string) *peer {
	r.t.Helper()
	p := r.absent(id)
	p.answerHeartbeats()
	return p
}

// absent is a client that does not answer heartbeats.
func (r *rig) absent(id string) *peer {
	r.t.Helper()
	p := &peer{r: r, id: id, conn: "conn-" + id + fmt.Sprint(time.Now().UnixNano())}
	p.beats = streamtest.NewInbox(r.t, r.space)
	// With room for all that a test publishes before it looks.
	p.acks = streamtest.Subscribe(r.t, r.space, "_INBOX.acks."+p.conn)
	if resp := p.request(); resp.Error != "" {
		r.t.Fatalf("connect %s: %s", id, resp.Error)
	}
	return p
}

// request asks for a session.
func (p *peer) request() wire.ConnectResponse {
	p.r.t.Helper()
	return p.r.ask(&wire.ConnectRequest{
		ClientID: p.id, HeartbeatInbox: p.beats.Subject, Protocol: 1, ConnID: []byte(p.conn), PingInterval: 5, PingMaxOut: 88,
	})
}

func (r *rig) ask(q *wire.ConnectRequest) wire.ConnectResponse {
	r.t.Helper()
	var resp wire.ConnectResponse
	if err := resp.Decode(streamtest.Request(r.t, r.space, "_STAN.discover.tc", nil, q.Append(nil)).Data); err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// answerHeartbeats has the client answer until the test ends, or stopBeats is called.
func (p *peer) answerHeartbeats() {
	stop, done := make(chan struct{}), make(chan struct{})
	space := p.r.space
	go func() {
		defer close(done)
		for {
			select {
			case m := <-p.beats.C:
				space.Publish(&broker.Message{Subject: []byte(m.Reply)})
			case <-stop:
				return
			}
		}
	}()
	var once sync.Once
	p.stopBeats = func() { once.Do(func() { close(stop); <-done }) }
	p.r.t.Cleanup(p.stopBeats)
}

// publish sends a message without waiting.
func (p *peer) publish(channel, data string) {
	p.guid++
	m := wire.PubMsg{ClientID: []byte(p.id), GUID: fmt.Appendf(nil, "g%d", p.guid), Subject: []byte(channel), Data: []byte(data), ConnID: []byte(p.conn)}
	p.r.space.Publish(&broker.Message{Subject: []byte("_STAN.pub.tc." + channel), Reply: []byte(p.acks.Subject), Data: m.Append(nil)})
}

// acked waits for the acknowledgement of the next publish and returns its error.
func (p *peer) acked() string {
	p.r.t.Helper()
	var a wire.PubAck
	if err := a.Decode(p.acks.Next(p.r.t).Data); err != nil {
		p.r.t.Fatal(err)
	}
	return a.Error
}

// put publishes messages and waits until they are stored.
func (p *peer) put(channel string, data ...string) {
	p.r.t.Helper()
	for _, d := range data {
		p.publish(channel, d)
	}
	for range data {
		if text := p.acked(); text != "" {
			p.r.t.Fatalf("publish to %s: %s", channel, text)
		}
	}
}

// sub is a subscription as its client sees it.
type sub struct {
	p       *peer
	channel string
	in      *streamtest.Inbox
	ack     string
}

// try asks for a subscription.
func (p *peer) try(q *wire.SubscriptionRequest) (*sub, string) {
	p.r.t.Helper()
	q.ClientID = p.id
	s := &sub{p: p, channel: q.Subject, in: streamtest.NewInbox(p.r.t, p.r.space)}
	q.Inbox = s.in.Subject
	if q.MaxInFlight == 0 {
		q.MaxInFlight = 1024
	}
	if q.AckWaitInSecs == 0 {
		q.AckWaitInSecs = 30
	}
	var resp wire.SubscriptionResponse
	if err := resp.Decode(streamtest.Request(p.r.t, p.r.space, "_STAN.sub.tc", nil, q.Append(nil)).Data); err != nil {
		p.r.t.Fatal(err)
	}
	s.ack = resp.AckInbox
	return s, resp.Error
}

// subscribe makes a subscription that must be granted.
func (p *peer) subscribe(q wire.SubscriptionRequest) *sub {
	p.r.t.Helper()
	s, text := p.try(&q)
	if text != "" {
		p.r.t.Fatalf("subscribe to %s: %s", q.Subject, text)
	}
	return s
}

// next waits for a message.
func (s *sub) next() wire.Msg {
	s.p.r.t.Helper()
	var m wire.Msg
	if err := m.Decode(s.in.Next(s.p.r.t).Data); err != nil {
		s.p.r.t.Fatal(err)
	}
	return m
}

// want waits for messages with these sequences, and returns the last.
func (s *sub) want(seqs ...uint64) (m wire.Msg) {
	s.p.r.t.Helper()
	for _, seq := range seqs {
		if m = s.next(); m.Sequence != seq {
			s.p.r.t.Fatalf("message %d of %s, want %d", m.Sequence, s.channel, seq)
		}
	}
	return m
}

// acknowledge acknowledges messages.
func (s *sub) acknowledge(seqs ...uint64) {
	for _, seq := range seqs {
		s.p.r.space.Publish(&broker.Message{Subject: []byte(s.ack), Data: (&wire.Ack{Subject: []byte(s.channel), Sequence: seq}).Append(nil)})
	}
}

// quiet makes sure that nothing is on its way to the subscription: what was sent
// before the answer to a request is there when that is.
func (s *sub) quiet() {
	s.p.r.t.Helper()
	s.p.r.settle(s.channel)
	s.in.None(s.p.r.t)
}

// settle waits until the consumers of a channel have done what they can.
func (r *rig) settle(channel string) {
	r.t.Helper()
	ch := r.door.channel(channel)
	for _, c := range ch.stream.Consumers() {
		for range 2 { // what the first look finds to do is done when the second comes
			if _, err := c.Info(context.Background()); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// leave sends a request to end the subscription and returns the answer's error.
func (s *sub) leave(subject string) string {
	s.p.r.t.Helper()
	return s.p.r.endSub(subject, &wire.UnsubscribeRequest{ClientID: s.p.id, Subject: s.channel, Inbox: s.ack})
}

func (r *rig) endSub(subject string, q *wire.UnsubscribeRequest) string {
	r.t.Helper()
	var resp wire.SubscriptionResponse
	if err := resp.Decode(streamtest.Request(r.t, r.space, subject, nil, q.Append(nil)).Data); err != nil {
		r.t.Fatal(err)
	}
	return resp.Error
}

// closeSub and unsubscribe end the subscription, which must succeed.
func (s *sub) closeSub() { s.p.r.t.Helper(); s.mustLeave("_STAN.subclose.tc") }

func (s *sub) unsubscribe() { s.p.r.t.Helper(); s.mustLeave("_STAN.unsub.tc") }

func (s *sub) mustLeave(subject string) {
	s.p.r.t.Helper()
	if text := s.leave(subject); text != "" {
		s.p.r.t.Fatalf("%s: %s", subject, text)
	}
}

// close ends the session and returns the answer's error.
func (p *peer) close() string {
	p.r.t.Helper()
	text, err := wire.DecodeText(streamtest.Request(p.r.t, p.r.space, "_STAN.close.tc", nil, wire.AppendClose(nil, p.id)).Data)
	if err != nil {
		p.r.t.Fatal(err)
	}
	return text
}

// ping asks whether the connection is known.
func (p *peer) ping() string {
	p.r.t.Helper()
	text, err := wire.DecodeText(streamtest.Request(p.r.t, p.r.space, "_STAN.discover.tc.pings", nil, wire.AppendPing(nil, []byte(p.conn))).Data)
	if err != nil {
		p.r.t.Fatal(err)
	}
	return text
}

// numbers gives m1 … mn.
func numbers(n int) []string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "m%d ", i+1)
	}
	return strings.Fields(b.String())
}

func count(from, to uint64) []uint64 {
	var out []uint64
	for ; from <= to; from++ {
		out = append(out, from)
	}
	return out
}
