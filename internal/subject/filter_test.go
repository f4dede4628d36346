package subject

import "testing"

func TestAFilterStandsForItsPatternsAndNames(t *testing.T) {
	f := FilterOf("a.*", "b.>")
	f.Names = FilterNamed("z..z", "c.*", "a.b.c").Names
	for literal, want := range map[string]bool{
		"a.1": true, "a": false, "a.1.2": false, "b.1.2": true, "a.b.c": true, "c.*": true, "c.1": false, "z..z": true, "b..z": false, "": false,
	} {
		if got := f.Matches([]byte(literal)); got != want {
			t.Errorf("%q: %v", literal, got)
		}
	}
	for _, f := range []*Filter{FilterOf(), FilterOf("a", "")} {
		if f != nil || !f.Matches([]byte("a..b")) || !f.Broad() {
			t.Errorf("%v does not stand for all", f)
		}
	}
	if FilterNamed().Matches([]byte("a")) {
		t.Error("a filter without a name stands for one")
	}
}

func TestAFilterIsBroadWhereAPatternHasWildcardsOnly(t *testing.T) {
	for pattern, want := range map[string]bool{">": true, "*": true, "*.*": true, "*.>": true, "a": false, "a.>": false, "*.a": false, "*.a.>": false, "a.*": false} {
		if got := FilterOf("x", pattern).Broad(); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
	if FilterNamed("a").Broad() {
		t.Error("a name is broad")
	}
}

func TestMatchingAFilterAllocatesNothing(t *testing.T) {
	f := FilterOf("a.*", "b.>")
	f.Names = FilterNamed("c", "d").Names
	literal := []byte("a.long.enough.to.need.an.allocation.of.its.own")
	if n := testing.AllocsPerRun(100, func() { f.Matches(literal) }); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}
