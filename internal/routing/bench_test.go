package routing

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// value stands for a subscription.
type value struct{ pattern string }

// manyPatterns gives n patterns of three shapes, and for each a subject that it
// alone matches.
func manyPatterns(n int) (patterns []string, subjects [][]byte) {
	for i := range n {
		switch i % 3 {
		case 0:
			patterns = append(patterns, fmt.Sprintf("s.%d.*", i))
			subjects = append(subjects, fmt.Appendf(nil, "s.%d.created", i))
		case 1:
			patterns = append(patterns, fmt.Sprintf("t.*.%d", i))
			subjects = append(subjects, fmt.Appendf(nil, "t.eu.%d", i))
		case 2:
			patterns = append(patterns, fmt.Sprintf("u.%d.>", i))
			subjects = append(subjects, fmt.Appendf(nil, "u.%d.a.b.c", i))
		}
	}
	return patterns, subjects
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		patterns, _ := manyPatterns(n)
		b.Run(fmt.Sprintf("Patterns%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var table *Table[*value]
			v, i := &value{}, 0
			for b.Loop() {
				if i%n == 0 {
					table = New[*value]()
				}
				table.Add(patterns[i%n], "", v)
				i++
			}
		})
	}
	b.Run("SamePattern", func(b *testing.B) {
		table := New[*value]()
		for b.Loop() {
			table.Add("foo.bar", "", &value{})
		}
	})
}

func BenchmarkAddRemove(b *testing.B) {
	patterns, _ := manyPatterns(100_000)
	table := New[*value]()
	v := &value{}
	for _, p := range patterns {
		table.Add(p, "", v)
	}
	w, i := &value{}, 0
	b.ReportAllocs()
	for b.Loop() {
		p := patterns[i%len(patterns)]
		table.Add(p, "", w)
		table.Remove(p, "", w)
		i++
	}
}

func BenchmarkMatch(b *testing.B) {
	patterns, subjects := manyPatterns(100_000)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(subjects), func(i, j int) { subjects[i], subjects[j] = subjects[j], subjects[i] })
	table := New[*value]()
	for _, p := range patterns {
		table.Add(p, "", &value{pattern: p})
	}
	run := func(name string, subjects [][]byte, matches int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if r := table.Match(subjects[i]); len(r.Plain) != matches {
					b.Fatalf("%s: %d", subjects[i], len(r.Plain))
				}
				if i++; i == len(subjects) {
					i = 0
				}
			}
		})
	}
	run("AllOf100000", subjects, 1)
	run("TenOf100000", subjects[:10], 1)
	run("None", [][]byte{[]byte("nobody.listens.here")}, 0)
	table.Add("s.>", "", &value{})
	run("Merged", [][]byte{[]byte("s.0.created")}, 2)
	b.Run("AllParallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				table.Match(subjects[i%len(subjects)])
			}
		})
	})
}
