package journal

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

var update = flag.Bool("update", false, "write the golden files of this version that are missing")

const (
	goldenDir  = "testdata/golden-1"
	goldenText = "a key that is written down"
)

// goldenKeys opens the key file of the golden journals, or makes it.
func goldenKeys(t *testing.T) *atrest.Keyring {
	t.Helper()
	name := filepath.Join(goldenDir, "keys")
	b, err := os.ReadFile(name)
	if err != nil && *update {
		_, b, err = atrest.NewKeyring(goldenText, atrest.ChaCha, atrest.Cost{LogN: 2, R: 1, P: 1})
		must(t, err)
		must(t, os.MkdirAll(goldenDir, 0o755))
		err = os.WriteFile(name, b, 0o644)
	}
	must(t, err)
	k, _, err := atrest.OpenKeyring(b, goldenText, "", atrest.ChaCha)
	must(t, err)
	return k
}

// write opens a journal, gives what it replays and appends n entries.
func write(t *testing.T, dir string, keys *atrest.Keyring, n int) (indices []uint64) {
	t.Helper()
	o := Options{FS: vfs.OS{}, Dir: dir, FileSize: 16 << 10, MaxBytes: 64 << 10, Buffered: true, Keys: keys}
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
		appendOne(t, j, g, index)
		must(t, l.wait(t, index))
	}
	must(t, j.Close())
	return indices
}

func TestJournalsThatThisVersionWroteAreRead(t *testing.T) {
	for name, keys := range map[string]*atrest.Keyring{"plain": nil, "encrypted": goldenKeys(t)} {
		from := filepath.Join(goldenDir, name)
		if _, err := os.Stat(from); err != nil && *update {
			dir := t.TempDir()
			write(t, dir, keys, 7)
			must(t, os.CopyFS(from, os.DirFS(dir)))
		}
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(from)))
		for _, want := range [][]uint64{{1, 2, 3, 4, 5, 6, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9}} { // it goes on
			if got := write(t, dir, keys, 2); !slices.Equal(got, want) {
				t.Errorf("%s: replayed %v, want %v", name, got, want)
			}
		}
	}
}
