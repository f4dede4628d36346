package subject

import (
	"regexp"
	"strings"
	"testing"
)

// The alphabets of the enumeration. A literal may use a token that no pattern
// names, so that "not equal to any" is tried, and the wildcards as they stand.
var (
	patternTokens = []string{"a", "b", "*", ">"}
	literalTokens = []string{"a", "b", "x", "*", ">"}
)

// rows gives all rows of one to most tokens.
func rows(tokens []string, most int) []string {
	var all []string
	level := []string{""}
	for range most {
		var next []string
		for _, s := range level {
			for _, token := range tokens {
				next = append(next, strings.TrimPrefix(s+"."+token, "."))
			}
		}
		all = append(all, next...)
		level = next
	}
	return all
}

func patterns(most int) []string {
	var valid []string
	for _, s := range rows(patternTokens, most) {
		if ValidPattern(s) {
			valid = append(valid, s)
		}
	}
	return valid
}

// meaning gives pattern as a regular expression.
func meaning(pattern string) *regexp.Regexp {
	var b strings.Builder
	for i, token := range strings.Split(pattern, ".") {
		if i > 0 {
			b.WriteString(`\.`)
		}
		switch token {
		case "*":
			b.WriteString(`[^.]+`)
		case ">":
			b.WriteString(`[^.]+(\.[^.]+)*`)
		default:
			b.WriteString(regexp.QuoteMeta(token))
		}
	}
	return regexp.MustCompile("^" + b.String() + "$")
}

func TestMatchAgreesWithEnumeration(t *testing.T) {
	literals := append(rows(literalTokens, 4), rows([]string{"a", "b", ""}, 4)...)
	for _, p := range patterns(4) {
		means := meaning(p)
		for _, l := range literals {
			if got, want := Match(p, l), means.MatchString(l); got != want {
				t.Fatalf("Match(%q, %q) = %v", p, l, got)
			}
		}
	}
}

// Literals of one token more than the patterns have, over an alphabet of one token
// more than they name, decide whether two patterns differ.
func TestContainsAndOverlapAgreeWithEnumeration(t *testing.T) {
	const depth = 3
	all := patterns(depth)
	literals := rows([]string{"a", "b", "x"}, depth+1)
	sets := make([][]bool, len(all))
	for i, p := range all {
		sets[i] = make([]bool, len(literals))
		for j, l := range literals {
			sets[i][j] = Match(p, l)
		}
	}
	for i, p := range all {
		for j, q := range all {
			contains, overlap := true, false
			for k := range literals {
				contains = contains && (sets[i][k] || !sets[j][k])
				overlap = overlap || sets[i][k] && sets[j][k]
			}
			if got := Contains(p, q); got != contains {
				t.Fatalf("Contains(%q, %q) = %v", p, q, got)
			}
			if got := Overlap(p, q); got != overlap {
				t.Fatalf("Overlap(%q, %q) = %v", p, q, got)
			}
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("foo.*.>", "foo.bar.baz")
	f.Add(">", "a..b")
	f.Add("*", "")
	f.Add("foo.>", "foo.")
	f.Fuzz(func(t *testing.T, pattern, literal string) {
		got := Match(pattern, literal)
		Contains(pattern, literal)
		if !ValidPattern(pattern) {
			return
		}
		if ValidLiteral(literal) && (got != Contains(pattern, literal) || got != Overlap(pattern, literal)) {
			t.Fatalf("Match(%q, %q) = %v, Contains and Overlap disagree", pattern, literal, got)
		}
		if ValidPattern(literal) && Contains(pattern, literal) && !Overlap(pattern, literal) {
			t.Fatalf("%q contains %q and does not overlap it", pattern, literal)
		}
		if ValidLiteral(pattern) != (ValidPattern(pattern) && !HasWildcard(pattern)) {
			t.Fatalf("%q: ValidLiteral disagrees", pattern)
		}
	})
}
