package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"github.com/weirmq/weir/internal/wire/liftbridge/store"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// livePartition is a partition of a running server.
type livePartition struct {
	*liftServer
	of    *store.Stream
	meta  *pb.PartitionMetadata
	spool *spool
	until uint64 // the last sequence, when all was gathered
	later int64  // offsets behind that, which the old server gives nobody yet
	// resume has it resumed where it is paused.
	resume bool
}

func (p *livePartition) text() string { return "Liftbridge, " + p.flags.from }
func (p *livePartition) last() uint64 { return p.until }

// remarks implements partitionSource.
func (p *livePartition) remarks() []string {
	if p.later <= 0 {
		return nil
	}
	return []string{fmt.Sprintf("the old server has %s behind the last one that it has committed, and gives them to nobody: they are not in the copy (publish there once more, or import its directory)",
		plural(uint64(p.later), "message", "messages"))}
}

// look asks for the partition's last sequence.
func (p *livePartition) look(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	api, err := p.leaderOf(p.meta)
	if err != nil {
		return err
	}
	m, err := api.FetchPartitionMetadata(ctx, &pb.FetchPartitionMetadataRequest{Stream: p.of.Name, Partition: p.meta.Id})
	if status.Code(err) == codes.FailedPrecondition && p.meta.Paused {
		return errPaused
	}
	if err != nil {
		return fmt.Errorf("look at it: %w", plainStatus(err))
	}
	committed := max(m.Metadata.HighWatermark, -1)
	p.until, p.later = uint64(committed+1), m.Metadata.NewestOffset-committed
	return nil
}

var errPaused = errors.New("it is paused at the old server: --resume-paused has it resumed")

// ready is look, where the partition may have to be resumed before.
func (p *livePartition) ready(ctx context.Context) error {
	err := p.look(ctx)
	if !errors.Is(err, errPaused) || !p.resume {
		return err
	}
	s, err := p.subscribe(ctx, &pb.SubscribeRequest{Resume: true})
	if err != nil {
		return fmt.Errorf("resume it: %w", err)
	}
	s.cancel()
	return p.look(ctx)
}

// plan implements partitionSource.
func (p *livePartition) plan(ctx context.Context, m *importingPartition) error {
	if err := p.look(ctx); err != nil {
		return err
	}
	m.out.Messages, m.out.LastSeq = p.until, p.until
	if p.until > 0 {
		m.out.FirstSeq = 1
	}
	m.out.Notes = append(m.out.Notes, p.remarks()...)
	m.out.note("how many messages limits and compaction have removed the old server does not tell: there may be fewer")
	return nil
}

// all gives what the partition has now.
func (p *livePartition) all(ctx context.Context, each func(*pb.Message)) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	r := &liftGathering{livePartition: p, take: func(m *pb.Message) error {
		each(m)
		return nil
	}}
	return r.upTo(ctx, p.until)
}

// gather implements partitionSource. What is there from an earlier run stays.
func (p *livePartition) gather(ctx context.Context, m *importingPartition) (err error) {
	of := spooled{From: p.flags.from, Stream: m.name, Created: time.Unix(0, p.of.Created)}
	if p.spool, err = openSpool(filepath.Join(p.flags.work, m.stream), of); err != nil {
		return err
	}
	bar := m.newProgress(m.asJSON)
	bar.what = m.name + ", gathering: "
	defer bar.clear()
	t := &liftTaking{livePartition: p, progress: &bar, n: p.spool.records(), view: viewer{subject: wire.PartitionSubject(p.of.Subject, p.meta.Id)}}
	r := &liftGathering{livePartition: p, take: t.take}
	if err := t.recall(); err != nil {
		return err
	}
	r.at, r.again = t.last.Seq, t.last.Seq > 0
	for round := 0; ; round++ {
		if err := p.ready(ctx); err != nil {
			return err
		}
		if r.at >= p.until {
			break
		}
		if round == rounds {
			m.out.note("it is written to: %s since are not in the copy", plural(p.until-r.at, "offset", "offsets"))
			p.until = r.at
			break
		}
		err := r.upTo(ctx, p.until)
		// What has come is kept, whatever has ended the reading.
		if err := errors.Join(err, p.spool.flush()); err != nil {
			return fmt.Errorf("gather messages: %w", err)
		}
	}
	if r.at > p.until {
		return fmt.Errorf("the old server ends at offset %d, and %d were gathered: remove %s to begin anew", int64(p.until)-1, r.at, p.spool.dir)
	}
	return nil
}

// liftGathering reads a partition in order.
type liftGathering struct {
	*livePartition
	take  func(*pb.Message) error
	at    uint64 // sequence of the last one that was taken, or is known to be missing
	again bool   // that one is to come once more
}

// upTo takes what is behind the last one, until a sequence that was there.
func (r *liftGathering) upTo(ctx context.Context, until uint64) error {
	for r.at < until {
		err := r.run(ctx, until)
		switch {
		case errors.Is(err, errOver):
			r.at = until // what is missing is gone
		case errors.Is(err, errQuiet):
			if err := r.none(ctx); err != nil {
				return err
			}
			r.at = until
		case err != nil:
			return err
		}
	}
	return nil
}

// run takes what one subscription brings.
func (r *liftGathering) run(ctx context.Context, until uint64) error {
	from := r.at
	if r.again {
		from--
	}
	s, err := r.subscribe(ctx, &pb.SubscribeRequest{
		StartPosition: pb.StartPosition_OFFSET, StartOffset: int64(from), StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: int64(until) - 1,
	})
	if err != nil {
		return err
	}
	defer s.cancel()
	for r.at < until {
		m, err := s.next()
		if err != nil {
			return err
		}
		seq := uint64(m.Offset) + 1
		if m.Offset < 0 || seq < r.at || seq == r.at && !r.again {
			return fmt.Errorf("offset %d came behind offset %d", m.Offset, int64(r.at)-1)
		}
		if err := r.take(m); err != nil {
			return err
		}
		r.at, r.again = seq, false
	}
	return nil
}

// none makes sure that there is no message behind the last one, where none has come: the
// newest one is asked for.
func (r *liftGathering) none(ctx context.Context) error {
	s, err := r.subscribe(ctx, &pb.SubscribeRequest{StartPosition: pb.StartPosition_LATEST})
	if err != nil {
		return err
	}
	defer s.cancel()
	m, err := s.next()
	switch {
	case errors.Is(err, errQuiet), errors.Is(err, errOver):
		return nil
	case err != nil:
		return err
	case uint64(m.Offset) >= r.at:
		return fmt.Errorf("the old server sends nothing behind offset %d, and has offset %d", int64(r.at)-1, m.Offset)
	}
	return nil
}

// liftTaking puts messages into a spool.
type liftTaking struct {
	*livePartition
	progress *progress
	view     viewer
	n        uint64      // messages that are there
	last     record.View // the last one of an earlier run; it has to be the old server's still
	checked  bool
}

// recall finds what an earlier run has gathered last.
func (t *liftTaking) recall() error {
	parts := t.spool.parts
	if len(parts) == 0 {
		return nil
	}
	return eachOf(parts[len(parts)-1].file, func(v *record.View) error {
		t.last = record.View{Seq: v.Seq, Time: v.Time, Header: bytes.Clone(v.Header), Data: bytes.Clone(v.Data)}
		t.view.at = v.Time
		return nil
	})
}

// take takes a message over.
func (t *liftTaking) take(m *pb.Message) error {
	headers := make([]wire.Header, 0, len(m.Headers))
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		headers = append(headers, wire.Header{Name: []byte(name), Value: m.Headers[name]})
	}
	t.view.header = nil // the spool keeps what it is given
	v := t.view.view(m.Offset, m.Timestamp, m.Key, m.Value, headers)
	if !t.checked {
		t.checked = true
		if v.Seq == t.last.Seq {
			if v.Time != t.last.Time || !bytes.Equal(v.Data, t.last.Data) || !bytes.Equal(v.Header, t.last.Header) {
				return fmt.Errorf("offset %d is another message than in %s: remove that to begin anew", m.Offset, t.spool.dir)
			}
			return nil
		}
	}
	t.n++
	t.progress.showCount(t.n, max(t.n, t.until))
	return t.spool.add(v)
}

// messages implements logSource.
func (p *livePartition) messages(_ func(damage) error, each func(*record.View) error) error {
	return p.spool.each(each)
}

// done implements partitionSource.
func (p *livePartition) done() error {
	if p.flags.keep {
		return nil
	}
	return p.spool.remove()
}

// close implements partitionSource.
func (p *livePartition) close() error {
	if p.spool == nil {
		return nil
	}
	return p.spool.close()
}
