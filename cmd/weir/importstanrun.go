package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	wire "github.com/weirmq/weir/internal/wire/stan"
)

// channelSource is where a channel comes from: files, or a running server.
type channelSource interface {
	logSource
	// plan says what would be copied, without a change anywhere.
	plan(ctx context.Context, m *importingChannel) error
	// gather brings here what is not at hand.
	gather(ctx context.Context, m *importingChannel) error
	// durables gives what the durables had, and how many subscriptions were none.
	durables(skip func(damage) error) (all []*wire.Adoption, passing int, err error)
	// done is told that all is in weir, and verified.
	done() error
	// close ends the use of what gather has opened.
	close() error
}

// importingChannel is the import of one channel. It is used by one goroutine.
type importingChannel struct {
	logCopy
	flags    *importStanFlags
	old      channelSource
	out      *importedChannel
	durables []*wire.Adoption
}

// streamOfChannel is the name of a channel's stream: the channel's, with a percent sign
// and two hexadecimal digits for bytes that a stream's name may not have.
func streamOfChannel(channel string) string { return wire.StreamName(channel) }

// run does the import, or what is left of it.
func (m *importingChannel) run(ctx context.Context) (err error) {
	if !wire.ValidChannel(m.name) {
		return errors.New("it is no name of a channel")
	}
	if m.flags.dryRun {
		return m.old.plan(ctx, m)
	}
	ctx, done, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	if m.there, err = m.has(ctx); err != nil {
		return err
	}
	m.out.There = m.there
	defer func() { err = errors.Join(err, m.old.close()) }()
	if err := m.old.gather(ctx, m); err != nil {
		return err
	}
	if err := m.survey(); err != nil {
		return err
	}
	if !m.there {
		config, err := m.config()
		if err != nil {
			return fmt.Errorf("encode its settings: %w", err)
		}
		if err := m.load(ctx, config); err != nil {
			return err
		}
	}
	if err := m.verify(ctx, new(comparison)); err != nil {
		return err
	}
	if err := m.adoptSessions(ctx); err != nil {
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

// survey reads everything once.
func (m *importingChannel) survey() error {
	if err := m.logCopy.survey(); err != nil {
		return err
	}
	var err error
	passing := 0
	if m.durables, passing, err = m.old.durables(m.skip); err != nil {
		return err
	}
	m.tell(m.durables, passing)
	return nil
}

// tell notes what there is beside messages.
func (m *importingChannel) tell(durables []*wire.Adoption, passing int) {
	for _, q := range durables {
		if q.Durable != "" {
			m.out.Durables = append(m.out.Durables, durableName(q))
		}
	}
	if passing > 0 {
		m.out.note("%s without a durable name: their clients subscribe again", plural(uint64(passing), "subscription", "subscriptions"))
	}
}

// config is what the stream is made with. The limits that weir is configured with
// come into force when it first uses the channel.
func (m *importingChannel) config() (json.RawMessage, error) {
	return json.Marshal(map[string]any{
		"name": m.stream, "description": "channel " + m.name, "storage": "file", "num_replicas": 1, "allow_direct": true,
		"max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msgs_per_subject": -1, "max_msg_size": -1,
		"metadata": wire.ChannelMetadata(m.name, m.flags.cluster),
	})
}

// has says whether weir has the channel's stream. Another stream of the name is an
// error.
func (m *importingChannel) has(ctx context.Context) (bool, error) {
	known, err := m.settingsOf(ctx, m.stream)
	if known == nil || err != nil {
		return false, err
	}
	want := wire.ChannelMetadata(m.name, m.flags.cluster)
	for key, v := range want {
		if known.Metadata[key] != v {
			return false, fmt.Errorf("weir has a stream %s that is not this channel", m.stream)
		}
	}
	return true, nil
}
