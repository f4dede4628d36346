package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// sendAhead is how many bytes of an object are on their way at a time. The library's
// own Put sends on without a bound, which a server that syncs what it stores refuses.
const sendAhead = 4 << 20

// sender stores one object: its pieces under a name of their own, then what says that
// they are the object, then it removes those of the object that was there before.
type sender struct {
	js     jetstream.JetStream // for the pieces
	stream jetstream.Stream
	store  string
	wait   time.Duration // for an acknowledgement

	mu    sync.Mutex
	first error // guarded by mu: of a piece that was not stored
}

func newSender(ctx context.Context, js jetstream.JetStream, store string, chunk int64, wait time.Duration) (*sender, error) {
	s := &sender{store: store, wait: max(wait, 30*time.Second)}
	var err error
	s.js, err = jetstream.New(js.Conn(),
		jetstream.WithPublishAsyncMaxPending(int(max(sendAhead/chunk, 1))), jetstream.WithPublishAsyncTimeout(s.wait),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { s.failed(err) }))
	if err == nil {
		s.stream, err = js.Stream(ctx, "OBJ_"+store)
	}
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", store, err)
	}
	return s, nil
}

func (s *sender) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = err
	}
}

func (s *sender) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// put stores what in gives. old is the object that is there; nil: none. After an error
// the store has what it had.
func (s *sender) put(ctx context.Context, meta jetstream.ObjectMeta, old *jetstream.ObjectInfo, in io.Reader) (*jetstream.ObjectInfo, error) {
	info := &jetstream.ObjectInfo{ObjectMeta: meta, Bucket: s.store, NUID: nuid.Next()}
	err := s.pieces(ctx, info, in)
	if err == nil {
		err = s.publishInfo(ctx, info)
	}
	if err != nil {
		return nil, errors.Join(err, s.forget(ctx, info.NUID))
	}
	if old != nil && old.NUID != "" && !old.Deleted {
		if err := s.forget(ctx, old.NUID); err != nil {
			return nil, fmt.Errorf("it is stored, but the pieces of the one before are still there: %w", err)
		}
	}
	return info, nil
}

// pieces stores the object's bytes and sums them up in info.
func (s *sender) pieces(ctx context.Context, info *jetstream.ObjectInfo, in io.Reader) error {
	sum := sha256.New()
	for last := false; !last; {
		piece := make([]byte, info.Opts.ChunkSize)
		n, err := io.ReadFull(in, piece)
		if last = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !last {
			return fmt.Errorf("read what is to be stored: %w", err)
		}
		if n == 0 {
			continue
		}
		if err := errors.Join(context.Cause(ctx), s.err()); err != nil {
			return err
		}
		sum.Write(piece[:n])
		m := &nats.Msg{Subject: "$O." + s.store + ".C." + info.NUID, Data: piece[:n]}
		if _, err := s.js.PublishMsgAsync(m, jetstream.WithStallWait(s.wait)); err != nil {
			return fmt.Errorf("send a piece: %w", err)
		}
		info.Size += uint64(n)
		info.Chunks++
	}
	info.Digest = jetstream.GetObjectDigestValue(sum)
	select {
	case <-s.js.PublishAsyncComplete():
		return s.err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// publishInfo makes the pieces the object of that name.
func (s *sender) publishInfo(ctx context.Context, info *jetstream.ObjectInfo) error {
	b, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode what the object is: %w", err)
	}
	m := nats.NewMsg("$O." + s.store + ".M." + base64.URLEncoding.EncodeToString([]byte(info.Name)))
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	m.Data = b
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("store what the object is: %w", err)
	}
	return nil
}

// forget removes pieces.
func (s *sender) forget(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.wait)
	defer cancel()
	if s.js.Conn().IsClosed() {
		return nil // the connection is what failed
	}
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject("$O."+s.store+".C."+id)); err != nil {
		return fmt.Errorf("remove pieces: %w", err)
	}
	return nil
}
