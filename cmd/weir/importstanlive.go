package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// oldServer is a running NATS Streaming server.
type oldServer struct {
	nc      *nats.Conn
	session *oldSession
	monitor *oldMonitor // nil: none was named
	cluster string
	flags   *importStanFlags
	quiet   time.Duration // nothing more comes after so long
}

// oldQuiet is how long the old server may take to send what it has.
const oldQuiet = 5 * time.Second

// importStanFrom copies channels from a running server.
func (a *app) importStanFrom(ctx context.Context, f *importStanFlags) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &oldServer{flags: f, cluster: f.fromCluster, quiet: oldQuiet}
	channels, err := s.look(ctx, a, f)
	if err != nil {
		return err
	}
	if f.cluster == "" {
		f.cluster = s.cluster
	}
	opts, err := f.options(a, func(error) { cancel(errLost) })
	if err != nil {
		return err
	}
	if s.nc, err = nats.Connect(f.from, append(opts, nats.CustomInboxPrefix(oldInboxes))...); err != nil {
		return fmt.Errorf("cannot connect to %s: %w", redact(f.from), err)
	}
	defer s.nc.Close()
	if s.session, err = openSession(ctx, s.nc, s.cluster, "weir-import-"+nuid.Next(), max(a.timeout, snapshotPatience)); err != nil {
		return err
	}
	defer s.session.close(ctx)
	return a.importStan(ctx, f, channels, func(name string) channelSource { return &liveChannel{oldServer: s, name: name} })
}

// look finds the cluster's id and which channels to copy.
func (s *oldServer) look(ctx context.Context, a *app, f *importStanFlags) (channels []string, err error) {
	if f.monitor == "" {
		switch {
		case len(f.channels) == 0:
			return nil, errors.New("which channels are there only the monitoring tells: --monitor says where it is, or --channel names them")
		case s.cluster == "":
			return nil, errors.New("the id of the old server's cluster only the monitoring tells: --monitor says where it is, or --from-cluster names it")
		}
		return f.channels, nil
	}
	if s.monitor, err = openOldMonitor(f.monitor, max(a.timeout, snapshotPatience)); err != nil {
		return nil, err
	}
	id, err := s.monitor.cluster(ctx)
	if err != nil {
		return nil, err
	}
	if s.cluster != "" && s.cluster != id {
		return nil, fmt.Errorf("the monitoring is that of the cluster %s, not of %s", id, s.cluster)
	}
	s.cluster = id
	all, err := s.monitor.names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range f.channels {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("the old server has no channel %s", name)
		}
	}
	if len(f.channels) > 0 {
		all = f.channels
	}
	if len(all) == 0 {
		return nil, errors.New("the old server has no channels")
	}
	return all, nil
}

// liveChannel is a channel of a running server.
type liveChannel struct {
	*oldServer
	name  string
	spool *spool
	state *oldChannelz // as it was when all was gathered
	found []*wire.Adoption
	other int // subscriptions that are not durable
}

func (c *liveChannel) text() string { return "NATS Streaming, cluster " + c.cluster }

// last implements channelSource.
func (c *liveChannel) last() uint64 { return c.state.Last }

// plan implements channelSource.
func (c *liveChannel) plan(ctx context.Context, m *importingChannel) error {
	if err := c.look(ctx); err != nil {
		return err
	}
	z := c.state
	m.out.Messages, m.out.Bytes, m.out.FirstSeq, m.out.LastSeq = z.Msgs, z.Bytes, z.First, z.Last
	all, other, _ := durablesOf(z)
	m.tell(adoptions(all), other)
	return nil
}

// look asks what the channel has now. Without monitoring a subscription tells the last
// message, and counts are not known.
func (c *liveChannel) look(ctx context.Context) (err error) {
	if c.monitor != nil {
		if c.state, err = c.monitor.channel(ctx, c.name); err != nil {
			return fmt.Errorf("look at the channel: %w", err)
		}
		return nil
	}
	sub, err := c.session.subscribe(ctx, wire.SubscriptionRequest{Subject: c.name, MaxInFlight: 1, AckWaitInSecs: 60, StartPosition: wire.LastReceived})
	if err != nil {
		return err
	}
	var m wire.Msg
	switch err := sub.next(ctx, c.quiet, &m); {
	case errors.Is(err, errQuiet): // it has none
	case err != nil:
		return err
	}
	c.state = &oldChannelz{Name: c.name, Last: m.Sequence}
	return sub.end(ctx)
}

// gather implements channelSource. What is there from an earlier run stays.
func (c *liveChannel) gather(ctx context.Context, m *importingChannel) (err error) {
	of := spooled{From: redact(c.flags.from), Stream: c.cluster + "/" + c.name}
	if c.spool, err = openSpool(filepath.Join(c.flags.work, m.out.Stream), of); err != nil {
		return err
	}
	p := m.newProgress(m.asJSON)
	p.what = c.name + ", gathering: "
	defer p.clear()
	r := &gathering{liveChannel: c, progress: &p, n: c.spool.records()}
	if err := r.recall(); err != nil {
		return err
	}
	for round := 0; ; round++ {
		if err := c.look(ctx); err != nil {
			return err
		}
		if r.at.Seq >= c.state.Last {
			break
		}
		if round == rounds {
			since := c.state.Last - r.at.Seq
			m.out.note("it is written to: %s since are not in the copy", plural(since, "sequence", "sequences"))
			c.state.Last, c.state.Msgs = r.at.Seq, c.state.Msgs-min(since, c.state.Msgs)
			break
		}
		err := r.upTo(ctx, c.state.Last)
		// What has come is kept, whatever has ended the reading.
		if err := errors.Join(err, c.spool.flush()); err != nil {
			return fmt.Errorf("gather messages: %w", err)
		}
	}
	if c.monitor == nil {
		c.state.Last = max(c.state.Last, r.at.Seq) // it may have expired
	}
	if r.at.Seq > c.state.Last {
		return fmt.Errorf("the old server's last sequence is %d, and %d were gathered: remove %s to begin anew", c.state.Last, r.at.Seq, c.spool.dir)
	}
	return c.settle(ctx, m)
}

// settle counts what was gathered, and finds where the durables stand.
func (c *liveChannel) settle(ctx context.Context, m *importingChannel) error {
	if c.monitor == nil {
		m.out.note("durables are left out: --monitor says where the old server tells of them")
		return nil
	}
	n := uint64(0)
	err := c.spool.each(func(v *record.View) error {
		if v.Seq >= c.state.First && v.Seq <= c.state.Last {
			n++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n != c.state.Msgs {
		return fmt.Errorf("%d messages were gathered where the old server has %d: remove %s to begin anew", n, c.state.Msgs, c.spool.dir)
	}
	if err := c.free(ctx); err != nil {
		return err
	}
	all, other, used := durablesOf(c.state)
	if len(used) > 0 {
		return fmt.Errorf("%s in use: end its application, then the same command goes on", plural(uint64(len(used)), "durable is", "durables are")+" ("+strings.Join(used, ", ")+")")
	}
	c.other = other
	for _, q := range all {
		if err := c.ask(ctx, q); err != nil {
			return err
		}
	}
	c.found = adoptions(all)
	return nil
}

func adoptions(all []*oldDurable) []*wire.Adoption {
	out := make([]*wire.Adoption, 0, len(all))
	for _, q := range all {
		out = append(out, &q.Adoption)
	}
	return out
}

// messages implements channelSource: what the old server has removed meanwhile, too, is
// left out.
func (c *liveChannel) messages(_ func(damage) error, each func(*record.View) error) error {
	return c.spool.each(func(v *record.View) error {
		if v.Seq < c.state.First {
			return nil
		}
		return each(v)
	})
}

// durables implements channelSource.
func (c *liveChannel) durables(func(damage) error) ([]*wire.Adoption, int, error) {
	return c.found, c.other, nil
}

// done implements channelSource.
func (c *liveChannel) done() error {
	if c.flags.keep {
		return nil
	}
	return c.spool.remove()
}

// close implements channelSource.
func (c *liveChannel) close() error {
	if c.spool == nil {
		return nil
	}
	return c.spool.close()
}
