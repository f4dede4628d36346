package seglog

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

var update = flag.Bool("update", false, "write the golden files of this version that are missing")

const (
	goldenDir  = "testdata/golden-1"
	goldenText = "a key that is written down"
	goldenLast = 200
)

// goldenKeys opens the key file of the golden logs, or makes it.
func goldenKeys(t *testing.T) *atrest.Keyring {
	t.Helper()
	name := filepath.Join(goldenDir, "keys")
	b, err := os.ReadFile(name)
	if err != nil && *update {
		_, b, err = atrest.NewKeyring(goldenText, atrest.AES, atrest.Cost{LogN: 2, R: 1, P: 1})
		must(t, err)
		must(t, os.MkdirAll(goldenDir, 0o755))
		err = os.WriteFile(name, b, 0o644)
	}
	must(t, err)
	k, _, err := atrest.OpenKeyring(b, goldenText, "", atrest.AES)
	must(t, err)
	return k
}

// writeGolden writes a log with a sealed segment and one that grows.
func writeGolden(t *testing.T, o VolumeOptions, to string) {
	t.Helper()
	o.FS, o.Dir, o.SegmentBytes = vfs.OS{}, t.TempDir(), 16_000
	l := openLog(t, openVolume(t, o), testID)
	appendDense(l, 1, goldenLast/2, 100)
	must(t, l.Flush())
	appendDense(l, goldenLast/2+1, goldenLast/2, 100)
	must(t, l.Checkpoint([]byte("state of version 1")))
	must(t, os.CopyFS(to, os.DirFS(o.Dir)))
}

func TestLogsThatThisVersionWroteAreRead(t *testing.T) {
	keys := goldenKeys(t)
	for name, o := range map[string]VolumeOptions{
		"plain": {}, "s2": {Compression: atrest.S2}, "encrypted": {Keys: keys}, "encrypted-zstd": {Keys: keys, Compression: atrest.Zstd},
	} {
		t.Run(name, func(t *testing.T) {
			from := filepath.Join(goldenDir, name)
			o.Log, o.DirectFrom = quiet, -1
			if _, err := os.Stat(from); err != nil && *update {
				writeGolden(t, o, from)
			}
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(from)))
			o.FS, o.Dir = vfs.OS{}, dir
			l := openLog(t, openVolume(t, o), testID)
			expect(t, l, 1, goldenLast)
			if got := string(l.State()); got != "state of version 1" || len(l.segments) < 2 || l.segments[0].footer == 0 {
				t.Errorf("state %q, %d segments", got, len(l.segments))
			}
			_, err := l.Verify(context.Background(), func(d *DamageError) { t.Error(d) })
			must(t, err)
			appendDense(l, goldenLast+1, 10, 100) // it goes on
			must(t, l.Checkpoint(nil))
			expect(t, l, 1, goldenLast+10)
		})
	}
}
