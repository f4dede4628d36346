package journal

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs"
)

// ticker is a Completer that signals each call.
type ticker chan uint64

func (c ticker) Durable(upto uint64) { c <- upto }
func (c ticker) Failed(err error)    { panic(err) }

func benchJournal(b *testing.B, buffered bool) *Journal {
	b.Helper()
	j, err := Open(Options{FS: vfs.OS{}, Dir: b.TempDir(), Buffered: buffered, FileSize: 16 << 20}, func(Entry) error { return nil })
	must(b, err)
	b.Cleanup(func() { must(b, j.Close()) })
	awaitFiles(b, j, ahead)
	return j
}

func reportP50(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-µs")
}

// BenchmarkDevice is the floor: overwrite 4 KiB of a prepared file and make it
// durable.
func BenchmarkDevice(b *testing.B) {
	for _, direct := range []bool{false, true} {
		name := map[bool]string{false: "fdatasync", true: "direct"}[direct]
		b.Run(name, func(b *testing.B) {
			const size = 16 << 20
			j := &Journal{fileSize: size, opts: Options{FS: vfs.OS{}, Buffered: !direct, Dir: b.TempDir()}}
			f, err := j.makeFile(1)
			must(b, err)
			defer func() { must(b, f.close()) }()
			buf := vfs.AlignedBuffer(blockSize)
			took := make([]time.Duration, 0, b.N)
			for i := 0; b.Loop(); i++ {
				start := time.Now()
				if _, err := f.f.WriteAt(buf, int64(i)*blockSize%size); err != nil {
					b.Fatal(err)
				}
				if !f.direct {
					must(b, f.f.Datasync())
				}
				took = append(took, time.Since(start))
			}
			reportP50(b, took)
		})
	}
}

// BenchmarkAppendOne is one writer that waits for each entry.
func BenchmarkAppendOne(b *testing.B) {
	for _, buffered := range []bool{true, false} {
		name := map[bool]string{true: "fdatasync", false: "direct"}[buffered]
		b.Run(name, func(b *testing.B) {
			j := benchJournal(b, buffered)
			c := make(ticker, 1)
			g := j.Group(1, c)
			data := make([]byte, 200)
			took := make([]time.Duration, 0, b.N)
			for i := uint64(1); b.Loop(); i++ {
				start := time.Now()
				must(b, j.Append(g, 1, i, 0, Urgent, data))
				<-c
				took = append(took, time.Since(start))
				if i%1024 == 0 {
					g.Release(i)
				}
			}
			reportP50(b, took)
		})
	}
}

// BenchmarkAppend64 is 64 writers of their own groups that each wait.
func BenchmarkAppend64(b *testing.B) {
	for _, buffered := range []bool{true, false} {
		name := map[bool]string{true: "fdatasync", false: "direct"}[buffered]
		b.Run(name, func(b *testing.B) {
			j := benchJournal(b, buffered)
			const writers = 64
			var wg sync.WaitGroup
			b.ResetTimer()
			for w := range writers {
				wg.Add(1)
				go func() {
					defer wg.Done()
					c := make(ticker, 1)
					g := j.Group(GroupID(w+1), c)
					data := make([]byte, 200)
					for i := uint64(1); i <= uint64(b.N/writers+1); i++ {
						if err := j.Append(g, 1, i, 0, Urgent, data); err != nil {
							panic(err)
						}
						<-c
						g.Release(i)
					}
				}()
			}
			wg.Wait()
			b.ReportMetric(float64(j.Metrics.Entries.Load())/float64(j.Metrics.Batches.Load()), "entries/batch")
		})
	}
}

// counter is a Completer that gives back credit.
type counter struct{ credit chan struct{} }

func (c *counter) Durable(uint64) {
	select {
	case c.credit <- struct{}{}:
	default:
	}
}
func (c *counter) Failed(err error) { panic(err) }

// BenchmarkPipelined appends entries of one size without waiting, at most a few
// MiB ahead of the disk.
func BenchmarkPipelined(b *testing.B) {
	for _, size := range []int{256, 16 << 10, 256 << 10} {
		for _, buffered := range []bool{true, false} {
			name := map[bool]string{true: "fdatasync", false: "direct"}[buffered]
			b.Run(filepath.Join(sizeName(size), name), func(b *testing.B) {
				pipeline(b, benchJournal(b, buffered), size)
			})
		}
	}
}

func sizeName(n int) string {
	if n < 1024 {
		return "256B"
	}
	return map[int]string{16 << 10: "16KiB", 256 << 10: "256KiB"}[n]
}

func pipeline(b *testing.B, j *Journal, size int) {
	c := &counter{make(chan struct{}, 1)}
	g := j.Group(1, c)
	data := make([]byte, size)
	b.SetBytes(int64(size))
	ahead := uint64(max(8, 4<<20/size))
	for i := uint64(1); b.Loop(); i++ {
		for i > j.Metrics.Entries.Load()+ahead {
			<-c.credit
			g.Release(j.Metrics.Entries.Load())
		}
		must(b, j.Append(g, 1, i, 0, Urgent, data))
	}
	b.StopTimer()
	for j.Metrics.Entries.Load() < j.Metrics.Appends.Load() {
		<-c.credit
	}
}
