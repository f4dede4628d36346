package policy

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// exact is the model that Liftbridge's documentation shows: rules hold as they stand.
const exact = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
`

// grown has roles, denials and patterns.
const grown = `
[request_definition]
r = sub, obj, act

[policy_definition]
p = sub, obj, act, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = g(r.sub, p.sub) && globMatch(r.obj, p.obj) && regexMatch(r.act, p.act)
`

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, model, rules string) (*Policy, error) {
	t.Helper()
	m, err := ReadModel(file(t, model))
	if err != nil {
		t.Fatal(err)
	}
	return m.ReadPolicy(file(t, rules))
}

func must(t *testing.T, model, rules string) *Policy {
	t.Helper()
	p, err := read(t, model, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatNoRuleAllowsIsRefused(t *testing.T) {
	p := must(t, exact, "# who, what, call\np, a, s, Publish\n\n  p, a, *, FetchMetadata # all\np, a, s, Publish\np,\"b,c\",s,Publish\r\n")
	if p.Rules() != 4 || len(p.Digest()) != 64 {
		t.Error(p.Rules(), p.Digest())
	}
	for _, c := range []struct {
		name, resource, action string
		want                   bool
	}{
		{"a", "s", "Publish", true}, {"b,c", "s", "Publish", true},
		{"a", "*", "FetchMetadata ", false}, {"a", "*", "FetchMetadata # all", true},
		{"a", "s", "publish", false}, {"b", "s", "Publish", false}, {"a", "t", "Publish", false}, {"", "", "", false},
	} {
		for range 2 { // once judged, once remembered
			if got, err := p.Allows(c.name, c.resource, c.action); got != c.want || err != nil {
				t.Errorf("%+v: %v %v", c, got, err)
			}
		}
	}
}

func TestRolesDenialsAndPatternsOfAModelHold(t *testing.T) {
	p := must(t, grown, "p, writers, orders.*, ^Publish$, allow\np, eve, orders.secret, .*, deny\ng, eve, writers\ng, bob, writers\n")
	for _, c := range []struct {
		name, resource, action string
		want                   bool
	}{
		{"bob", "orders.1", "Publish", true}, {"bob", "orders.secret", "Publish", true}, {"bob", "orders.1", "Subscribe", false},
		{"eve", "orders.1", "Publish", true}, {"eve", "orders.secret", "Publish", false}, {"ann", "orders.1", "Publish", false},
	} {
		if got, err := p.Allows(c.name, c.resource, c.action); got != c.want || err != nil {
			t.Errorf("%+v: %v %v", c, got, err)
		}
	}
}

func TestARuleThatWouldCountForNothingIsRefusedWithItsLine(t *testing.T) {
	for _, c := range []struct{ model, rules, want string }{
		{exact, "", "there is no rule"},
		{grown, "g, a, b\n", "there is no rule"},
		{exact, "p, a, s, Publish\np, a, s\n", `:2: a rule p has 2 values here and 3 in the model`},
		{exact, "p, a, s, Publish, allow\n", `:1: a rule p has 4 values here and 3 in the model`},
		{exact, "\n\ng, a, b\n", `:3: a rule of type "g": the model has p`},
		{exact, "q\n", `:1: a rule of type "q"`},
		{exact, "p, a, s, \"Publish\n", ":1: "},
		{grown, "p, a, s, x, alow\n", `:1: effect "alow" is neither allow nor deny`},
		{grown, "p, a, s, x, allow\ng, a, b, c\n", `:2: a rule g has 3 values here and 2 in the model`},
		{grown, "p, a, s, x, allow\np, a, s, [, deny\n", ":2: "},
		{strings.Replace(exact, "p = sub", "p = priority, sub", 1), "p, high, a, s, x\n", `:1: priority "high" is no number`},
	} {
		if _, err := read(t, c.model, c.rules); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, not %q", c.rules, err, c.want)
		}
	}
	m, err := ReadModel(file(t, exact))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ReadPolicy(filepath.Join(t.TempDir(), "none.csv")); err == nil || !strings.Contains(err.Error(), "none.csv") {
		t.Error(err)
	}
}

func TestAModelThatCannotJudgeIsRefused(t *testing.T) {
	for _, c := range []struct{ model, want string }{
		{"", "missing required sections"},
		{"[request_definition]\nr\n", "line"},
		{strings.Replace(exact, "r = sub, obj, act", "r = sub, dom, obj, act", 1), "request_definition has 4 values, not 3"},
		{strings.Replace(exact, "r.sub == p.sub", "r.sub == p.nobody", 1), "matchers or policy_effect"},
		{strings.Replace(exact, "r.sub == p.sub", "r.sub ==", 1), "matchers or policy_effect"},
		{strings.Replace(exact, "r.sub == p.sub", "sameAs(r.sub, p.sub)", 1), "matchers or policy_effect"},
		{strings.Replace(exact, "some(where (p.eft == allow))", "perhaps", 1), "matchers or policy_effect"},
		{strings.Replace(grown, "g = _, _", "g = _, _, (_, _)", 1), "roles with conditions are not supported"},
	} {
		if _, err := ReadModel(file(t, c.model)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, not %q", c.model, err, c.want)
		}
	}
	if _, err := ReadModel(filepath.Join(t.TempDir(), "none.conf")); err == nil || !strings.Contains(err.Error(), "none.conf") {
		t.Error(err)
	}
}

func TestTheDigestTellsModelsAndRulesApart(t *testing.T) {
	one := must(t, exact, "p, a, s, x\n").Digest()
	if must(t, exact, "p, a, s, x\n").Digest() != one {
		t.Error("the same files have two digests")
	}
	if must(t, exact, "p, a, s, y\n").Digest() == one || must(t, exact+"\n", "p, a, s, x\n").Digest() == one {
		t.Error("a change is not seen")
	}
}

// TestManyAskAtOnce asks for more than is remembered, also by a name without a role.
func TestManyAskAtOnce(t *testing.T) {
	p := must(t, grown, "p, writers, s*, x, allow\ng, a, writers\n")
	long := "s" + strings.Repeat("y", maxQuestion)
	for i := range maxAnswers - 50 {
		p.answers[question{"a", "t" + strconv.Itoa(i), "x"}] = false
	}
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := range 50 {
				resource := "s" + strconv.Itoa(i*7+k)
				for name, want := range map[string]bool{"a": true, "b": false} {
					if got, err := p.Allows(name, resource, "x"); got != want || err != nil {
						t.Error(name, resource, got, err)
						return
					}
				}
			}
			if got, err := p.Allows("a", long, "x"); !got || err != nil {
				t.Error(got, err)
			}
		})
	}
	wg.Wait()
	if n := len(p.answers); n == 0 || n > 1000 {
		t.Errorf("%d answers are remembered", n)
	}
	if _, kept := p.answers[question{"a", long, "x"}]; kept {
		t.Error("a long question is remembered")
	}
}
