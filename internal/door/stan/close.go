package stan

import (
	"errors"

	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/stan"
	"golang.org/x/sync/errgroup"
)

// close ends a session and returns the text of what is wrong, empty for nothing. It
// runs on the client's lane.
func (d *Door) close(id string) string {
	c := d.client(id)
	if c == nil {
		return wire.UnknownClient
	}
	return d.leave(c)
}

// leave ends a client's session: its durable subscriptions stay, without it. It runs
// on the client's lane.
func (d *Door) leave(c *client) string {
	d.mu.Lock()
	c.gone.Store(true)
	if d.clients[c.ID] == c {
		delete(d.clients, c.ID)
	}
	if id := string(c.ConnID); d.conns[id] == c {
		delete(d.conns, id)
	}
	d.mu.Unlock()
	members := d.membersOf(c)
	d.clock.clear(c.beat)
	ctx, cancel := d.context()
	defer cancel()
	var g errgroup.Group
	g.SetLimit(closers)
	g.Go(func() error {
		err := d.store.Delete(ctx, c.seq)
		if errors.Is(err, stream.ErrNotFound) {
			return nil
		}
		return err
	})
	for _, m := range members {
		g.Go(func() error {
			ch := m.group.channel
			defer ch.take()()
			if m.gone.Load() {
				return nil
			}
			return d.remove(ctx, m, false)
		})
	}
	if err := g.Wait(); err != nil {
		d.log.Error("client not closed as a whole", "client", c.ID, "error", err)
		return err.Error()
	}
	d.log.Debug("client closed", "client", c.ID)
	return ""
}
