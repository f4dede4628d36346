package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sentMessage is a message whose acknowledgement is awaited.
type sentMessage struct {
	number uint64
	bytes  uint64
	future jetstream.PubAckFuture
}

// storeResult is what became of a run with --js.
type storeResult struct {
	Stream       string  `json:"stream,omitempty"`
	Acknowledged uint64  `json:"acknowledged"`
	Duplicates   uint64  `json:"duplicates"`
	Unknown      uint64  `json:"unknown"`
	Refused      uint64  `json:"refused"`
	LeftOut      uint64  `json:"left_out"`
	Bytes        uint64  `json:"bytes"`
	FirstSeq     uint64  `json:"first_seq"`
	LastSeq      uint64  `json:"last_seq"`
	Seconds      float64 `json:"seconds"`
}

// store publishes with acknowledgements. The sender and the collector of
// acknowledgements run side by side; the channel between them is the window.
func (p *publication) store(ctx context.Context) error {
	acks, err := openAckFile(p.flags.ackFile, p.flags.resume)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	closed := make(chan struct{})
	nc, js, err := p.connectAsync(closed)
	if err != nil {
		return errors.Join(err, acks.close())
	}
	defer nc.Close()

	p.start = time.Now()
	window := make(chan sentMessage, p.flags.window-1)
	var leftOut atomic.Uint64
	go func() {
		defer close(window)
		if err := p.sendAll(ctx, js, acks.have, window, &leftOut); err != nil {
			cancel(err)
		}
	}()
	c := collector{publication: p, acks: acks, closed: closed, stop: cancel}
	for m := range window {
		c.await(m)
	}
	p.report.clear()
	c.result.LeftOut = leftOut.Load()
	c.result.Seconds = time.Since(p.start).Seconds()
	if err := acks.close(); err != nil {
		return err
	}
	return p.storeSummary(c.result, context.Cause(ctx))
}

// connectAsync connects for publishing; closed is closed with the connection.
func (p *publication) connectAsync(closed chan struct{}) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := p.connect(nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(p.flags.window+1),
		jetstream.WithPublishAsyncTimeout(p.timeout))
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("prepare publishing: %w", err)
	}
	return nc, js, nil
}

// sendAll sends every message that have does not hold.
func (p *publication) sendAll(ctx context.Context, js jetstream.JetStream, have map[uint64]bool,
	window chan<- sentMessage, leftOut *atomic.Uint64) error {
	for ctx.Err() == nil {
		m, err := p.message()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if have[p.facts.Count] {
			leftOut.Add(1)
			continue
		}
		future, err := js.PublishMsgAsync(m, jetstream.WithStallWait(p.timeout), jetstream.WithRetryAttempts(0))
		if isLost(err) {
			return errLost
		} else if err != nil {
			return fmt.Errorf("message %d: %w", p.facts.Count, err)
		}
		window <- sentMessage{number: p.facts.Count, bytes: uint64(len(m.Data)), future: future}
		if p.flags.every > 0 {
			pause(ctx, p.flags.every)
		}
	}
	return ctx.Err()
}

// collector takes acknowledgements in the order of sending.
type collector struct {
	*publication
	acks   *ackFile
	closed <-chan struct{}
	stop   context.CancelCauseFunc
	result storeResult
}

// await waits for one message's fate. A lost connection leaves it unknown; the
// first failure stops the sender, and what is on its way is still awaited.
func (c *collector) await(m sentMessage) {
	select {
	case ack := <-m.future.Ok():
		c.stored(m, ack)
		return
	default:
	}
	select {
	case ack := <-m.future.Ok():
		c.stored(m, ack)
	case err := <-m.future.Err():
		c.failed(m, err)
	case <-c.closed:
		c.result.Unknown++
		c.stop(errLost)
	}
}

func (c *collector) stored(m sentMessage, ack *jetstream.PubAck) {
	r := &c.result
	if r.Acknowledged == 0 {
		r.FirstSeq, r.Stream = ack.Sequence, ack.Stream
	}
	r.Acknowledged++
	r.Bytes += m.bytes
	if ack.Duplicate {
		r.Duplicates++
	}
	r.FirstSeq, r.LastSeq = min(r.FirstSeq, ack.Sequence), max(r.LastSeq, ack.Sequence)
	if err := c.acks.add(m.number, ack.Sequence, m.future.Msg().Subject); err != nil {
		c.stop(err)
	}
	c.report.show(r.Acknowledged, r.Bytes)
}

func (c *collector) failed(m sentMessage, err error) {
	var refusal jetstream.JetStreamError
	if errors.As(err, &refusal) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) {
		c.result.Refused++
	} else {
		c.result.Unknown++
	}
	if isLost(err) {
		c.stop(errLost)
		return
	}
	c.stop(fmt.Errorf("message %d on %s: %w", m.number, m.future.Msg().Subject, err))
}

// storeSummary says what is known; cause is why the run stopped early, or nil.
func (p *publication) storeSummary(r storeResult, cause error) error {
	if p.asJSON {
		if err := p.printJSON(r); err != nil {
			return err
		}
	} else if !p.flags.quiet || cause != nil {
		p.writeStored(r)
	}
	if errors.Is(cause, context.Canceled) {
		cause = errors.New("interrupted")
	}
	if cause == nil {
		return nil
	}
	return fmt.Errorf("stopped: %w%s", cause, p.resumeHint())
}

func (p *publication) writeStored(r storeResult) {
	took := time.Duration(r.Seconds * float64(time.Second))
	fmt.Fprintf(p.out, "Stored %s (%s) in %s, %s", plural(r.Acknowledged, "message", "messages"), humanBytes(r.Bytes), humanDuration(took), rate(r.Acknowledged, took))
	if r.Acknowledged > 0 {
		fmt.Fprintf(p.out, "; stream %s, sequences %s to %s", r.Stream, thousands(r.FirstSeq), thousands(r.LastSeq))
	}
	fmt.Fprintln(p.out)
	for _, part := range []struct {
		n    uint64
		text string
	}{
		{r.Duplicates, "of them the stream already had (duplicates)"},
		{r.LeftOut, "left out: acknowledged in an earlier run"},
		{r.Refused, "refused"},
		{r.Unknown, "sent without an answer: stored or not, nobody knows"},
	} {
		if part.n > 0 {
			fmt.Fprintf(p.out, "  %s %s\n", thousands(part.n), part.text)
		}
	}
}

func (p *publication) resumeHint() string {
	if p.flags.ackFile == "" {
		return ""
	}
	return "\n      --resume with the same input sends what " + p.flags.ackFile + " does not have"
}
