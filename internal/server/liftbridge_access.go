package server

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/auth/policy"
	liftdoor "github.com/weirmq/weir/internal/door/liftbridge"
	"golang.org/x/sync/singleflight"
)

// LiftAuthzConfig is what Liftbridge's clients may do by the names of their certificates.
type LiftAuthzConfig struct {
	Enabled       bool
	Model, Policy located // files of casbin
	policy        *policy.Policy
}

// located is a text with the place of its key, for messages.
type located struct{ text, place string }

func (v value) located() located { return located{v.str(), v.place() + ": " + v.key} }

// setLiftAuthz reads our own block, which need not be turned on.
func setLiftAuthz(c *Config, v value) {
	a := &c.Liftbridge.Authz
	a.Enabled = true
	v.block(block{
		{names: "enabled", set: func(_ *Config, v value) { a.Enabled = v.boolean() }},
		{names: "model", set: func(_ *Config, v value) { a.Model = v.located() }},
		{names: "policy", set: func(_ *Config, v value) { a.Policy = v.located() }},
	})
}

// authzNamed is that part of a LiftAuthzConfig of which a change is one.
type authzNamed struct {
	enabled               bool
	model, policy, digest string
}

func (a *LiftAuthzConfig) named() authzNamed {
	n := authzNamed{a.Enabled, a.Model.text, a.Policy.text, ""}
	if a.policy != nil {
		n.digest = a.policy.Digest()
	}
	return n
}

// built is what of the configuration the door is built with.
func (l LiftbridgeConfig) built() LiftbridgeConfig {
	l.Authz = LiftAuthzConfig{}
	return l
}

// judge is the policy as the door sees it; nil: there is none.
func (a *LiftAuthzConfig) judge() liftdoor.Policy {
	if a.policy == nil {
		return nil
	}
	return a.policy
}

// readPolicy reads the files of casbin.
func (c *Config) readPolicy() error {
	a := &c.Liftbridge.Authz
	if !a.Enabled {
		if a.Model.text != "" || a.Policy.text != "" {
			c.Warnings = append(c.Warnings, "liftbridge: tls.client.authz.model and policy are not applied: tls.client.authz.enabled is not true")
		}
		return nil
	}
	if a.Model.text == "" || a.Policy.text == "" {
		return errors.New("liftbridge: tls.client.authz.enabled needs tls.client.authz.model and tls.client.authz.policy")
	}
	m, err := policy.ReadModel(a.Model.text)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Model.place, err)
	}
	if a.policy, err = m.ReadPolicy(a.Policy.text); err != nil {
		return fmt.Errorf("%s: %w", a.Policy.place, err)
	}
	if !c.Liftbridge.NATSOff && !c.authenticates() {
		c.Warnings = append(c.Warnings, "liftbridge: the policy is for gRPC: NATS clients need not log in and may do everything; configure users, or nats_api: off")
	}
	return nil
}

// reloadLiftbridge has calls judged by what is configured now, those that go on, too.
func (r *rooms) reloadLiftbridge(l *LiftbridgeConfig, certificates *tls.Config) {
	if r.lift == nil {
		return
	}
	if certificates != nil {
		r.liftTLS.Store(certificates)
	}
	r.lift.UpdateRules(l.Authz.judge())
}

// liftKeeper is auth as the Liftbridge door sees it. Each call shows who makes it, and
// a hashed password takes long to compare: who was let in is remembered until users are
// configured anew, and of those who show the same at a time, as after that, one is judged.
type liftKeeper struct {
	rooms  *rooms
	asking singleflight.Group

	mu    sync.Mutex
	by    *auth.Authenticator             // who let them in; guarded by mu
	turn  uint64                          // of by; guarded by mu
	known map[[32]byte]*liftdoor.Identity // by the sum of what they showed; guarded by mu
}

// maxKnown bounds who is remembered.
const maxKnown = 4096

// Authenticate implements liftdoor.Authenticator.
func (k *liftKeeper) Authenticate(c liftdoor.Credentials) (*liftdoor.Identity, error) {
	a := k.rooms.keeper.Load()
	if !a.Required() {
		return &liftdoor.Identity{Account: k.rooms.liftAccount}, nil
	}
	sum := sumOf(&c)
	id, turn := k.remembered(a, sum)
	if id != nil {
		return id, nil
	}
	judged, err, _ := k.asking.Do(strconv.FormatUint(turn, 36)+string(sum[:]), func() (any, error) {
		if id, _ := k.remembered(a, sum); id != nil {
			return id, nil // somebody else was faster
		}
		u, err := a.Authenticate(auth.Credentials{User: c.User, Password: c.Password, Token: c.Token, Certificate: c.Certificate})
		if err != nil {
			return nil, err
		}
		id := &liftdoor.Identity{Account: u.Account.Name, User: u.Name}
		if u.Permissions != nil {
			id.May = liftPermissions{u.Permissions}
		}
		k.remember(a, sum, id)
		return id, nil
	})
	if err != nil {
		return nil, err
	}
	return judged.(*liftdoor.Identity), nil
}

// remembered is who was let in by these users before, if anybody.
func (k *liftKeeper) remembered(a *auth.Authenticator, sum [32]byte) (id *liftdoor.Identity, turn uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by != a {
		k.by, k.known = a, map[[32]byte]*liftdoor.Identity{}
		k.turn++
	}
	return k.known[sum], k.turn
}

func (k *liftKeeper) remember(a *auth.Authenticator, sum [32]byte, id *liftdoor.Identity) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by != a {
		return
	}
	if len(k.known) >= maxKnown {
		clear(k.known)
	}
	k.known[sum] = id
}

// sumOf tells credentials apart without keeping them.
func sumOf(c *liftdoor.Credentials) [32]byte {
	var b []byte
	for _, s := range [...]string{c.User, c.Password, c.Token} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if c.Certificate != nil {
		b = append(b, c.Certificate.Raw...)
	}
	return sha256.Sum256(b)
}

// liftPermissions are a user's permissions as the Liftbridge door sees them.
type liftPermissions struct{ *auth.Permissions }

// MayRead implements liftdoor.Permissions.
func (p liftPermissions) MayRead(pattern string) bool { return p.MaySubscribe(pattern, "") }
