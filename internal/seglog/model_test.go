package seglog

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

var testID = record.Identity{ID: 4, Incarnation: 2}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// small makes everything happen often. Where the disk has direct writes, about
// every second write is one.
func small(fs vfs.FS) VolumeOptions {
	return VolumeOptions{
		FS: fs, Dir: "data", SegmentBytes: 40_000, FlushBytes: 8_000, DirectFrom: 6_000, TailCache: 10_000, MaxFiles: 2, ReclaimFrom: 500, Log: quiet,
	}
}

// newDisk is a disk with an empty data directory that a crash does not take.
func newDisk(t testing.TB) *faultfs.FS {
	t.Helper()
	fs := faultfs.New()
	must(t, fs.MkdirAll("data"))
	must(t, fs.SyncDir("/"))
	return fs
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openVolume(t testing.TB, o VolumeOptions) *Volume {
	t.Helper()
	v, err := Open(o)
	must(t, err)
	t.Cleanup(func() { must(t, v.Close()) })
	return v
}

func openLog(t testing.TB, v *Volume, id record.Identity) *Log {
	t.Helper()
	l, err := v.OpenLog(id)
	must(t, err)
	return l
}

func TestLogMatchesTheModel(t *testing.T) {
	for name, cache := range map[string]int64{"cached": 10_000, "uncached": -1} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, how way) { matchModel(t, cache, how) })
		})
	}
}

func matchModel(t *testing.T, cache int64, how way) {
	logtest.Run(t, logtest.Config{
		ID:    testID,
		Seeds: 20 / min(sparser, 4),
		Open: func(t *testing.T) logtest.Log {
			disk := newDisk(t)
			disk.SetDirect(how.direct)
			o := small(disk)
			o.TailCache = cache
			how.set(&o)
			return openLog(t, openVolume(t, o), testID)
		},
		Reopen: func(t *testing.T, l logtest.Log) logtest.Log {
			must(t, l.Close())
			return openLog(t, l.(*Log).v, testID)
		},
		Disturb: func(t *testing.T, rng *rand.Rand, l logtest.Log) {
			sl := l.(*Log)
			switch rng.IntN(3) {
			case 0:
				must(t, sl.Flush())
			case 1:
				sl.turn.Lock()
				_, err := sl.flush(sl.Last(), 1000)
				sl.turn.Unlock()
				must(t, err)
			case 2:
				sl.evict(int64(rng.IntN(10_000)))
			}
		},
	})
}
