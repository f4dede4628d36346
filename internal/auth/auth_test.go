package auth

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"golang.org/x/crypto/bcrypt"
)

func mustCompile(t *testing.T, pub, sub Rule, r *Responses) *Permissions {
	t.Helper()
	p, err := Compile(pub, sub, r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAnythingConfiguredClosesTheServerToStrangers(t *testing.T) {
	users := []User{{Name: "u", Password: "p"}}
	for name, o := range map[string]Options{"token": {Token: "t"}, "user": {Users: users}} {
		a, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Authenticate(Credentials{}); err == nil || !a.Required() {
			t.Errorf("%s: a client that shows nothing is let in", name)
		}
	}
	a, _ := New(Options{Default: &account.Account{Name: account.Global}})
	if u, err := a.Authenticate(Credentials{User: "any"}); err != nil || u.Account.Name != account.Global {
		t.Errorf("an open server refused a client: %v", err)
	}
}

func TestAWrongCredentialNeverFallsBackToTheAnonymousUser(t *testing.T) {
	a, err := New(Options{Users: []User{{Name: "anon"}, {Name: "u", Password: "p"}}, NoAuthUser: "anon"})
	if err != nil {
		t.Fatal(err)
	}
	if u, err := a.Authenticate(Credentials{}); err != nil || u.Name != "anon" {
		t.Fatalf("nothing shown: %v, %v", u, err)
	}
	for _, c := range []Credentials{{User: "u", Password: "x"}, {User: "nobody"}, {Token: "t"}, {Password: "p"}} {
		if u, err := a.Authenticate(c); err == nil {
			t.Errorf("%+v was let in as %q", c, u.Name)
		}
	}
	if _, err := New(Options{NoAuthUser: "gone"}); err == nil {
		t.Error("an anonymous user that nobody configured was taken")
	}
}

// TestTheOrderOfCredentials holds what facts of the protocol say: a known user is
// judged by the password, whatever else is shown; a token counts only where no
// users are configured.
func TestTheOrderOfCredentials(t *testing.T) {
	global := &account.Account{Name: account.Global}
	open := Options{Default: global}
	token := Options{Default: global, Token: "t"}
	users := Options{Default: global, Users: []User{{Name: "u", Password: "p"}, {Name: "free"}}}
	anonymous := Options{Default: global, NoAuthUser: "free", Users: []User{{Name: "u", Password: "p"}, {Name: "free"}}}
	for _, c := range []struct {
		o     Options
		shown Credentials
		user  string
		err   error
	}{
		{open, Credentials{}, "", nil},
		{open, Credentials{User: "x", Password: "y", Token: "z"}, "", nil},
		{token, Credentials{Token: "t"}, "", nil},
		{token, Credentials{Token: "x"}, "", ErrToken},
		{token, Credentials{}, "", ErrNothing},
		{token, Credentials{User: "t", Password: "t"}, "", ErrNothing},
		{token, Credentials{User: "x", Token: "t"}, "", nil},
		{users, Credentials{}, "", ErrNothing},
		{users, Credentials{Password: "p"}, "", ErrNothing},
		{users, Credentials{Token: "p"}, "", ErrUnknownUser},
		{users, Credentials{User: "u", Password: "p"}, "u", nil},
		{users, Credentials{User: "u", Password: "p", Token: "x"}, "u", nil},
		{users, Credentials{User: "u"}, "", ErrPassword},
		{users, Credentials{User: "U", Password: "p"}, "", ErrUnknownUser},
		{users, Credentials{User: "free"}, "free", nil},
		{users, Credentials{User: "free", Password: "x"}, "", ErrPassword},
		{anonymous, Credentials{}, "free", nil},
		{anonymous, Credentials{User: "u"}, "", ErrPassword},
	} {
		a, err := New(c.o)
		if err != nil {
			t.Fatal(err)
		}
		u, err := a.Authenticate(c.shown)
		if !errors.Is(err, c.err) {
			t.Errorf("%+v shows %+v: %v instead of %v", c.o, c.shown, err, c.err)
			continue
		}
		if err == nil && (u.Name != c.user || u.Account != global) {
			t.Errorf("%+v shows %+v: let in as %+v", c.o, c.shown, u)
		}
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"token beside users": {Token: "t", Users: []User{{Name: "u"}}},
		"user twice":         {Users: []User{{Name: "u"}, {Name: "u"}}},
		"nameless user":      {Users: []User{{Password: "p"}}},
		"anonymous is gone":  {NoAuthUser: "u"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestPasswordsMayBeHashed(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := New(Options{Users: []User{{Name: "u", Password: string(h)}}})
	if _, err := a.Authenticate(Credentials{User: "u", Password: "secret"}); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "Secret", string(h)} {
		if _, err := a.Authenticate(Credentials{User: "u", Password: wrong}); !errors.Is(err, ErrPassword) {
			t.Errorf("password %q: %v", wrong, err)
		}
	}
}

func TestQueuePermissionsAsMeasured(t *testing.T) {
	p := mustCompile(t, Rule{}, Rule{Allow: []string{"foo", "_INBOX.>", "bar q1", "wc.>"}, Deny: []string{"wc.no", "dq *"}}, nil)
	for _, c := range []struct {
		subject, queue string
		want           bool
	}{
		{"bar", "", false}, {"bar", "q1", true}, {"foo", "q9", true}, {">", "", false}, {"wc.no", "", false},
		{"wc.*", "", true}, {"wc.no", "q", false}, {"foo.x", "", false}, {"_INBOX.a.*", "", true},
	} {
		if got := p.MaySubscribe(c.subject, c.queue); got != c.want {
			t.Errorf("subscribe %q %q: %v", c.subject, c.queue, got)
		}
	}
	if !p.Filters("wc.*") || p.Filters("foo") || p.MayReceive("wc.no") || !p.MayReceive("wc.yes") {
		t.Error("a wildcard over a denied subject is not filtered at delivery")
	}
}

func TestRepliesMayBeSentAsOftenAsAllowed(t *testing.T) {
	now := time.Unix(100, 0)
	p := mustCompile(t, Rule{}, Rule{}, &Responses{Max: 1, Expires: time.Minute})
	g := p.Grant(func() time.Time { return now })
	if may(g, "_INBOX.1") || may(g, "orders") {
		t.Fatal("something may be published that nobody asked for")
	}
	g.Delivered([]byte("_INBOX.1"))
	g.Delivered([]byte("_INBOX.2"))
	if !may(g, "_INBOX.1") || may(g, "_INBOX.1") {
		t.Fatal("one reply is not one reply")
	}
	now = now.Add(2 * time.Minute)
	if may(g, "_INBOX.2") {
		t.Fatal("a reply may be sent after it expired")
	}
}

func TestRepliesAreForgottenOnceSentOrExpired(t *testing.T) {
	now := time.Unix(100, 0)
	p := mustCompile(t, Rule{}, Rule{}, &Responses{Max: -1, Expires: time.Minute})
	g := p.Grant(func() time.Time { return now })
	for i := range maxReplies + 10 {
		g.Delivered([]byte("_INBOX." + strconv.Itoa(i)))
	}
	if n := len(g.replies.by); n != maxReplies || n != g.replies.age.Len() {
		t.Fatalf("%d replies are remembered in %d places", n, g.replies.age.Len())
	}
	if may(g, "_INBOX.9") || !may(g, "_INBOX.10") || !may(g, "_INBOX.10") {
		t.Fatal("not the oldest replies were forgotten")
	}
	now = now.Add(2 * time.Minute)
	g.Delivered([]byte("_INBOX.new"))
	if n := len(g.replies.by); n != 1 {
		t.Fatalf("%d replies are remembered after all but one expired", n)
	}
	once := mustCompile(t, Rule{}, Rule{}, &Responses{}).Grant(func() time.Time { return now })
	once.Delivered([]byte("r"))
	if !may(once, "r") || len(once.replies.by) != 0 || may(once, "r") {
		t.Fatal("the only reply allowed is remembered after it was sent")
	}
	once.Delivered([]byte("r"))
	if !may(once, "r") {
		t.Fatal("a second request with the same reply subject may not be answered")
	}
}

func TestAnUnboundedResponseNeverExpires(t *testing.T) {
	now := time.Unix(100, 0)
	g := mustCompile(t, Rule{Deny: []string{">"}}, Rule{}, &Responses{Max: -1, Expires: -1}).Grant(func() time.Time { return now })
	g.Delivered([]byte("r"))
	now = now.Add(1000 * time.Hour)
	for range 10 {
		if !may(g, "r") {
			t.Fatal("a reply is refused")
		}
	}
	if may(g, "other") {
		t.Fatal("what nobody asked for may be published")
	}
}

func may(g *Grant, subject string) bool {
	ok, _ := g.MayPublish([]byte(subject))
	return ok
}

func TestVerdictsDoNotAllocate(t *testing.T) {
	p := mustCompile(t, Rule{Allow: []string{"a.>"}, Deny: []string{"a.b"}}, Rule{Deny: []string{"x.>"}}, nil)
	g := p.Grant(time.Now)
	s := []byte("a.c.d")
	if n := testing.AllocsPerRun(100, func() { g.MayPublish(s); g.MayReceive(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWrongRulesAreRefused(t *testing.T) {
	for _, bad := range []string{"", "a..b", "a b c", "a.>.b"} {
		if _, err := Compile(Rule{Allow: []string{bad}}, Rule{}, nil); err == nil {
			t.Errorf("publish %q was taken", bad)
		}
		if _, err := Compile(Rule{}, Rule{Deny: []string{bad}}, nil); err == nil {
			t.Errorf("subscribe %q was taken", bad)
		}
	}
}
