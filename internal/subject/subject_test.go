package subject

import (
	"strings"
	"testing"
)

func TestPatternsAreValidated(t *testing.T) {
	tests := []struct {
		s                      string
		pattern, literal, wild bool
	}{
		{"foo", true, true, false},
		{"foo.bar", true, true, false},
		{"*", true, false, true},
		{">", true, false, true},
		{"foo.*", true, false, true},
		{"foo.>", true, false, true},
		{"*.foo.*.>", true, false, true},
		{"foo*", true, true, false},
		{"foo.*bar.>x", true, true, false},
		{"**.>>", true, true, false},
		{"föö.\x00.\xff", true, true, false},
		{"$SYS.a-b_c", true, true, false},
		{"", false, false, false},
		{".", false, false, false},
		{"foo.", false, false, false},
		{".foo", false, false, false},
		{"foo..bar", false, false, false},
		{"foo.>.bar", false, false, true},
		{">.foo", false, false, true},
		{">.", false, false, true},
		{"foo bar", false, false, false},
		{"foo\tbar", false, false, false},
		{"foo\rbar", false, false, false},
		{"foo\nbar", false, false, false},
		{"foo\fbar", false, false, false},
	}
	for _, tt := range tests {
		if got := ValidPattern(tt.s); got != tt.pattern {
			t.Errorf("ValidPattern(%q) = %v", tt.s, got)
		}
		if got := ValidLiteral(tt.s); got != tt.literal {
			t.Errorf("ValidLiteral(%q) = %v", tt.s, got)
		}
		if got := HasWildcard(tt.s); got != tt.wild {
			t.Errorf("HasWildcard(%q) = %v", tt.s, got)
		}
	}
}

func TestLiteralsAreMatchedAsTheyStand(t *testing.T) {
	tests := []struct {
		pattern, literal string
		want             bool
	}{
		{"foo.*", "foo.*", true},
		{"foo.>", "foo.*", true},
		{"foo.>", "foo.>", true},
		{"foo.*", "foo.>", true},
		{"foo.bar", "foo.*", false},
		{"foo.bar", "foo.>", false},
		{"foo*", "foo*", true},
		{"foo*", "foobar", false},
		{"foo.>", "foo", false},
		{"foo.>", "foo.a.b.c", true},
		{"*", "foo", true},
		{"*", "foo.bar", false},
		{"Foo", "foo", false},
		{"foo", "foo.bar", false},
		{"foo.bar", "foo", false},
		// an empty token is none
		{">", "", false},
		{"*", "", false},
		{">", ".", false},
		{">", "foo.", false},
		{">", ".foo", false},
		{"foo.>", "foo..bar", false},
		{"foo.>", "foo.", false},
		{"foo.*", "foo.", false},
		{"foo.*.bar", "foo..bar", false},
		{"foo", "foo.", false},
	}
	for _, tt := range tests {
		if got := Match(tt.pattern, tt.literal); got != tt.want {
			t.Errorf("Match(%q, %q) = %v", tt.pattern, tt.literal, got)
		}
		if got := MatchBytes(tt.pattern, []byte(tt.literal)); got != tt.want {
			t.Errorf("MatchBytes(%q, %q) = %v", tt.pattern, tt.literal, got)
		}
	}
}

func TestCutWalksTheTokens(t *testing.T) {
	for _, s := range []string{"", "a", "a.b", ".", "a..b.", "foo.bar.baz"} {
		var got []string
		for rest, last := s, false; !last; {
			var token string
			token, rest, last = Cut(rest)
			got = append(got, token)
		}
		if joined := strings.Join(got, "."); joined != s || len(got) != Tokens(s) {
			t.Errorf("%q: cut into %q, Tokens gives %d", s, got, Tokens(s))
		}
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	long := strings.Repeat("token.", 40) + "end"
	longBytes := []byte(long)
	for name, call := range map[string]func() bool{
		"Match":        func() bool { return Match("token.*.token.>", long) },
		"MatchBytes":   func() bool { return MatchBytes("token.*.token.>", longBytes) },
		"Contains":     func() bool { return Contains("token.>", long) },
		"Overlap":      func() bool { return Overlap("*.token.>", long) },
		"ValidPattern": func() bool { return ValidPattern(long) },
		"HasWildcard":  func() bool { return !HasWildcard(long) },
	} {
		if n := testing.AllocsPerRun(100, func() {
			if !call() {
				t.Errorf("%s: false", name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		if !Match("orders.*.eu.>", "orders.4711.eu.paid.late") {
			b.Fatal("no match")
		}
	}
}
