package nats

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// users is an authenticator of named users.
type users struct {
	byName    map[string]user
	anonymous string
	nonce     bool
	released  *atomic.Int32
}

type user struct {
	pass    string
	space   *broker.Space
	account string
	rules   *rules
	expires time.Duration
	maxSubs int
}

func (u *users) Required() bool  { return true }
func (u *users) Anonymous() bool { return u.anonymous != "" }
func (u *users) Nonce() bool     { return u.nonce }

func (u *users) Authenticate(c *Credentials) (*Identity, error) {
	name := c.Connect.User
	if !c.Sent {
		name = u.anonymous
	}
	k, ok := u.byName[name]
	switch {
	case !ok:
		return nil, ErrUnknownUser
	case k.pass == "full":
		return nil, wire.ErrAccountConns
	case c.Sent && k.pass != c.Connect.Pass:
		return nil, errors.New("wrong password")
	}
	id := &Identity{Account: k.account, User: name, Space: k.space, MaxSubs: k.maxSubs}
	if k.rules != nil {
		id.Permissions = k.rules
	}
	if k.expires > 0 {
		id.Expires = time.Now().Add(k.expires)
	}
	if u.released != nil {
		id.Release = func() { u.released.Add(1) }
	}
	return id, nil
}

func (u *users) Reauthenticate(c *Credentials, _ *Identity) (*Identity, error) {
	return u.Authenticate(c)
}

// rules are permissions by patterns.
type rules struct {
	pub, sub, denySub []string // pub and sub nil: everything
	reply             atomic.Pointer[string]
	replies           bool
}

func anyOf(patterns []string, s string, match func(pattern, s string) bool) bool {
	for _, p := range patterns {
		if match(p, s) {
			return true
		}
	}
	return false
}

func (r *rules) MayPublish(s []byte) (allowed, fixed bool) {
	if r.pub == nil || anyOf(r.pub, string(s), subject.Match) {
		return true, true
	}
	if reply := r.reply.Load(); reply != nil && *reply == string(s) {
		r.reply.Store(nil)
		return true, false
	}
	return false, !r.replies
}

func (r *rules) MaySubscribe(s, _ string) bool {
	return (r.sub == nil || anyOf(r.sub, s, subject.Contains)) && !anyOf(r.denySub, s, subject.Contains)
}
func (r *rules) Filters(s string) bool { return anyOf(r.denySub, s, subject.Overlap) }
func (r *rules) MayReceive(s []byte) bool {
	return !anyOf(r.denySub, string(s), subject.Match)
}
func (r *rules) TracksReplies() bool { return r.replies }
func (r *rules) Delivered(reply []byte) {
	s := string(reply)
	r.reply.Store(&s)
}

// withUsers gives a rig whose clients need one of the users. Their space is $G
// unless they name one.
func withUsers(t *testing.T, u *users, change func(*Options)) *rig {
	t.Helper()
	return newRig(t, func(o *Options, s *broker.Spaces) {
		u.settle(s)
		o.Auth = u
		if change != nil {
			change(o)
		}
	})
}

func (u *users) settle(s *broker.Spaces) {
	for name, k := range u.byName {
		if k.account == "" {
			k.account = "$G"
		}
		k.space = s.Get(k.account)
		u.byName[name] = k
	}
}

const ann = `"user":"ann","pass":"a"`

func TestWhoIsNotLetInIsToldSo(t *testing.T) {
	u := &users{byName: map[string]user{"ann": {pass: "a"}, "bob": {pass: "full"}}, nonce: true}
	r := withUsers(t, u, func(o *Options) { o.Limits.AuthTimeout = 100 * time.Millisecond })
	first := r.dial()
	if !first.info.AuthRequired || len(first.info.Nonce) != 15 {
		t.Errorf("got %+v", first.info)
	}
	const violation = "-ERR 'Authorization Violation'\r\n"
	for _, k := range []struct{ in, want, reason string }{
		{"CONNECT {\"user\":\"ann\",\"pass\":\"b\"}\r\n", violation, wire.ReasonAuthFailure},
		{"CONNECT {\"user\":\"eve\"}\r\n", violation, wire.ReasonAuthFailure},
		{"CONNECT {}\r\n", violation, wire.ReasonAuthFailure},
		{"PING\r\n", violation, wire.ReasonAuthFailure},
		{"garbage\r\n", violation, wire.ReasonAuthFailure},
		{"CONNECT {\"user\":\"bob\"}\r\n", "-ERR 'maximum account active connections exceeded'\r\n", wire.ReasonAccountConns},
		{"", "-ERR 'Authentication Timeout'\r\n", wire.ReasonAuthTimeout},
	} {
		c := r.dial()
		c.send(k.in)
		c.expect(k.want)
		c.expectEnd()
		_ = c.conn.Close()
		if got := r.closedReason(c.info.ClientID); got != k.reason {
			t.Errorf("%q: closed as %q", k.in, got)
		}
	}
	in := r.connect(ann)
	if in.info.RemoteAccount != "$G" {
		t.Errorf("got %+v", in.info)
	}
	in.flush()
}

func TestNoAuthUserIsForThoseWhoSendNoConnect(t *testing.T) {
	u := &users{byName: map[string]user{"ann": {pass: "a", account: "A"}, "guest": {account: "B"}}, anonymous: "guest"}
	r := withUsers(t, u, nil)
	c := r.dial()
	if c.info.AuthRequired {
		t.Error("the first INFO says that authentication is required")
	}
	c.send("SUB x 1\r\n")
	c.expect("+OK\r\n")
	if n := r.spaces.Get("B").Subscriptions(); n != 1 {
		t.Errorf("%d subscriptions in the guest's account", n)
	}
}

func TestAccountsDoNotHearEachOther(t *testing.T) {
	u := &users{byName: map[string]user{"ann": {pass: "a", account: "A"}, "bob": {pass: "b", account: "B"}}}
	r := withUsers(t, u, nil)
	a, b := r.connect(ann), r.connect(`"user":"bob","pass":"b"`)
	b.send("SUB > 1\r\n")
	b.flush()
	a.send("SUB > 1\r\nPUB x 0\r\n\r\n")
	a.expect("MSG x 1 0\r\n\r\n")
	b.flush()
}

func TestSecondConnectStartsAnew(t *testing.T) {
	var released atomic.Int32
	u := &users{byName: map[string]user{"ann": {pass: "a", account: "A"}, "bob": {pass: "b", account: "B"}}, released: &released}
	r := withUsers(t, u, nil)
	c := r.connect(ann)
	c.send("SUB x 1\r\nCONNECT {\"user\":\"bob\",\"pass\":\"b\",\"echo\":false}\r\nPUB x 0\r\n\r\nSUB y 1\r\nPUB y 0\r\n\r\n")
	c.flush()
	if a, b := r.spaces.Get("A").Subscriptions(), r.spaces.Get("B").Subscriptions(); a != 0 || b != 1 {
		t.Errorf("%d and %d subscriptions", a, b)
	}
	if released.Load() != 1 {
		t.Errorf("%d identities released", released.Load())
	}
	c.send("CONNECT {\"user\":\"ann\",\"pass\":\"wrong\"}\r\n")
	c.expect("-ERR 'Authorization Violation'\r\n")
	c.expectEnd()
	_ = c.conn.Close()
	r.closedReason(c.info.ClientID)
	r.eventually(func() bool { return released.Load() == 2 }, "the second identity was not released")
}

func TestPermissionsJudgePublishesSubscriptionsAndDeliveries(t *testing.T) {
	p := &rules{pub: []string{"ok.>"}, sub: []string{"ok.>", "_INBOX.>"}, denySub: []string{"ok.secret"}}
	u := &users{byName: map[string]user{"ann": {pass: "a", rules: p}, "root": {pass: "r"}}}
	r := withUsers(t, u, nil)
	c, root := r.connect(ann), r.connect(`"user":"root","pass":"r"`)
	c.send("PUB no 1\r\nx\r\n")
	c.expect("-ERR 'Permissions Violation for Publish to \"no\"'\r\n")
	c.send("SUB no 1\r\nSUB > 1\r\nSUB ok.secret 1\r\nSUB no q 1\r\n")
	c.expect("-ERR 'Permissions Violation for Subscription to \"no\"'\r\n")
	c.expect("-ERR 'Permissions Violation for Subscription to \">\"'\r\n")
	c.expect("-ERR 'Permissions Violation for Subscription to \"ok.secret\"'\r\n")
	c.expect("-ERR 'Permissions Violation for Subscription to \"no\" using queue \"q\"'\r\n")
	c.send("SUB ok.* 1\r\nSUB ok.* q 2\r\n")
	c.flush()
	root.send("PUB ok.secret 0\r\n\r\nPUB ok.fine 0\r\n\r\n")
	c.expect("MSG ok.fine 1 0\r\n\r\nMSG ok.fine 2 0\r\n\r\n")
	c.flush()
}

func TestAReplyMayBeSentOnceWhereResponsesAreAllowed(t *testing.T) {
	p := &rules{pub: []string{}, replies: true}
	u := &users{byName: map[string]user{"ann": {pass: "a", rules: p}, "root": {pass: "r"}}}
	r := withUsers(t, u, nil)
	c, root := r.connect(ann), r.connect(`"user":"root","pass":"r"`)
	c.send("SUB svc 1\r\n")
	c.flush()
	root.send("SUB in.1 9\r\nPUB svc in.1 0\r\n\r\n")
	c.expect("MSG svc 1 in.1 0\r\n\r\n")
	c.send("PUB in.1 2\r\nok\r\nPUB in.1 2\r\nok\r\n")
	root.expect("MSG in.1 9 2\r\nok\r\n")
	c.expect("-ERR 'Permissions Violation for Publish to \"in.1\"'\r\n")
}

func TestExpiredCredentialsEndTheConnection(t *testing.T) {
	u := &users{byName: map[string]user{"ann": {pass: "a", expires: 50 * time.Millisecond}}}
	r := withUsers(t, u, nil)
	c := r.connect(ann)
	c.expect("-ERR 'User Authentication Expired'\r\n")
	c.expectEnd()
}

func TestTheIdentitysSubscriptionLimitCounts(t *testing.T) {
	u := &users{byName: map[string]user{"ann": {pass: "a", maxSubs: 1}}}
	r := withUsers(t, u, nil)
	c := r.connect(ann)
	c.send("SUB a 1\r\nSUB b 2\r\n")
	c.expect("-ERR 'maximum subscriptions exceeded'\r\n")
	c.flush()
}

func TestReloadJudgesEveryClientAnew(t *testing.T) {
	var released atomic.Int32
	u := &users{released: &released, byName: map[string]user{
		"gone": {pass: "g"}, "changed": {pass: "c"}, "ann": {pass: "a"}, "moved": {pass: "m"}, "same": {pass: "s"},
	}}
	r := withUsers(t, u, nil)
	gone, changed := r.connect(`"user":"gone","pass":"g"`), r.connect(`"user":"changed","pass":"c"`)
	limited, moved := r.connect(ann), r.connect(`"user":"moved","pass":"m"`)
	same := r.connect(`"user":"same","pass":"s"`)
	limited.send("SUB old.x 3\r\nSUB new.x 4\r\nSUB old.q q 5\r\n")
	limited.flush()
	same.send("SUB s 1\r\n")
	same.flush()

	next := &users{released: &released, byName: map[string]user{
		"changed": {pass: "other"}, "moved": {pass: "m", account: "B"}, "same": {pass: "s"},
		"ann": {pass: "a", rules: &rules{pub: []string{"new.x"}, sub: []string{"new.>"}}},
	}}
	next.settle(r.spaces)
	r.door.Reauthenticate(next)

	gone.expectEnd()
	for _, c := range []*client{changed, moved} {
		c.expect("-ERR 'Authorization Violation'\r\n")
		c.expectEnd()
	}
	limited.expect("-ERR 'Permissions Violation for Subscription to \"old.x\" (sid \"3\")'\r\n")
	if line := limited.line(); !strings.Contains(line, `"old.q"`) || !strings.HasSuffix(line, "(sid \"5\")'\r\n") {
		t.Errorf("got %q", line)
	}
	limited.send("PUB s 0\r\n\r\n")
	limited.expect("-ERR 'Permissions Violation for Publish to \"s\"'\r\n")
	limited.send("PUB new.x 0\r\n\r\n")
	limited.expect("MSG new.x 4 0\r\n\r\n")
	same.send("PUB s 0\r\n\r\n")
	same.expect("MSG s 1 0\r\n\r\n")
	for _, c := range []*client{gone, changed, moved} {
		_ = c.conn.Close()
		r.closedReason(c.info.ClientID)
	}
	r.eventually(func() bool { return released.Load() == 5 }, "identities were not released")
}
