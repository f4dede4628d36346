package seglog

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/subject"
	"github.com/weirmq/weir/internal/vfs"
)

// BenchmarkFigureFilteredRead finds the few records of a subject in a log of 256
// segments of 4 MiB, each of them with few subjects or with many: with rosters that are
// read, with rosters in memory, and by looking at each record, as without them.
//
//	go test ./internal/seglog -run '^$' -bench FigureFilteredRead -benchtime 3x
func BenchmarkFigureFilteredRead(b *testing.B) {
	const segments, perFrame = 256, 1000
	for name, distinct := range map[string]int{"few": 100, "many": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			v := openVolume(b, VolumeOptions{FS: vfs.OS{}, Dir: b.TempDir(), TailCache: -1, SegmentBytes: 4 << 20, Log: quiet})
			l := openLog(b, v, testID)
			subjects := make([]string, perFrame)
			for n := 0; len(l.segments) < segments; n++ {
				for i := range subjects {
					subjects[i] = fmt.Sprintf("orders.%d.new", (n*perFrame+i)*7919%distinct)
				}
				if n%1024 == 512 {
					subjects[3] = "rare.one"
				}
				l.Append(subjectFrame(l.Last()+1, 900, subjects...))
				must(b, l.Flush())
			}
			must(b, l.Checkpoint(nil))
			for _, pattern := range []string{"rare.one", "rare.*"} {
				b.Run(pattern, func(b *testing.B) {
					f := subject.FilterOf(pattern)
					var cold, warm, whole time.Duration
					read := 0
					for b.Loop() {
						v.rosters = rosters{most: DefaultRosterCache}
						n, took := timeFiltered(b, l, f, l.Skip)
						cold += took
						read += n
						_, took = timeFiltered(b, l, f, l.Skip)
						warm += took
						_, took = timeFiltered(b, l, f, func(_ *subject.Filter, from uint64) (uint64, uint64) { return from, l.Last() })
						whole += took
					}
					per := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(b.N) }
					b.ReportMetric(per(cold), "ms")
					b.ReportMetric(per(warm), "again-ms")
					b.ReportMetric(per(whole), "all-ms")
					b.ReportMetric(float64(read)/float64(b.N), "records")
					b.ReportMetric(float64(l.Last()), "of-records")
				})
			}
		})
	}
}

// timeFiltered reads the records of a filter, and says how many it read and how long that
// took.
func timeFiltered(b *testing.B, l *Log, f *subject.Filter, skip func(*subject.Filter, uint64) (uint64, uint64)) (read int, took time.Duration) {
	begin := time.Now()
	c := l.Cursor(1)
	defer c.Close()
	found := 0
	for from, asked := uint64(1), uint64(0); ; {
		for from > asked && from <= l.Last() {
			if from, asked = skip(f, from); asked >= from {
				c.Seek(from)
				break
			}
		}
		v, err := c.Next()
		if err == io.EOF {
			break
		}
		must(b, err)
		read++
		if from = v.Seq + 1; f.Matches(v.Subject) {
			found++
		}
	}
	if found < 1 {
		b.Fatal("the records are not found")
	}
	return read, time.Since(begin)
}
