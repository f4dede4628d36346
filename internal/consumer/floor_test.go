package consumer

import (
	"fmt"
	"testing"
)

// TestNakBelowFloorImpossible refuses, acknowledges, gives up and delays messages in any
// order, with restarts between: what is still to be acknowledged, a refused message above
// all, is never below the floor, on the node that leads and on one that only applies.
func TestNakBelowFloorImpossible(t *testing.T) {
	again := 0
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			d := newDuel(t, 500+seed)
			refused := 0
			d.play(600, d.input, func() {
				d.step()
				for _, x := range d.seen {
					if x.Delivered > 1 {
						refused++
					}
				}
				for name, st := range map[string]State{"live": d.c.State(), "applied": d.replica.State()} {
					for _, p := range st.Pending {
						if p.Seq <= st.Floor.Stream {
							t.Fatalf("%s: message %d is pending below the floor %d", name, p.Seq, st.Floor.Stream)
						}
					}
				}
			})
			again += refused
		})
	}
	if again == 0 {
		t.Error("nothing came again: this proves nothing")
	}
}
