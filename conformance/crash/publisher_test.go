package crash_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// inFlight bounds how many records of a publisher wait for their acknowledgement.
const inFlight = 32

// publisher stores numbered records, each with an identifier of its own, and
// tries again with the same identifier what was not acknowledged, in order.
type publisher struct {
	name string
	url  string

	// Only the publisher's goroutine, until run returns.
	next    int            // number of the next new record
	pending []int          // sent at least once, not acknowledged, ascending
	acked   map[int]uint64 // record to the sequence that was acknowledged
	fault   error          // an answer that should not have come

	progress *atomic.Int64 // acknowledgements of all publishers
}

func (p *publisher) id(n int) string      { return fmt.Sprintf("%s-%d", p.name, n) }
func (p *publisher) subject(n int) string { return fmt.Sprintf("k.%s.%d", p.name, n%5) }

// run publishes until stop, then until nothing is pending. Each round is one connection.
func (p *publisher) run(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil && p.fault == nil {
		if p.round(ctx, stop) {
			return
		}
	}
}

// round uses one connection until it is lost; it reports whether all is done.
func (p *publisher) round(ctx context.Context, stop <-chan struct{}) bool {
	closed := make(chan struct{})
	nc, js := p.connect(ctx, closed)
	if nc == nil {
		return false
	}
	defer nc.Close()
	var sent []sentRecord
	retry := p.pending
	for {
		n, more := 0, true
		select {
		case <-stop:
			more = false
		default:
		}
		switch {
		case len(retry) > 0:
			n, retry = retry[0], retry[1:]
		case more:
			n = p.next
			p.next++
			p.pending = append(p.pending, n)
		case len(sent) == 0:
			return true
		default:
			if sent = p.settle(sent, closed, len(sent)); sent == nil {
				return false
			}
			continue
		}
		f, err := js.PublishAsync(p.subject(n), p.body(n), jetstream.WithMsgID(p.id(n)), jetstream.WithRetryAttempts(0))
		if err != nil {
			p.settle(sent, closed, len(sent))
			return false
		}
		sent = append(sent, sentRecord{n, f})
		if len(sent) >= inFlight {
			if sent = p.settle(sent, closed, inFlight/2); sent == nil {
				return false
			}
		}
	}
}

type sentRecord struct {
	number int
	future jetstream.PubAckFuture
}

func (p *publisher) body(n int) []byte {
	return []byte(p.id(n) + " " + strings.Repeat("x", n%400))
}

// connect tries until the server is there again.
func (p *publisher) connect(ctx context.Context, closed chan struct{}) (*nats.Conn, jetstream.JetStream) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		nc, err := nats.Connect(p.url, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			<-tick.C
			continue
		}
		js, err := jetstream.New(nc)
		if err != nil {
			p.fault = err
			nc.Close()
			return nil, nil
		}
		return nc, js
	}
	return nil, nil
}

// settle takes the answers of the first n sent records. It returns the others,
// or nil when the connection was lost.
func (p *publisher) settle(sent []sentRecord, closed <-chan struct{}, n int) []sentRecord {
	for i, s := range sent[:n] {
		select {
		case ack := <-s.future.Ok():
			p.take(s.number, ack)
			continue
		default:
		}
		select {
		case ack := <-s.future.Ok():
			p.take(s.number, ack)
		case err := <-s.future.Err():
			p.refused(s.number, err)
		case <-closed:
			p.late(sent[i:])
			return nil
		}
	}
	rest := make([]sentRecord, 0, inFlight)
	return append(rest, sent[n:]...)
}

// late takes acknowledgements that had come before the connection was lost.
func (p *publisher) late(sent []sentRecord) {
	for _, s := range sent {
		select {
		case ack := <-s.future.Ok():
			p.take(s.number, ack)
		default:
		}
	}
}

func (p *publisher) take(n int, ack *jetstream.PubAck) {
	p.acked[n] = ack.Sequence
	p.progress.Add(1)
	for i, other := range p.pending {
		if other == n {
			p.pending = append(p.pending[:i:i], p.pending[i+1:]...)
			return
		}
	}
}

// refused keeps answers that no crash explains. While a server starts or is cut
// off, its stream may be out of reach; those records are tried again.
func (p *publisher) refused(n int, err error) {
	text := err.Error()
	for _, passing := range []string{"no response from stream", "no responders", "timeout", "closed", "disconnected"} {
		if strings.Contains(text, passing) {
			return
		}
	}
	p.fault = fmt.Errorf("record %d of %s: %w", n, p.name, err)
}
