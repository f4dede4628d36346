package oracle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// unequal is one place in which two answers are not the same.
type unequal struct {
	field           string // keys and indexes, with dots between them
	weir, reference any    // nil: it is not there
}

func (u unequal) String() string {
	return fmt.Sprintf("%s: weir %s, nats-server %s", u.field, show(u.weir), show(u.reference))
}

func show(v any) string {
	text := encode(v)
	return text[:min(len(text), 300)]
}

func encode(v any) string {
	if v == nil {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// compare lists where two decoded values are not the same.
func compare(field string, a, b any) []unequal {
	at := func(key string) string { return strings.TrimPrefix(field+"."+key, ".") }
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			var out []unequal
			for _, k := range keys(x, y) {
				out = append(out, compare(at(k), x[k], y[k])...)
			}
			return out
		}
	case []any:
		if y, ok := b.([]any); ok {
			var out []unequal
			for i := range max(len(x), len(y)) {
				out = append(out, compare(at(fmt.Sprint(i)), element(x, i), element(y, i))...)
			}
			return out
		}
	}
	if encode(a) == encode(b) {
		return nil
	}
	return []unequal{{field, a, b}}
}

func element(list []any, i int) any {
	if i >= len(list) {
		return nil
	}
	return list[i]
}

func keys(maps ...map[string]any) (out []string) {
	for _, m := range maps {
		for k := range m {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// matches says whether text is what a pattern says, in which * is anything.
func matches(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, head) {
		return false
	}
	for text = text[len(head):]; ; text = text[1:] {
		if matches(rest, text) {
			return true
		}
		if text == "" {
			return false
		}
	}
}

// freeText are the errors whose text each server words for itself: clients go by
// the number.
var freeText = []string{"10012", "10025", "10052", "10069", "10094", "10095", "10145", "10146",
	"10151", "10154", "10155", "10156", "10157", "10204"}

// maskDescription hides the part of an error's text that is free.
func maskDescription(code, text string) string {
	if !slices.Contains(freeText, code) {
		return text
	}
	fixed, _, _ := strings.Cut(errorTexts()[code], "{")
	if !strings.HasPrefix(text, fixed) {
		return text
	}
	return fixed + "<text>"
}

// errorTexts are the descriptions of the protocol's table, by number.
var errorTexts = sync.OnceValue(func() map[string]string {
	b, err := os.ReadFile("../../internal/wire/jetstream/errors.tsv")
	if err != nil {
		panic("oracle: " + err.Error())
	}
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 4 {
			out[f[2]] = f[3]
		}
	}
	return out
})

func TestMatchesTakesAStarForAnything(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*b", "ab", true}, {"*b", "abc", false},
		{"a*c*e", "abcde", true}, {"a*c*e", "abde", false}, {"*", "", true}, {"", "a", false},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.text, got)
		}
	}
}

func TestEveryKindOfDifferenceIsFound(t *testing.T) {
	decode := func(s string) (v any) {
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	got := compare("", decode(`{"same":1,"less":1,"list":[1,2],"kind":"1","deep":{"a":1}}`), decode(`{"same":1,"more":1,"list":[1,3,4],"kind":1,"deep":{"a":2}}`))
	want := []string{
		"deep.a: weir 1, nats-server 2", `kind: weir "1", nats-server 1`, "less: weir 1, nats-server nothing",
		"list.1: weir 2, nats-server 3", "list.2: weir nothing, nats-server 4", "more: weir nothing, nats-server 1",
	}
	var lines []string
	for _, u := range got {
		lines = append(lines, u.String())
	}
	if !slices.Equal(lines, want) {
		t.Errorf("found %q", lines)
	}
}
