//go:build !race

package policy

import "testing"

func TestAnAnswerThatIsKnownDoesNotAllocate(t *testing.T) {
	p := must(t, exact, "p, a, s, Publish\n")
	if n := testing.AllocsPerRun(100, func() {
		if ok, err := p.Allows("a", "s", "Publish"); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
