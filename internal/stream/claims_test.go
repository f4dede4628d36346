package stream

import (
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/subject"
)

// TestClaimsMeetWhatOverlaps holds the tree against a look at each pattern.
func TestClaimsMeetWhatOverlaps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tokens := []string{"a", "b", "c", "*"}
	pattern := func() string {
		p := tokens[rnd.IntN(len(tokens))]
		for range rnd.IntN(4) {
			p += "." + tokens[rnd.IntN(len(tokens))]
		}
		switch rnd.IntN(8) {
		case 0:
			p += ".>"
		case 1:
			if rnd.IntN(10) == 0 {
				p = ">"
			}
		}
		return p
	}
	var held []string
	var c claims
	for range 20_000 {
		p := pattern()
		want := false
		for _, h := range held {
			want = want || subject.Overlap(h, p)
		}
		if got := c.meet([]string{p}); got != want {
			t.Fatalf("%q against %q: %v", p, held, got)
		}
		if i := rnd.IntN(20); i < len(held) {
			c.remove(held[i : i+1])
			held[i] = held[len(held)-1]
			held = held[:len(held)-1]
		} else {
			c.add([]string{p})
			held = append(held, p)
		}
	}
	c.remove(held)
	if c.ends != 0 || len(c.next) != 0 {
		t.Fatal("claims stay when all are taken away")
	}
}
