package stream

import (
	"bytes"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

func viewOf(seq uint64, data []byte) *record.View {
	return &record.View{Seq: seq, Time: int64(seq) * 10, Subject: []byte("s.1"), Header: []byte("h"), Data: data, Reply: []byte("r")}
}

func TestAHaulGivesEachRecordAsItWasFound(t *testing.T) {
	var h haul
	for round := range 3 {
		h.empty()
		for seq := uint64(1); seq <= 600; seq++ {
			data := bytes.Repeat([]byte{byte(seq)}, int(seq)*round)
			v := viewOf(seq, data)
			h.add(h.own.keep(v))
			clear(data)
			v.Subject[0] = '-' // its bytes were lent
		}
		if h.take(601) != nil {
			t.Fatal("it gives what was not found")
		}
		for seq := uint64(2); seq <= 600; seq += 2 {
			v := h.take(seq)
			if v == nil || v.Seq != seq || v.Time != int64(seq)*10 {
				t.Fatalf("round %d: %d gives %+v", round, seq, v)
			}
			if string(v.Subject) != "s.1" || string(v.Header) != "h" || string(v.Reply) != "r" {
				t.Fatalf("round %d: %d gives %s %s %s", round, seq, v.Subject, v.Header, v.Reply)
			}
			if !bytes.Equal(v.Data, bytes.Repeat([]byte{byte(seq)}, int(seq)*round)) {
				t.Fatalf("round %d: other data of %d", round, seq)
			}
		}
	}
}

func TestAHaulIsFullOfBytesAndKeepsNoLargeMemory(t *testing.T) {
	var h haul
	v := viewOf(1, make([]byte, mostArena+1))
	n := 0
	for ; !h.full(); n++ {
		h.add(h.own.keep(v))
	}
	if want := mostHaul/mostArena + 1; n > want {
		t.Errorf("%d records of 1 MiB, want at most %d", n, want)
	}
	h.empty()
	if c := cap(h.own.arena); c > mostArena || h.full() {
		t.Errorf("after that it keeps %d bytes, full %v", c, h.full())
	}
	for i := range h.own.finds[:n] {
		if h.own.finds[:n][i].all != nil {
			t.Fatal("what it found once stays in memory")
		}
	}
}

func TestASteadyHaulAllocatesNothing(t *testing.T) {
	var h haul
	v := viewOf(1, make([]byte, 1000))
	step := func() {
		h.empty()
		for seq := uint64(1); seq <= stepLimit; seq++ {
			v.Seq = seq
			h.add(h.own.keep(v))
			h.take(seq)
		}
	}
	for range 5 {
		step()
	}
	if n := testing.AllocsPerRun(50, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
