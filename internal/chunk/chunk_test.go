package chunk

import "testing"

func TestGetGivesRoomForWhatWasAsked(t *testing.T) {
	for _, n := range []int{0, 1, Smallest, Smallest + 1, 70 << 10, Largest, Largest + 1} {
		c := Get(n)
		if c.Room() < n || len(c.B) != 0 {
			t.Errorf("Get(%d): room %d, length %d", n, c.Room(), len(c.B))
		}
		if c.Cap() < n || (n <= Smallest && c.Cap() != Smallest) {
			t.Errorf("Get(%d): capacity %d", n, c.Cap())
		}
		c.Free()
	}
}

func TestOnlyTheLastFreeGivesAChunkBack(t *testing.T) {
	c := Get(10)
	c.B = append(c.B, "held"...)
	c.Retain()
	if !c.Shared() {
		t.Fatal("a chunk with two owners is not shared")
	}
	c.Free()
	for range 100 {
		if d := Get(10); &d.whole[0] == &c.whole[0] {
			t.Fatal("a chunk that still has an owner was lent again")
		}
	}
	if string(c.B) != "held" || c.Shared() {
		t.Fatalf("got %q, shared %v", c.B, c.Shared())
	}
	c.Free()
}

func TestFreeingTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	c := fresh(make([]byte, 8), unpooled)
	c.Free()
	c.Free()
}

func TestAReslicedChunkComesBackWhole(t *testing.T) {
	c := Get(Smallest)
	c.B = append(c.B, make([]byte, 100)...)[50:]
	c.Free()
	for range 100 {
		if d := Get(Smallest); d.Room() != Smallest {
			t.Fatalf("room %d", d.Room())
		}
	}
}

func TestLendingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop items under the race detector")
	}
	if n := testing.AllocsPerRun(1000, func() { Get(64 << 10).Free() }); n > 0 {
		t.Fatalf("%v allocations", n)
	}
}
