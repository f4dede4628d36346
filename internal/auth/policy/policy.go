package policy

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/casbin/casbin/v2"
)

// Policy is what clients may do. Its rules do not change; its methods may be called by
// any goroutine.
type Policy struct {
	digest string
	rules  int

	judging  sync.Mutex // held while the enforcer judges
	enforcer *casbin.Enforcer

	mu      sync.RWMutex
	answers map[question]bool // guarded by mu
}

// question is what was asked once.
type question struct{ name, resource, action string }

// Bounds of what is remembered: that many answers, to questions of that many bytes.
const (
	maxAnswers  = 16 << 10
	maxQuestion = 1 << 10
)

// ReadPolicy reads the rules of a policy from a file, one a line: "p" or a role's type,
// and its values with commas between them. The error has the line.
func (m *Model) ReadPolicy(path string) (*Policy, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err // it names the file
	}
	rules, line, err := m.parse(string(b))
	if err == nil {
		line, err = m.try(rules)
	}
	switch {
	case err != nil && line > 0:
		return nil, fmt.Errorf("%s:%d: %w", path, line, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e, err := m.enforcer(rules)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, brief(err))
	}
	sum := sha256.Sum256([]byte(strconv.Itoa(len(m.text)) + ":" + m.text + string(b)))
	return &Policy{digest: hex.EncodeToString(sum[:]), rules: len(rules), enforcer: e, answers: map[question]bool{}}, nil
}

// parse reads lines. Of an error it gives the line, 0 for all of them.
func (m *Model) parse(text string) (rules []rule, line int, err error) {
	for t := range strings.Lines(text) {
		line++
		if t = strings.TrimSpace(t); t == "" || t[0] == '#' {
			continue
		}
		in := csv.NewReader(strings.NewReader(t))
		in.TrimLeadingSpace, in.Comment = true, '#'
		values, err := in.Read()
		if errors.Is(err, io.EOF) {
			continue
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			err = wrong.Err // its line is that of the one line
		}
		if err != nil {
			return nil, line, err
		}
		r := rule{line, values[0], values[1:]}
		if err := m.fits(r); err != nil {
			return nil, line, err
		}
		rules = append(rules, r)
	}
	if !slices.ContainsFunc(rules, func(r rule) bool { return r.kind == "p" }) {
		return nil, 0, errors.New("there is no rule: nobody could do anything")
	}
	return rules, 0, nil
}

// fits says why the library would pass over a rule, or misread it.
func (m *Model) fits(r rule) error {
	want, known := m.fields[r.kind]
	switch {
	case !known:
		return fmt.Errorf("a rule of type %q: the model has %s", r.kind, strings.Join(slices.Sorted(maps.Keys(m.fields)), ", "))
	case len(r.values) != want:
		return fmt.Errorf("a rule %s has %d values here and %d in the model", r.kind, len(r.values), want)
	case r.kind != "p":
		return nil
	}
	if m.effect >= 0 {
		if eft := r.values[m.effect]; eft != "allow" && eft != "deny" {
			return fmt.Errorf("effect %q is neither allow nor deny", eft)
		}
	}
	if m.priority >= 0 {
		if _, err := strconv.Atoi(r.values[m.priority]); err != nil {
			return fmt.Errorf("priority %q is no number", r.values[m.priority])
		}
	}
	return nil
}

// try judges by each rule alone, so that one that cannot be judged, such as a broken
// pattern, is found: later it would end the judging for everybody.
func (m *Model) try(rules []rule) (line int, err error) {
	e, err := m.enforcer(nil)
	if err != nil {
		return 0, brief(err)
	}
	for _, r := range rules {
		if r.kind != "p" {
			continue
		}
		e.GetModel().ClearPolicy()
		if err := e.GetModel().AddPolicy("p", "p", r.values); err != nil {
			return r.line, brief(err)
		}
		var request [asked]any
		for k, i := range m.request {
			request[k] = ""
			if i >= 0 {
				request[k] = r.values[i]
			}
		}
		if _, err := e.Enforce(request[:]...); err != nil {
			return r.line, brief(err)
		}
	}
	return 0, nil
}

// Digest stands for what was read: the model and the rules.
func (p *Policy) Digest() string { return p.digest }

// Rules is how many there are, those of roles included.
func (p *Policy) Rules() int { return p.rules }

// Allows says whether a client, by the name of its certificate, may make a call about
// a resource. With an error it may not. What was asked before is answered without an
// allocation.
func (p *Policy) Allows(name, resource, action string) (bool, error) {
	q := question{name, resource, action}
	p.mu.RLock()
	allowed, known := p.answers[q]
	p.mu.RUnlock()
	if known {
		return allowed, nil
	}
	p.judging.Lock()
	allowed, err := p.enforcer.Enforce(name, resource, action)
	p.judging.Unlock()
	if err != nil {
		return false, fmt.Errorf("judge by the policy: %w", brief(err))
	}
	if len(name)+len(resource)+len(action) <= maxQuestion {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.answers) >= maxAnswers {
			clear(p.answers)
		}
		p.answers[q] = allowed
	}
	return allowed, nil
}
