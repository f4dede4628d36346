package server

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/weirmq/weir/internal/account"
	jsdoor "github.com/weirmq/weir/internal/door/jetstream"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// fixed are the settings that can not change while the server runs, by the names
// of their keys.
var fixed = []struct {
	key string
	of  func(c *Config) any
}{
	{"host", func(c *Config) any { return c.Host }},
	{"port", func(c *Config) any { return c.Port }},
	{"server_name", func(c *Config) any { return c.ServerName }},
	{"http", func(c *Config) any { return c.HTTP }},
	{"logfile", func(c *Config) any { return c.Log.File }},
	{"log_format", func(c *Config) any { return c.Log.Format }},
	{"pid_file", func(c *Config) any { return c.PidFile }},
	{"ports_file_dir", func(c *Config) any { return c.PortsFileDir }},
	{"max_pending", func(c *Config) any { return c.MaxPending }},
	{"max_subscriptions", func(c *Config) any { return c.MaxSubs }},
	{"max_closed_clients", func(c *Config) any { return c.MaxClosed }},
	{"lame_duck_duration", func(c *Config) any { return c.LameDuckDuration }},
	{"lame_duck_grace_period", func(c *Config) any { return c.LameDuckGrace }},
	{"no_header_support", func(c *Config) any { return c.NoHeaderSupport }},
	{"system_account", func(c *Config) any { return c.SystemAccount }},
	{"jetstream", func(c *Config) any { return c.JetStream }},
}

// refuseReload names the changes that need a restart; nil if there are none.
func refuseReload(old, next *Config) error {
	var keys []string
	for _, f := range fixed {
		if !reflect.DeepEqual(f.of(old), f.of(next)) {
			keys = append(keys, f.key)
		}
	}
	if len(keys) > 0 {
		return fmt.Errorf("%s can not change while the server runs: restart it, or set the old value again", strings.Join(keys, ", "))
	}
	return nil
}

// reload reads the configuration again. On any error the old one stays whole.
func (p *process) reload() {
	next, err := p.flags.Load()
	if err == nil {
		err = refuseReload(p.config, next)
	}
	if err == nil {
		err = p.rooms.reload(next)
	}
	if err != nil {
		p.log.Error("configuration not reloaded: the old one stays in force", "error", err)
		return
	}
	for _, w := range next.Warnings {
		p.log.Warn("configuration", "warning", w)
	}
	p.config, p.http.config = next, next
	p.http.attach(p.rooms)
	p.log.setLevel(&next.Log)
	if err := p.advertise(); err != nil {
		p.log.Error("address not advertised", "error", err)
	}
	p.log.Info("configuration reloaded", "file", next.File, "digest", next.Digest)
}

// reload puts what may change into force.
func (r *rooms) reload(c *Config) error {
	registry := c.accountRegistry()
	old := map[string]bool{}
	for _, a := range r.accounts.All() {
		old[a.Name] = true
	}
	r.accounts.Replace(registry)
	keeper, err := r.authenticator(c)
	if err != nil {
		return err
	}
	for _, a := range registry.All() {
		if !old[a.Name] {
			r.serveAccount(a)
		}
	}
	if r.budgets != nil {
		r.budgets.reload()
	}
	r.nats.UpdateLimits(natsLimits(c))
	r.nats.UpdateInfo(func(*wire.Info) {}, false)
	r.nats.Reauthenticate(keeper)
	return nil
}

// serveAccount answers the requests of an account.
func (r *rooms) serveAccount(a *account.Account) {
	if r.js != nil {
		r.ended = append(r.ended, r.js.Serve(r.spaces.Get(a.Name), r.accountOf(a.Name)))
	}
}

// accountOf finds an account as it is configured now.
func (r *rooms) accountOf(name string) jsdoor.AccountFunc {
	return func() *account.Account { return r.accounts.Find(name) }
}
