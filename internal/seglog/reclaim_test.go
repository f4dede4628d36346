package seglog

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// reclaimOptions are for small segments, of which little is worth writing anew.
func reclaimOptions(disk *faultfs.FS, how way) VolumeOptions {
	o := small(disk)
	o.SegmentBytes, o.TailCache = 40_000, -1
	disk.SetDirect(how.direct)
	how.set(&o)
	return o
}

// everyNth are the sequences up to last but for one in n.
func everyNth(last, n uint64) *seqset.Set {
	var dead seqset.Set
	for seq := range last {
		if (seq+1)%n != 0 {
			dead.Add(seq + 1)
		}
	}
	return &dead
}

// stored is all that the files of a log hold.
func stored(t *testing.T, disk *faultfs.FS, l *Log) string {
	t.Helper()
	var all strings.Builder
	for _, text := range contents(t, disk, l) {
		all.WriteString(text)
	}
	return all.String()
}

func mustVerify(t *testing.T, l *Log) {
	t.Helper()
	_, err := l.Verify(context.Background(), func(d *DamageError) { t.Error(d) })
	must(t, err)
}

// What is written anew has the same records, whatever the files are like, and says so
// of itself; the files are shorter by what is dead.
func TestRewritingIsEquivalent(t *testing.T) { eachWay(t, rewriteEquivalent) }

func rewriteEquivalent(t *testing.T, how way) {
	disk := newDisk(t)
	v := openVolume(t, reclaimOptions(disk, how))
	l := openLog(t, v, testID)
	rng := rand.New(rand.NewPCG(3, 4))
	var recs []logtest.Rec
	var now int64
	for len(recs) < 3000 {
		size := rng.IntN(300)
		if rng.IntN(100) == 0 {
			size = 20_000
		}
		f, r := logtest.Sparse(rng, testID, l.Last()+1, now, 1+rng.IntN(20), size)
		l.Append(f)
		recs = append(recs, r...)
		now = r[len(r)-1].Time
	}
	must(t, l.Checkpoint([]byte("before")))
	before := len(stored(t, disk, l))
	var dead seqset.Set
	dead.AddRange(1, l.Last()) // those that were left out, too
	for i := 0; i < len(recs); i += 7 {
		dead.Remove(recs[i].Seq)
	}
	if !logtest.Reclaim(t, l, &dead, []byte("after")) {
		t.Fatal("nothing was done")
	}
	mustVerify(t, l)
	for range 2 {
		c := l.Cursor(0)
		for i := 0; i < len(recs); i += 7 {
			v, err := c.Next()
			for err == nil && dead.Contains(v.Seq) {
				v, err = c.Next()
			}
			if err != nil || logtest.Of(v) != recs[i] {
				t.Fatalf("record %d: %d, %v", recs[i].Seq, v.Seq, err)
			}
			if seq, err := l.SeekTime(recs[i].Time); err != nil || seq > recs[i].Seq {
				t.Fatalf("SeekTime(%d): %d, %v", recs[i].Time, seq, err)
			}
		}
		c.Close()
		must(t, l.Close())
		l = openLog(t, v, testID)
		if got := string(l.State()); got != "after" {
			t.Fatalf("state %q", got)
		}
	}
	if after := len(stored(t, disk, l)); after > before/2 {
		t.Errorf("%d bytes of %d are left", after, before)
	}
	if n := len(l.segments); n > 5 {
		t.Errorf("%d segments are left", n)
	}
}

// What is dead is in no file any more, the segment that was still written to included.
func TestErasedBytesAreGone(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, reclaimOptions(disk, ways[0]))
	l := openLog(t, v, testID)
	secret := func(seq uint64) string { return fmt.Sprintf("<secret %d>", seq) }
	const last = 1000
	for seq := uint64(1); seq <= last; seq++ {
		var a record.Area
		a.Append(&record.Parts{Subject: []byte("s"), Data: []byte(secret(seq) + strings.Repeat(".", 100))})
		l.Append(record.Seal(record.Header{Partition: testID, Term: 1, Base: seq, Time: int64(seq)}, a.Buf, a.Slots))
	}
	must(t, l.Checkpoint(nil))
	dead := everyNth(last, 10)
	logtest.Reclaim(t, l, dead, nil)
	all := stored(t, disk, l)
	for seq := uint64(1); seq <= last; seq++ {
		if there := strings.Contains(all, secret(seq)); there == dead.Contains(seq) {
			t.Fatalf("record %d is on the disk: %v", seq, there)
		}
	}
}

// A log that is overwritten again and again keeps few segments, and writes little to
// that end.
func TestSmallSegmentsAreWrittenTogether(t *testing.T) {
	disk := newDisk(t)
	o := reclaimOptions(disk, ways[0])
	o.ReclaimFrom = 4_000
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	var dead seqset.Set
	var appended, worked int64
	for round := range uint64(100) {
		base := round*100 + 1
		f, _ := logtest.Dense(testID, base, int64(round), 100, 100)
		appended += int64(f.Len())
		l.Append(f)
		must(t, l.Checkpoint(nil))
		for seq := base; seq < base+100; seq++ {
			if seq%20 != 0 {
				dead.Add(seq)
			}
		}
		for {
			install, err := l.Reclaim(context.Background(), &dead, func(n int64) { worked += n })
			must(t, err)
			if install == nil || !install() {
				break
			}
			must(t, l.Checkpoint(nil))
		}
	}
	mustVerify(t, l)
	if n := len(l.segments); n > 20 {
		t.Errorf("%d segments", n)
	}
	if worked > 5*appended {
		t.Errorf("%d bytes were read and written for %d that came", worked, appended)
	}
	l.mu.Lock()
	count := uint64(0)
	for _, s := range l.segments {
		count += s.count
	}
	l.mu.Unlock()
	if count > 1000 {
		t.Errorf("%d records are stored of 500 live ones", count)
	}
}

// A few large records count as much as many small ones.
func TestDeadIsCountedInBytes(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, reclaimOptions(disk, ways[0]))
	l := openLog(t, v, testID)
	var dead seqset.Set
	for i := range uint64(100) {
		size := 20
		if i%10 == 0 {
			size = 5000
			dead.Add(i + 1)
		}
		f, _ := logtest.Dense(testID, i+1, int64(i), 1, size)
		l.Append(f)
	}
	must(t, l.Checkpoint(nil))
	if !logtest.Reclaim(t, l, &dead, nil) {
		t.Error("nothing was done about most of the bytes")
	}
	// And the other way round.
	l2 := openLog(t, v, droppedID)
	dead = seqset.Set{}
	for i := range uint64(100) {
		size := 5000
		if i%10 != 0 {
			size = 20
			dead.Add(i + 1)
		}
		f, _ := logtest.Dense(droppedID, i+1, int64(i), 1, size)
		l2.Append(f)
	}
	must(t, l2.Checkpoint(nil))
	if logtest.Reclaim(t, l2, &dead, nil) {
		t.Error("large live records were copied for little")
	}
}

// Damage in live records is kept as it is, to be told of; damage in dead ones costs
// nothing any more.
func TestDamageIsNotWrittenAway(t *testing.T) { eachWay(t, damageKept) }

func damageKept(t *testing.T, how way) {
	disk := newDisk(t)
	v := openVolume(t, reclaimOptions(disk, how))
	l := openLog(t, v, testID)
	const last = 2000
	appendDense(l, 1, last, 200)
	must(t, l.Checkpoint(nil))
	dead := everyNth(last, 10)
	seg := l.segments[1]
	name := l.path(segmentName(seg.no))
	for i := range min(1000, seg.end()/10) {
		must(t, disk.Corrupt(name, seg.end()/2+4*i, 1))
	}
	v.files.forgetAll()
	bad := 0
	_, err := l.Verify(context.Background(), func(*DamageError) { bad++ })
	must(t, err)
	if bad == 0 {
		t.Fatal("nothing is damaged")
	}
	logtest.Reclaim(t, l, dead, nil)
	kept := false
	for _, s := range l.segments {
		kept = kept || s.no == seg.no
	}
	if !kept {
		t.Fatal("a segment with damage is gone")
	}
	if n := len(l.segments); n > 5 {
		t.Errorf("%d segments: the others were left alone", n)
	}
	dead.AddRange(seg.base, seg.last)
	logtest.Reclaim(t, l, dead, nil)
	mustVerify(t, l)
}

// Readers of all kinds go on while segments change under them.
func TestReadersGoOnWhileSegmentsAreWrittenAnew(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, reclaimOptions(disk, ways[1]))
	l := openLog(t, v, testID)
	const last = 4000
	appendDense(l, 1, last, 100)
	must(t, l.Checkpoint(nil))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for from := uint64(1); from < last; from += 1000 {
		readers.Go(func() {
			for {
				c := l.Cursor(from)
				next := (from + 63) / 64 * 64
				for {
					v, err := c.Next()
					if err == io.EOF {
						break
					}
					if err != nil || v.Seq > next {
						t.Errorf("record %d, %v; want %d", v.Seq, err, next)
						return
					}
					if v.Seq == next {
						next += 64
					}
				}
				c.Close()
				if v, err := l.Get(next - 64); err != nil || v.Seq != next-64 {
					t.Errorf("Get(%d): %d, %v", next-64, v.Seq, err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for n := uint64(2); n <= 64; n *= 2 {
		logtest.Reclaim(t, l, everyNth(last, n), nil)
	}
	close(stop)
	readers.Wait()
	mustVerify(t, l)
}

// A log that is closed, trimmed, reset or dropped while its segments are written anew
// is none the worse.
func TestRewritingLosesAgainstWhatRemovesTheLog(t *testing.T) {
	for name, end := range map[string]func(*Log) error{
		"trim":  func(l *Log) error { l.Trim(900); return l.Checkpoint([]byte("trimmed")) },
		"reset": func(l *Log) error { l.Reset(5000); return l.Checkpoint([]byte("reset")) },
		"close": (*Log).Close,
		"drop":  (*Log).Drop,
	} {
		t.Run(name, func(t *testing.T) {
			disk := newDisk(t)
			v := openVolume(t, reclaimOptions(disk, ways[0]))
			l := openLog(t, v, testID)
			appendDense(l, 1, 1000, 100)
			must(t, l.Checkpoint(nil))
			install, err := l.Reclaim(context.Background(), everyNth(1000, 10), func(int64) {})
			must(t, err)
			must(t, end(l))
			if install == nil || install() {
				t.Fatal("it was put in the place of what is gone")
			}
			names, err := disk.List("data/streams")
			must(t, err)
			for _, dir := range names {
				files, err := disk.List("data/streams/" + dir)
				must(t, err)
				if n := len(l.Files()); len(files) > n {
					t.Errorf("files %v, of which %d count", files, n)
				}
			}
		})
	}
}

// A rewriting that is told to stop leaves nothing behind.
func TestRewritingStopsWhenItIsTold(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, reclaimOptions(disk, ways[0]))
	l := openLog(t, v, testID)
	appendDense(l, 1, 1000, 100)
	must(t, l.Checkpoint(nil))
	ctx, cancel := context.WithCancel(context.Background())
	paces := 0
	install, err := l.Reclaim(ctx, everyNth(1000, 10), func(int64) {
		if paces++; paces == 150 {
			cancel()
		}
	})
	if install != nil || err == nil {
		t.Fatalf("it went on: %v", err)
	}
	names, err := disk.List(l.dir)
	must(t, err)
	if len(names) != len(l.Files()) {
		t.Errorf("files %v, of which %v count", names, l.Files())
	}
	expect(t, l, 1, 1000)
}

// On a full disk segments and frames in memory go of which nothing is live, without
// anything being written.
func TestWhatIsDeadGoesWithoutSpaceForAnything(t *testing.T) {
	disk := newDisk(t)
	v := openVolume(t, reclaimOptions(disk, ways[0]))
	l := openLog(t, v, testID)
	appendDense(l, 1, 1000, 100)
	must(t, l.Checkpoint(nil))
	appendDense(l, 1001, 1000, 100)
	var dead seqset.Set
	dead.AddRange(6, 1994)
	before := disk.Ops()
	install, err := l.Reclaim(context.Background(), &dead, nil)
	must(t, err)
	if install == nil || !install() {
		t.Fatal("nothing was done")
	}
	if again, err := l.Reclaim(context.Background(), &dead, nil); again != nil || err != nil {
		t.Errorf("there is more to do, %v", err)
	}
	if n := disk.Ops() - before; n > 0 {
		t.Errorf("%d operations on the disk", n)
	}
	if n := l.Tail(); n > 2000 {
		t.Errorf("%d bytes wait to be written", n)
	}
	must(t, l.Checkpoint([]byte("vacated")))
	if n := len(stored(t, disk, l)); n > 120_000 {
		t.Errorf("%d bytes are left", n)
	}
	appendDense(l, 2001, 5, 100)
	must(t, l.Checkpoint([]byte("vacated")))
	must(t, l.Close())
	l = openLog(t, v, testID)
	c := l.Cursor(0)
	defer c.Close()
	for _, want := range []uint64{1, 2, 3, 4, 5, 1995, 1996, 1997, 1998, 1999, 2000, 2001, 2002, 2003, 2004, 2005} {
		v, err := c.Next()
		for err == nil && dead.Contains(v.Seq) {
			v, err = c.Next()
		}
		if err != nil || v.Seq != want {
			t.Fatalf("record %d: %d, %v", want, v.Seq, err)
		}
	}
	mustVerify(t, l)
}
