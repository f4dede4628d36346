package server

import (
	"github.com/weirmq/weir/internal/account"
	jsdoor "github.com/weirmq/weir/internal/door/jetstream"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// reload reads the configuration again. On any error the old one stays whole.
func (p *process) reload() {
	var changed []string
	next, err := p.flags.Load()
	if err == nil {
		changed, err = refuseReload(p.config, next)
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
	if next.Host != p.config.Host {
		p.log.Warn("configuration", "warning", "the server listens where it listened until it is restarted", "host", p.config.Host)
	}
	p.config, p.http.config = next, next
	p.http.attach(p.rooms)
	p.log.setLevel(&next.Log)
	if err := p.advertise(); err != nil {
		p.log.Error("address not advertised", "error", err)
	}
	p.log.Info("configuration reloaded", "changed", changed, "file", next.File, "digest", next.Digest)
}

// reload puts what may change into force.
func (r *rooms) reload(c *Config) error {
	registry := c.accountRegistry()
	old := map[string]bool{}
	for _, a := range r.accounts.All() {
		old[a.Name] = true
	}
	secure, err := c.doorTLS()
	if err != nil {
		return err
	}
	certificates, err := c.Liftbridge.tls()
	if err != nil {
		return err
	}
	r.accounts.Replace(registry)
	keeper, err := r.authenticator(c)
	if err != nil {
		return err
	}
	if err := r.link(c.SystemAccount); err != nil {
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
	r.nats.UpdateTLS(secure)
	r.nats.UpdateLimits(natsLimits(c))
	r.nats.UpdateInfo(func(*wire.Info) {}, false)
	r.nats.Reauthenticate(keeper)
	r.reloadLiftbridge(&c.Liftbridge, certificates)
	return nil
}

// serveAccount answers the requests of an account.
func (r *rooms) serveAccount(a *account.Account) {
	if r.js != nil {
		r.ended = append(r.ended, r.js.Serve(r.spaces.Get(a.Name), r.accountOf(a.Name)))
		r.serveGroups(a.Name)
	}
}

// accountOf finds an account as it is configured now.
func (r *rooms) accountOf(name string) jsdoor.AccountFunc {
	return func() *account.Account { return r.accounts.Find(name) }
}
