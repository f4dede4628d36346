package journal

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/vfs"
)

// writeShelved is write for a journal that has every third entry on a shelf in the
// same directory.
func writeShelved(t *testing.T, dir string, n int) (indices []uint64) {
	t.Helper()
	s := newShelf(t, vfs.OS{}, filepath.Join(dir, "shelf"), dir)
	o := Options{FS: vfs.OS{}, Dir: dir, FileSize: 16 << 10, MaxBytes: 64 << 10, Buffered: true, Fetch: s.fetch}
	j, err := Open(o, func(e Entry) error {
		if string(e.Data) != string(entryData(e.Group, e.Index)) || e.Term != 1 || e.Kind != 7 {
			t.Errorf("entry %+v", e)
		}
		indices = append(indices, e.Index)
		return nil
	})
	must(t, err)
	l := newListener()
	g := j.Group(1, l)
	for i := range n {
		index := uint64(len(indices) + i + 1)
		must(t, s.append(j, g, index))
		must(t, l.wait(t, index))
	}
	must(t, j.Close())
	return indices
}

func TestJournalsWithExtentsThatThisVersionWroteAreRead(t *testing.T) {
	from := filepath.Join(goldenDir, "extents")
	if _, err := os.Stat(from); err != nil && *update {
		dir := t.TempDir()
		writeShelved(t, dir, 7)
		must(t, os.CopyFS(from, os.DirFS(dir)))
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(from)))
	for _, want := range [][]uint64{{1, 2, 3, 4, 5, 6, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		if got := writeShelved(t, dir, 2); !slices.Equal(got, want) {
			t.Errorf("replayed %v, want %v", got, want)
		}
	}
}
