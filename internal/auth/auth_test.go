package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/subject"
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

// TestDenyWins compares the verdicts with enumeration over a small alphabet.
func TestDenyWins(t *testing.T) {
	var literals, all []string
	for _, a := range []string{"a", "b", "*", ">"} {
		all = append(all, a)
		for _, b := range []string{"a", "b", "*", ">"} {
			if a != ">" {
				all = append(all, a+"."+b)
			}
		}
	}
	for _, s := range all {
		if !strings.ContainsAny(s, "*>") {
			literals = append(literals, s)
		}
	}
	for _, allow := range all {
		for _, deny := range all {
			p := mustCompile(t, Rule{Allow: []string{allow}, Deny: []string{deny}}, Rule{Allow: []string{allow}, Deny: []string{deny}}, nil)
			g := p.Grant(time.Now)
			for _, s := range literals {
				want := subject.Match(allow, s) && !subject.Match(deny, s)
				if got, _ := g.MayPublish([]byte(s)); got != want {
					t.Fatalf("allow %s deny %s: publish %s is %v", allow, deny, s, got)
				}
				for _, queue := range []string{"", "q"} {
					if got := p.MaySubscribe(s, queue) && p.MayReceive(s); got != want {
						t.Fatalf("allow %s deny %s: receive %s in queue %q is %v", allow, deny, s, queue, got)
					}
				}
			}
			for _, pattern := range all {
				if !p.MaySubscribe(pattern, "") {
					continue
				}
				for _, s := range literals {
					if subject.Match(pattern, s) && subject.Match(deny, s) && (!p.Filters(pattern) || p.MayReceive(s)) {
						t.Fatalf("allow %s deny %s: %s slips through a subscription of %s", allow, deny, s, pattern)
					}
				}
			}
		}
	}
}

func TestRepliesMayBeSentAsOftenAsAllowed(t *testing.T) {
	now := time.Unix(100, 0)
	p := mustCompile(t, Rule{}, Rule{}, &Responses{Max: 1, Expires: time.Minute})
	g := p.Grant(func() time.Time { return now })
	may := func(s string) bool {
		ok, _ := g.MayPublish([]byte(s))
		return ok
	}
	if may("_INBOX.1") || may("orders") {
		t.Fatal("something may be published that nobody asked for")
	}
	g.Delivered([]byte("_INBOX.1"))
	g.Delivered([]byte("_INBOX.2"))
	if !may("_INBOX.1") || may("_INBOX.1") {
		t.Fatal("one reply is not one reply")
	}
	now = now.Add(2 * time.Minute)
	if may("_INBOX.2") {
		t.Fatal("a reply may be sent after it expired")
	}
	for range 3 * maxReplies {
		g.Delivered([]byte("_INBOX." + strings.Repeat("x", len(g.order)%7)))
	}
	if len(g.order) > maxReplies || len(g.replies) > maxReplies {
		t.Fatal("replies are remembered without bound")
	}
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
