package routing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// show writes a result as one line: plain values, then each queue.
func show(r *Result[int]) string {
	var b strings.Builder
	fmt.Fprint(&b, r.Plain)
	for _, q := range r.Queues {
		fmt.Fprintf(&b, " %s%v", q.Name, q.Members)
	}
	return b.String()
}

func wantMatch(t *testing.T, table *Table[int], subject, want string) {
	t.Helper()
	if got := show(table.Match([]byte(subject))); got != want {
		t.Errorf("%s: matched %s, want %s", subject, got, want)
	}
}

func TestPlainKeepsTheOrderOfInsertion(t *testing.T) {
	table := New[int]()
	for i, p := range []string{"foo.>", "foo.bar", "*.bar", "foo.bar", ">", "foo.*"} {
		table.Add(p, "", i)
	}
	wantMatch(t, table, "foo.bar", "[0 1 2 3 4 5]")
	wantMatch(t, table, "foo.x", "[0 4 5]")
	wantMatch(t, table, "foo", "[4]")
	table.Remove("foo.bar", "", 1)
	table.Add("foo.bar", "", 1)
	wantMatch(t, table, "foo.bar", "[0 2 3 4 5 1]")
}

func TestOneQueueIsMergedOverItsPatterns(t *testing.T) {
	table := New[int]()
	table.Add("foo.*", "q", 1)
	table.Add("foo.bar", "p", 2)
	table.Add("foo.bar", "q", 3)
	table.Add("foo.bar", "", 4)
	table.Add(">", "q", 5)
	table.Add("foo.*", "q", 6)
	wantMatch(t, table, "foo.bar", "[4] p[2] q[1 3 5 6]")
	wantMatch(t, table, "foo.x", "[] q[1 5 6]")
	wantMatch(t, table, "other", "[] q[5]")
	table.Remove("foo.bar", "p", 2)
	wantMatch(t, table, "foo.bar", "[4] q[1 3 5 6]")
}

func TestSubjectIsMatchedAsItStands(t *testing.T) {
	table := New[int]()
	for i, p := range []string{"foo.*", "foo.>", "foo.bar", "*", ">"} {
		table.Add(p, "", i)
	}
	wantMatch(t, table, "foo.*", "[0 1 4]")
	wantMatch(t, table, "foo.>", "[0 1 4]")
	wantMatch(t, table, ">", "[3 4]")
	wantMatch(t, table, "*", "[3 4]")
	for _, none := range []string{"", ".", "foo.", ".foo", "foo..bar", "foo.bar."} {
		wantMatch(t, table, none, "[]")
	}
}

func TestSubjectsMayBeDeep(t *testing.T) {
	deep := strings.TrimSuffix(strings.Repeat("t.", 2000), ".")
	table := New[int]()
	table.Add(deep, "", 1)
	table.Add(strings.Replace(deep, "t", "*", 1), "", 2)
	table.Add(deep[:len(deep)-1]+">", "", 3)
	table.Add(deep+".x", "", 4)
	wantMatch(t, table, deep, "[1 2 3]")
	for i, p := range []string{deep, strings.Replace(deep, "t", "*", 1), deep[:len(deep)-1] + ">", deep + ".x"} {
		if !table.Remove(p, "", i+1) {
			t.Errorf("pattern %d is not there", i+1)
		}
	}
	if !table.root.empty() {
		t.Error("the tree is not empty")
	}
}

func TestAddingTwiceChangesNothing(t *testing.T) {
	table := New[int]()
	table.Add("foo", "", 1)
	table.Add("foo", "q", 1)
	g := table.Generation()
	table.Add("foo", "", 1)
	table.Add("foo", "q", 1)
	if table.Generation() != g || table.Len() != 2 {
		t.Errorf("generation went from %d to %d, %d values", g, table.Generation(), table.Len())
	}
	wantMatch(t, table, "foo", "[1] q[1]")
}

func TestRemovingWhatIsNotThereChangesNothing(t *testing.T) {
	table := New[int]()
	table.Add("foo.bar", "q", 1)
	table.Add("foo.bar", "", 2)
	g := table.Generation()
	for _, x := range []struct {
		pattern, queue string
		v              int
	}{
		{"foo.bar", "", 1}, {"foo.bar", "q", 2}, {"foo.bar", "r", 1}, {"foo", "", 1}, {"foo.*", "q", 1},
		{"foo.bar.x", "q", 1}, {"foo.>", "q", 1}, {"x", "q", 1}, {"foo.bar", "q", 3},
	} {
		if table.Remove(x.pattern, x.queue, x.v) {
			t.Errorf("%+v was removed", x)
		}
	}
	if table.Generation() != g || table.Len() != 2 {
		t.Errorf("generation went from %d to %d, %d values", g, table.Generation(), table.Len())
	}
}

func TestResultsNeverChange(t *testing.T) {
	table := New[int]()
	for i := range 3 * maxScan {
		table.Add("foo", "", i)
		table.Add("foo", "q", i)
	}
	single := table.Match([]byte("foo"))
	table.Add("*", "q", 1000)
	merged := table.Match([]byte("foo"))
	beforeSingle, beforeMerged := show(single), show(merged)
	for i := range 3 * maxScan {
		table.Add("foo", "", 2000+i)
		table.Remove("foo", "", i)
		table.Remove("foo", "q", i)
		table.Add("*", "q", 2000+i)
		table.Match([]byte("foo"))
	}
	if show(single) != beforeSingle || show(merged) != beforeMerged {
		t.Error("a result changed after it was given")
	}
}

func TestLastTokenFreeSaysThatTheResultHoldsForThePrefix(t *testing.T) {
	tests := []struct {
		patterns, subject string
		want              bool
	}{
		{"_INBOX.abc.*", "_INBOX.abc.x", true},
		{"_INBOX.abc.* _INBOX.def.*", "_INBOX.abc.x", true},
		{"_INBOX.abc.* _INBOX.abc.x", "_INBOX.abc.y", false},
		{"_INBOX.abc.* _INBOX.abc.x", "_INBOX.abc.x", false},
		{"_INBOX.abc.* _INBOX.*.x", "_INBOX.abc.y", false},
		{"_INBOX.abc.* *.*.x", "_INBOX.abc.y", false},
		{"_INBOX.abc.* _INBOX.abc.x.y", "_INBOX.abc.x", true},
		{"_INBOX.abc.* _INBOX.abc.x.>", "_INBOX.abc.x", true},
		{"_INBOX.abc.* _INBOX.abc.x.>", "_INBOX.abc.x.y", true},
		{"_INBOX.>", "_INBOX.abc.x", true},
		{"foo.bar", "other.x", true},
		{"foo.bar", "foo.x", false},
		{"foo.bar", "foo.x.y", true},
		{"foo.bar", "x", true},
		{"foo", "x", false},
		{"", "a.b", true},
	}
	for _, tt := range tests {
		table := New[int]()
		for i, p := range strings.Fields(tt.patterns) {
			table.Add(p, "", i)
		}
		if got := table.Match([]byte(tt.subject)).LastTokenFree; got != tt.want {
			t.Errorf("%q, %s: LastTokenFree is %v", tt.patterns, tt.subject, got)
		}
	}
}

func TestMatchUpToSaysWhichTokensCount(t *testing.T) {
	tests := []struct {
		patterns, subject, want string
	}{
		{"$JS.ACK.>", "$JS.ACK.S.c.1.2.3", "$JS.ACK."},
		{"$JS.ACK.> $JS.API.> foo", "$JS.ACK.S.c.1.2.3", "$JS.ACK."},
		{"$JS.ACK.> $JS.ACK.S.>", "$JS.ACK.S.c.1.2.3", "$JS.ACK.S."},
		{"$JS.ACK.> $JS.ACK.S.>", "$JS.ACK.T.c.1.2.3", "$JS.ACK.T."},
		{"$JS.ACK.> *.*.*.*.1.>", "$JS.ACK.S.c.1.2.3", "$JS.ACK.S.c.1."},
		{"$JS.ACK.> *.*.*.*.1.>", "$JS.ACK.S.c.2.2.3", "$JS.ACK.S.c.2."},
		{"a.*", "a.b", "a.b"},
		{"a.*", "a.b.c", "a.b."},
		{"a.b.c", "x.y.z", "x."},
		{">", "a.b", ""},
		{"", "a.b", ""},
		{"a.>", "a..b", "a..b"},
	}
	for _, tt := range tests {
		table := New[int]()
		for i, p := range strings.Fields(tt.patterns) {
			table.Add(p, "", i)
		}
		if _, upTo := table.MatchUpTo([]byte(tt.subject)); tt.subject[:upTo] != tt.want {
			t.Errorf("%q, %s: up to %q, want %q", tt.patterns, tt.subject, tt.subject[:upTo], tt.want)
		}
	}
}

func TestOnePatternServesBothKindsOfSubject(t *testing.T) {
	table := New[int]()
	table.Add("a.>", "q", 1)
	table.Add("a.b.c", "", 2)
	bound, free := table.Match([]byte("a.b.x")), table.Match([]byte("a.x.y"))
	if bound.LastTokenFree || !free.LastTokenFree || show(bound) != show(free) {
		t.Errorf("bound %+v, free %+v", bound, free)
	}
	if table.Match([]byte("a.b.z")) != bound || table.Match([]byte("a.z.z")) != free {
		t.Error("the result of one pattern is not shared")
	}
}

func TestPrefixIsOnlyOfSubjectsWithALastToken(t *testing.T) {
	for subject, want := range map[string]string{"a.b": "a.", "a.b.c": "a.b.", "_INBOX.x.1": "_INBOX.x."} {
		if got, ok := Prefix([]byte(subject)); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", subject, got, ok)
		}
	}
	for _, subject := range []string{"", "a", ".", "a.", "a.b."} {
		if got, ok := Prefix([]byte(subject)); ok {
			t.Errorf("%q: prefix %q", subject, got)
		}
	}
}

func TestRemovingEverythingGivesTheTreeBack(t *testing.T) {
	patterns, _ := manyPatterns(10_000)
	patterns = append(patterns, ">", "*", "s", "s.>", "s.0", "t.*.>")
	for _, order := range []string{"forward", "backward"} {
		table := New[int]()
		for i, p := range patterns {
			table.Add(p, "", i)
			table.Add(p, "q", i)
		}
		for i := range patterns {
			if order == "backward" {
				i = len(patterns) - 1 - i
			}
			if !table.Remove(patterns[i], "", i) || !table.Remove(patterns[i], "q", i) {
				t.Fatalf("%s: %s is not there", order, patterns[i])
			}
		}
		if l := &table.root; !l.empty() || l.ends != 0 || l.many != nil || table.Len() != 0 {
			t.Errorf("%s: left %+v, %d values", order, l, table.Len())
		}
	}
}

func TestLevelShrinksWithItsTokens(t *testing.T) {
	table := New[int]()
	const n = 10_000
	for i := range n {
		table.Add(fmt.Sprintf("t%d", i), "", i)
	}
	for i := range n - 10 {
		table.Remove(fmt.Sprintf("t%d", i), "", i)
	}
	if table.root.peak >= minShrink {
		t.Errorf("the map was made for %d tokens and holds %d", table.root.peak, len(table.root.many))
	}
	for i := n - 10; i < n; i++ {
		wantMatch(t, table, fmt.Sprintf("t%d", i), fmt.Sprint([]int{i}))
	}
}

func TestRollStaysOrderedAndCompact(t *testing.T) {
	var r roll[int]
	serial := uint64(0)
	var want []int
	add := func(v int) {
		serial++
		if !r.add(member[int]{v, serial}) {
			t.Fatalf("%d is there already", v)
		}
		want = append(want, v)
	}
	remove := func(v int) {
		if !r.remove(v) {
			t.Fatalf("%d is not there", v)
		}
		want = slices.DeleteFunc(want, func(w int) bool { return w == v })
	}
	check := func() {
		t.Helper()
		if got := r.values(); !slices.Equal(got, want) || r.len() != len(want) {
			t.Fatalf("holds %v (%d), want %v", got, r.len(), want)
		}
		if len(r.members) > 2*r.len()+maxScan {
			t.Fatalf("%d places for %d values", len(r.members), r.len())
		}
	}
	for v := range 300 {
		add(v)
		check()
	}
	for v := 0; v < 300; v += 2 {
		remove(v)
		add(1000 + v)
		check()
	}
	for len(want) > 0 {
		remove(want[len(want)/2])
		check()
	}
	if r.index != nil {
		t.Error("an empty roll keeps its index")
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	patterns, subjects := manyPatterns(1000)
	table := New[int]()
	for i, p := range patterns {
		table.Add(p, "", i)
		table.Add(p, "q", i)
	}
	for _, s := range subjects {
		table.Match(s) // makes the result
	}
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		table.Match(subjects[i%len(subjects)])
		i++
	}); n != 0 {
		t.Errorf("%v allocations where one pattern matches", n)
	}
	nobody := []byte("nobody.listens.here")
	if n := testing.AllocsPerRun(100, func() { table.Match(nobody) }); n != 0 {
		t.Errorf("%v allocations where none matches", n)
	}
}
