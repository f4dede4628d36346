package seglog

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// pastFS counts the files that are opened past the page cache, and may have them
// refused or their reads fail.
type pastFS struct {
	*faultfs.FS
	opened atomic.Int64
	refuse atomic.Bool
	broken atomic.Bool
}

func (f *pastFS) OpenDirect(name string, durable bool) (vfs.File, error) {
	f.opened.Add(1)
	if f.refuse.Load() {
		return nil, vfs.ErrNoDirect
	}
	file, err := f.FS.OpenDirect(name, durable)
	if err == nil && f.broken.Load() {
		return shortFile{file}, nil
	}
	return file, err
}

// shortFile gives less than it is asked for.
type shortFile struct{ vfs.File }

func (f shortFile) ReadAt(p []byte, off int64) (int, error) {
	n, _ := f.File.ReadAt(p, off)
	return n / 2, io.EOF
}

// pastLog is a log on a volume that runs, whose writes all go past the page cache, with
// records of all sizes up to some times what is read ahead at once.
func pastLog(t *testing.T) (*Log, *pastFS, uint64) {
	disk := newDisk(t)
	disk.SetDirect(true)
	fs := &pastFS{FS: disk}
	v := openVolume(t, VolumeOptions{
		FS: fs, Dir: "data", SegmentBytes: 4 << 20, FlushBytes: 256 << 10, DirectFrom: 1, TailCache: -1, ExtentFrom: -1, Log: quiet,
	})
	runFlusher(t, v)
	l := openLog(t, v, testID)
	rng := rand.New(rand.NewPCG(7, 8))
	last := uint64(0)
	for written := 0; written < 9<<20; {
		size := 1000 + rng.IntN(4000)
		if rng.IntN(100) == 0 {
			size = 100_000 + rng.IntN(1_200_000)
		}
		written += size * l.appendFilled(last+1, 1+rng.IntN(8), size)
		last = l.Last()
	}
	must(t, l.Flush())
	within(t, func() bool {
		v.pieces.mu.Lock()
		defer v.pieces.mu.Unlock()
		return v.pieces.running && l.Tail() == 0
	})
	fs.opened.Store(0)
	return l, fs, last
}

// appendFilled appends a frame of n records and gives their number.
func (l *Log) appendFilled(base uint64, n, size int) int {
	var a record.Area
	a.Buf = record.NewArea(n * (size + 100))
	for i := range n {
		a.Append(&record.Parts{Subject: []byte("s"), Data: fill(base+uint64(i), size)})
	}
	l.Append(record.Seal(record.Header{Partition: l.id, Base: base, Time: 1}, a.Buf, a.Slots))
	return n
}

// isFilled says whether a record is one of appendFilled.
func isFilled(v *record.View) bool { return bytes.Equal(v.Data, fill(v.Seq, len(v.Data)/3*3)) }

// reads reads records in order, from first on, and gives the last.
func reads(t *testing.T, c Cursor, first uint64, most int) uint64 {
	t.Helper()
	for seq := first; ; seq++ {
		if most--; most < 0 {
			return seq - 1
		}
		v, err := c.Next()
		if errors.Is(err, io.EOF) {
			return seq - 1
		}
		if err != nil || v.Seq != seq || !isFilled(&v) {
			t.Fatalf("record %d came as %d, %v, or with other bytes", seq, v.Seq, err)
		}
	}
}

func TestTheFirstReaderReadsPastThePageCacheAndOthersThroughIt(t *testing.T) {
	l, fs, last := pastLog(t)
	for _, first := range []bool{true, false} {
		fs.opened.Store(0)
		c := l.Cursor(1)
		if got := reads(t, c, 1, 1<<30); got != last {
			t.Fatalf("%d records of %d", got, last)
		}
		c.Close()
		if n := fs.opened.Load(); first != (n > 0) {
			t.Errorf("first reader: %v; %d pieces were read past the cache", first, n)
		}
	}
	allPiecesAreBack(t, l.v)
}

// allPiecesAreBack waits for what no reader took any more.
func allPiecesAreBack(t *testing.T, v *Volume) {
	t.Helper()
	within(t, func() bool {
		v.pieces.mu.Lock()
		defer v.pieces.mu.Unlock()
		return v.pieces.out == 0
	})
}

func TestWhatCannotBeReadAheadIsReadAsOthersAre(t *testing.T) {
	for name, spoil := range map[string]func(*pastFS){
		"refused":  func(f *pastFS) { f.refuse.Store(true) },
		"short":    func(f *pastFS) { f.broken.Store(true) },
		"an error": func(f *pastFS) { f.SetDirect(false) },
	} {
		t.Run(name, func(t *testing.T) {
			l, fs, last := pastLog(t)
			spoil(fs)
			c := l.Cursor(1)
			defer c.Close()
			if got := reads(t, c, 1, 1<<30); got != last {
				t.Fatalf("%d records of %d", got, last)
			}
			if fs.opened.Load() == 0 {
				t.Error("nothing was read ahead: nothing failed")
			}
		})
	}
}

// Readers jump, stop, begin again and follow what is written while the log is trimmed:
// each record comes in its place with its bytes, and all memory comes back.
func TestReadersAheadSeeWhatTheLogHas(t *testing.T) {
	l, _, last := pastLog(t)
	var wg sync.WaitGroup
	for i := range 4 {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		wg.Go(func() {
			c := l.Cursor(1)
			defer func() { c.Close() }()
			for range 40 {
				if rng.IntN(4) == 0 {
					c.Close()
					c = l.Cursor(1)
				}
				from := last/4 + rng.Uint64N(last)
				c.Seek(from)
				if from <= l.Last() {
					reads(t, c, from, rng.IntN(900))
				}
			}
		})
	}
	for l.Last() < 3*last/2 {
		l.appendFilled(l.Last()+1, 8, 3000)
		if l.First() < last/4 {
			l.Trim(l.First() + 1)
		}
	}
	wg.Wait()
	allPiecesAreBack(t, l.v)
}

func TestReadersGoOnWhereTheVolumeHasStopped(t *testing.T) {
	l, fs, last := pastLog(t)
	c := l.Cursor(1)
	defer c.Close()
	at := reads(t, c, 1, int(last/2))
	if fs.opened.Load() == 0 {
		t.Fatal("nothing was read ahead")
	}
	l.v.pieces.stop()
	fs.opened.Store(0)
	if got := reads(t, c, at+1, 1<<30); got != last {
		t.Fatalf("%d records of %d", got, last)
	}
	if n := fs.opened.Load(); n > 0 {
		t.Errorf("%d pieces were read by a volume that has stopped", n)
	}
}
