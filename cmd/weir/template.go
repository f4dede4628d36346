package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"text/template"
	"time"

	"github.com/nats-io/nuid"
)

// facts are what a template may use.
type facts struct {
	Count   uint64 // 1 for the first message
	Key     string // before the separator of --split
	Subject string // the message's subject; empty while that itself is rendered
	Body    string // a line of standard input, or a request's data
	now     time.Time
}

// Time is the moment of the message, RFC 3339 with nanoseconds.
func (f *facts) Time() string { return f.now.UTC().Format(time.RFC3339Nano) }

// Unix is the moment of the message in seconds since 1970.
func (f *facts) Unix() int64 { return f.now.Unix() }

// UnixNano is the moment of the message in nanoseconds since 1970.
func (f *facts) UnixNano() int64 { return f.now.UnixNano() }

// ID is an identifier of its own for every use.
func (f *facts) ID() string { return nuid.Next() }

// Random is n random letters and digits, at most 1 MiB.
func (f *facts) Random(n int) (string, error) {
	if n < 0 || n > 1<<20 {
		return "", fmt.Errorf("random text has 0 to 1048576 characters, not %d", n)
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b), nil
}

const templateHelp = `Subject, body, headers, --reply and --msg-id may hold templates:
  {{.Count}}        1, 2, 3 ...
  {{.Time}}         now, RFC 3339; also {{.Unix}} and {{.UnixNano}}
  {{.Random 16}}    16 random letters and digits
  {{.ID}}           a unique identifier
  {{.Key}} {{.Body}} {{.Subject}}   parts of the message itself
Lines of standard input are sent as they are.`

// text is a string that may be a template. A plain string costs nothing to render.
type text struct {
	plain string
	tmpl  *template.Template // nil when plain
}

func parseText(what, s string) (text, error) {
	if !strings.Contains(s, "{{") {
		return text{plain: s}, nil
	}
	t, err := template.New(what).Option("missingkey=error").Parse(s)
	if err != nil {
		return text{}, fmt.Errorf("%s %q is no valid template: %w", what, s, err)
	}
	return text{plain: s, tmpl: t}, nil
}

func (t text) render(f *facts) (string, error) {
	if t.tmpl == nil {
		return t.plain, nil
	}
	var b strings.Builder
	if err := t.tmpl.Execute(&b, f); err != nil {
		return "", fmt.Errorf("fill in template: %w", err)
	}
	return b.String(), nil
}

// uses reports whether the template mentions a fact, such as ".Key".
func (t text) uses(fact string) bool { return t.tmpl != nil && strings.Contains(t.plain, fact) }
