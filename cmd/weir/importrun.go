package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/record"
)

// importing is the import of one stream. It is used by one goroutine.
type importing struct {
	*app
	flags *importFlags
	src   *origin
	dst   *origin
	info  *streamFacts // as it was at the beginning
	out   *imported

	doc     settings
	sealed  bool
	spool   *spool
	state   jetstream.StreamState // of the source, when all was gathered
	deleted map[uint64]struct{}   // gathered, and deleted at the source since
	found   []*consumerFacts
	carried []*carried
	head    backup.Head
}

// run does the import, or what is left of it.
func (m *importing) run(ctx context.Context) (err error) {
	if m.doc, m.sealed, err = planStream(m.info, m.flags.without, m.out.note); err != nil {
		return err
	}
	if m.flags.dryRun {
		return m.plan(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	nc, js, err := m.connectStreams(nats.ClosedHandler(func(*nats.Conn) { cancel(errLost) }))
	if err != nil {
		return err
	}
	defer nc.Close()
	m.dst = &origin{nc: nc, js: js, prefix: "$JS.API.", timeout: max(m.timeout, snapshotPatience)}
	there, err := m.there(ctx)
	if err != nil {
		return err
	}
	if m.spool, err = openSpool(m.dir(), spooled{From: redact(m.flags.from), Stream: m.info.Name(), Created: m.info.Created}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.spool.close()) }()
	m.out.Resumed = m.spool.records()
	if there && m.out.Resumed == 0 && m.info.State.Msgs > 0 {
		return errors.Join(fmt.Errorf("weir has a stream of this name: `weir stream rm %s` removes it", m.info.Name()), m.spool.remove())
	}
	if err := m.gather(ctx); err != nil {
		return err
	}
	if err := m.survey(ctx); err != nil {
		return err
	}
	if !there {
		if err := m.load(ctx); err != nil {
			return err
		}
	}
	return m.finish(ctx)
}

// outcome is part of copying.
func (m *importing) outcome() *fate { return &m.out.fate }

// progressOf shows how far a phase is.
func (m *importing) progressOf(phase string) progress {
	p := m.newProgress(m.asJSON)
	p.what = m.info.Name() + ", " + phase + ": "
	return p
}

// dir is where the stream's messages are gathered.
func (m *importing) dir() string { return filepath.Join(m.flags.work, m.info.Name()) }

// plan says what would be copied.
func (m *importing) plan(ctx context.Context) error {
	st := &m.info.State
	m.out.Messages, m.out.Bytes = st.Msgs, st.Bytes
	if err := m.listConsumers(ctx); err != nil {
		return err
	}
	for _, c := range m.found {
		doc, err := planConsumer(c, m.out.note)
		if err != nil {
			return err
		}
		if doc != nil {
			m.out.Consumers = append(m.out.Consumers, c.Name)
		}
	}
	return nil
}

func (m *importing) listConsumers(ctx context.Context) error {
	if m.flags.noConsumers {
		return nil
	}
	all, err := m.src.consumers(ctx, m.info.Name())
	if err != nil {
		return fmt.Errorf("list its consumers: %w", err)
	}
	m.found = slices.DeleteFunc(all, func(c *consumerFacts) bool { return strings.HasPrefix(c.Name, readerName) })
	return nil
}

// there says whether weir has the stream already.
func (m *importing) there(ctx context.Context) (bool, error) {
	_, err := m.dst.state(ctx, m.info.Name())
	var refusal *jetstream.APIError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &refusal) && refusal.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return false, nil
	}
	return false, fmt.Errorf("look whether weir has it: %w", err)
}

// rounds is how often what came meanwhile is gathered, too.
const rounds = 10

// gather brings all messages into the spool that are not there yet.
func (m *importing) gather(ctx context.Context) error {
	p := m.progressOf("gathering")
	defer p.clear()
	have, name := m.spool.last(), m.info.Name()
	for round := 0; ; round++ {
		var err error
		if m.state, err = m.src.state(ctx, name); err != nil {
			return fmt.Errorf("look at it: %w", err)
		}
		if have >= m.state.LastSeq {
			break
		}
		if round == rounds {
			m.out.note("it is written to: %s since are not in the copy", plural(m.state.LastSeq-have, "sequence", "sequences"))
			m.state.LastSeq = have
			break
		}
		n := m.spool.records()
		err = m.src.read(ctx, name, max(have+1, m.state.FirstSeq), m.state.LastSeq, m.info.known.Retention, func(v *record.View) error {
			n++
			p.showCount(n, max(n, m.state.Msgs))
			return m.spool.add(v)
		})
		// What has come is kept, whatever has ended the reading.
		if err := errors.Join(err, m.spool.flush()); err != nil {
			return fmt.Errorf("gather messages: %w", err)
		}
		have = m.state.LastSeq
	}
	return m.listConsumers(ctx)
}

// survey sums up what was gathered, and finds what the consumers had.
func (m *importing) survey(ctx context.Context) error {
	now := time.Now().UnixNano()
	var exact map[string]*waiting
	if slices.ContainsFunc(m.found, func(c *consumerFacts) bool { return c.known.Durable != "" && c.NumAckPending > 0 }) {
		// Without it positions are what the API tells, and the notes say what that costs.
		exact, _ = m.learn(ctx)
	}
	for _, c := range m.found {
		doc, err := planConsumer(c, m.out.note)
		if err != nil {
			return err
		}
		if doc != nil {
			m.carried = append(m.carried, carry(c, doc, m.state.LastSeq, exact[c.Name]))
			m.out.Consumers = append(m.out.Consumers, c.Name)
		}
	}
	if err := m.findDeleted(ctx); err != nil {
		return err
	}
	h := &m.head
	*h = backup.Head{
		Made: now, Server: redact(m.flags.from), Created: m.info.Created.UnixNano(), Foreign: true,
		Last: m.state.LastSeq, LastTime: m.state.LastTime.UnixNano(), Consumers: len(m.carried),
	}
	if m.state.LastTime.IsZero() {
		h.LastTime = 0
	}
	var err error
	if h.Stream, err = json.Marshal(map[string]any{"name": m.info.Name(), "dialect": "jetstream", "doc": m.doc}); err != nil {
		return fmt.Errorf("encode its settings: %w", err)
	}
	err = m.each(func(v *record.View) error {
		if h.Records == 0 {
			h.First = v.Seq
		}
		h.Records++
		h.Bytes += v.Size()
		h.LastTime = max(h.LastTime, v.Time)
		for _, c := range m.carried {
			c.see(v, now)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if h.Records == 0 {
		h.First = h.Last + 1
	}
	for _, c := range m.carried {
		c.settle(m.out.note)
	}
	m.out.Messages, m.out.Bytes, m.out.FirstSeq, m.out.LastSeq = h.Records, h.Bytes, h.First, h.Last
	return nil
}

// findDeleted finds what was deleted at the source after it was gathered, where the
// counts say that something was.
func (m *importing) findDeleted(ctx context.Context) error {
	n, err := m.count()
	if err != nil || n == m.state.Msgs {
		return err
	}
	var s streamFacts
	if err := m.src.ask(ctx, "STREAM.INFO."+m.info.Name(), map[string]bool{"deleted_details": true}, &s); err != nil {
		return fmt.Errorf("%d messages were gathered where the source has %d, and it does not say which were deleted since (%w): remove %s to begin anew",
			n, m.state.Msgs, err, m.dir())
	}
	m.deleted = make(map[uint64]struct{}, len(s.State.Deleted))
	for _, seq := range s.State.Deleted {
		m.deleted[seq] = struct{}{}
	}
	m.state.FirstSeq = max(m.state.FirstSeq, s.State.FirstSeq)
	if n, err = m.count(); err != nil {
		return err
	}
	if s.State.LastSeq == m.state.LastSeq && n != s.State.Msgs {
		return fmt.Errorf("%d messages were gathered where the source has %d: remove %s to begin anew", n, s.State.Msgs, m.dir())
	}
	return nil
}

// count is how many messages each gives.
func (m *importing) count() (n uint64, err error) {
	p := m.spool.parts
	if len(p) == 0 || len(m.deleted) == 0 && p[0].first >= m.state.FirstSeq && m.spool.last() <= m.state.LastSeq {
		return m.spool.records(), nil
	}
	err = m.each(func(*record.View) error { n++; return nil })
	return n, err
}

// each gives what was gathered and is still at the source.
func (m *importing) each(do func(*record.View) error) error {
	return m.spool.each(func(v *record.View) error {
		if _, gone := m.deleted[v.Seq]; gone || v.Seq < m.state.FirstSeq || v.Seq > m.state.LastSeq {
			return nil
		}
		return do(v)
	})
}

// load makes the stream in weir.
func (m *importing) load(ctx context.Context) error {
	config, err := json.Marshal(m.doc)
	if err != nil {
		return fmt.Errorf("encode its settings: %w", err)
	}
	u := &upload{stream: m.info.Name(), config: config, what: m.info.Name(), write: m.write}
	for _, p := range m.spool.parts {
		u.size += p.size
	}
	return m.makeStream(ctx, u)
}

// write writes what was gathered as one backup.
func (m *importing) write(w io.Writer) error {
	out, err := backup.NewWriter(w, &m.head)
	if err != nil {
		return err
	}
	for i, c := range m.carried {
		spec, state, err := c.spec(i + 1)
		if err == nil {
			err = out.Consumer(spec, state)
		}
		if err != nil {
			return err
		}
	}
	if err := m.each(out.Record); err != nil {
		return err
	}
	return out.Close()
}

// finish verifies the copy, seals it where the source is, and removes what was
// gathered.
func (m *importing) finish(ctx context.Context) error {
	if err := m.verify(ctx); err != nil {
		return err
	}
	if err := m.compareConsumers(ctx); err != nil {
		return err
	}
	if m.sealed {
		m.doc["sealed"] = json.RawMessage("true")
		if err := m.dst.ask(ctx, "STREAM.UPDATE."+m.info.Name(), m.doc, new(streamFacts)); err != nil {
			return fmt.Errorf("seal it: %w", err)
		}
	}
	m.out.Verified = true
	if m.flags.keep {
		return nil
	}
	return m.spool.remove()
}
