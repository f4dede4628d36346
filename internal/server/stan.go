package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	jsdoor "github.com/weirmq/weir/internal/door/jetstream"
	standoor "github.com/weirmq/weir/internal/door/stan"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/vfs"
)

// StanConfig is the streaming server.
type StanConfig struct {
	Enabled bool
	// Account is where its clients are; empty: the global one.
	Account string
	// Dir is where the old server kept its files: here all streams, unless store_dir
	// says otherwise.
	Dir string
	// Door has what the door itself wants to know.
	Door standoor.Options
	// Remote is the NATS system to serve in, if it is not this server's own.
	Remote RemoteConfig
	// Encrypt asks for encryption, and so does a key. What is stored is encrypted as a
	// whole: settings become those of the jetstream block.
	Encrypt       bool
	EncryptionKey string
	Cipher        atrest.Cipher // Clear: the default
}

// defaultStan is the streaming server of which nothing was said.
func defaultStan() StanConfig {
	return StanConfig{Account: account.Global, Door: standoor.Options{
		Cluster: "test-cluster", Memory: true, Limits: standoor.DefaultLimits(), HeartbeatFails: standoor.DefaultFails,
	}}
}

// checkStan holds the settings of the streaming server against the others.
func (c *Config) checkStan() error {
	s := &c.Stan
	if !s.Enabled {
		return nil
	}
	if c.accountRegistry().Find(s.Account) == nil {
		return fmt.Errorf("stan: there is no account %q", s.Account)
	}
	if err := s.Remote.check(); err != nil {
		return fmt.Errorf("stan: %w", err)
	}
	if err := c.checkStanEncryption(); err != nil {
		return fmt.Errorf("stan: %w", err)
	}
	literal := 0
	for name := range s.Door.Limits.Channels {
		if !hasWildcard(name) {
			literal++
		}
	}
	if most := s.Door.Limits.MaxChannels; most > 0 && literal > most {
		return fmt.Errorf("too many channels defined (%d). The max channels limit is set to %d", literal, most)
	}
	return nil
}

// stores says whether the server keeps streams, for whichever door.
func (c *Config) stores() bool { return c.JetStream.Enabled || c.Stan.Enabled || c.Liftbridge.Enabled }

// refuseOldStore refuses a data directory that the old streaming server wrote.
func refuseOldStore(disk vfs.FS, dir string) error {
	for _, name := range []string{"server.dat", "clients.dat"} {
		_, err := disk.Stat(path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for an older store: %w", err)
		}
	}
	return fmt.Errorf("%s is a file store of NATS Streaming, which this server does not read in place: choose another directory, and `weir import stan` brings over what is in this one", dir)
}

// startStan begins to serve streaming clients, if it is to.
func (r *rooms) startStan(ctx context.Context) error {
	if r.stan == nil {
		return nil
	}
	space := r.space(r.stanAccount)
	if space == nil {
		return fmt.Errorf("serve streaming: there is no account %q", r.stanAccount)
	}
	hangUp, err := r.dialRemote(ctx)
	if err != nil {
		return err
	}
	r.ended = append(r.ended, func() {
		r.stan.Stop()
		hangUp()
	})
	return r.stan.Start(ctx, r.streams, space)
}

// buildStan makes the door for streaming clients.
func (r *rooms) buildStan(c *Config) error {
	o := c.Stan.Door
	o.ServerID, o.Version, o.Log = r.id, Version, r.log
	if c.Stan.Remote.Servers != "" {
		var err error
		if r.stanRemote, err = c.Stan.Remote.client("_NSS-"+o.Cluster+"-general", r.log); err != nil {
			return fmt.Errorf("serve streaming in another NATS system: %w", err)
		}
		o.Network = r.stanRemote
	}
	r.stan, r.stanAccount = standoor.New(o), c.Stan.Account
	return nil
}

// outlets leads what consumers send to the door of each.
type outlets struct {
	jsdoor.Outlet
	stan *standoor.Outlet // nil: there is no such door
}

func (r *rooms) newOutlet(domain string) stream.Outlet {
	if r.stan == nil {
		return &jsdoor.Outlet{Domain: domain}
	}
	return &outlets{Outlet: jsdoor.Outlet{Domain: domain}, stan: r.stan.NewOutlet()}
}

func streaming(c *stream.Consumer) bool { return c.Config().Dialect == standoor.DialectName }

// Deliver implements stream.Outlet.
func (o *outlets) Deliver(p *broker.Publisher, c *stream.Consumer, d *consumer.Delivery, v *record.View) {
	if streaming(c) {
		o.stan.Deliver(p, c, d, v)
		return
	}
	o.Outlet.Deliver(p, c, d, v)
}

// Advise implements stream.Outlet. Streaming has no events.
func (o *outlets) Advise(p *broker.Publisher, c *stream.Consumer, a *consumer.Advisory) {
	if !streaming(c) {
		o.Outlet.Advise(p, c, a)
	}
}

// Deleted implements stream.Outlet.
func (o *outlets) Deleted(p *broker.Publisher, c *stream.Consumer) {
	if streaming(c) {
		o.stan.Deleted(c)
		return
	}
	o.Outlet.Deleted(p, c)
}
