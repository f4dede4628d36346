package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// partitionSource is where a partition comes from: files, or a running server.
type partitionSource interface {
	logSource
	// plan says what would be copied, without a change anywhere.
	plan(ctx context.Context, m *importingPartition) error
	// gather brings here what is not at hand.
	gather(ctx context.Context, m *importingPartition) error
	// remarks are what reading all messages has shown.
	remarks() []string
	// done is told that all is in weir, and verified.
	done() error
	// close ends the use of what gather has opened.
	close() error
}

// importingPartition is the import of one partition. It is used by one goroutine.
type importingPartition struct {
	logCopy
	flags *importLiftFlags
	of    *liftStream
	old   partitionSource
	out   *importedPartition
	set   wire.Settings
	// unproven: weir has it, and it was never compared whole.
	unproven bool
}

func newImportingPartition(a *app, f *importLiftFlags, s *liftStream, k int32) *importingPartition {
	m := &importingPartition{flags: f, of: s, old: s.source(k), set: s.Settings}
	m.set.Partition, m.set.Compact = k, *s.Compacts
	m.set.Encryption, m.set.ReplicationFactor, m.set.MinISR = false, 1, 0
	m.out = &importedPartition{Stream: s.Name, Partition: k, Name: m.set.StreamName()}
	m.logCopy = logCopy{app: a, src: m.old, name: m.out.label(s.Partitions), stream: m.out.Name, told: &m.out.fate, skipDamaged: f.skipDamaged}
	return m
}

// outcome is part of copying.
func (m *importingPartition) outcome() *fate { return &m.out.fate }

// run does the import, or what is left of it.
func (m *importingPartition) run(ctx context.Context) error {
	err := m.copy(ctx)
	m.of.failed = m.of.failed || err != nil
	return err
}

func (m *importingPartition) copy(ctx context.Context) (err error) {
	if !wire.ValidName(m.set.Name) {
		return errors.New("weir's streams cannot have this name")
	}
	m.tell()
	if m.flags.dryRun {
		return m.old.plan(ctx, m)
	}
	if m.set.Partition == 0 && m.of.failed {
		return errors.New("it is made when its other partitions are there")
	}
	ctx, done, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	if m.there, err = m.has(ctx); err != nil {
		return err
	}
	m.out.There = m.there && !m.unproven
	defer func() { err = errors.Join(err, m.old.close()) }()
	if err := m.old.gather(ctx, m); err != nil {
		return err
	}
	if err := m.survey(); err != nil {
		return err
	}
	if err := m.removeLeft(ctx); err != nil {
		return err
	}
	if !m.there {
		if err := m.make(ctx); err != nil {
			return err
		}
	}
	if err := m.compare(ctx); err != nil {
		return err
	}
	if err := m.carryCursors(ctx); err != nil {
		return err
	}
	m.out.Verified = true
	return m.old.done()
}

// survey reads everything once.
func (m *importingPartition) survey() error {
	if err := m.logCopy.survey(); err != nil {
		return err
	}
	m.out.Notes = append(m.out.Notes, m.old.remarks()...)
	return nil
}

// tell notes in what the copy differs.
func (m *importingPartition) tell() {
	m.out.Cursors = len(m.of.cursors[m.set.Partition])
	if m.of.Paused[m.set.Partition] {
		m.out.note("it was paused: here it takes messages")
	}
	if m.of.ReadOnly[m.set.Partition] {
		m.out.note("it was read-only: set that again, with SetStreamReadonly, when the import is over")
	}
	if m.of.Encryption {
		m.out.note("it was encrypted by itself: weir encrypts all streams, or none (docs/encryption.md)")
	}
}

// metaUnproven marks a stream that was made by an import and not compared with its source
// yet: limits have to wait for that.
const metaUnproven = "weir.import"

// config is what the stream is made with, or what it gets once it is proven.
func (m *importingPartition) config(proven bool) (json.RawMessage, error) {
	unlimited := func(n int64) int64 {
		if n <= 0 || !proven {
			return -1
		}
		return n
	}
	set, age, window := m.set, time.Duration(0), dedupWindow
	set.Compact = set.Compact && proven
	if proven && *m.of.MaxAge > 0 {
		age = *m.of.MaxAge
		window = min(window, age)
	}
	meta := set.Metadata()
	if !proven {
		meta[metaUnproven] = "unproven"
	}
	return json.Marshal(map[string]any{
		"name": m.stream, "subjects": []string{wire.PartitionSubject(set.Subject, set.Partition)}, "retention": "limits", "storage": "file",
		"num_replicas": 1, "allow_direct": true, "max_consumers": -1, "max_msgs_per_subject": -1, "max_msg_size": -1,
		"max_msgs": unlimited(*m.of.MaxMessages), "max_bytes": unlimited(*m.of.MaxBytes), "max_age": age, "duplicate_window": window,
		"metadata": meta,
	})
}

// dedupWindow is in which time messages with one id are one, in Liftbridge's streams.
const dedupWindow = 2 * time.Minute

// has says whether weir has the partition. Another stream in its way is an error.
func (m *importingPartition) has(ctx context.Context) (bool, error) {
	known, err := m.settingsOf(ctx, m.stream)
	if err != nil {
		return false, err
	}
	if known != nil {
		if !wire.SameStream(known.Metadata, m.set.Metadata()) {
			return false, fmt.Errorf("weir has a stream %s that is not this one", m.stream)
		}
		m.unproven = known.Metadata[metaUnproven] != ""
		return true, nil
	}
	// One of another number of partitions has other names.
	other := wire.EscapeName(m.set.Name)
	if m.set.Partitions == 1 {
		other = wire.PartitionName(m.set.Name, 0)
	}
	if known, err = m.settingsOf(ctx, other); err != nil || known == nil {
		return false, err
	}
	if set, err := wire.ReadSettings(known.Metadata); err == nil && set.Name == m.set.Name && set.Partitions == m.set.Partitions {
		return false, nil // its other partitions are there
	}
	return false, fmt.Errorf("weir has a stream %s that is not this one", other)
}

// removeLeft removes the partition from weir where its stream is not there yet, and what
// an earlier run has made of it is not all any more. What is all of it stays.
func (m *importingPartition) removeLeft(ctx context.Context) error {
	if !m.there || m.set.Partition == 0 {
		return nil
	}
	st, err := m.dst.state(ctx, m.stream)
	if err != nil {
		return fmt.Errorf("look at what an earlier run has made: %w", err)
	}
	first, err := m.settingsOf(ctx, wire.PartitionName(m.set.Name, 0))
	if first != nil || err != nil || st.LastSeq == m.head.Last && st.Msgs == m.head.Records {
		return err
	}
	if err := m.dst.ask(ctx, "STREAM.DELETE."+m.stream, nil, new(struct{})); err != nil {
		return fmt.Errorf("remove what an earlier run has made: %w", err)
	}
	m.there, m.out.There = false, false
	return nil
}

// make makes the stream in weir, without limits.
func (m *importingPartition) make(ctx context.Context) error {
	config, err := m.config(false)
	if err != nil {
		return fmt.Errorf("encode its settings: %w", err)
	}
	m.unproven = true
	return m.load(ctx, config)
}

// compare holds the stream against its source. Once it was the same, limits come into
// force, and messages may be missing.
func (m *importingPartition) compare(ctx context.Context) error {
	c := &comparison{thinned: !m.unproven}
	if err := m.verify(ctx, c); err != nil {
		return err
	}
	if c.gone > 0 {
		m.out.note("%s are removed by weir's limits, or compaction", plural(c.gone, "message", "messages"))
	}
	if !m.unproven {
		return nil
	}
	config, err := m.config(true)
	if err != nil {
		return fmt.Errorf("encode its settings: %w", err)
	}
	if err := m.dst.ask(ctx, "STREAM.UPDATE."+m.stream, config, new(streamFacts)); err != nil {
		return fmt.Errorf("set its limits: %w", err)
	}
	return nil
}

// carryCursors sets the partition's cursors, but for those that are set in weir.
func (m *importingPartition) carryCursors(ctx context.Context) error {
	all := m.of.cursors[m.set.Partition]
	for _, id := range slices.Sorted(maps.Keys(all)) {
		offset := all[id]
		var got jswire.CursorResponse
		q := &jswire.CursorRequest{Stream: m.set.Name, Partition: m.set.Partition, Cursor: id, Offset: &offset, Keep: true}
		err := m.setCursor(ctx, q, &got)
		switch {
		case err != nil:
			return fmt.Errorf("set the cursor %s: %w", id, err)
		case got.Error != nil && got.Error.ErrCode == jswire.CodeGroupNoCursors:
			m.out.note("%s are left out: cursors are turned off in weir", plural(uint64(len(all)), "cursor", "cursors"))
			m.out.Cursors = 0
			return nil
		case got.Error != nil:
			return fmt.Errorf("set the cursor %s: %w", id, got.Error)
		case got.Kept && got.Offset != nil && *got.Offset != offset:
			m.out.note("cursor %s is at %d in weir, and stays there; it was at %d", id, *got.Offset, offset)
		}
	}
	return nil
}

func (m *importingPartition) setCursor(ctx context.Context, q *jswire.CursorRequest, got *jswire.CursorResponse) error {
	b, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode it: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.dst.timeout)
	defer cancel()
	answer, err := m.dst.nc.RequestWithContext(ctx, jswire.CursorPrefix+string(jswire.CursorSet), b)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer.Data, got); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
