package policy

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
)

// asked is how many values a request has: who, what it is about, and the call.
const asked = 3

// Model is a casbin model for requests of three values. It is immutable.
type Model struct {
	text string
	// fields are how many values the rules of each type have: "p", and the roles.
	fields map[string]int
	// Where values stand in a rule "p"; -1: nowhere.
	effect, priority int
	request          [asked]int // those of a request of the same names
}

// ReadModel reads a model from a file. The error names what is wrong with it.
func ReadModel(path string) (*Model, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err // it names the file
	}
	m, err := parseModel(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func parseModel(text string) (*Model, error) {
	parsed, err := model.NewModelFromString(text)
	if err != nil {
		return nil, fmt.Errorf("not a model: %w", err)
	}
	request, rule := parsed["r"]["r"], parsed["p"]["p"]
	if n := len(request.Tokens); n != asked {
		return nil, fmt.Errorf("request_definition has %d values, not %d: client, resource and call", n, asked)
	}
	where := map[string]int{}
	for i, token := range rule.Tokens {
		where[strings.TrimPrefix(token, "p_")] = i
	}
	at := func(name string) int {
		if i, ok := where[name]; ok {
			return i
		}
		return -1
	}
	m := &Model{text: text, fields: map[string]int{"p": len(rule.Tokens)}, effect: at("eft"), priority: at("priority")}
	for k, token := range request.Tokens {
		m.request[k] = at(strings.TrimPrefix(token, "r_"))
	}
	for kind, role := range parsed["g"] {
		if len(role.ParamsTokens) > 0 {
			return nil, fmt.Errorf("role_definition %s: roles with conditions are not supported", kind)
		}
		m.fields[kind] = len(role.Tokens)
	}
	return m, m.tryMatcher(parsed["m"]["m"].Value)
}

// tryMatcher judges something, so that a matcher that cannot be used is found. One that
// evaluates rules is tried with these.
func (m *Model) tryMatcher(matcher string) error {
	e, err := m.enforcer(nil)
	if err == nil && !strings.Contains(matcher, "eval(") {
		_, err = e.Enforce("", "", "")
	}
	if err != nil {
		return fmt.Errorf("matchers or policy_effect: %w", brief(err))
	}
	return nil
}

// rule is a line of a policy.
type rule struct {
	line   int
	kind   string // "p" or a role's
	values []string
}

// enforcer makes the library's judge of rules that fit the model.
func (m *Model) enforcer(rules []rule) (*casbin.Enforcer, error) {
	parsed, err := model.NewModelFromString(m.text)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		section := r.kind[:1]
		if twice, err := parsed.HasPolicy(section, r.kind, r.values); err != nil || twice {
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := parsed.AddPolicy(section, r.kind, r.values); err != nil {
			return nil, err
		}
	}
	e, err := casbin.NewEnforcer(parsed)
	if err != nil {
		return nil, err
	}
	return e, errors.Join(parsed.SortPoliciesBySubjectHierarchy(), parsed.SortPoliciesByPriority(), e.BuildRoleLinks())
}

// brief is an error without the stack that the library gives with some.
func brief(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(text)
}
