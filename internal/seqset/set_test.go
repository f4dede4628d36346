package seqset

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// check holds the set's invariants.
func (s *Set) check(t *testing.T) {
	t.Helper()
	var total uint64
	var last uint64
	some := false
	for i, c := range s.chunks {
		if len(c.runs) == 0 || len(c.runs) > chunkMax {
			t.Fatalf("chunk %d holds %d runs", i, len(c.runs))
		}
		var n uint64
		for _, r := range c.runs {
			if r.first > r.last || (some && r.first <= last+1) {
				t.Fatalf("run %d-%d after %d", r.first, r.last, last)
			}
			n += r.last - r.first + 1
			last, some = r.last, true
		}
		if n != c.count {
			t.Fatalf("chunk %d counts %d, holds %d", i, c.count, n)
		}
		total += n
	}
	if total != s.count {
		t.Fatalf("set counts %d, holds %d", s.count, total)
	}
}

// model is the plainest set.
type model map[uint64]bool

func (m model) count(from, to uint64) (n uint64) {
	for seq := range m {
		if seq >= from && seq <= to {
			n++
		}
	}
	return n
}

func (m model) nextAbsent(seq uint64) uint64 {
	for m[seq] {
		seq++
	}
	return seq
}

func (m model) sorted() []uint64 {
	out := make([]uint64, 0, len(m))
	for seq := range m {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}

func TestSetEqualsTheModel(t *testing.T) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		span := []uint64{50, 700, 3000, 20000, 20000, 5000}[seed]
		var s Set
		m := model{}
		for step := range 6000 {
			seq := 1 + rnd.Uint64N(span)
			switch k := rnd.IntN(100); {
			case k < 70:
				if got := s.Add(seq); got == m[seq] {
					t.Fatalf("seed %d: Add(%d) gives %v", seed, seq, got)
				}
				m[seq] = true
			case k < 76:
				to := seq + rnd.Uint64N(12)
				s.AddRange(seq, to)
				for q := seq; q <= to; q++ {
					m[q] = true
				}
			case k < 97:
				if got := s.Remove(seq); got != m[seq] {
					t.Fatalf("seed %d: Remove(%d) gives %v", seed, seq, got)
				}
				delete(m, seq)
			case k < 98 && step%50 == 0:
				low := seq / 4
				s.RemoveBelow(low)
				for q := range m {
					if q < low {
						delete(m, q)
					}
				}
			}
			compare(t, &s, m, rnd.Uint64N(span), rnd.Uint64N(span), step%200 == 0)
		}
		if !slices.Equal(slices.Collect(s.All()), m.sorted()) {
			t.Fatalf("seed %d: contents differ", seed)
		}
	}
}

func compare(t *testing.T, s *Set, m model, a, b uint64, whole bool) {
	t.Helper()
	if s.Count() != uint64(len(m)) || s.Contains(a) != m[a] || s.NextAbsent(a) != m.nextAbsent(a) {
		t.Fatalf("count %d of %d, contains %d: %v, next absent %d", s.Count(), len(m), a, s.Contains(a), s.NextAbsent(a))
	}
	if !whole {
		return
	}
	s.check(t)
	if got, want := s.CountRange(a, b), m.count(a, b); got != want {
		t.Fatalf("CountRange(%d, %d) = %d, want %d", a, b, got, want)
	}
	c := s.Clone()
	c.check(t)
	got, rest, err := Decode(append(s.Append(nil), 7))
	if err != nil || len(rest) != 1 || !got.Equal(s) || !c.Equal(s) {
		t.Fatalf("round trip: %v, %d bytes left", err, len(rest))
	}
	got.check(t)
	c.AddRange(a, a+3)
	if !m[a] && s.Contains(a) {
		t.Fatal("a clone shares its chunks")
	}
}

func TestAddRangeJoinsWhatItTouches(t *testing.T) {
	var s Set
	for seq := uint64(10); seq <= 4000; seq += 2 {
		s.Add(seq)
	}
	s.AddRange(9, 3999)
	s.check(t)
	if s.Runs() != 1 || s.Count() != 4000-9+1 {
		t.Fatalf("%d runs, %d sequences", s.Runs(), s.Count())
	}
	s.AddRange(5, 4)
	if s.Contains(5) {
		t.Fatal("an inverted range is empty")
	}
}

func TestRangesMayReachTheEnds(t *testing.T) {
	var s Set
	s.AddRange(math.MaxUint64-5, math.MaxUint64)
	s.AddRange(0, 3)
	s.Add(math.MaxUint64 - 6)
	s.check(t)
	if s.Count() != 11 || s.CountRange(0, math.MaxUint64) != 11 || s.NextAbsent(math.MaxUint64) != 0 {
		t.Fatalf("count %d", s.Count())
	}
	got, _, err := Decode(s.Append(nil))
	if err != nil || !got.Equal(&s) {
		t.Fatalf("round trip: %v", err)
	}
	s.AddRange(1, math.MaxUint64-1)
	if s.Runs() != 1 || !s.Contains(1<<40) {
		t.Fatal("a range over everything is one run")
	}
	s.RemoveBelow(math.MaxUint64)
	if s.Count() != 1 {
		t.Fatalf("%d left", s.Count())
	}
}

func TestAddingInOrderKeepsChunksFull(t *testing.T) {
	var s Set
	for i := range uint64(10 * chunkMax) {
		s.Add(2 * i)
	}
	s.check(t)
	if len(s.chunks) > 11 {
		t.Fatalf("%d chunks for 10 full ones", len(s.chunks))
	}
	if n := testing.AllocsPerRun(100, func() { s.CountRange(7, 4000); s.Contains(999) }); n != 0 {
		t.Fatalf("%v allocations per look-up", n)
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	for _, b := range [][]byte{
		nil, {}, {0}, {2, 0}, {1}, {1, 1}, {1, 1, 5}, {1, 9, 1, 1},
		{1, 1, 0x80, 0x00, 1}, // not the shortest encoding
		{1, 1, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, // wraps
		append([]byte{1, 0x80, 0x80, 0x80, 0x80, 0x10}, bytes.Repeat([]byte{1}, 8)...),
	} {
		if s, _, err := Decode(b); err == nil {
			t.Errorf("%x gives %d sequences", b, s.Count())
		}
	}
}

func FuzzDecode(f *testing.F) {
	var s Set
	f.Add(s.Append(nil))
	s.AddRange(3, 900)
	s.Add(1 << 40)
	f.Add(s.Append(nil))
	f.Add([]byte{1, 2, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := Decode(b)
		if err != nil {
			return
		}
		s.check(t)
		if again := s.Append(nil); !bytes.Equal(again, b[:len(b)-len(rest)]) {
			t.Fatalf("%x is encoded as %x", b[:len(b)-len(rest)], again)
		}
	})
}

func BenchmarkAddRandom(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var s Set
	for b.Loop() {
		s.Add(rnd.Uint64N(1 << 24))
	}
}
