package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/record"
)

// readAhead is how many messages are asked for before they are there.
const (
	readAhead  = 4096
	readWindow = 256 // where each message is a request of its own
)

// readerName begins the names of the consumers that read a stream, by which those of
// an import that was killed are known.
const readerName = "weir-import-"

// readIdle is how long nothing may come before the consumer is asked whether there is
// more.
const readIdle = 2 * time.Second

// Errors of the API for which a stream cannot be read by a consumer but message by
// message.
var noConsumer = []jetstream.ErrorCode{
	10026,                             // as many as the stream allows
	10084, 10098, 10099, 10100, 10101, // work queues
	10002, 10023, 10028, // no resources for one
}

// read gives the messages of a stream from a sequence to another, in order. Views are
// valid during the call only.
func (o *origin) read(ctx context.Context, stream string, from, to uint64, retention jetstream.RetentionPolicy, each func(*record.View) error) error {
	if from > to {
		return nil
	}
	if retention == jetstream.LimitsPolicy {
		err := o.readByConsumer(ctx, stream, from, to, each)
		var refusal *jetstream.APIError
		if !errors.As(err, &refusal) || !slices.Contains(noConsumer, refusal.ErrorCode) {
			return err
		}
	}
	return o.readBySequence(ctx, stream, from, to, each)
}

// readByConsumer reads with a consumer of its own, which is gone afterwards.
func (o *origin) readByConsumer(ctx context.Context, stream string, from, to uint64, each func(*record.View) error) error {
	name := readerName + nuid.Next()
	c, err := o.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Name: name, Description: "weir import reads the stream", DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, InactiveThreshold: time.Minute, Replicas: 1,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = o.js.DeleteConsumer(ctx, stream, name) // it ends by itself, too
	}()
	if c.CachedInfo().NumPending == 0 {
		return nil
	}
	it, err := c.Messages(jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return fmt.Errorf("read messages: %w", err)
	}
	defer it.Stop()
	var v record.View
	for n := uint64(1); ; n++ {
		m, err := nextOf(ctx, c, it)
		if err != nil || m == nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read a delivery's position: %w", err)
		}
		if meta.Sequence.Consumer != n {
			return fmt.Errorf("delivery %d came where %d was expected: messages were lost on their way", meta.Sequence.Consumer, n)
		}
		if meta.Sequence.Stream > to {
			return nil
		}
		v = record.View{
			Seq: meta.Sequence.Stream, Time: meta.Timestamp.UnixNano(), Subject: []byte(m.Subject()),
			Header: headerBlock(m.Headers()), Data: m.Data(),
		}
		if err := each(&v); err != nil {
			return err
		}
		if v.Seq == to || meta.NumPending == 0 {
			return nil
		}
	}
}

// nextOf waits for a message; nil where there is none any more.
func nextOf(ctx context.Context, c jetstream.Consumer, it jetstream.MessagesContext) (jetstream.Msg, error) {
	for {
		wait, cancel := context.WithTimeout(ctx, readIdle)
		m, err := it.Next(jetstream.NextContext(wait))
		cancel()
		switch {
		case err == nil:
			return m, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoHeartbeat):
			return nil, fmt.Errorf("read messages: %w", err)
		}
		info, err := c.Info(ctx)
		if err != nil {
			return nil, fmt.Errorf("look whether there are more messages: %w", err)
		}
		if info.NumPending == 0 {
			return nil, nil
		}
	}
}

// headerBlock writes headers as they travel, in an order of their names. The library
// does not tell in which order they came.
func headerBlock(h nats.Header) []byte {
	if len(h) == 0 {
		return nil
	}
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b := []byte("NATS/1.0\r\n")
	for _, k := range keys {
		for _, value := range h[k] {
			b = append(append(append(append(b, k...), ": "...), value...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// stored is an answer of STREAM.MSG.GET.
type stored struct {
	Message *struct {
		Subject string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Header  []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
		Time    time.Time `json:"time"`
	} `json:"message"`
	Error *jetstream.APIError `json:"error"`
}

// noMessage is the code of an answer to a request for a message that is not there.
const noMessage jetstream.ErrorCode = 10037

// readBySequence asks for each message, many at a time.
func (o *origin) readBySequence(ctx context.Context, stream string, from, to uint64, each func(*record.View) error) error {
	inbox := o.nc.NewInbox()
	sub, err := o.nc.SubscribeSync(inbox + ".*")
	if err != nil {
		return fmt.Errorf("listen for messages: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection may be gone
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("listen for messages: %w", err)
	}
	r := &sequenceReader{origin: o, subject: o.prefix + "STREAM.MSG.GET." + stream, inbox: inbox, sub: sub}
	for from <= to {
		n := min(readWindow, to-from+1)
		found, err := r.window(ctx, from, n, each)
		if err != nil {
			return err
		}
		from += n
		if found || from > to {
			continue
		}
		// A wide gap is crossed with one request.
		next, err := r.next(ctx, from)
		if err != nil || next == 0 {
			return err
		}
		from = next
	}
	return nil
}

type sequenceReader struct {
	*origin
	subject, inbox string
	sub            *nats.Subscription
}

// window reads n sequences and says whether some of them were there.
func (r *sequenceReader) window(ctx context.Context, from, n uint64, each func(*record.View) error) (bool, error) {
	for i := range n {
		body := strconv.AppendUint([]byte(`{"seq":`), from+i, 10)
		if err := r.nc.PublishRequest(r.subject, r.inbox+"."+strconv.FormatUint(i, 10), append(body, '}')); err != nil {
			return false, fmt.Errorf("ask for messages: %w", err)
		}
	}
	answers := make([][]byte, n)
	for range n {
		m, err := r.answer(ctx)
		if err != nil {
			return false, err
		}
		i, err := strconv.ParseUint(m.Subject[len(r.inbox)+1:], 10, 64)
		if err != nil || i >= n || answers[i] != nil {
			return false, fmt.Errorf("an answer that nobody asked for came: %q", m.Subject)
		}
		answers[i] = m.Data
	}
	found := false
	for i, b := range answers {
		v, err := messageOf(b)
		if err != nil {
			return false, err
		}
		if v == nil {
			continue
		}
		if v.Seq != from+uint64(i) {
			return false, fmt.Errorf("message %d came instead of %d", v.Seq, from+uint64(i))
		}
		found = true
		if err := each(v); err != nil {
			return false, err
		}
	}
	return found, nil
}

// next gives the first sequence from here on that is there; 0: none is.
func (r *sequenceReader) next(ctx context.Context, from uint64) (uint64, error) {
	body := fmt.Sprintf(`{"seq":%d,"next_by_subj":">"}`, from)
	if err := r.nc.PublishRequest(r.subject, r.inbox+".0", []byte(body)); err != nil {
		return 0, fmt.Errorf("ask for messages: %w", err)
	}
	m, err := r.answer(ctx)
	if err != nil {
		return 0, err
	}
	v, err := messageOf(m.Data)
	if err != nil || v == nil {
		return 0, err
	}
	return v.Seq, nil
}

func (r *sequenceReader) answer(ctx context.Context) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	m, err := r.sub.NextMsgWithContext(ctx)
	switch {
	case err == nil && noResponders(m):
		return nil, nats.ErrNoResponders
	case err != nil && context.Cause(ctx) != nil:
		return nil, fmt.Errorf("wait for messages: %w", context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("wait for messages: %w", err)
	}
	return m, nil
}

// messageOf reads an answer; nil where the message is not there.
func messageOf(b []byte) (*record.View, error) {
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	switch {
	case s.Error != nil && s.Error.ErrorCode == noMessage:
		return nil, nil
	case s.Error != nil:
		return nil, s.Error
	case s.Message == nil:
		return nil, fmt.Errorf("the server's answer has no message: %q", b)
	}
	m := s.Message
	return &record.View{Seq: m.Seq, Time: m.Time.UnixNano(), Subject: []byte(m.Subject), Header: m.Header, Data: m.Data}, nil
}
