package check

import (
	"context"
	"errors"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/server"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

const secret = "a key that nobody guesses"

func startEncrypted(t *testing.T, disk *faultfs.FS) *node {
	t.Helper()
	s, err := server.OpenOffline(server.OfflineOptions{
		FS: disk, Dir: dir, Encryption: server.EncryptionConfig{Key: secret, Cipher: atrest.DefaultCipher()},
	})
	must(t, err)
	return &node{t, s}
}

// An encrypted directory is checked with its key, and not without.
func TestAnEncryptedDirectoryIsCheckedAndRepairedWithItsKey(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := startEncrypted(t, disk)
	fill(t, n, 1, records)
	n.stop()
	disk = disk.CrashClone(faultfs.KeepAll, 0)
	with := func(key string, disk *faultfs.FS) (*Report, error) {
		return Run(context.Background(), Options{FS: disk, Dir: dir, Key: key})
	}
	if _, err := with("", disk); !errors.Is(err, errNoKey) {
		t.Fatalf("without the key: %v", err)
	}
	if _, err := with("another", disk); !errors.Is(err, atrest.ErrWrongKey) {
		t.Fatalf("with another key: %v", err)
	}
	if r, err := with(secret, disk); err != nil || !r.Clean() || r.Streams != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if testing.Short() {
		return // opening the keys takes its time, by design
	}
	r := rand.New(rand.NewPCG(5, 5))
	seen := map[string]bool{KindCatalog: true, KindIdentity: true, KindManifest: true, KindSubjects: true}
	for file, size := range tree(t, disk, dir) {
		kind := kindOf(file)
		if base := path.Base(file); base == "keys" || base == "keys.copy" {
			kind = KindKeys
		}
		if kind == "" || kind == KindJournal || seen[kind] {
			continue
		}
		seen[kind] = true
		bad := disk.CrashClone(faultfs.KeepAll, 0)
		off := r.Int64N(size)
		must(t, bad.Corrupt(file, off, 1<<r.IntN(8)))
		rep, err := with(secret, bad)
		if err != nil || rep.Clean() {
			t.Fatalf("change of %s at %d: %+v, %v", file, off, rep, err)
		}
		if len(rep.Unchecked) > 0 {
			continue // a version that is not known
		}
		done, err := Repair(context.Background(), Options{FS: bad, Dir: dir, Key: secret}, yes)
		if err != nil || !done.After.Clean() {
			t.Fatalf("change of %s at %d: repaired %+v, %v", file, off, done, err)
		}
		n := startEncrypted(t, bad)
		if _, err := n.holds(done, records); err != nil {
			t.Errorf("change of %s at %d: %v", file, off, err)
		}
		n.stop()
	}
}
