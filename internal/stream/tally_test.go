package stream

import (
	"math/rand"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestATallyCountsEachRemovalOnce runs random interleavings of reading, removing
// and telling of removals: once all are told the tally is what is live.
func TestATallyCountsEachRemovalOnce(t *testing.T) {
	for seed := range int64(2000) {
		rnd := rand.New(rand.NewSource(seed))
		live := map[uint64]bool{}
		var told []uint64 // removals in order
		var last, seen uint64
		remove := func() {
			for seq := range live { // in no order
				delete(live, seq)
				told = append(told, seq)
				return
			}
		}
		var c tally
		tell := func() {
			c.removed(told[seen], seen+1)
			seen++
		}
		c.start(1, 0, 0, 0)
		for range 60 {
			switch rnd.Intn(4) {
			case 0:
				last++
				live[last] = true
			case 1:
				remove()
			case 2:
				if seen < uint64(len(told)) {
					tell()
				}
			case 3: // read on; records go while it reads
				w := walk{from: c.next, to: last + 1, before: uint64(len(told))}
				n := uint64(0)
				for seq := w.from; seq < w.to; seq++ {
					if rnd.Intn(4) == 0 {
						remove()
					}
					if live[seq] {
						w.seqs = append(w.seqs, seq)
						n++
					}
				}
				if w.after = uint64(len(told)); w.after == w.before {
					w.seqs = nil
				}
				c.add(w, n, seen)
			}
		}
		for seen < uint64(len(told)) {
			tell()
		}
		want := uint64(0)
		for seq := range live {
			if seq < c.next {
				want++
			}
		}
		if c.n != want {
			t.Fatalf("seed %d: the tally is %d, %d are live", seed, c.n, want)
		}
		c.add(walk{from: c.next, to: c.next, before: seen, after: seen}, 0, seen)
		if len(c.walks) > 0 {
			t.Fatalf("seed %d: %d walks are kept though all is told", seed, len(c.walks))
		}
	}
}
