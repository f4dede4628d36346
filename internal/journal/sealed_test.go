package journal

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// testKeys are the keys of all encrypted tests.
var testKeys = sync.OnceValue(func() *atrest.Keyring {
	k, _, err := atrest.NewKeyring("test", atrest.AES, atrest.Cost{LogN: 2, R: 1, P: 1})
	if err != nil {
		panic(err)
	}
	return k
})

func encrypted(o *Options) { o.Keys = testKeys() }

// opened reads a batch as recovery does.
func opened(t *testing.T, b []byte) (batch, error, error) {
	t.Helper()
	r := reader{f: fileOf(t, b), name: "f", size: int64(len(b)), win: &window{opener: testKeys().Opener(keyPurpose)}}
	return r.batch(0)
}

// fileOf is a file with some bytes.
func fileOf(t *testing.T, b []byte) vfs.File {
	t.Helper()
	f, err := faultfs.New().Create("f")
	must(t, err)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	return f
}

func TestAnEncryptedBatchComesBack(t *testing.T) {
	s := testKeys().Sealer(keyPurpose)
	for _, size := range []int{1, 3000, 4096 - headerSize - 3*recordSize - 72, 9000, apartFrom - 3, apartFrom, 1 << 20, 3<<20 + 1} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			h := testHeader()
			entries := []pending{entry(1, "marker one"), entry(2, strings.Repeat("x", size)), entry(3, "")}
			buf := encodeWith(s, h, entries...)
			if bytes.Contains(buf, []byte("marker")) || bytes.Contains(buf, []byte("xxxxxxxx")) && size > 100 {
				t.Fatal("the data shows")
			}
			b, bad, err := opened(t, buf)
			if bad != nil || err != nil || b.header != *h {
				t.Fatalf("header %+v, want %+v; %v, %v", b.header, *h, bad, err)
			}
			i := 0
			must(t, b.visit(func(r record, data []byte, ok bool) error {
				if p := &entries[i]; !ok || r.index != p.index || r.sum != 0 || !bytes.Equal(data, p.inline[0]) {
					t.Fatalf("entry %d is %+v, %d bytes, %v", i, r, len(data), ok)
				}
				i++
				return nil
			}))
		})
	}
}

func TestNoBitOfAnEncryptedBatchMayFlip(t *testing.T) {
	buf := encodeWith(testKeys().Sealer(keyPurpose), testHeader(), entry(1, "some data"), entry(2, "more"))
	end := headerSize + 2*recordSize + atrest.EnvelopeLen(13) + 13
	for bit := range end * 8 {
		buf[bit/8] ^= 1 << (bit % 8)
		if _, bad, err := opened(t, buf); bad == nil && err == nil {
			t.Fatalf("bit %d may flip", bit)
		}
		buf[bit/8] ^= 1 << (bit % 8)
	}
}

func TestDamageOfAnEncryptedBatchCostsTheEntriesThere(t *testing.T) {
	entries := make([]pending, 20)
	for i := range entries {
		entries[i] = entry(uint64(i+1), strings.Repeat("y", 16<<10)) // four in a piece
	}
	buf := encodeWith(testKeys().Sealer(keyPurpose), testHeader(), entries...)
	good, bad, err := opened(t, buf)
	must(t, errors.Join(bad, err))
	buf[good.dataOff()+5*16<<10] ^= 1
	b, bad, err := opened(t, buf)
	if !errors.Is(bad, errChecksum) || err != nil {
		t.Fatalf("%v, %v", bad, err)
	}
	var lost []uint64
	must(t, b.visit(func(r record, _ []byte, ok bool) error {
		if !ok {
			lost = append(lost, r.index)
		}
		return nil
	}))
	if !slices.Equal(lost, []uint64{5, 6, 7, 8}) {
		t.Fatalf("lost %v", lost)
	}
}

// bytesOf are the journal's files.
func bytesOf(t *testing.T, fs *faultfs.FS) map[string]string {
	t.Helper()
	names, err := fs.List("j")
	must(t, err)
	all := map[string]string{}
	for _, name := range names {
		f, err := fs.OpenRead("j/" + name)
		must(t, err)
		size, err := f.Size()
		must(t, err)
		b := make([]byte, size)
		if n, err := f.ReadAt(b, 0); n < len(b) {
			t.Fatal(err)
		}
		must(t, f.Close())
		all[name] = string(b)
	}
	return all
}

// grown is the disk of a closed journal with n marked entries behind those that
// it had.
func grown(t *testing.T, fs *faultfs.FS, n int, change ...func(*Options)) *faultfs.FS {
	t.Helper()
	j, got := open(t, fs, change...)
	l := newListener()
	g := j.Group(1, l)
	for i := range n {
		index := uint64(len(got) + i + 1)
		must(t, j.Append(g, 1, index, 7, Urgent, []byte("marker data"), entryData(1, index)))
		must(t, l.wait(t, index))
	}
	must(t, j.Close())
	return fs.CrashClone(faultfs.KeepAll, 0)
}

func TestNothingOfAnEntryIsReadableInAnEncryptedJournal(t *testing.T) {
	for _, keys := range []bool{false, true} {
		set := func(o *Options) {
			if keys {
				encrypted(o)
			}
		}
		shows := false
		for _, b := range bytesOf(t, grown(t, faultfs.New(), 5, set)) {
			shows = shows || strings.Contains(b, "marker")
		}
		if shows == keys {
			t.Errorf("with keys %v the data shows: %v", keys, shows)
		}
	}
}

func TestAWrongKeyIsToldAndNothingIsTouched(t *testing.T) {
	fs := grown(t, faultfs.New(), 5, encrypted)
	before := bytesOf(t, fs)
	other, _, err := atrest.NewKeyring("other", atrest.AES, atrest.Cost{LogN: 1, R: 1, P: 1})
	must(t, err)
	for name, k := range map[string]*atrest.Keyring{"no": nil, "another": other} {
		_, _, err := tryOpen(fs, func(o *Options) { o.Keys = k })
		var d *DamageError
		if !errors.Is(err, atrest.ErrNoKey) || errors.As(err, &d) || !strings.Contains(err.Error(), "configure the key") {
			t.Errorf("with %s key: %v", name, err)
		}
		if !maps.Equal(before, bytesOf(t, fs)) {
			t.Fatalf("with %s key: files changed", name)
		}
	}
	j, got := open(t, fs, encrypted)
	if !slices.Equal(indices(got), []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("replayed %v", indices(got))
	}
	must(t, j.Close())
}

func TestAPlainJournalGoesOnEncrypted(t *testing.T) {
	fs := grown(t, faultfs.New(), 3)
	shown := strings.Count(bytesOf(t, fs)[fileName(0)], "marker")
	fs = grown(t, fs, 3, encrypted)
	if n := strings.Count(bytesOf(t, fs)[fileName(0)], "marker"); n != shown || n != 3 {
		t.Errorf("%d entries show, %d were in the clear", n, shown)
	}
	j, got := open(t, fs, encrypted)
	if !slices.Equal(indices(got), []uint64{1, 2, 3, 4, 5, 6}) {
		t.Errorf("replayed %v", indices(got))
	}
	must(t, j.Close())
}

func TestATornEncryptedTailIsNoDamage(t *testing.T) {
	fs := faultfs.New()
	j, _ := open(t, fs, damagedOptions, encrypted)
	l := newListener()
	g := j.Group(1, l)
	for i := uint64(1); i <= 3; i++ {
		appendOne(t, j, g, i)
		must(t, l.wait(t, i))
	}
	torn, broken := fs.CrashClone(faultfs.KeepAll, 0), fs.CrashClone(faultfs.KeepAll, 0)
	must(t, j.Close())
	data := int64(headerSize + recordSize + atrest.EnvelopeLen(1))
	must(t, torn.Corrupt("j/"+fileName(0), 2*blockSize+data, 1))
	j, got := open(t, torn, damagedOptions, encrypted)
	if !slices.Equal(indices(got), []uint64{1, 2}) || !j.Recovered().Torn {
		t.Errorf("replayed %v, %+v", indices(got), j.Recovered())
	}
	must(t, j.Close())
	must(t, broken.Corrupt("j/"+fileName(0), blockSize+data, 1))
	var d *DamageError
	if _, _, err := tryOpen(broken, damagedOptions, encrypted); !errors.As(err, &d) || d.From != 2 || d.To != 2 || len(d.Lost) != 1 {
		t.Errorf("damage in the middle: %v", err)
	}
}

// Each life of a file has a key of its own, and no number comes twice under it.
func TestARecycledFileGetsANewKey(t *testing.T) {
	fs := faultfs.New()
	type life struct{ file, generation, process uint64 }
	lives := map[string]life{} // by salt
	seen := map[string]bool{}  // salt and number
	index := uint64(0)
	for process := range uint64(3) {
		j, _ := open(t, fs, damagedOptions, encrypted)
		l := newListener()
		g := j.Group(1, l)
		for range 20 {
			index++
			appendOne(t, j, g, index)
			must(t, l.wait(t, index))
			g.Release(index - 1)
		}
		for name, b := range bytesOf(t, fs) {
			file, ours := fileID(name)
			if !ours {
				continue
			}
			for off := 0; off < len(b); off += blockSize {
				bt, err := parseBatch([]byte(b[off:]))
				if err != nil || bt.flags&flagEncrypted == 0 {
					continue
				}
				salt := string(bt.envelope[16:32])
				this := life{file, bt.generation, process}
				old, known := lives[salt]
				if known && (old.file != this.file || old.generation != this.generation) {
					t.Fatalf("%+v has the key of %+v", this, old)
				}
				if !known {
					lives[salt] = this
				}
				seen[salt+string(bt.envelope[32:40])+strconv.FormatUint(bt.number, 10)] = true
			}
		}
		must(t, j.Close())
	}
	numbers := map[string]bool{}
	for k := range seen {
		numbers[k[:24]] = true
	}
	if len(lives) < 5 || len(numbers) != len(seen) {
		t.Fatalf("%d keys, %d batches with %d nonces", len(lives), len(seen), len(numbers))
	}
}
