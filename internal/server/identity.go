package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/broker"
	natsdoor "github.com/weirmq/weir/internal/door/nats"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// accountRegistry makes the accounts that are configured, and the two that are
// always there.
func (c *Config) accountRegistry() *account.Registry {
	js := c.JetStream.Enabled
	all := []*account.Account{}
	seen := map[string]bool{}
	for _, a := range c.Accounts {
		seen[a.Name] = true
		all = append(all, &account.Account{
			Name:   a.Name,
			Limits: account.Limits{MaxConnections: a.MaxConnections, MaxSubscriptions: a.MaxSubscriptions, MaxPayload: a.MaxPayload},
			JetStream: account.JetStream{
				Enabled: a.JetStream && js, MaxMemory: a.MaxMemory, MaxStorage: a.MaxStorage,
				MaxStreams: a.MaxStreams, MaxConsumers: a.MaxConsumers, MaxAckPending: a.MaxAckPending,
				MaxMemoryStream: a.MaxMemoryStream, MaxStorageStream: a.MaxStorageStream, NeedsMaxBytes: a.NeedsMaxBytes,
			},
			Exports: a.Exports, Imports: a.Imports,
		})
	}
	all = append(all, &account.Account{Name: account.Global, JetStream: account.Unlimited(js)})
	if !seen[c.SystemAccount] && !c.NoSystem {
		all = append(all, &account.Account{Name: c.SystemAccount})
	}
	return account.NewRegistry(all...)
}

// authOptions puts the configured users together.
func (c *Config) authOptions(accounts *account.Registry) (auth.Options, error) {
	o := auth.Options{Token: c.Auth.Token, NoAuthUser: c.Auth.NoAuthUser, Default: accounts.Find(account.Global), Certificates: c.TLS.Map}
	users := c.Auth.Users
	if c.Auth.User != "" {
		users = append(users, UserConfig{Name: c.Auth.User, Password: c.Auth.Password})
	}
	if err := addUsers(&o, users, accounts.Find(account.Global), c.Auth.Default); err != nil {
		return o, err
	}
	for _, a := range c.Accounts {
		if err := addUsers(&o, a.Users, accounts.Find(a.Name), a.Default); err != nil {
			return o, fmt.Errorf("account %s: %w", a.Name, err)
		}
	}
	if o.Token != "" && len(o.Users) > 0 {
		return o, errors.New("a token can not stand beside users")
	}
	_, err := auth.New(o)
	return o, err
}

func addUsers(o *auth.Options, users []UserConfig, a *account.Account, byDefault *PermissionConfig) error {
	for _, u := range users {
		user := auth.User{Name: u.Name, Password: u.Password, Account: a}
		p := u.Permissions
		if p == nil {
			p = byDefault
		}
		if p != nil {
			var err error
			if user.Permissions, err = auth.Compile(p.Publish, p.Subscribe, p.Responses); err != nil {
				return fmt.Errorf("user %q: %w", u.Name, err)
			}
		}
		o.Users = append(o.Users, user)
	}
	return nil
}

// doorkeeper is auth as the NATS door sees it.
type doorkeeper struct {
	auth   *auth.Authenticator
	spaces *broker.Spaces
	system string
}

// authenticator makes the doorkeeper of a configuration.
func (r *rooms) authenticator(c *Config) (natsdoor.Authenticator, error) {
	o, err := c.authOptions(r.accounts)
	if err != nil {
		return nil, err
	}
	a, err := auth.New(o)
	if err != nil {
		return nil, err
	}
	r.keeper.Store(a)
	return &doorkeeper{auth: a, spaces: r.spaces, system: c.SystemAccount}, nil
}

func (d *doorkeeper) Required() bool  { return d.auth.Required() }
func (d *doorkeeper) Anonymous() bool { return d.auth.Anonymous() }
func (d *doorkeeper) Nonce() bool     { return false }

func (d *doorkeeper) Authenticate(c *natsdoor.Credentials) (*natsdoor.Identity, error) {
	u, err := d.auth.Authenticate(shown(c))
	if err != nil {
		return nil, err
	}
	return d.admit(u)
}

func shown(c *natsdoor.Credentials) auth.Credentials {
	return auth.Credentials{User: c.Connect.User, Password: c.Connect.Pass, Token: c.Connect.Token, Certificate: c.Certificate}
}

// admit makes the identity of a user, if its account has room.
func (d *doorkeeper) admit(u *auth.User) (*natsdoor.Identity, error) {
	if !u.Account.Enter() {
		return nil, wire.ErrAccountConns
	}
	id := &natsdoor.Identity{
		Account: u.Account.Name, User: u.Name, Space: d.spaces.Get(u.Account.Name), System: u.Account.Name == d.system,
		MaxPayload: u.Account.Limits.MaxPayload, MaxSubs: u.Account.Limits.MaxSubscriptions,
		Release: u.Account.Leave,
	}
	if u.Permissions != nil {
		id.Permissions = u.Permissions.Grant(time.Now)
	}
	return id, nil
}

// Reauthenticate judges a connected client by a new configuration.
func (d *doorkeeper) Reauthenticate(c *natsdoor.Credentials, old *natsdoor.Identity) (*natsdoor.Identity, error) {
	if old.User != "" && d.auth.Find(old.User) == nil {
		return nil, natsdoor.ErrUnknownUser
	}
	u, err := d.auth.Authenticate(shown(c))
	if err != nil {
		return nil, err
	}
	return d.admit(u)
}

// natsLimits are the limits of the NATS door.
func natsLimits(c *Config) natsdoor.Limits {
	return natsdoor.Limits{
		MaxConnections: c.MaxConnections, MaxSubscriptions: c.MaxSubs, MaxSubTokens: c.MaxSubTokens,
		MaxControlLine: c.MaxControlLine, MaxPayload: c.MaxPayload, MaxPending: c.MaxPending, MaxClosed: c.MaxClosed,
		PingInterval: c.PingInterval, PingMax: c.PingMax, WriteDeadline: c.WriteDeadline, AuthTimeout: c.Auth.Timeout,
	}
}
