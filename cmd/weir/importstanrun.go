package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// channelSource is where a channel comes from: files, or a running server.
type channelSource interface {
	// plan says what would be copied, without a change anywhere.
	plan(ctx context.Context, m *importingChannel) error
	// gather brings here what is not at hand.
	gather(ctx context.Context, m *importingChannel) error
	// messages gives all messages in order. Views are valid during the call only. skip is
	// told of damaged records, and leaves them out where it returns nil.
	messages(skip func(damage) error, each func(*record.View) error) error
	// durables gives what the durables had, and how many subscriptions were none.
	durables(skip func(damage) error) (all []*wire.Adoption, passing int, err error)
	// last is the channel's last sequence where it is known without its message, else 0.
	last() uint64
	// done is told that all is in weir, and verified.
	done() error
	// close ends the use of what gather has opened.
	close() error
	// text names the source.
	text() string
}

// importingChannel is the import of one channel. It is used by one goroutine.
type importingChannel struct {
	*app
	flags *importStanFlags
	old   channelSource
	name  string
	out   *importedChannel
	dst   *origin

	durables []*wire.Adoption
	head     backup.Head
	named    map[string]bool // damages that are noted
}

// streamOfChannel is the name of a channel's stream: the channel's, with a percent sign
// and two hexadecimal digits for bytes that a stream's name may not have.
func streamOfChannel(channel string) string { return wire.StreamName(channel) }

// run does the import, or what is left of it.
func (m *importingChannel) run(ctx context.Context) (err error) {
	m.named = map[string]bool{}
	if !wire.ValidChannel(m.name) {
		return errors.New("it is no name of a channel")
	}
	if m.flags.dryRun {
		return m.old.plan(ctx, m)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	nc, js, err := m.connectStreams(nats.ClosedHandler(func(*nats.Conn) { cancel(errLost) }))
	if err != nil {
		return err
	}
	defer nc.Close()
	m.dst = &origin{nc: nc, js: js, prefix: "$JS.API.", timeout: max(m.timeout, snapshotPatience)}
	if m.out.There, err = m.there(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.old.close()) }()
	if err := m.old.gather(ctx, m); err != nil {
		return err
	}
	if err := m.survey(); err != nil {
		return err
	}
	if !m.out.There {
		if err := m.load(ctx); err != nil {
			return err
		}
	}
	if err := m.verify(ctx); err != nil {
		return err
	}
	for _, q := range m.durables {
		if err := m.adopt(ctx, q); err != nil {
			return err
		}
	}
	m.out.Verified = true
	return m.old.done()
}

// outcome is part of copying.
func (m *importingChannel) outcome() *fate { return &m.out.fate }

// skip judges a damaged record.
func (m *importingChannel) skip(d damage) error {
	if !m.flags.skipDamaged {
		return fmt.Errorf("%s: --skip-damaged leaves it out", d)
	}
	if text := d.String(); !m.named[text] {
		m.named[text] = true
		m.out.note("left out, damaged: %s", text)
	}
	return nil
}

// survey reads everything once.
func (m *importingChannel) survey() error {
	p := m.newProgress(m.asJSON)
	p.what = m.name + ", reading: "
	defer p.clear()
	h := &m.head
	*h = backup.Head{Made: time.Now().UnixNano(), Server: m.old.text(), Created: time.Now().UnixNano(), Foreign: true}
	h.Last = m.old.last()
	err := m.old.messages(m.skip, func(v *record.View) error {
		if h.Records == 0 {
			h.First = v.Seq
		}
		h.Records++
		h.Bytes += v.Size()
		h.Last, h.LastTime = max(h.Last, v.Seq), v.Time
		p.show(h.Records, h.Bytes)
		return nil
	})
	if err != nil {
		return err
	}
	if h.Records == 0 {
		h.First = h.Last + 1
	}
	passing := 0
	if m.durables, passing, err = m.old.durables(m.skip); err != nil {
		return err
	}
	m.tell(m.durables, passing)
	m.out.Messages, m.out.Bytes, m.out.FirstSeq, m.out.LastSeq = h.Records, h.Bytes, h.First, h.Last
	return nil
}

// tell notes what there is beside messages.
func (m *importingChannel) tell(durables []*wire.Adoption, passing int) {
	for _, q := range durables {
		m.out.Durables = append(m.out.Durables, durableName(q))
	}
	if passing > 0 {
		m.out.note("%s without a durable name: their clients subscribe again", plural(uint64(passing), "subscription", "subscriptions"))
	}
}

// config is what the stream is made with. The limits that weir is configured with
// come into force when it first uses the channel.
func (m *importingChannel) config() (json.RawMessage, error) {
	return json.Marshal(map[string]any{
		"name": m.out.Stream, "description": "channel " + m.name, "storage": "file", "num_replicas": 1, "allow_direct": true,
		"max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msgs_per_subject": -1, "max_msg_size": -1,
		"metadata": wire.ChannelMetadata(m.name, m.flags.cluster),
	})
}

// there says whether weir has the channel's stream. Another stream of the name is an
// error.
func (m *importingChannel) there(ctx context.Context) (bool, error) {
	var s streamFacts
	err := m.dst.ask(ctx, "STREAM.INFO."+m.out.Stream, nil, &s)
	var refusal *jetstream.APIError
	switch {
	case errors.As(err, &refusal) && refusal.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return false, nil
	case errors.Is(err, nats.ErrNoResponders):
		return false, errors.New("weir's JetStream is off: jetstream {} in its configuration turns it on")
	case err != nil:
		return false, fmt.Errorf("look whether weir has it: %w", err)
	}
	var known jetstream.StreamConfig
	if err := json.Unmarshal(s.Config, &known); err != nil {
		return false, fmt.Errorf("read its settings: %w", err)
	}
	want := wire.ChannelMetadata(m.name, m.flags.cluster)
	for key, v := range want {
		if known.Metadata[key] != v {
			return false, fmt.Errorf("weir has a stream %s that is not this channel", m.out.Stream)
		}
	}
	return true, nil
}

// load makes the stream of what the old store has.
func (m *importingChannel) load(ctx context.Context) error {
	config, err := m.config()
	if err != nil {
		return fmt.Errorf("encode its settings: %w", err)
	}
	if m.head.Stream, err = json.Marshal(map[string]any{"name": m.out.Stream, "dialect": "jetstream", "doc": config}); err != nil {
		return fmt.Errorf("encode its settings: %w", err)
	}
	return m.makeStream(ctx, &upload{stream: m.out.Stream, config: config, what: m.name, size: int64(m.head.Bytes), write: m.write})
}

// write writes the messages as a backup.
func (m *importingChannel) write(w io.Writer) error {
	out, err := backup.NewWriter(w, &m.head)
	if err != nil {
		return err
	}
	if err := m.old.messages(m.skip, out.Record); err != nil {
		return err
	}
	return out.Close()
}

// verify reads the stream back and compares it with the old store. What was published
// since an earlier run follows; what the limits have removed since comes before.
func (m *importingChannel) verify(ctx context.Context) error {
	first, err := m.dst.reaches(ctx, m.out.Stream, m.head.Last)
	if err != nil {
		return err
	}
	from := m.head.First
	if m.out.There {
		from = max(from, first)
	}
	if n := from - m.head.First; n > 0 {
		m.out.note("the first %s are removed by weir's limits", plural(n, "sequence", "sequences"))
	}
	c := &comparison{now: time.Now()}
	p := m.newProgress(m.asJSON)
	p.what = m.name + ", verifying: "
	of := &copied{dst: m.dst, stream: m.out.Stream, first: from, last: m.head.Last, records: m.head.Records, policy: jetstream.LimitsPolicy}
	if err := c.readBack(ctx, of, m.from(from), p); err != nil {
		return err
	}
	m.out.Digest = c.sum.String()
	return c.verdict("the old server")
}

// from gives the messages of the old store from a sequence on, one at a time.
func (m *importingChannel) from(first uint64) iter.Seq2[*record.View, error] {
	return func(yield func(*record.View, error) bool) {
		err := m.old.messages(m.skip, func(v *record.View) error {
			if v.Seq >= first && !yield(v, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(nil, err)
		}
	}
}
