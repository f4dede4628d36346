package seglog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/internal/subject"
	"github.com/weirmq/weir/internal/vfs"
)

const goldenMany = 1100 // subjects, more than a list takes

// writeGoldenRosters writes a log with a segment of few subjects, one of many, and one
// that grows.
func writeGoldenRosters(t *testing.T, o VolumeOptions, to string) {
	t.Helper()
	o.FS, o.Dir, o.SegmentBytes = vfs.OS{}, t.TempDir(), 10_000
	l := openLog(t, openVolume(t, o), testID)
	for range 50 {
		l.Append(subjectFrame(l.Last()+1, 100, "few.1", "few.2", "odd..one"))
	}
	must(t, l.Flush())
	var many []string
	for i := range goldenMany {
		many = append(many, fmt.Sprintf("many.%d", i))
	}
	l.Append(subjectFrame(l.Last()+1, 0, many...))
	must(t, l.Flush())
	l.Append(subjectFrame(l.Last()+1, 0, "last"))
	must(t, l.Checkpoint(nil))
	must(t, os.CopyFS(to, os.DirFS(o.Dir)))
}

// The hashes in a roster are part of the format: what one version wrote the next finds.
func TestRostersThatThisVersionWroteAreRead(t *testing.T) {
	keys := goldenKeys(t)
	for name, o := range map[string]VolumeOptions{"rosters": {}, "rosters-encrypted": {Keys: keys}} {
		from := filepath.Join(goldenDir, name)
		o.Log, o.DirectFrom = quiet, -1
		if _, err := os.Stat(from); err != nil && *update {
			writeGoldenRosters(t, o, from)
		}
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(from)))
		o.FS, o.Dir = vfs.OS{}, dir
		l := openLog(t, openVolume(t, o), testID)
		_, err := l.Verify(context.Background(), func(d *DamageError) { t.Error(d) })
		must(t, err)
		many := l.segments[len(l.segments)-2]
		if r, _ := l.roster(many); many.count != goldenMany || r == nil {
			t.Fatalf("%s: segment of %d records has the roster %v", name, many.count, r)
		}
		for i := range goldenMany {
			f := subject.FilterOf(fmt.Sprintf("many.%d", i))
			if first, _ := l.Skip(f, 1); first != many.base {
				t.Fatalf("%s: %s is looked for from %d on", name, f.Patterns, first)
			}
		}
		for pattern, want := range map[string]uint64{"few.1": 1, "few.*": 1, "few.2": 2, "odd..one": 3, "many.*": many.base, "*.7": many.base, "none": many.last + 1, "none.*": many.last + 1, "last": many.last + 1} {
			f := subject.FilterOf(pattern)
			if pattern == "odd..one" {
				f = subject.FilterNamed(pattern)
			}
			if first, _ := l.Skip(f, 1); first != want {
				t.Errorf("%s: %s is looked for from %d on, not %d", name, pattern, first, want)
			}
		}
	}
}

// Footers of the version before have no roster: all of it is read.
func TestFootersWithoutARosterHoldAnything(t *testing.T) {
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join(goldenDir, "plain"))))
	l := openLog(t, openVolume(t, VolumeOptions{FS: vfs.OS{}, Dir: dir, Log: quiet, DirectFrom: -1}), testID)
	f := subject.FilterOf("none")
	if first, last := l.Skip(f, 1); first != 1 || last != l.segments[0].last {
		t.Errorf("looked for from %d to %d", first, last)
	}
	if first, last, ok := l.SkipBack(f, l.segments[0].last); first != 1 || last != l.segments[0].last || !ok {
		t.Errorf("looked for back from %d to %d, %v", last, first, ok)
	}
}
