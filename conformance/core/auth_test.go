package core_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

func TestUserAndPasswordAreAsked(t *testing.T) {
	s := harness.Start(t, `authorization { user: ann, password: secret }`)
	if !s.Dial().Info.AuthRequired {
		t.Error("INFO does not say auth_required")
	}
	s.Connect(nats.UserInfo("ann", "secret"))
	for _, opts := range [][]nats.Option{nil, {nats.UserInfo("ann", "wrong")}, {nats.UserInfo("bob", "secret")}, {nats.Token("secret")}} {
		if nc, err := nats.Connect(s.URL, opts...); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("connect gives %v, %v", nc, err)
		}
	}
	r := s.Dial()
	r.Send("PING\r\n")
	r.ExpectClosed("-ERR 'Authorization Violation'")
}

func TestTokenIsAsked(t *testing.T) {
	s := harness.Start(t, `authorization { token: "s3cret" }`)
	s.Connect(nats.Token("s3cret"))
	if _, err := nats.Connect(s.URL, nats.Token("other")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("another token: %v", err)
	}
}

func TestBcryptPasswordsAreUnderstood(t *testing.T) {
	s := harness.Start(t, `authorization { users: [ { user: ann, password: "`+bcryptOfPassword+`" } ] }`)
	s.Connect(nats.UserInfo("ann", "password"))
	if _, err := nats.Connect(s.URL, nats.UserInfo("ann", "Password")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("another password: %v", err)
	}
	if _, err := nats.Connect(s.URL, nats.UserInfo("ann", bcryptOfPassword)); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("the hash itself: %v", err)
	}
}

func TestSilenceEndsInAuthenticationTimeout(t *testing.T) {
	r := harness.Start(t, `authorization { user: ann, password: secret, timeout: 0.5 }`).Dial()
	r.ExpectClosed("-ERR 'Authentication Timeout'")
}

const accounts = `
accounts {
  A { users: [ { user: a, password: a } ], jetstream: enabled }
  B { users: [ { user: b, password: b } ] }
  SYS { users: [ { user: sys, password: sys } ] }
}
system_account: SYS
no_auth_user: b
`

func TestAccountsDoNotHearEachOther(t *testing.T) {
	s := harness.Start(t, accounts)
	a, b := s.Connect(nats.UserInfo("a", "a")), s.Connect(nats.UserInfo("b", "b"))
	inA, err := a.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	inB, err := b.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Flush(), b.Flush(), a.Publish("x", []byte("from a")), b.Publish("x", []byte("from b")), a.Flush(), b.Flush()); err != nil {
		t.Fatal(err)
	}
	for sub, want := range map[*nats.Subscription]string{inA: "from a", inB: "from b"} {
		m, err := sub.NextMsg(5 * time.Second)
		if err != nil || string(m.Data) != want {
			t.Errorf("got %v, %v; want %q", m, err, want)
		}
		if n, _, err := sub.Pending(); err != nil || n != 0 {
			t.Errorf("%d more messages, %v", n, err)
		}
	}
}

func TestNoAuthUserTakesThoseWithoutCredentials(t *testing.T) {
	s := harness.Start(t, accounts)
	if s.Dial().Info.AuthRequired {
		t.Error("INFO asks for authentication")
	}
	b := s.Connect(nats.UserInfo("b", "b"))
	sub, err := b.SubscribeSync("x")
	if err != nil {
		t.Fatal(err)
	}
	anonymous := s.Connect()
	if err := errors.Join(b.Flush(), anonymous.Publish("x", nil), anonymous.Flush()); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.NextMsg(5 * time.Second); err != nil {
		t.Errorf("the account of no_auth_user hears nothing: %v", err)
	}
	if _, err := nats.Connect(s.URL, nats.UserInfo("zoe", "x")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("an unknown user: %v", err)
	}
}

const permissions = `
authorization { users: [ { user: u, password: u, permissions {
  publish { allow: ["ok.>", "re.>"], deny: "ok.not" }
  subscribe { allow: ["foo", "_INBOX.>", "bar q1", "wc.>"], deny: "wc.no" }
} }, { user: all, password: all }, { user: responder, password: r, permissions { subscribe: "svc", allow_responses: true } } ] }
`

const asU = `{"verbose":false,"headers":true,"user":"u","pass":"u"}`

func TestPermissionsRefuseWithTheirTextAndTheConnectionStays(t *testing.T) {
	r := harness.Start(t, permissions).Raw(asU)
	r.Send("PUB ok.a 0\r\n\r\nPUB ok.not 0\r\n\r\nPUB no 0\r\n\r\n" +
		"SUB bar 2\r\nSUB bar q1 3\r\nSUB foo q9 4\r\nSUB > 5\r\nSUB wc.no 6\r\nSUB wc.* 7\r\nSUB bar q2 8\r\nPING\r\n")
	r.Expect(
		`-ERR 'Permissions Violation for Publish to "ok.not"'`,
		`-ERR 'Permissions Violation for Publish to "no"'`,
		`-ERR 'Permissions Violation for Subscription to "bar"'`,
		`-ERR 'Permissions Violation for Subscription to ">"'`,
		`-ERR 'Permissions Violation for Subscription to "wc.no"'`,
		`-ERR 'Permissions Violation for Subscription to "bar" using queue "q2"'`,
		"PONG")
}

func TestDeniedMessagesAreFilteredFromAWildcard(t *testing.T) {
	s := harness.Start(t, permissions)
	r := s.Raw(asU)
	r.Send("SUB wc.* 1\r\nPING\r\n")
	r.Expect("PONG")
	all := s.Raw(`{"verbose":false,"user":"all","pass":"all"}`)
	all.Send("PUB wc.no 1\r\nn\r\nPUB wc.yes 1\r\ny\r\nPING\r\n")
	all.Expect("PONG")
	r.Expect("MSG wc.yes 1 1", "y")
}

func TestAllowResponsesAllowsOneReply(t *testing.T) {
	s := harness.Start(t, permissions)
	r := s.Raw(`{"verbose":false,"user":"responder","pass":"r"}`)
	r.Send("SUB svc 1\r\nPUB re.1 0\r\n\r\nPING\r\n")
	r.Expect(`-ERR 'Permissions Violation for Publish to "re.1"'`, "PONG")
	all := s.Raw(`{"verbose":false,"user":"all","pass":"all"}`)
	all.Send("SUB re.1 1\r\nPUB svc re.1 1\r\nq\r\n")
	r.Expect("MSG svc 1 re.1 1", "q")
	r.Send("PUB re.1 1\r\na\r\nPUB re.1 1\r\nb\r\nPING\r\n")
	r.Expect(`-ERR 'Permissions Violation for Publish to "re.1"'`, "PONG")
	all.Expect("MSG re.1 1 1", "a")
}

func TestReloadAddsAndRemovesUsers(t *testing.T) {
	users := func(names ...string) string {
		list := make([]string, len(names))
		for i, n := range names {
			list[i] = fmt.Sprintf("{ user: %s, password: %s }", n, n)
		}
		return "authorization { users: [ " + strings.Join(list, ", ") + " ] }"
	}
	s := harness.Start(t, users("old", "stays"))
	gone := make(chan struct{})
	s.Connect(nats.UserInfo("old", "old"), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	stays := s.Connect(nats.UserInfo("stays", "stays"), nats.NoReconnect())
	s.Configure(users("new", "stays"))
	s.Signal(syscall.SIGHUP)
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("a removed user stays connected")
	}
	harness.Eventually(t, "a new user connects", func() bool {
		nc, err := nats.Connect(s.URL, nats.UserInfo("new", "new"))
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	if err := stays.Flush(); err != nil {
		t.Errorf("a user that stays was cut off: %v", err)
	}
}

func TestABrokenConfigurationChangesNothingOnReload(t *testing.T) {
	s := harness.Start(t, `authorization { user: ann, password: secret }`)
	nc := s.Connect(nats.UserInfo("ann", "secret"), nats.NoReconnect())
	s.Configure(`authorization { user: `)
	s.Signal(syscall.SIGHUP)
	harness.Eventually(t, "the server reports the error", func() bool { return strings.Contains(s.Log(), "Parse error") })
	if err := nc.Flush(); err != nil {
		t.Errorf("the connection was cut off: %v", err)
	}
	s.Connect(nats.UserInfo("ann", "secret"))
}

func TestUnknownKeysAreErrorsWithTheirPlace(t *testing.T) {
	s := harness.New(t, "no_such_key: 1")
	if status := s.RunToEnd(); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if log := s.Log(); !strings.Contains(log, "no_such_key") || !strings.Contains(log, "server.conf:4") {
		t.Errorf("the error names no key or place:\n%s", log)
	}
}

// bcryptOfPassword is the hash of "password" with the lowest cost.
const bcryptOfPassword = `$2a$04$jaIPr3ghIX0vAcuXyeySvOZPx4MCS783QxuFi3y/XE7nga7c547BC`
