package seglog

import (
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
)

// way is how a log's files are kept.
type way struct {
	name        string
	direct      bool // the disk has direct writes
	encrypt     bool
	compression atrest.Compression
}

var ways = []way{
	{name: "buffered"},
	{name: "direct", direct: true},
	{name: "s2", compression: atrest.S2},
	{name: "encrypted", encrypt: true, direct: true},
	{name: "encrypted-zstd", encrypt: true, compression: atrest.Zstd},
}

// testKeys are the keys of all encrypted tests.
var testKeys = sync.OnceValue(func() *atrest.Keyring {
	k, _, err := atrest.NewKeyring("test", atrest.AES, atrest.Cost{LogN: 2, R: 1, P: 1})
	if err != nil {
		panic(err)
	}
	return k
})

func (w way) set(o *VolumeOptions) {
	o.Compression = w.compression
	if w.encrypt {
		o.Keys = testKeys()
	}
}

// sparser thins tests that decrypt or expand much.
func (w way) sparser() int64 {
	if w.encrypt || w.compression != atrest.None {
		return 7
	}
	return 1
}

// eachWay runs a test once for each way of keeping files; with the race detector
// once for each code path.
func eachWay(t *testing.T, f func(t *testing.T, how way)) {
	for _, w := range ways {
		if raceEnabled && w.encrypt != (w.compression != atrest.None) {
			continue
		}
		t.Run(w.name, func(t *testing.T) { f(t, w) })
	}
}
