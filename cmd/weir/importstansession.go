package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// oldSession is a client's session with a running NATS Streaming server.
type oldSession struct {
	nc      *nats.Conn
	id      string
	to      wire.ConnectResponse // where requests go
	hearts  *nats.Subscription
	timeout time.Duration
}

// openSession connects as a client. One of the same id that answers keeps its place.
func openSession(ctx context.Context, nc *nats.Conn, cluster, id string, timeout time.Duration) (*oldSession, error) {
	s := &oldSession{nc: nc, id: id, timeout: timeout}
	q := wire.ConnectRequest{ClientID: id, HeartbeatInbox: nc.NewInbox(), Protocol: wire.Protocol, ConnID: []byte(nuid.Next()), PingInterval: 5, PingMaxOut: 88}
	var err error
	s.hearts, err = nc.Subscribe(q.HeartbeatInbox, func(m *nats.Msg) {
		_ = m.Respond(nil) // a beat that is missed shows in an error of what comes next
	})
	if err != nil {
		return nil, fmt.Errorf("listen for heartbeats: %w", err)
	}
	b, err := s.ask(ctx, wire.SubjectsOf(cluster, "").Discover, q.Append(nil))
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no streaming server of the cluster %s answers", cluster)
	case err == nil:
		err = s.to.Decode(b)
	}
	if err == nil && s.to.Error != "" {
		err = errors.New(s.to.Error)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect as client %s: %w", id, err), s.hearts.Unsubscribe())
	}
	return s, nil
}

func (s *oldSession) ask(ctx context.Context, subject string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := s.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// close ends the session, and its subscriptions that are not durable. The server ends
// it by itself, later, where it cannot be told.
func (s *oldSession) close(ctx context.Context) {
	_, _ = s.ask(context.WithoutCancel(ctx), s.to.CloseRequests, wire.AppendClose(nil, s.id))
	_ = s.hearts.Unsubscribe() // the connection may be gone
}

// oldSub is a subscription of a session.
type oldSub struct {
	session *oldSession
	channel string
	acks    string
	in      *nats.Subscription
}

// subscribe begins to receive. What q leaves out of client and inbox is filled in.
func (s *oldSession) subscribe(ctx context.Context, q wire.SubscriptionRequest) (*oldSub, error) {
	q.ClientID, q.Inbox = s.id, s.nc.NewInbox()
	in, err := s.nc.SubscribeSync(q.Inbox)
	if err == nil {
		err = in.SetPendingLimits(-1, -1) // MaxInFlight bounds it
	}
	if err != nil {
		return nil, fmt.Errorf("listen for messages: %w", err)
	}
	var r wire.SubscriptionResponse
	b, err := s.ask(ctx, s.to.SubRequests, q.Append(nil))
	if err == nil {
		err = r.Decode(b)
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to channel %s: %w", q.Subject, err), in.Unsubscribe())
	}
	return &oldSub{session: s, channel: q.Subject, acks: r.AckInbox, in: in}, nil
}

// errQuiet says that nothing came in time.
var errQuiet = errors.New("nothing came in time")

// next waits for a message, not longer than for patience.
func (s *oldSub) next(ctx context.Context, patience time.Duration, m *wire.Msg) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	in, err := s.in.NextMsgWithContext(wait)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return errQuiet
	default:
		return fmt.Errorf("receive messages: %w", err)
	}
	if err := m.Decode(in.Data); err != nil {
		return fmt.Errorf("read a message of channel %s: %w", s.channel, err)
	}
	if string(m.Subject) != s.channel || m.Sequence == 0 {
		return fmt.Errorf("message %d of channel %s came for channel %s", m.Sequence, m.Subject, s.channel)
	}
	return nil
}

// ack acknowledges a message.
func (s *oldSub) ack(m *wire.Msg) error {
	a := wire.Ack{Subject: m.Subject, Sequence: m.Sequence}
	if err := s.session.nc.Publish(s.acks, a.Append(nil)); err != nil {
		return fmt.Errorf("acknowledge message %d: %w", m.Sequence, err)
	}
	return nil
}

// end ends the subscription; a durable one stays with the server.
func (s *oldSub) end(ctx context.Context) error {
	_ = s.in.Unsubscribe() // the connection may be gone, which the request finds
	q := wire.UnsubscribeRequest{ClientID: s.session.id, Subject: s.channel, Inbox: s.acks}
	var r wire.SubscriptionResponse
	b, err := s.session.ask(context.WithoutCancel(ctx), s.session.to.SubCloseRequests, q.Append(nil))
	if err == nil {
		err = r.Decode(b)
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		return fmt.Errorf("close the subscription of channel %s: %w", s.channel, err)
	}
	return nil
}
