package consumer

import (
	"bytes"
	"testing"
)

// check holds the invariants of a live consumer.
func (c *Consumer) check(t testing.TB) {
	t.Helper()
	if !c.floor.within(c.delivered) {
		t.Fatalf("floor %v is above %v delivered", c.floor, c.delivered)
	}
	if c.next <= c.delivered.Stream {
		t.Fatalf("next %d, delivered %d", c.next, c.delivered.Stream)
	}
	var live, again, queued int
	var last entry
	for i := c.tab.head; i < len(c.tab.ents); i++ {
		e := c.tab.ents[i]
		if e.phase() == phaseDead {
			continue
		}
		live++
		if e.count() > 1 {
			again++
		}
		if e.phase() == phaseQueued {
			queued++
		}
		if e.seq <= c.floor.Stream || e.dseq <= c.floor.Consumer {
			t.Fatalf("%d/%d is pending, floor %v", e.seq, e.dseq, c.floor)
		}
		if e.seq <= last.seq || e.dseq <= last.dseq {
			t.Fatalf("%d/%d follows %d/%d", e.seq, e.dseq, last.seq, last.dseq)
		}
		if c.exhausted.Contains(e.seq) {
			t.Fatalf("%d is pending and given up", e.seq)
		}
		last = e
	}
	if live != c.tab.live || again != c.tab.redelivered || queued != c.tab.queued {
		t.Fatalf("counts %d %d %d, should be %d %d %d", c.tab.live, c.tab.redelivered, c.tab.queued, live, again, queued)
	}
	if live == 0 && c.tab.queued == 0 && c.floor != c.delivered && c.delivered.Consumer == c.floor.Consumer && c.floor.Consumer > 0 {
		t.Fatalf("nothing is pending, floor %v, delivered %v", c.floor, c.delivered)
	}
	c.checkLists(t)
}

func (c *Consumer) checkLists(t testing.TB) {
	t.Helper()
	if !c.armed {
		return
	}
	linked := 0
	for l := range c.tab.lists {
		prev := none
		for i := c.tab.lists[l].head; i != none; i = c.tab.ents[i].next {
			e := &c.tab.ents[i]
			if e.prev != prev || c.tab.listOf(e) != l {
				t.Fatalf("entry %d of list %d: prev %d, want %d; list %d", e.seq, l, e.prev, prev, c.tab.listOf(e))
			}
			if l != queue && prev != none && c.tab.ents[prev].time > e.time {
				t.Fatalf("list %d is out of order at %d", l, e.seq)
			}
			prev = i
			linked++
		}
		if c.tab.lists[l].tail != prev {
			t.Fatalf("list %d ends at %d, not %d", l, c.tab.lists[l].tail, prev)
		}
	}
	inHeap := map[uint64]bool{}
	for _, l := range c.late {
		if _, ok := c.lateEntry(l); ok {
			inHeap[l.seq] = true
		}
	}
	if linked+len(inHeap) != c.tab.live {
		t.Fatalf("%d linked and %d delayed of %d", linked, len(inHeap), c.tab.live)
	}
}

// sameState fails unless both states are equal.
func sameState(t testing.TB, what string, a, b State) {
	t.Helper()
	ab, bb := AppendState(nil, &a), AppendState(nil, &b)
	if !bytes.Equal(ab, bb) {
		t.Fatalf("%s:\n%+v %v\n%+v %v", what, a, listed(&a), b, listed(&b))
	}
	back, err := DecodeState(ab)
	if err != nil {
		t.Fatalf("decode %+v: %v", a, err)
	}
	if again := AppendState(nil, &back); !bytes.Equal(again, ab) {
		t.Fatalf("%+v comes back as %+v", a, back)
	}
}

func listed(st *State) (out []uint64) {
	for seq := range st.Exhausted.All() {
		out = append(out, seq)
	}
	return out
}
