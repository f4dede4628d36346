package subjects

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/weirmq/weir/internal/vfs"
)

// benchSubjects is the size of the index that the benchmarks work on.
const benchSubjects = 1_000_000

// benchSet builds an index on the real file system.
func benchSet(b *testing.B, cache int64) *Set {
	b.Helper()
	s, err := Open(Options{FS: vfs.OS{}, Dir: b.TempDir(), ID: testID, Cache: NewCache(cache)}, nil)
	must(b, err)
	return s
}

func BenchmarkBuildMillionSubjects(b *testing.B) {
	var bytes int64
	for b.Loop() {
		s := benchSet(b, 64<<20)
		must(b, s.WriteRun(manySubjects(benchSubjects)))
		bytes = s.Stats().Bytes
		s.Close()
	}
	b.ReportMetric(float64(bytes)/benchSubjects, "disk-B/subject")
}

// BenchmarkLookup finds subjects all over the index, with all of it cached and
// with a small part of it.
func BenchmarkLookup(b *testing.B) {
	for _, c := range []struct {
		name  string
		bytes int64
	}{{"cached", 64 << 20}, {"paged", 2 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			s := benchSet(b, c.bytes)
			must(b, s.WriteRun(manySubjects(benchSubjects)))
			before := heap()
			var name []byte
			for i := range benchSubjects / 100 { // each block once
				name = subjectAt(name, i*100)
				_, _, err := s.Lookup(name)
				must(b, err)
			}
			grown := float64(heap() - before)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i = (i + 7_919_993) % benchSubjects
				name = subjectAt(name, i)
				if _, ok, err := s.Lookup(name); !ok || err != nil {
					b.Fatalf("%s: %v, %v", name, ok, err)
				}
			}
			b.ReportMetric(grown/benchSubjects, "heap-B/subject")
			runtime.KeepAlive(s)
		})
	}
}

func subjectAt(dst []byte, i int) []byte {
	return fmt.Appendf(dst[:0], "orders.%03d.item.%07d", i/10_000, i)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkEach walks through the index; an operation is one subject.
func BenchmarkEach(b *testing.B) {
	for _, pattern := range []string{">", "orders.*.item.*", "orders.050.item.*"} {
		b.Run(pattern, func(b *testing.B) {
			s := benchSet(b, 64<<20)
			must(b, s.WriteRun(manySubjects(benchSubjects)))
			b.ResetTimer()
			for n := 0; n < b.N; {
				must(b, s.Each(pattern, func([]byte, *Entry) bool { n++; return n < b.N }))
			}
		})
	}
}

// BenchmarkMerge makes one run of four; an operation is one merge of a million.
func BenchmarkMerge(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := benchSet(b, 64<<20)
		for range mergeFrom {
			must(b, s.WriteRun(manySubjects(benchSubjects/mergeFrom)))
		}
		b.StartTimer()
		did, err := s.Merge(nil)
		must(b, err)
		if !did {
			b.Fatal("nothing was merged")
		}
	}
}

// BenchmarkTenMillionSubjects looks up subjects all over an index of ten million
// in four runs, whose cache has 64 MiB, and tells the memory that this takes.
func BenchmarkTenMillionSubjects(b *testing.B) {
	const all, runs = 10 * benchSubjects, 4
	before := heap()
	s := benchSet(b, 64<<20)
	for r := range runs {
		must(b, s.WriteRun(func(yield func([]byte, *Entry) bool) {
			var name []byte
			for i := r; i < all; i += runs {
				if name = deviceAt(name, i); !yield(name, &Entry{Count: 3, First: uint64(i + 1), Last: uint64(i + 9)}) {
					return
				}
			}
		}))
	}
	var name []byte
	i := 0
	for b.Loop() {
		i = (i + 7_919_993) % all
		name = deviceAt(name, i)
		if _, ok, err := s.Lookup(name); !ok || err != nil {
			b.Fatalf("%s: %v, %v", name, ok, err)
		}
	}
	b.ReportMetric(float64(heap()-before)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(s.Stats().Bytes)/(1<<20), "disk-MiB")
	runtime.KeepAlive(s)
}

// deviceAt gives subjects of which a block compresses little.
func deviceAt(dst []byte, i int) []byte {
	return fmt.Appendf(dst[:0], "devices.%08d.%016x.state", i, uint64(i)*0x9e3779b97f4a7c15)
}
