package seglog

import (
	"fmt"
	"io"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

// filled is a log on the real file system with n records of 128 bytes, none of
// them in memory.
func filled(b testing.TB, n, perFrame int) *Log {
	b.Helper()
	v := openVolume(b, VolumeOptions{FS: vfs.OS{}, Dir: b.TempDir(), TailCache: -1, Log: quiet})
	l := openLog(b, v, testID)
	for base := 1; base <= n; base += perFrame {
		f, _ := logtest.Dense(testID, uint64(base), int64(base), perFrame, 128)
		l.Append(f)
		if base%100_000 < perFrame {
			must(b, l.Flush())
		}
	}
	must(b, l.Checkpoint(nil))
	return l
}

func BenchmarkCursor(b *testing.B) {
	for _, perFrame := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d-a-frame", perFrame), func(b *testing.B) {
			l := filled(b, 500_000, perFrame)
			c := l.Cursor(1)
			defer c.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Next(); err == io.EOF {
					c.Seek(1)
				} else if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	l := filled(b, 500_000, 10)
	b.ReportAllocs()
	seq := uint64(1)
	for b.Loop() {
		seq = (seq*31 + 7) % 500_000
		if _, err := l.Get(seq + 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	v := openVolume(b, VolumeOptions{FS: vfs.OS{}, Dir: b.TempDir(), Log: quiet})
	l := openLog(b, v, testID)
	frames := make([]*record.Frame, b.N)
	for i := range frames {
		frames[i] = &record.Frame{Header: record.Header{Base: uint64(i + 1), Count: 1}}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, f := range frames {
		l.Append(f)
	}
}

func BenchmarkFlush(b *testing.B) {
	v := openVolume(b, VolumeOptions{FS: vfs.OS{}, Dir: b.TempDir(), Log: quiet})
	l := openLog(b, v, testID)
	const perFrame = 1000
	base := uint64(1)
	b.SetBytes(8 * perFrame * 160)
	for b.Loop() {
		b.StopTimer()
		for range 8 {
			f, _ := logtest.Dense(testID, base, 1, perFrame, 128)
			l.Append(f)
			base += perFrame
		}
		l.Trim(l.Last() - min(l.Last(), 500_000))
		b.StartTimer()
		must(b, l.Flush())
	}
}

// BenchmarkTransformed reads and writes a log in each way of keeping its files.
func BenchmarkTransformed(b *testing.B) {
	for _, how := range ways {
		b.Run(how.name, func(b *testing.B) {
			o := VolumeOptions{FS: vfs.OS{}, Dir: b.TempDir(), TailCache: -1, Log: quiet}
			how.set(&o)
			l := openLog(b, openVolume(b, o), testID)
			const perFrame, frames = 200, 2_000
			b.Run("write", func(b *testing.B) {
				base := uint64(1)
				b.SetBytes(20 * perFrame * 160)
				for b.Loop() {
					b.StopTimer()
					for range 20 {
						f, _ := logtest.Dense(testID, base, int64(base), perFrame, 128)
						l.Append(f)
						base += perFrame
					}
					b.StartTimer()
					must(b, l.Flush())
				}
			})
			l.Reset(0)
			for base := uint64(1); base <= perFrame*frames; base += perFrame {
				f, _ := logtest.Dense(testID, base, int64(base), perFrame, 128)
				l.Append(f)
			}
			must(b, l.Checkpoint(nil))
			b.Run("read", func(b *testing.B) {
				c := l.Cursor(1)
				defer c.Close()
				b.SetBytes(160)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Next(); err == io.EOF {
						c.Seek(1)
					} else if err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("get", func(b *testing.B) {
				b.ReportAllocs()
				seq := uint64(1)
				for b.Loop() {
					seq = (seq*31 + 7) % (perFrame * frames)
					if _, err := l.Get(seq + 1); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
