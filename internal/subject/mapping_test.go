package subject

import (
	"errors"
	"testing"
)

func TestMappingsRenameBothWays(t *testing.T) {
	for _, c := range []struct{ pattern, name, literal, want string }{
		{"foo", "", "foo", "foo"},
		{"foo", "bar.baz", "foo", "bar.baz"},
		{"foo", "bar", "other", ""},
		{"ev.>", "imp.ev.>", "ev.x.y", "imp.ev.x.y"},
		{"ev.>", "imp.ev.>", "ev", ""},
		{"ev.>", "imp.ev.>", "ev.x..y", ""},
		{">", "all.>", "a.b", "all.a.b"},
		{"all.>", ">", "all.a.b", "a.b"},
		{"a.*.*", "$2.x.$1", "a.b.c", "c.x.b"},
		{"a.*.*", "{{wildcard(2)}}.{{ Wildcard(1) }}", "a.b.c", "c.b"},
		{"a.*.b.*", "*.*", "a.1.b.2", "1.2"},
		{"$JS.API.>", "from.A.>", "$JS.API.INFO", "from.A.INFO"},
		{"$KV.>", "from.$KV.>", "$KV.b.k", "from.$KV.b.k"},
		{"a.*", "a.$1", "a.b.c", ""},
		{"a.*", "a.$1", "a.", ""},
	} {
		m, err := ParseMapping(c.pattern, c.name)
		if err != nil {
			t.Errorf("%s to %s: %v", c.pattern, c.name, err)
			continue
		}
		got, ok := m.Append(nil, []byte(c.literal))
		if string(got) != c.want || ok != (c.want != "") {
			t.Errorf("%s to %s: %s becomes %q, %v", c.pattern, c.name, c.literal, got, ok)
		}
		if !ok {
			continue
		}
		if back, ok := m.Inverse().Append(nil, got); !ok || string(back) != c.literal {
			t.Errorf("%s to %s: %s does not come back: %q, %v", c.pattern, c.name, c.literal, back, ok)
		}
		if m.From() != c.pattern || !Match(m.To(), string(got)) {
			t.Errorf("%s to %s: the patterns are %q and %q", c.pattern, c.name, m.From(), m.To())
		}
	}
}

func TestMappingsThatLoseSomethingAreRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"a.*", "b"}, {"a.*.*", "b.$1"}, {"a.*.*", "b.$1.$1"}, {"a.*", "b.$2"}, {"a", "b.$1"}, {"a.>", "b"}, {"a", "b.>"},
		{"a.*", "b.*.*"}, {"a..b", "c"}, {"a", "b..c"}, {"a.>", ">.b"}, {"a.*", "{{left(1,2)}}"}, {"a b", "c"},
	} {
		if _, err := ParseMapping(c[0], c[1]); !errors.Is(err, ErrMapping) {
			t.Errorf("%s to %s: %v", c[0], c[1], err)
		}
	}
}

func TestMappingsRenameWhatTwoPatternsShare(t *testing.T) {
	for _, c := range []struct{ pattern, name, given, want string }{
		{"imp.ev.>", "ev.>", ">", "ev.>"},
		{"imp.ev.>", "ev.>", "imp.>", "ev.>"},
		{"imp.ev.>", "ev.>", "imp.*.x", "ev.x"},
		{"imp.ev.>", "ev.>", "imp.ev.*.>", "ev.*.>"},
		{"imp.ev.>", "ev.>", "imp.ev", ""},
		{"imp.ev.>", "ev.>", "other.>", ""},
		{"a.*.*", "$2.$1", "a.b.*", "*.b"},
		{"a.*.*", "$2.$1", "*.*.c", "c.*"},
		{"a.*.*", "$2.$1", "a.>", "*.*"},
		{"a.*.*", "$2.$1", "a.b", ""},
		{"a.*.*", "$2.$1", "a.b.c.d", ""},
		{"a.*.*", "$2.$1", "a.b.c.>", ""},
		{"a", "b", "*", "b"},
		{"a", "b", "a.>", ""},
		{">", "x.>", "q.*", "x.q.*"},
	} {
		m, err := ParseMapping(c.pattern, c.name)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := m.Pattern(c.given)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s to %s: of %s it is %q, %v", c.pattern, c.name, c.given, got, ok)
		}
		if ok != Overlap(c.pattern, c.given) {
			t.Errorf("%s and %s: overlap says otherwise", c.pattern, c.given)
		}
	}
}

func TestRenamingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m, err := ParseMapping("a.*.*.>", "b.$2.$1.>")
	if err != nil {
		t.Fatal(err)
	}
	dst, s := make([]byte, 0, 64), []byte("a.b.c.d.e")
	if n := testing.AllocsPerRun(100, func() { dst, _ = m.Append(dst[:0], s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzMapping(f *testing.F) {
	f.Add("a.*.>", "b.$1.>", "a.b.c.d")
	f.Add("a.*", "{{wildcard(1)}}", "a.b")
	f.Fuzz(func(t *testing.T, pattern, name, literal string) {
		m, err := ParseMapping(pattern, name)
		if err != nil {
			return
		}
		got, ok := m.Append(nil, []byte(literal))
		if ok != Match(pattern, literal) {
			t.Fatalf("%q to %q: %q maps %v", pattern, name, literal, ok)
		}
		if !ok {
			return
		}
		if back, ok := m.Inverse().Append(nil, got); !ok || string(back) != literal {
			t.Fatalf("%q to %q: %q becomes %q and %q", pattern, name, literal, got, back)
		}
	})
}
