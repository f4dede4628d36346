package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/redial"
	wire "github.com/weirmq/weir/internal/wire/nats"
	"golang.org/x/sync/errgroup"
)

// errStale says that a server does not answer pings.
var errStale = errors.New("the NATS server does not answer")

// errEnded says that the work is over.
var errEnded = errors.New("ended")

// Run works until ctx ends: it reads and writes, and connects again. Open comes first.
func (c *Client) Run(ctx context.Context) error {
	for {
		c.mu.Lock()
		l := c.link
		c.mu.Unlock()
		if l == nil {
			return errors.New("run a NATS client: it is not connected")
		}
		err := c.use(ctx, l)
		c.end()
		if ctx.Err() != nil {
			return nil
		}
		c.log.Warn("connection to the NATS system lost", "server", l.host, "error", err)
		if !c.again(ctx) {
			return nil
		}
	}
}

// again connects until that succeeds; false says that ctx ended before.
func (c *Client) again(ctx context.Context) bool {
	var last string
	for pause := c.o.Retry; ; pause = c.longer(pause) {
		l, err := c.connect(ctx)
		if err == nil {
			c.begin(l)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if text := err.Error(); text != last {
			c.log.Warn("NATS system not reached, trying again", "error", err)
			last = text
		}
		if !redial.Rest(ctx, pause) {
			return false
		}
	}
}

// use reads and writes until the connection fails or ctx ends.
func (c *Client) use(ctx context.Context, l *link) error {
	g, failed := errgroup.WithContext(ctx)
	written := make(chan struct{})
	g.Go(func() error { return c.read(failed, l) })
	g.Go(func() error {
		defer close(written)
		return c.write(failed, ctx, l)
	})
	g.Go(func() error {
		<-failed.Done()
		<-written
		_ = l.conn.Close() // reading ends with it
		return nil
	})
	return g.Wait()
}

// write sends what waits, and asks whether the server is there, until failed ends.
// Where ctx has, what still waits is sent first.
func (c *Client) write(failed, ctx context.Context, l *link) error {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	var buf []byte
	for {
		c.mu.Lock()
		buf, c.out = c.out, buf[:0]
		c.mu.Unlock()
		if err := l.send(buf, writeTimeout); err != nil {
			return err
		}
		if cap(buf) > keptStage {
			buf = nil
		}
		select {
		case <-c.wake:
		case <-ticker.C:
			if l.unanswered.Add(1) > pingsOut {
				return errStale
			}
			c.ping(nil)
		case <-failed.Done():
			if ctx.Err() == nil {
				return nil
			}
			c.mu.Lock()
			buf, c.out = c.out, nil
			c.mu.Unlock()
			return errors.Join(errEnded, l.send(buf, lastWrite))
		}
	}
}

func (l *link) send(b []byte, limit time.Duration) error {
	if len(b) == 0 {
		return nil
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("write to the NATS server: %w", err)
	}
	return nil
}

// say sends a line of the protocol.
func (c *Client) say(line func([]byte) []byte) {
	c.mu.Lock()
	if c.link != nil {
		c.out = line(c.out)
	}
	c.mu.Unlock()
	c.stir()
}

// reader is what reading keeps.
type reader struct {
	*Client
	ctx       context.Context // of the connection
	link      *link
	publisher *broker.Publisher
	head      []byte // subject and reply
	body      []byte // header block and data
	staged    int    // bytes since the last hand-over
}

// mostStaged is how many bytes are handed over at once.
const mostStaged = 1 << 20

// read takes what the server sends, until the connection ends, as ctx does then.
func (c *Client) read(ctx context.Context, l *link) error {
	r := &reader{Client: c, ctx: ctx, link: l, publisher: broker.NewPublisher(c.inbound, broker.PublisherOptions{Echo: true})}
	defer r.publisher.Release()
	for {
		if l.in.Buffered() == 0 || r.staged >= mostStaged {
			r.publisher.HandOver()
			r.staged = 0
		}
		got, err := l.next()
		if err != nil {
			return err
		}
		switch got.Kind {
		case wire.ServedMsg:
			err = r.message(&got)
		case wire.ServedPing:
			c.say(wire.AppendPong)
		case wire.ServedPong:
			l.unanswered.Store(0)
			c.pong()
		case wire.ServedInfo:
			if err = l.take(got.Arg); err == nil {
				c.learn(&l.info)
			}
		case wire.ServedErr:
			c.log.Error("the NATS server complains", "server", l.host, "error", string(got.Arg))
		}
		if err != nil {
			return err
		}
	}
}

// message reads the rest of a message and publishes it.
func (r *reader) message(got *wire.Served) error {
	r.head = append(append(r.head[:0], got.Subject...), got.Reply...)
	subject, reply := r.head[:len(got.Subject)], r.head[len(got.Subject):]
	header, size := got.Header, got.Size
	if cap(r.body) < size+2 {
		r.body = make([]byte, size+2)
	}
	body := r.body[:size+2]
	if _, err := io.ReadFull(r.link.in, body); err != nil {
		return fmt.Errorf("read from the NATS server: %w", err)
	}
	if body[size] != '\r' || body[size+1] != '\n' {
		return wire.ErrServed
	}
	m := broker.Message{Subject: subject, Reply: reply, Data: body[header:size:size]}
	if header > 0 {
		m.Header = body[:header:header]
	}
	if res := r.publisher.Publish(&m); res.Full {
		r.wait(&m)
	}
	if r.staged += size + len(r.head); size > keptStage {
		r.body = nil
	}
	return nil
}

// stall is how long a message waits for room in a stream, firstPause the first of the
// pauses, which double.
const (
	stall      = time.Second
	firstPause = time.Millisecond
)

// wait offers a message again until there is room, too much time has passed, or the
// connection ends.
func (r *reader) wait(m *broker.Message) {
	r.publisher.HandOver()
	r.staged = 0
	pause := firstPause
	for end := time.Now().Add(stall); time.Now().Before(end) && redial.Rest(r.ctx, pause); pause = min(2*pause, 64*firstPause) {
		if r.publisher.Again(m) {
			return
		}
	}
	r.log.Warn("message dropped, there is no room", "subject", string(m.Subject), "bytes", len(m.Data))
}
