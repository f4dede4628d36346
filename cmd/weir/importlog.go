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
)

// logSource is where the messages of one log come from that another kind of server has
// written.
type logSource interface {
	// messages gives all messages in order. Views are valid during the call only. skip is
	// told of damaged records, and leaves them out where it returns nil.
	messages(skip func(damage) error, each func(*record.View) error) error
	// last is the log's last sequence where it is known without its message, else 0.
	last() uint64
	// text names the source.
	text() string
}

// damage is a record that was left out.
type damage struct {
	file string
	at   int64
	err  error
}

func (d damage) String() string { return fmt.Sprintf("%s at %d: %s", d.file, d.at, d.err) }

// logCopy makes a stream of such a log in one go, and compares the two. It is used by one
// goroutine.
type logCopy struct {
	*app
	src          logSource
	dst          *origin
	name, stream string // for people; in weir
	told         *fate
	skipDamaged  bool
	there        bool // weir has the stream from an earlier run

	head  backup.Head
	named map[string]bool // damages that are noted
}

// open connects to weir until done is called.
func (m *logCopy) open(ctx context.Context) (_ context.Context, done func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	nc, js, err := m.connectStreams(nats.ClosedHandler(func(*nats.Conn) { cancel(errLost) }))
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	m.dst = &origin{nc: nc, js: js, prefix: "$JS.API.", timeout: max(m.timeout, snapshotPatience)}
	return ctx, func() {
		nc.Close()
		cancel(nil)
	}, nil
}

// settingsOf asks weir for a stream's settings; nil: it has no such stream.
func (m *logCopy) settingsOf(ctx context.Context, stream string) (*jetstream.StreamConfig, error) {
	var s streamFacts
	err := m.dst.ask(ctx, "STREAM.INFO."+stream, nil, &s)
	var refusal *jetstream.APIError
	switch {
	case errors.As(err, &refusal) && refusal.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return nil, nil
	case errors.Is(err, nats.ErrNoResponders):
		return nil, errors.New("weir's JetStream is off: jetstream {} in its configuration turns it on")
	case err != nil:
		return nil, fmt.Errorf("look whether weir has it: %w", err)
	}
	known := new(jetstream.StreamConfig)
	if err := json.Unmarshal(s.Config, known); err != nil {
		return nil, fmt.Errorf("read its settings: %w", err)
	}
	return known, nil
}

// skip judges a damaged record.
func (m *logCopy) skip(d damage) error {
	if !m.skipDamaged {
		return fmt.Errorf("%s: --skip-damaged leaves it out", d)
	}
	if text := d.String(); !m.named[text] {
		if m.named == nil {
			m.named = map[string]bool{}
		}
		m.named[text] = true
		m.told.note("left out, damaged: %s", text)
	}
	return nil
}

// survey reads all messages once.
func (m *logCopy) survey() error {
	p := m.newProgress(m.asJSON)
	p.what = m.name + ", reading: "
	defer p.clear()
	h := &m.head
	*h = backup.Head{Made: time.Now().UnixNano(), Server: m.src.text(), Created: time.Now().UnixNano(), Foreign: true}
	err := m.src.messages(m.skip, func(v *record.View) error {
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
	h.Last = max(h.Last, m.src.last())
	if h.Records == 0 {
		h.First = h.Last + 1
	}
	m.told.Messages, m.told.Bytes, m.told.FirstSeq, m.told.LastSeq = h.Records, h.Bytes, h.First, h.Last
	return nil
}

// load makes the stream, with a configuration in JetStream's terms.
func (m *logCopy) load(ctx context.Context, config json.RawMessage) (err error) {
	if m.head.Stream, err = json.Marshal(map[string]any{"name": m.stream, "dialect": "jetstream", "doc": config}); err != nil {
		return fmt.Errorf("encode its settings: %w", err)
	}
	return m.makeStream(ctx, &upload{stream: m.stream, config: config, what: m.name, size: int64(m.head.Bytes), write: m.write})
}

// write writes the messages as a backup.
func (m *logCopy) write(w io.Writer) error {
	out, err := backup.NewWriter(w, &m.head)
	if err != nil {
		return err
	}
	if err := m.src.messages(m.skip, out.Record); err != nil {
		return err
	}
	return out.Close()
}

// verify reads the stream back and compares it with the source; c says what may be
// missing. What was published since an earlier run follows; what the limits have removed
// since comes before.
func (m *logCopy) verify(ctx context.Context, c *comparison) error {
	first, err := m.dst.reaches(ctx, m.stream, m.head.Last)
	if err != nil {
		return err
	}
	from := m.head.First
	if m.there {
		from = max(from, first)
	}
	if n := from - m.head.First; n > 0 {
		m.told.note("the first %s are removed by weir's limits", plural(n, "sequence", "sequences"))
	}
	c.now = time.Now()
	p := m.newProgress(m.asJSON)
	p.what = m.name + ", verifying: "
	of := &copied{dst: m.dst, stream: m.stream, first: from, last: m.head.Last, records: m.head.Records, policy: jetstream.LimitsPolicy}
	if err := c.readBack(ctx, of, m.from(from), p); err != nil {
		return err
	}
	m.told.Digest = c.sum.String()
	return c.verdict("the old server")
}

// from gives the messages of the source from a sequence on, one at a time.
func (m *logCopy) from(first uint64) iter.Seq2[*record.View, error] {
	return func(yield func(*record.View, error) bool) {
		err := m.src.messages(m.skip, func(v *record.View) error {
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
