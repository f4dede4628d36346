package seglog

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

// A manifest that is lost is made again from rewritten segments, too: of those that
// were completed instead of what they were made from, else of that.
func TestALostManifestIsMadeAgainFromRewrittenSegments(t *testing.T) {
	eachWay(t, func(t *testing.T, how way) {
		for name, what := range map[string]struct {
			settled, whole bool
			records        uint64
		}{
			"settled":   {settled: true, whole: true, records: 200},
			"completed": {whole: true, records: 200},
			"torn":      {records: 2000},
		} {
			t.Run(name, func(t *testing.T) { remakeRewritten(t, how, what.settled, what.whole, what.records) })
		}
	})
}

func remakeRewritten(t *testing.T, how way, settled, whole bool, records uint64) {
	disk := newDisk(t)
	o := reclaimOptions(disk, how)
	o.SegmentBytes = 400_000 // all that is alive fits into one
	v := openVolume(t, o)
	l := openLog(t, v, testID)
	const last = 2000
	appendDense(l, 1, last, 200)
	must(t, l.Checkpoint(nil))
	dead := everyNth(last, 10)
	install, err := l.Reclaim(context.Background(), dead, func(int64) {})
	must(t, err)
	if install == nil {
		t.Fatal("nothing was done")
	}
	if settled {
		install()
		must(t, l.Checkpoint(nil))
		logtest.Reclaim(t, l, dead, nil)
	} else if !whole {
		no := l.out.next - 1
		f, err := disk.OpenWrite(l.path(segmentName(no)))
		must(t, err)
		size, err := f.Size()
		must(t, err)
		must(t, f.Truncate(size-10))
		must(t, f.Close())
	}
	must(t, l.Close())
	must(t, disk.Remove(l.path(manifestName)))
	m, err := v.Remake(testID, func(string) error { return nil })
	must(t, err)
	if len(m.Unread) > 0 == whole {
		t.Errorf("unread: %v", m.Unread)
	}
	l = openLog(t, v, testID)
	if settled && m.Records != records {
		t.Errorf("%d records were found, want %d", m.Records, records)
	}
	if !settled && whole && m.Records >= last {
		t.Errorf("%d records were found: those of segments that were written anew came back", m.Records)
	}
	if !whole && m.Records != records {
		t.Errorf("%d records were found, want %d", m.Records, records)
	}
	mustVerify(t, l)
	seen := uint64(0)
	c := l.Cursor(0)
	defer c.Close()
	for v, err := c.Next(); err == nil; v, err = c.Next() {
		if v.Seq <= seen {
			t.Fatalf("record %d after %d", v.Seq, seen)
		}
		seen = v.Seq
	}
	for seq := uint64(10); seq <= last; seq += 10 {
		if _, err := l.Get(seq); err != nil {
			t.Fatalf("record %d: %v", seq, err)
		}
	}
}

// writeRewritten writes a log of which a segment was written anew.
func writeRewritten(t *testing.T, o VolumeOptions, to string) {
	t.Helper()
	o.FS, o.Dir, o.SegmentBytes, o.ReclaimFrom = vfs.OS{}, t.TempDir(), 16_000, 1_000
	l := openLog(t, openVolume(t, o), testID)
	appendDense(l, 1, goldenLast, 100)
	must(t, l.Checkpoint(nil))
	logtest.Reclaim(t, l, everyNth(goldenLast, 5), []byte("rewritten by version 1"))
	must(t, os.CopyFS(to, os.DirFS(o.Dir)))
}

func TestRewrittenLogsOfThisVersionAreRead(t *testing.T) {
	keys := goldenKeys(t)
	for name, o := range map[string]VolumeOptions{"rewritten": {}, "rewritten-encrypted": {Keys: keys}} {
		t.Run(name, func(t *testing.T) {
			from := filepath.Join(goldenDir, name)
			o.Log, o.DirectFrom = quiet, -1
			if _, err := os.Stat(from); err != nil && *update {
				writeRewritten(t, o, from)
			}
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(from)))
			o.FS, o.Dir = vfs.OS{}, dir
			l := openLog(t, openVolume(t, o), testID)
			if got := string(l.State()); got != "rewritten by version 1" || len(l.segments) == 0 {
				t.Fatalf("state %q, %d segments", got, len(l.segments))
			}
			head := make([]byte, segmentHeader)
			f, err := os.Open(filepath.Join(dir, "streams", dirName(testID), segmentName(l.segments[0].no)))
			must(t, err)
			_, err = f.ReadAt(head, 0)
			must(t, err)
			must(t, f.Close())
			if of := rewrittenOf(head); of.first != 1 || of.last < 5 {
				t.Errorf("made from %+v", of)
			}
			_, recs := logtest.Dense(testID, 1, 1, 5, 100)
			if v, err := l.Get(5); err != nil || logtest.Of(v) != recs[4] {
				t.Errorf("record 5: %+v, %v", v, err)
			}
			mustVerify(t, l)
			dead := everyNth(goldenLast, 5)
			c := l.Cursor(0)
			defer c.Close()
			for want := uint64(5); want <= goldenLast; want += 5 {
				v, err := c.Next()
				for err == nil && dead.Contains(v.Seq) {
					v, err = c.Next()
				}
				if err != nil || v.Seq != want {
					t.Fatalf("record %d: %d, %v", want, v.Seq, err)
				}
			}
		})
	}
}
