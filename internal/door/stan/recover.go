package stan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
)

// recover reads what is stored: clients, channels, and their subscriptions.
func (d *Door) recover(ctx context.Context) error {
	if err := d.openStore(ctx); err != nil {
		return err
	}
	if err := d.readClients(); err != nil {
		return err
	}
	for _, s := range d.dir.List(d.space.Name()) {
		name, ok := channelOf(s)
		if !ok {
			continue
		}
		if d.ours(s) && s.Config().Memory {
			// A channel in memory ends with the process, as its sequences do.
			if err := d.dir.Drop(ctx, s); err != nil {
				return fmt.Errorf("drop channel %q of an earlier run: %w", name, err)
			}
			continue
		}
		if err := d.readChannel(ctx, name, s); err != nil {
			return fmt.Errorf("channel %q: %w", name, err)
		}
	}
	return nil
}

// openStore finds or makes the stream of the clients. One in memory begins anew.
func (d *Door) openStore(ctx context.Context) error {
	s := d.dir.Find(d.space.Name(), d.storeName())
	if s != nil && (s.Config().Memory || d.o.Memory) {
		if err := d.dir.Drop(ctx, s); err != nil {
			return fmt.Errorf("drop the clients of an earlier run: %w", err)
		}
		s = nil
	}
	if s == nil {
		var err error
		if s, err = d.dir.Create(ctx, d.space.Name(), d.storeConfig()); err != nil {
			return fmt.Errorf("make the stream of clients: %w", err)
		}
	}
	d.store = s
	return nil
}

// readClients lets those clients be found that were connected.
func (d *Door) readClients() error {
	p := d.store.Partition()
	r := p.Reader(p.First())
	defer r.Close()
	for {
		v, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, record.ErrDamaged):
			d.log.Error("client lost", "error", err)
			continue
		case err != nil:
			return fmt.Errorf("read clients: %w", err)
		}
		var c clientRecord
		if err := json.Unmarshal(v.Data, &c); err != nil {
			d.log.Error("client lost", "client", string(v.Subject), "error", err)
			continue
		}
		d.admit(c, v.Seq)
	}
}

// readChannel makes a channel of its stream.
func (d *Door) readChannel(ctx context.Context, name string, s *stream.Stream) error {
	ch := d.newChannel(name)
	ch.stream = s
	ch.state.Store(channelOpen)
	close(ch.ready)
	d.list(ch)
	if err := d.configure(ctx, name, s); err != nil {
		return err
	}
	for _, c := range s.Consumers() {
		doc, ok := c.Native().(*subscription)
		if !ok || doc.Channel != name {
			continue
		}
		if err := d.readGroup(ctx, ch, c, doc); err != nil {
			return fmt.Errorf("subscription %q: %w", c.Name(), err)
		}
	}
	if ch.active == 0 {
		d.watchIdle(ch)
	}
	return nil
}

// configure gives a channel's stream the limits that are configured now, if the door
// made it, or an import for it. One that is stored elsewhere than the door stores now
// stays as it is.
func (d *Door) configure(ctx context.Context, name string, s *stream.Stream) error {
	want := d.config(name)
	if !d.ours(s) || s.Config().Memory != want.Memory || alike(s.Config(), &want) {
		return nil
	}
	if err := s.Update(ctx, want); err != nil {
		return fmt.Errorf("apply the configured limits: %w", err)
	}
	d.log.Info("channel configured anew", "channel", name)
	return nil
}

// alike says whether a stream is configured as its channel is.
func alike(have, want *stream.Config) bool {
	return have.Limits == want.Limits && len(have.Subjects) == len(want.Subjects) && (have.Republish == nil) == (want.Republish == nil)
}

// readGroup makes a group of a consumer. Members whose client was not connected are
// gone: without them a durable stays, another subscription does not.
func (d *Door) readGroup(ctx context.Context, ch *channel, c *stream.Consumer, doc *subscription) error {
	g := newGroup(ch, c, doc)
	live := doc
	for _, m := range doc.Members {
		if d.client(m.Client) == nil {
			live = live.without(m.ID)
		}
	}
	if len(live.Members) == 0 && !live.IsDurable {
		return ch.stream.DeleteConsumer(ctx, c)
	}
	if len(live.Members) != len(doc.Members) {
		if err := g.update(ctx, live); err != nil {
			return err
		}
	}
	ch.groups[g.name] = g
	ch.stored += live.stored()
	for _, m := range live.Members {
		d.attach(&member{receiver: m, group: g}, d.client(m.Client))
	}
	return nil
}

// resume lets what is subscribed go on: messages that were not acknowledged in time
// go first. Clients are taken to be there until they miss heartbeats.
func (d *Door) resume() {
	d.mu.RLock()
	members := map[*group][]uint32{}
	for _, m := range d.inboxes {
		members[m.group] = append(members[m.group], m.ID)
	}
	subscribed := len(d.inboxes)
	clients := make([]*client, 0, len(d.clients))
	for _, c := range d.clients {
		clients = append(clients, c)
	}
	d.mu.RUnlock()
	for g, ids := range members {
		g.consumer.Attend(ids...)
	}
	for _, c := range clients {
		d.clock.set(c.beat, d.o.HeartbeatInterval)
	}
	if len(clients) > 0 {
		d.log.Info("streaming clients recovered", "clients", len(clients), "subscriptions", subscribed)
	}
}
