package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// A stream that is being restored is in the catalog, so that a crash leaves nothing
// that nobody knows of, but it captures nothing and nobody finds it. The entry that
// takes Config.Restoring away makes it a stream like any other, all at once. A start
// drops those that have not come so far.

// Restoration is a stream that is being made from a backup. It ends by Fill or by
// Abort. It is used by one goroutine.
type Restoration struct {
	dir    *Directory
	stream *Stream
	config Config
	// Consumer checks and may change the configuration of each consumer that the
	// backup has; nil: they stay as they are.
	Consumer func(*ConsumerConfig) error
}

// Restore begins to make a stream of a backup, with a configuration that may be
// another one than that in the backup. It returns when the name and the subjects are
// taken for it. Errors are those of Create.
func (d *Directory) Restore(ctx context.Context, account string, c Config) (*Restoration, error) {
	done, err := d.reserveName(ctx, account, c.Name)
	if err != nil {
		return nil, err
	}
	defer done()
	c.Restoring = true
	c.First = 0 // the backup's sequences count
	spec := meta.Spec{
		ID: d.o.Catalog.NextID(), Incarnation: 1, Account: account, Name: c.Name,
		Created: time.Now().UnixNano(), Config: encodeConfig(&c),
	}
	s, err := d.open(spec)
	if err != nil {
		return nil, err
	}
	if err := d.reserveSubjects(account, s, c.captures()); err != nil {
		d.o.Opener.Drop(&spec, s.part)
		return nil, err
	}
	if err := d.reserveOrigins(s, &c); err != nil {
		d.releaseSubjects(s)
		d.o.Opener.Drop(&spec, s.part)
		return nil, err
	}
	defer d.releaseOrigins(s)
	if err := d.o.Catalog.Create(ctx, spec, s); err != nil {
		d.releaseSubjects(s)
		if errors.Is(err, meta.ErrExists) {
			d.o.Opener.Drop(&spec, s.part)
			return nil, ErrExists
		}
		return nil, fmt.Errorf("restore stream %q: %w", c.Name, err)
	}
	return &Restoration{dir: d, stream: s, config: c}, nil
}

// Fill reads a backup and makes the stream of it, which others find when Fill
// returns. After an error nothing is left.
func (r *Restoration) Fill(ctx context.Context, in *backup.Reader) (*Stream, error) {
	f := filler{Restoration: r, ctx: ctx, in: in}
	err := f.fill()
	if err == nil {
		err = f.finish()
	}
	if err != nil {
		r.Abort()
		return nil, err
	}
	return r.stream, nil
}

// abortTimeout bounds the wait for the log when a restoration is given up. The next
// start makes up for it.
const abortTimeout = 10 * time.Second

// Abort removes what is there of the stream.
func (r *Restoration) Abort() {
	ctx, cancel := context.WithTimeout(context.Background(), abortTimeout)
	defer cancel()
	if err := r.dir.o.Catalog.Drop(ctx, r.stream.spec.ID); err != nil {
		r.dir.log.Warn("restored part of a stream stays until a restart", "stream", r.config.Name, "account", r.stream.Account(), "error", err)
	}
	r.dir.releaseSubjects(r.stream)
}

// Bounds of what a restoration hands to the log at once, and of how much of that is
// under way.
const (
	fillBytes   = 512 << 10
	fillRecords = 8 << 10
	fillAhead   = 4
)

// filler hands a backup to the log.
type filler struct {
	*Restoration
	ctx     context.Context
	in      *backup.Reader
	area    record.Area
	places  []record.Place
	nextID  uint64
	pending []*waiter
}

func (f *filler) fill() error {
	for {
		it, err := f.in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return f.flush()
		case err != nil:
			return err
		case it.Spec != nil:
			err = f.consumer(&it)
		default:
			err = f.record(&it.Record)
		}
		if err != nil {
			return err
		}
	}
}

func (f *filler) record(v *record.View) error {
	if f.area.Buf == nil {
		f.area.Buf = record.NewArea(fillBytes)
	}
	parts := v.Parts()
	if parts.HasID || f.in.Head().Foreign {
		f.derive(v, &parts)
	}
	f.area.Append(&parts)
	f.places = append(f.places, record.Place{Seq: v.Seq, Time: v.Time})
	if len(f.area.Buf) < fillBytes && f.area.Len() < fillRecords {
		return nil
	}
	return f.flush()
}

// derive reads the record's headers anew. The message's id is hashed with the
// stream's identity; those that the window has passed are not needed any more. Of
// records of another server the headers say the rest, too: what they replaced is gone.
func (f *filler) derive(v *record.View, parts *record.Parts) {
	head := f.in.Head()
	var c partition.Conditions
	f.stream.dialect.Conditions(f.stream, v.Subject, v.Header, &c)
	parts.ID, parts.HasID = c.ID, c.HasID && v.Time >= head.LastTime-f.config.Limits.DedupWindow
	if head.Foreign {
		parts.TTL, parts.Marked = c.TTL, c.Marked
	}
}

func (f *filler) flush() error {
	if f.area.Len() == 0 {
		return nil
	}
	area, places := f.area, f.places
	f.area, f.places = record.Area{}, nil
	return f.propose(func(w *waiter) error { return f.stream.part.Refill(&area, places, w.fail) })
}

// propose hands an entry to the log and waits for an earlier one.
func (f *filler) propose(hand func(*waiter) error) error {
	w := newWaiter()
	if err := hand(w); err != nil {
		return err
	}
	f.pending = append(f.pending, w)
	return f.await(fillAhead)
}

// await waits until only so many entries are under way.
func (f *filler) await(most int) error {
	for len(f.pending) > most {
		w := f.pending[0]
		f.pending = f.pending[1:]
		if err := w.wait(f.ctx); err != nil {
			return err
		}
	}
	return nil
}

// consumer makes a consumer as the backup has it.
func (f *filler) consumer(it *backup.Item) error {
	var spec consumerSpec
	if err := json.Unmarshal(it.Spec, &spec); err != nil {
		return fmt.Errorf("consumer: %w: %w", record.ErrDamaged, err)
	}
	if _, err := consumer.DecodeState(it.State); err != nil {
		return fmt.Errorf("consumer %q: %w: %w", spec.Config.Name, record.ErrDamaged, err)
	}
	if f.Consumer != nil {
		if err := f.Consumer(&spec.Config); err != nil {
			return fmt.Errorf("consumer %q: %w", spec.Config.Name, err)
		}
	}
	if _, err := f.stream.openConsumer(&spec.Config); err != nil {
		return fmt.Errorf("consumer %q: %w", spec.Config.Name, err)
	}
	f.nextID++
	spec.ID, spec.Update, spec.State = f.nextID, false, it.State
	data, err := json.Marshal(&spec)
	if err != nil {
		return fmt.Errorf("encode consumer %q: %w", spec.Config.Name, err)
	}
	return f.propose(func(w *waiter) error { return f.stream.part.Propose(record.KindConsumerSet, true, w, data) })
}

// finish makes the stream one like any other.
func (f *filler) finish() error {
	s, head, p := f.stream, f.in.Head(), f.stream.part
	err := f.propose(func(w *waiter) error { return p.RefillEnd(head.Last, head.LastTime, w.fail) })
	if err == nil {
		err = f.await(0)
	}
	if err != nil {
		return err
	}
	if last := p.Committed(); last != head.Last {
		return fmt.Errorf("the log ends at %d instead of %d", last, head.Last)
	}
	c := f.config
	c.Restoring = false
	doc := encodeConfig(&c)
	w := newWaiter()
	if err := p.ProposeLimits(c.Limits, doc, w); err != nil {
		return err
	}
	if err := w.wait(f.ctx); err != nil {
		return err
	}
	if err := f.dir.o.Catalog.Reconfigure(f.ctx, s.spec.ID, doc); err != nil {
		return fmt.Errorf("note it in the catalog: %w", err)
	}
	f.dir.restored(s)
	return nil
}

// restored shows a stream whose restoration is over.
func (d *Directory) restored(s *Stream) {
	s.closed.Store(false)
	d.mu.Lock()
	delete(d.restoring, [2]string{s.Account(), s.Name()})
	d.addLocked(s)
	d.mu.Unlock()
	s.revive()
	s.attach()
	s.wake()
	d.releaseSubjects(s)
}

// settleRestored sorts the streams out whose restoration was under way when the
// server stopped: those that came to its end are streams. The others are dropped by
// dropUnrestored.
func (d *Directory) settleRestored() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, s := range d.restoring {
		if s.Config().Restoring {
			d.unrestored = append(d.unrestored, s)
			continue
		}
		s.closed.Store(false)
		delete(d.restoring, k)
		d.addLocked(s)
	}
	if len(d.unrestored) > 0 {
		d.wantReap()
	}
}

// dropUnrestored drops the streams that are there and will never be restored.
func (d *Directory) dropUnrestored(ctx context.Context) {
	d.mu.Lock()
	left := d.unrestored
	d.unrestored = nil
	d.mu.Unlock()
	for _, s := range left {
		if err := d.o.Catalog.Drop(ctx, s.spec.ID); err != nil {
			d.log.Warn("restored part of a stream stays until a restart", "stream", s.Name(), "account", s.Account(), "error", err)
			continue
		}
		d.log.Info("restored part of a stream removed", "stream", s.Name(), "account", s.Account())
	}
}
