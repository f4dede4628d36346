package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// How long a snapshot waits for its receiver to listen, and to answer a chunk.
const (
	interestTimeout = 2 * time.Second
	interestLook    = 10 * time.Millisecond
	flowTimeout     = 5 * time.Second
)

// Why a snapshot ends early.
var (
	errNoInterest = errors.New("nobody listens for the snapshot")
	errNoFlow     = errors.New("the receiver of the snapshot does not answer")
)

// errBusy says that no more transfers may run.
const errBusy = "too many snapshots and restores at a time: try again when one is over"

// streamSnapshot answers with the state of a snapshot, and has it sent then.
func streamSnapshot(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodeSnapshot(c.body)
	if werr != nil {
		return nil, werr
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	snap, err := s.Snapshot(c.ctx, !r.NoConsumers)
	if err != nil {
		return nil, c.failed(wire.CodeStreamSnapshot, err)
	}
	cfg := new(wire.StreamConfig)
	if err := json.Unmarshal(snap.Config().Doc, cfg); err != nil {
		snap.Close()
		return nil, c.failed(wire.CodeStreamSnapshot, err)
	}
	state := stateOf(s.Partition(), snap.Status(), snap.Consumers())
	answered := make(chan struct{})
	c.after = func() { close(answered) }
	t := &sending{
		transfer: c.newTransfer(c.Stream), state: &state, snap: snap, deliver: []byte(r.DeliverSubject), window: r.Window(),
		prefix: wire.SnapshotAckPrefix(c.Stream, nuid.Next()), chunk: make([]byte, 0, r.ChunkSize),
		open: map[int]struct{}{}, wake: make(chan struct{}, 1),
	}
	if !c.dir.Transfer(c.space.Name(), func(ctx context.Context) {
		<-answered
		t.run(ctx, s)
	}) {
		snap.Close()
		return nil, wire.ErrWith(wire.CodeStreamSnapshot, "err", errBusy)
	}
	return &wire.SnapshotResponse{
		Response: c.Kind.Head(nil), Config: cfg, State: state,
	}, nil
}

// sending is a snapshot on its way to a client. One goroutine uses it, but for the
// answers of the client.
type sending struct {
	// Set at construction.
	transfer
	state   *wire.StreamState
	snap    *stream.Snapshot
	deliver []byte
	prefix  string
	window  int // chunks
	wake    chan struct{}

	// Only run.
	ctx       context.Context
	publisher *broker.Publisher
	chunk     []byte
	sent      int
	reply     []byte

	mu   sync.Mutex
	open map[int]struct{} // chunks that are not answered; guarded by mu
}

// run sends the snapshot and says how it ended.
func (t *sending) run(ctx context.Context, s *stream.Stream) {
	defer t.snap.Close()
	t.snapshotBegins(t.state)
	space := t.api.space
	t.ctx, t.publisher = ctx, broker.NewPublisher(space, broker.PublisherOptions{Echo: true})
	defer t.publisher.Release()
	acks := &broker.Subscription{Subject: t.prefix + ">", Kind: broker.KindService, Sink: t}
	space.Subscribe(acks)
	defer space.Unsubscribe(acks)
	err := t.interest()
	if err == nil {
		packer := backup.Packer(t)
		if err = t.snap.Write(packer, t.api.o.ServerName); err == nil {
			err = packer.Close()
		}
	}
	if err == nil && len(t.chunk) > 0 {
		t.publish(&broker.Message{Data: t.chunk})
	}
	if err != nil {
		t.api.log.Warn("snapshot not sent", "stream", s.Name(), "account", s.Account(), "chunks", t.sent, "error", err)
	}
	t.publish(&broker.Message{Header: t.ending(err)})
	t.snapshotEnds(err)
}

// ending is the header of the last message; none where there was a single chunk, as
// clients know it.
func (t *sending) ending(err error) []byte {
	st := wire.StatusSnapshotDone
	switch {
	case err == nil && t.sent == 0:
		return nil
	case err == nil:
	case errors.Is(err, errNoInterest):
		st = wire.StatusSnapshotNoInterest
	case errors.Is(err, errNoFlow):
		st = wire.StatusSnapshotNoFlow
	default:
		st = wire.StatusSnapshotFailed(err.Error())
	}
	return wire.AppendStatus(nil, st)
}

// interest waits until the receiver listens: clients subscribe once they have the
// answer. Others listen to more than the subject, as a client does for all its
// answers, and may not be the receiver: they get the snapshot if nobody else comes.
func (t *sending) interest() error {
	if t.received() {
		return nil
	}
	look, patience := time.NewTicker(interestLook), time.NewTimer(interestTimeout)
	defer look.Stop()
	defer patience.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return fmt.Errorf("the server stops: %w", t.ctx.Err())
		case <-patience.C:
			if t.api.space.Interested(t.deliver) {
				return nil
			}
			return errNoInterest
		case <-look.C:
			if t.received() {
				return nil
			}
		}
	}
}

// received says whether there is a subscription to the very subject.
func (t *sending) received() bool {
	return slices.ContainsFunc(t.api.space.Match(t.deliver).Plain, func(s *broker.Subscription) bool {
		return s.Subject == string(t.deliver)
	})
}

// Write makes the receiver an io.Writer that takes the backup in chunks.
func (t *sending) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(len(b), cap(t.chunk)-len(t.chunk))
		t.chunk = append(t.chunk, b[:k]...)
		b = b[k:]
		if len(t.chunk) < cap(t.chunk) {
			continue
		}
		if err := t.send(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// send sends a full chunk when the window has room for it.
func (t *sending) send() error {
	if err := t.room(); err != nil {
		return err
	}
	t.sent++
	t.mu.Lock()
	t.open[t.sent] = struct{}{}
	t.mu.Unlock()
	t.reply = wire.AppendSnapshotAck(t.reply[:0], t.prefix, len(t.chunk), t.sent)
	if t.publish(&broker.Message{Reply: t.reply, Data: t.chunk}) {
		return errNoInterest
	}
	t.chunk = t.chunk[:0]
	return nil
}

// publish sends a message to the receiver. It says whether nobody was there.
func (t *sending) publish(m *broker.Message) (nobody bool) {
	m.Subject = t.deliver
	res := t.publisher.Publish(m)
	t.publisher.HandOver()
	return res.Nobody()
}

// room waits until less than a window is not answered.
func (t *sending) room() error {
	var patience *time.Timer
	for {
		t.mu.Lock()
		n := len(t.open)
		t.mu.Unlock()
		if n < t.window {
			return t.ctx.Err()
		}
		if patience == nil {
			patience = time.NewTimer(flowTimeout)
			defer patience.Stop()
		}
		select {
		case <-t.wake:
		case <-patience.C:
			return errNoFlow
		case <-t.ctx.Done():
			return fmt.Errorf("the server stops: %w", t.ctx.Err())
		}
	}
}

// OpenStage makes the transfer a broker.Sink, for the answers to its chunks.
func (t *sending) OpenStage(*broker.Publisher) broker.Stage { return t }

// Add implements broker.Stage. Many publishers may call it.
func (t *sending) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	number, ok := wire.ParseSnapshotAck(m.Subject)
	if !ok {
		return broker.Gone
	}
	t.mu.Lock()
	delete(t.open, number)
	t.mu.Unlock()
	return broker.Staged
}

// HandOver implements broker.Stage.
func (t *sending) HandOver() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}
