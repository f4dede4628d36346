package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// uploadTimeout is how long an upload may pause.
const uploadTimeout = 5 * time.Second

// maxUploaded bounds the bytes that are uploaded and not restored yet, for senders
// that do not wait for answers.
const maxUploaded = 32 << 20

var (
	errUploadPaused = errors.New("the upload paused for too long")
	errUploadFlood  = errors.New("too much was uploaded without waiting for answers")
)

// streamRestore takes the stream's name and says where its snapshot is to be
// uploaded.
func streamRestore(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodeRestore(c.Stream, c.body)
	if werr != nil {
		return nil, werr
	}
	if c.dir.Find(c.space.Name(), c.Stream) != nil {
		return nil, wire.Err(wire.CodeStreamNameExistRestore)
	}
	if werr := r.Config.Check(c.streamOptions(&r.Config)); werr != nil {
		return nil, werr
	}
	cfg := &r.Config.StreamConfig
	if werr := checkRestoredPartitions(cfg); werr != nil {
		return nil, werr
	}
	if werr := c.checkMaxBytes(cfg); werr != nil {
		return nil, werr
	}
	done, werr := c.roomForStream(cfg)
	if werr != nil {
		return nil, werr
	}
	defer done()
	neutral := c.neutral(cfg)
	if c.o.Restored != nil {
		if err := c.o.Restored(&neutral); err != nil {
			return nil, wire.ErrWith(wire.CodeStreamInvalidConfig, "err", err.Error())
		}
	}
	res, err := c.dir.Restore(c.ctx, c.space.Name(), neutral)
	switch {
	case errors.Is(err, stream.ErrExists):
		return nil, wire.Err(wire.CodeStreamNameExistRestore)
	case errors.Is(err, stream.ErrOverlap):
		return nil, wire.Err(wire.CodeSubjectOverlap)
	case errors.Is(err, stream.ErrCycle):
		return nil, wire.ErrWith(wire.CodeStreamInvalidConfig, "err", stream.ErrCycle.Error())
	case err != nil:
		return nil, c.failed(wire.CodeStreamRestore, err)
	}
	res.Consumer = func(n *stream.ConsumerConfig) error { return checkRestored(n, cfg) }
	u := &upload{transfer: c.newTransfer(c.Stream), kind: c.Kind, restoration: res, arrived: make(chan struct{}, 1)}
	sub := &broker.Subscription{Subject: wire.RestoreSubject(c.Stream, nuid.Next()), Kind: broker.KindService, Sink: u}
	c.space.Subscribe(sub)
	if !c.dir.Transfer(c.space.Name(), func(ctx context.Context) { u.run(ctx, sub) }) {
		c.space.Unsubscribe(sub)
		res.Abort()
		return nil, wire.ErrWith(wire.CodeStreamRestore, "err", errBusy)
	}
	u.restoreBegins()
	return &wire.RestoreResponse{Response: c.Kind.Head(nil), DeliverSubject: sub.Subject}, nil
}

// checkRestored holds a consumer of a snapshot to what one that is created is held to.
func checkRestored(n *stream.ConsumerConfig, of *wire.StreamConfig) error {
	cfg := new(wire.ConsumerConfig)
	if err := json.Unmarshal(n.Doc, cfg); err != nil {
		return fmt.Errorf("read its configuration: %w", err)
	}
	if err := cfg.Check(wire.ConsumerOptions{Stream: of}); err != nil {
		return err
	}
	if cfg.KnownName() == "" || cfg.KnownName() != n.Name {
		return fmt.Errorf("its configuration is that of %q", cfg.KnownName())
	}
	checked := neutralConsumer(nil, cfg)
	checked.Start, checked.LastPerSubject, checked.SkipTo, checked.Local = n.Start, n.LastPerSubject, n.SkipTo, false
	*n = checked
	return nil
}

// upload is a snapshot on its way from a client. One goroutine uses it, but for what
// arrives.
type upload struct {
	// Set at construction.
	transfer
	kind        wire.Kind
	restoration *stream.Restoration
	arrived     chan struct{}

	// Only run.
	ctx   context.Context
	reply string // whom to tell that the present chunk was taken
	rest  []byte // of the present chunk
	ended bool
	bytes int64 // that came

	mu sync.Mutex
	// Guarded by mu.
	chunks []chunk
	size   int
	flood  bool
}

type chunk struct {
	reply string
	data  []byte
}

// weight is what the chunk counts against maxUploaded: an empty one takes memory, too.
func (c *chunk) weight() int { return len(c.reply) + len(c.data) + 64 }

// run restores what is uploaded and tells the client how that ended.
func (u *upload) run(ctx context.Context, sub *broker.Subscription) {
	u.ctx = ctx
	in, err := backup.NewReader(u)
	var s *stream.Stream
	if err == nil {
		s, err = u.restoration.Fill(ctx, in)
	} else {
		u.restoration.Abort()
	}
	u.api.space.Unsubscribe(sub)
	u.restoreEnds(u.bytes)
	if err != nil {
		u.api.log.Warn("stream not restored", "stream", u.name, "account", u.api.space.Name(), "error", err)
		u.answer(wire.KindStreamCreate.ErrorBody(restoreError(err)))
		return
	}
	u.api.log.Info("stream restored", "stream", u.name, "account", u.api.space.Name(), "bytes", in.Offset())
	u.created()
	u.answer(wire.Encode(&wire.StreamCreateResponse{
		Response: wire.KindStreamCreate.Head(nil), StreamInfo: u.api.streamInfo(s, false),
	}))
}

func restoreError(err error) *wire.Error {
	if errors.Is(err, partition.ErrNoSpace) {
		return wire.Err(wire.CodeStorageResourcesExceeded)
	}
	return wire.ErrWith(wire.CodeStreamRestore, "err", err.Error())
}

// answer replies to whoever uploaded the present chunk.
func (u *upload) answer(body []byte) {
	if u.reply != "" {
		u.api.space.Publish(&broker.Message{Subject: []byte(u.reply), Data: body})
		u.reply = ""
	}
}

// Read makes the upload an io.Reader. A chunk is answered when all of it was read; an
// empty one is the end, and is answered by run.
func (u *upload) Read(b []byte) (int, error) {
	for len(u.rest) == 0 {
		if u.ended {
			return 0, io.EOF
		}
		u.answer(nil)
		c, err := u.next()
		if err != nil {
			return 0, err
		}
		u.reply, u.rest, u.ended = c.reply, c.data, len(c.data) == 0
		u.bytes += int64(len(c.data))
	}
	n := copy(b, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// next waits for a chunk.
func (u *upload) next() (chunk, error) {
	var patience *time.Timer
	for {
		u.mu.Lock()
		if u.flood {
			u.mu.Unlock()
			return chunk{}, errUploadFlood
		}
		if len(u.chunks) > 0 {
			c := u.chunks[0]
			u.chunks[0] = chunk{}
			u.chunks = u.chunks[1:]
			u.size -= c.weight()
			u.mu.Unlock()
			return c, nil
		}
		u.mu.Unlock()
		if patience == nil {
			patience = time.NewTimer(uploadTimeout)
			defer patience.Stop()
		}
		select {
		case <-u.arrived:
		case <-patience.C:
			return chunk{}, errUploadPaused
		case <-u.ctx.Done():
			return chunk{}, fmt.Errorf("the server stops: %w", u.ctx.Err())
		}
	}
}

// OpenStage makes the upload a broker.Sink.
func (u *upload) OpenStage(*broker.Publisher) broker.Stage { return u }

// Add implements broker.Stage. Many publishers may call it; whoever uploads uses one.
func (u *upload) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := chunk{string(m.Reply), slices.Clone(m.Data)}
	if u.flood || u.size+c.weight() > maxUploaded {
		u.flood = true
		u.chunks, u.size = nil, 0
		return broker.Gone
	}
	u.chunks = append(u.chunks, c)
	u.size += c.weight()
	return broker.Staged
}

// HandOver implements broker.Stage.
func (u *upload) HandOver() {
	select {
	case u.arrived <- struct{}{}:
	default:
	}
}
