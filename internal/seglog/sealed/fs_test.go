package sealed

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

var testKeys = sync.OnceValue(func() *atrest.Keyring {
	k, _, err := atrest.NewKeyring("test", atrest.ChaCha, atrest.Cost{LogN: 2, R: 1, P: 1})
	if err != nil {
		panic(err)
	}
	return k
})

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// whole reads a file.
func whole(t *testing.T, f vfs.File) []byte {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		t.Fatalf("%d of %d bytes: %v", n, size, err)
	}
	return b
}

func TestAnEncryptedFileIsAsAPlainOne(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		disk := faultfs.New()
		fs := New(disk, testKeys())
		f, err := fs.Create("f")
		must(t, err)
		var want []byte
		for range 30 {
			off, n := rng.IntN(len(want)+1), rng.IntN(20_000)
			if rng.IntN(5) == 0 {
				off += rng.IntN(9_000) // behind the end
			}
			p := bytes.Repeat([]byte{byte(rng.Uint32())}, n)
			if _, err := f.WriteAt(p, int64(off)); err != nil {
				t.Fatal(err)
			}
			if n > 0 || off > len(want) {
				want = append(want, make([]byte, max(0, off+n-len(want)))...)
			}
			copy(want[off:], p)
			from := rng.IntN(len(want) + 1)
			got := make([]byte, rng.IntN(10_000))
			m, err := f.ReadAt(got, int64(from))
			if m < len(got) && err != io.EOF || !bytes.Equal(got[:m], want[from:from+m]) || m < min(len(got), len(want)-from) {
				t.Fatalf("seed %d: %d bytes from %d of %d: %v", seed, m, from, len(want), err)
			}
		}
		must(t, f.Sync())
		must(t, f.Close())
		if f, err = fs.OpenRead("f"); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(whole(t, f), want) {
			t.Fatalf("seed %d: another content", seed)
		}
		if _, err := f.WriteAt([]byte("x"), 0); err == nil {
			t.Fatal("a file that was opened for reading was written to")
		}
		must(t, f.Close())
		if _, err := fs.OpenWrite("f"); !errors.Is(err, errWrite) {
			t.Fatalf("opened for writing: %v", err)
		}
	}
}

func TestOnlyWithoutKeysTheContentShows(t *testing.T) {
	for _, keys := range []*atrest.Keyring{nil, testKeys()} {
		disk := faultfs.New()
		f, err := New(disk, keys).Create("f")
		must(t, err)
		_, err = f.WriteAt(bytes.Repeat([]byte("marker "), 2000), 0)
		must(t, err)
		must(t, f.Close())
		if f, err = disk.OpenRead("f"); err != nil {
			t.Fatal(err)
		}
		if shows := strings.Contains(string(whole(t, f)), "marker"); shows != (keys == nil) {
			t.Errorf("with keys %v it shows: %v", keys != nil, shows)
		}
		must(t, f.Close())
	}
}

func TestAFileInTheClearIsReadWithKeys(t *testing.T) {
	disk := faultfs.New()
	f, err := New(disk, nil).Create("f")
	must(t, err)
	_, err = f.WriteAt([]byte("clear"), 0)
	must(t, err)
	must(t, f.Close())
	fs := New(disk, testKeys())
	if f, err = fs.OpenRead("f"); err != nil || string(whole(t, f)) != "clear" {
		t.Fatal(err)
	}
	must(t, f.Close())
	f, err = fs.OpenWrite("f")
	must(t, err)
	must(t, f.Close())
}

func TestWithoutItsKeyAFileDoesNotOpen(t *testing.T) {
	disk := faultfs.New()
	f, err := New(disk, testKeys()).Create("f")
	must(t, err)
	must(t, f.Close())
	if _, err := New(disk, nil).OpenRead("f"); !errors.Is(err, atrest.ErrNoKey) || errors.Is(err, record.ErrDamaged) {
		t.Fatalf("without keys: %v", err)
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	disk := faultfs.New()
	fs := New(disk, testKeys())
	f, err := fs.Create("f")
	must(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte("0123456789"), 430), 0) // a page and some
	must(t, err)
	must(t, f.Close())
	info, err := disk.Stat("f")
	must(t, err)
	read := func() error {
		f, err := fs.OpenRead("f")
		if err != nil {
			return err
		}
		defer f.Close()
		b := make([]byte, 4300)
		n, err := f.ReadAt(b, 0)
		if n == len(b) && bytes.Equal(b, bytes.Repeat([]byte("0123456789"), 430)) {
			return nil
		}
		return errors.Join(errors.New("other bytes"), err)
	}
	must(t, read())
	for off := int64(0); off < info.Size; off += 3 {
		must(t, disk.Corrupt("f", off, 1<<(off%8)))
		if err := read(); err == nil || off >= 4 && !errors.Is(err, record.ErrDamaged) {
			t.Fatalf("byte %d: %v", off, err)
		}
		must(t, disk.Corrupt("f", off, 1<<(off%8)))
	}
}

func TestReadsRunAtTheSameTime(t *testing.T) {
	fs := New(faultfs.New(), testKeys())
	f, err := fs.Create("f")
	must(t, err)
	want := make([]byte, 50_000)
	for i := range want {
		want[i] = byte(i / 100)
	}
	_, err = f.WriteAt(want, 0)
	must(t, err)
	var readers sync.WaitGroup
	for k := range 4 {
		readers.Go(func() {
			got := make([]byte, 5_000)
			for off := k * 1_000; off < 45_000; off += 777 {
				if n, err := f.ReadAt(got, int64(off)); err != nil || !bytes.Equal(got[:n], want[off:off+5_000]) {
					t.Errorf("from %d: %d bytes, %v", off, n, err)
				}
			}
		})
	}
	readers.Wait()
	must(t, f.Close())
}
