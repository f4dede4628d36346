package jetstream

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAckSubjectsWrittenOneAfterTheOtherAreThoseWrittenAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	edges := []uint64{0, 1, 9, 10, 11, 99, 100, 101, 999_999, 1_000_000, math.MaxInt64, math.MaxUint64 - 1, math.MaxUint64, 9_999_999_999_999_999_999, 10_000_000_000_000_000_000}
	next := func(n uint64) uint64 {
		switch rng.IntN(8) {
		case 0, 1, 2:
			return n + 1
		case 3, 4, 5:
			return n - 1
		case 6:
			return n
		default:
			return edges[rng.IntN(len(edges))]
		}
	}
	var w AckWriter
	var sseq, dseq, ts, pending uint64
	for range 200_000 {
		sseq, dseq, ts, pending = next(sseq), next(dseq), next(ts), next(pending)
		got := w.Append(nil, "S", "C", 1, sseq, dseq, int64(ts), pending)
		if want := AppendAck(nil, "S", "C", 1, sseq, dseq, int64(ts), pending); string(got) != string(want) {
			t.Fatalf("%s instead of %s", got, want)
		}
	}
}

func BenchmarkAckSubjects(b *testing.B) {
	buf := make([]byte, 0, 256)
	b.Run("alone", func(b *testing.B) {
		for i := range b.N {
			buf = AppendAck(buf[:0], "ORDERS", "worker", 1, uint64(i), uint64(i), 1_700_000_000_123_456_789, uint64(b.N-i))
		}
	})
	b.Run("one after the other", func(b *testing.B) {
		var w AckWriter
		for i := range b.N {
			buf = w.Append(buf[:0], "ORDERS", "worker", 1, uint64(i), uint64(i), 1_700_000_000_123_456_789, uint64(b.N-i))
		}
	})
}
