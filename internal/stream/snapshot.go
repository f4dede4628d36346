package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/partition"
)

// Snapshot is a stream as it was at one moment: its configuration, each record that
// was live, and its consumers, all of the same place in the log. The stream goes on
// meanwhile; what is removed from it stays in the snapshot, and on the disk, until
// that is closed. It is used by one goroutine.
type Snapshot struct {
	stream    *Stream
	cut       *partition.Cut
	config    *Config
	consumers []keptConsumer
}

// keptConsumer is a consumer as the ledger encodes it.
type keptConsumer struct{ spec, state []byte }

// Snapshot returns the stream as it is now, which includes every acknowledgement
// that came before the call. Consumers that end with the process are not in it; none
// is if consumers is false. It must be closed.
func (s *Stream) Snapshot(ctx context.Context, consumers bool) (*Snapshot, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	n := &Snapshot{stream: s, cut: s.part.Cut()}
	config, rest, err := takeBlock(n.cut.Ledger)
	if err == nil {
		if len(config) == 0 {
			config = s.spec.Config
		}
		n.config, err = decodeConfig(config)
	}
	if err == nil && consumers {
		err = eachConsumer(rest, func(spec, state []byte) error {
			n.consumers = append(n.consumers, keptConsumer{spec, state})
			return nil
		})
	}
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("take a snapshot of stream %q: %w", s.Name(), err)
	}
	n.config.Restoring = false
	return n, nil
}

// settle waits until what the stream's consumers were told is in the log. What is
// posted to a shard takes effect in the turn of the first call, and is noted before
// that of the second.
func (s *Stream) settle(ctx context.Context) error {
	for range 2 {
		w := newWaiter()
		s.shard.post(event{kind: evCall, call: func(int64) { w.finish() }})
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
	w := newWaiter()
	if err := s.part.Barrier(w.fail); err != nil {
		return nil // the log has failed, and what is in it may still be read
	}
	return w.wait(ctx)
}

// Config is the configuration in force at that moment.
func (n *Snapshot) Config() *Config { return n.config }

// Status sums up the records.
func (n *Snapshot) Status() partition.Status { return n.cut.Status }

// Consumers is how many consumers are in it.
func (n *Snapshot) Consumers() int { return len(n.consumers) }

// Write writes the snapshot as a backup, once. server is named in it for people.
// Where a record cannot be read the error wraps record.ErrDamaged.
func (n *Snapshot) Write(w io.Writer, server string) error {
	st := &n.cut.Status
	out, err := backup.NewWriter(w, &backup.Head{
		Made: time.Now().UnixNano(), Server: server, Stream: encodeConfig(n.config), Created: n.stream.Created(),
		First: st.First, Last: st.Last, LastTime: st.LastTime, Records: st.Records, Bytes: st.Bytes, Consumers: len(n.consumers),
	})
	if err != nil {
		return err
	}
	for _, c := range n.consumers {
		if err := out.Consumer(c.spec, c.state); err != nil {
			return err
		}
	}
	for {
		v, err := n.cut.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err == nil {
			err = out.Record(&v)
		}
		if err != nil {
			return err
		}
	}
}

// Close ends the use of the snapshot.
func (n *Snapshot) Close() { n.cut.Close() }
