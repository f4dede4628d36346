package seglog

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/logtest"
	"github.com/weirmq/weir/internal/vfs"
)

// writeGoldenExtent writes a log with frames in an extent, one of them behind what the
// checkpoint has, and gives that one's place in a file of its own.
func writeGoldenExtent(t *testing.T, o VolumeOptions, to string) {
	t.Helper()
	o.FS, o.Dir = vfs.OS{}, t.TempDir()
	l := openLog(t, openVolume(t, o), testID)
	journalled(t, l, bigFrame(1, 2_000))
	must(t, l.Flush())
	l.v.makeExtents()
	for seq := uint64(2); seq <= 5; seq++ {
		n := 2_000
		if seq == 4 {
			n = 50
		}
		if journalled(t, l, bigFrame(seq, n)) != (n > 50) {
			t.Fatalf("frame %d", seq)
		}
	}
	must(t, l.Checkpoint([]byte("state of version 1")))
	f := bigFrame(6, 2_000)
	x := l.Extent(f.Head, f.Area)
	must(t, x.Write())
	must(t, os.CopyFS(to, os.DirFS(o.Dir)))
	must(t, os.WriteFile(filepath.Join(to, "place"), x.Place(), 0o644))
}

func TestExtentsThatThisVersionWroteAreRead(t *testing.T) {
	from := filepath.Join(goldenDir, "extents")
	o := VolumeOptions{SegmentBytes: 40_000, ExtentFrom: 1_500, DirectFrom: -1, Log: quiet}
	if _, err := os.Stat(from); err != nil && *update {
		writeGoldenExtent(t, o, from)
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(from)))
	o.FS, o.Dir = vfs.OS{}, dir
	l := openLog(t, openVolume(t, o), testID)
	place, err := os.ReadFile(filepath.Join(dir, "place"))
	must(t, err)
	b, err := l.Fetch(place)
	must(t, err)
	f, _ := logtest.Dense(testID, 6, 6, 1, 2_000)
	if !bytes.Equal(b, append(append([]byte{}, f.Head...), f.Area...)) {
		t.Error("the frame in the extent is another one")
	}
	expect(t, l, 1, 5)
	got, _, err := record.Parse(b)
	must(t, err)
	l.Append(got)
	appendDense(l, 7, 5, 100) // it goes on, behind what the journal names
	must(t, l.Flush())
	if _, err := l.Fetch(place); err != nil {
		t.Errorf("what the journal names is gone before a checkpoint: %v", err)
	}
	must(t, l.Checkpoint(nil))
	expect(t, l, 1, 11)
	_, err = l.Verify(context.Background(), func(d *DamageError) { t.Error(d) })
	must(t, err)
}
