package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// subStream prints messages of a durable stream.
func (a *app) subStream(cmd *cobra.Command, args []string, f subFlags) error {
	ctx := cmd.Context()
	closed := make(chan struct{})
	nc, js, err := a.connectStreams(nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return err
	}
	defer nc.Close()
	consumer, err := a.openConsumer(cmd, js, args, f)
	if err != nil {
		return err
	}
	if f.toEnd {
		if info := consumer.CachedInfo(); info != nil && info.NumPending == 0 && (f.consumer == "" || info.NumAckPending == 0) {
			if f.consumer == "" {
				a.removeOrdered(js, f.stream, consumer)
			}
			return a.newReading(f).end(errEnd)
		}
	}
	it, err := consumer.Messages(pullSize(f)...)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", f.stream, err)
	}
	d := &deliveries{
		reading: a.newReading(f), nc: nc, acks: f.consumer != "" && f.ack,
		arrived: make(chan delivery, 256), closed: closed, done: make(chan struct{}),
	}
	defer close(d.done)
	go d.fetch(it)
	err = d.reading.run(ctx, d.next)
	err = errors.Join(err, d.finish(it, f.consumer != "", a.timeout))
	if f.consumer == "" && !nc.IsClosed() {
		a.removeOrdered(js, f.stream, consumer)
	}
	return err
}

// removeOrdered removes the consumer that openConsumer made. Where that fails
// the server does it some minutes later, so the failure is not worth a word.
func (a *app) removeOrdered(js jetstream.JetStream, stream string, c jetstream.Consumer) {
	info := c.CachedInfo()
	if info == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.timeout)
	defer cancel()
	_ = js.DeleteConsumer(ctx, stream, info.Name)
}

// pullSize keeps few messages in hand where several share the work, or only some are wanted.
func pullSize(f subFlags) []jetstream.PullMessagesOpt {
	size := 0
	if f.consumer != "" {
		size = 32
	}
	if f.count > 0 && f.count < 500 && (size == 0 || int(f.count) < size) {
		size = int(f.count)
	}
	if size == 0 {
		return nil
	}
	return []jetstream.PullMessagesOpt{jetstream.PullMaxMessages(size)}
}

// openConsumer finds the durable consumer, or makes an ordered one that ends with this process.
func (a *app) openConsumer(cmd *cobra.Command, js jetstream.JetStream, args []string, f subFlags) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	if f.consumer != "" {
		c, err := js.Consumer(ctx, f.stream, f.consumer)
		if err != nil {
			return nil, fmt.Errorf("consumer %s of stream %s: %w", f.consumer, f.stream, err)
		}
		return c, nil
	}
	if f.from == "" {
		f.from = "new"
	}
	from, err := parsePosition(f.from, time.Now())
	if err != nil {
		return nil, usagef(cmd, "--from: %v", err)
	}
	c, err := js.OrderedConsumer(ctx, f.stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: args, HeadersOnly: f.headersOnly,
		DeliverPolicy: from.policy, OptStartSeq: from.seq, OptStartTime: from.time,
	})
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", f.stream, err)
	}
	return c, nil
}

// deliveries joins the client's blocking iterator with the other reasons to stop.
type deliveries struct {
	reading *reading
	nc      *nats.Conn
	acks    bool
	arrived chan delivery
	closed  <-chan struct{} // with the connection
	done    chan struct{}   // ends fetch
	unacked []jetstream.Msg // handed to the printer, not yet acknowledged
	atEnd   bool
}

type delivery struct {
	msg jetstream.Msg
	err error
}

// fetch calls the iterator until it ends.
func (d *deliveries) fetch(it jetstream.MessagesContext) {
	for {
		msg, err := it.Next()
		select {
		case d.arrived <- delivery{msg, err}:
		case <-d.done:
			return
		}
		if err != nil && !errors.Is(err, jetstream.ErrNoHeartbeat) {
			return
		}
	}
}

// next gives the next delivery. Before it waits, it makes what was printed
// seen, and only then acknowledges it.
func (d *deliveries) next(ctx context.Context, idle <-chan time.Time) (*received, error) {
	if d.atEnd && d.reading.flags.toEnd {
		return nil, errEnd
	}
	for {
		if len(d.arrived) == 0 || len(d.unacked) >= 64 {
			if err := d.settle(); err != nil {
				return nil, err
			}
		}
		select {
		case m := <-d.arrived:
			if errors.Is(m.err, jetstream.ErrNoHeartbeat) {
				continue
			}
			return d.take(m)
		case <-d.closed:
			return nil, connectionLost(d.nc)
		case <-idle:
			return nil, errIdle
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (d *deliveries) take(m delivery) (*received, error) {
	if m.err != nil {
		return nil, fmt.Errorf("read stream: %w", m.err)
	}
	r, err := fromStream(m.msg)
	if err != nil {
		return nil, err
	}
	d.atEnd = *r.Pending == 0
	if d.acks {
		d.unacked = append(d.unacked, m.msg)
	}
	return r, nil
}

// settle makes what was printed seen, then acknowledges it.
func (d *deliveries) settle() error {
	if err := d.reading.printer.flush(); err != nil {
		return err
	}
	for _, m := range d.unacked {
		if err := m.Ack(); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
	d.unacked = d.unacked[:0]
	return nil
}

// finish settles what was printed and hands back what was not, so that others
// that share the consumer get it at once.
func (d *deliveries) finish(it jetstream.MessagesContext, shared bool, timeout time.Duration) error {
	if d.nc.IsClosed() {
		it.Stop()
		return nil
	}
	if err := d.settle(); err != nil {
		return err
	}
	if !shared {
		it.Stop()
		return nil
	}
	it.Drain()
	for m := range d.arrived {
		if errors.Is(m.err, jetstream.ErrNoHeartbeat) {
			continue
		}
		if m.err != nil {
			break
		}
		if err := m.msg.Nak(); err != nil {
			return fmt.Errorf("hand back a message: %w", err)
		}
	}
	if err := d.nc.FlushTimeout(timeout); err != nil {
		return fmt.Errorf("send acknowledgements: %w", err)
	}
	return nil
}
