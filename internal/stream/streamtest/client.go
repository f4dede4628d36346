package streamtest

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
)

// Patience is how long a test waits for what must come.
const Patience = 30 * time.Second

// Msg is a message that an Inbox got.
type Msg struct {
	Subject, Reply string
	Header, Data   []byte
}

// Inbox is a subscription that keeps what comes.
type Inbox struct {
	Subject string
	C       chan Msg

	space *broker.Space
	sub   *broker.Subscription
}

// Subscribe listens on a pattern until the test ends.
func Subscribe(t testing.TB, s *broker.Space, pattern string) *Inbox {
	t.Helper()
	return SubscribeGroup(t, s, pattern, "")
}

// SubscribeGroup listens on a pattern as a member of a queue group.
func SubscribeGroup(t testing.TB, s *broker.Space, pattern, group string) *Inbox {
	t.Helper()
	return subscribe(t, s, pattern, group, 1<<16)
}

// subscribe makes an inbox that holds so many messages; who sends more waits.
func subscribe(t testing.TB, s *broker.Space, pattern, group string, room int) *Inbox {
	i := &Inbox{Subject: pattern, C: make(chan Msg, room), space: s}
	i.sub = &broker.Subscription{Subject: pattern, Queue: group, Kind: broker.KindClient, Sink: i}
	s.Subscribe(i.sub)
	t.Cleanup(i.Close)
	return i
}

// Close ends the subscription.
func (i *Inbox) Close() { i.space.Unsubscribe(i.sub) }

// OpenStage implements broker.Sink.
func (i *Inbox) OpenStage(*broker.Publisher) broker.Stage { return &inboxStage{inbox: i} }

type inboxStage struct {
	inbox *Inbox
	msgs  []Msg
}

// Add implements broker.Stage.
func (s *inboxStage) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	s.msgs = append(s.msgs, Msg{string(m.Subject), string(m.Reply), bytes.Clone(m.Header), bytes.Clone(m.Data)})
	return broker.Staged
}

// HandOver implements broker.Stage.
func (s *inboxStage) HandOver() {
	for _, m := range s.msgs {
		s.inbox.C <- m
	}
	s.msgs = s.msgs[:0]
}

// Next waits for a message.
func (i *Inbox) Next(t testing.TB) Msg {
	t.Helper()
	select {
	case m := <-i.C:
		return m
	case <-time.After(Patience):
		t.Fatalf("nothing came on %s", i.Subject)
		return Msg{}
	}
}

// None fails if a message is there already.
func (i *Inbox) None(t testing.TB) {
	t.Helper()
	select {
	case m := <-i.C:
		t.Fatalf("unexpected message on %s: %s %q", m.Subject, m.Header, m.Data)
	default:
	}
}

var inboxes atomic.Uint64

// NewInbox listens on a subject that nobody else uses. It is for the answers to one
// request: a test makes thousands of them, all of which stay until its end.
func NewInbox(t testing.TB, s *broker.Space) *Inbox {
	t.Helper()
	return subscribe(t, s, fmt.Sprintf("_INBOX.%d", inboxes.Add(1)), "", 1<<10)
}

// Send publishes a message and asks for an answer, which comes to the inbox.
func Send(t testing.TB, s *broker.Space, subject string, header, data []byte) *Inbox {
	t.Helper()
	in := NewInbox(t, s)
	r := s.Publish(&broker.Message{Subject: []byte(subject), Reply: []byte(in.Subject), Header: header, Data: data})
	if r.Nobody() {
		t.Fatalf("nobody takes %s", subject)
	}
	return in
}

// Request publishes a message and waits for the answer.
func Request(t testing.TB, s *broker.Space, subject string, header, data []byte) Msg {
	t.Helper()
	in := Send(t, s, subject, header, data)
	defer in.Close()
	return in.Next(t)
}

// Await waits until a condition holds.
func Await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to be that %s", what)
		}
	}
}
