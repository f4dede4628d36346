package server

import (
	"context"
	"encoding/binary"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// identityIs replaces the identity file of a stopped server by some bytes; nil removes it.
func identityIs(t *testing.T, disk *faultfs.FS, b []byte) {
	t.Helper()
	if err := disk.Remove("data/identity"); err != nil {
		t.Fatal(err)
	}
	if b == nil {
		return
	}
	if err := writeFile(disk, "data/identity", b); err != nil {
		t.Fatal(err)
	}
}

// startFails gives why a server does not start on a disk.
func startFails(t *testing.T, disk *faultfs.FS) string {
	t.Helper()
	c := defaultConfig()
	c.JetStream.StoreDir = "data"
	c.settle()
	r, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if err == nil {
		_ = r.close(context.Background())
		t.Fatal("it starts")
	}
	return err.Error()
}

// TestAnIdentityThatIsLostIsThatOfTheJournalsFiles, which are all of one directory or refused:
// what was acknowledged is there.
func TestAnIdentityThatIsLostIsThatOfTheJournalsFiles(t *testing.T) {
	for name, left := range map[string][]byte{"emptied": {}, "cut": {1, 2, 3}, "longer": make([]byte, 9), "missing": nil} {
		t.Run(name, func(t *testing.T) {
			disk := faultfs.New()
			disk.SetCapacity(64 << 20)
			n := openOn(t, disk, "data")
			n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
			n.request("s", "x")
			disk = disk.CrashClone(faultfs.DropUnsynced, 1) // the message is in the journal alone
			n.shut()
			was, err := vfs.ReadFile(disk, "data/identity")
			if err != nil || binary.LittleEndian.Uint64(was) == 0 {
				t.Fatal(was, err)
			}
			identityIs(t, disk, left)
			for range 2 {
				n = openOn(t, disk, "data")
				if m := n.request("$JS.API.STREAM.INFO.S", ""); m["state"].(map[string]any)["messages"] != 1.0 {
					t.Fatal(m["state"])
				}
				n.shut()
				if is, err := vfs.ReadFile(disk, "data/identity"); err != nil || string(is) != string(was) {
					t.Fatalf("%x, not %x: %v", is, was, err)
				}
			}
		})
	}
}

// TestAnIdentityThatNothingProvesIsRefused, and nothing is drawn anew: the files of the journal
// would be taken for another directory's. The error says what can be done.
func TestAnIdentityThatNothingProvesIsRefused(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	n.shut()
	files, err := disk.List("data/journal")
	if err != nil {
		t.Fatal(err)
	}
	whole := disk.CrashClone(faultfs.DropUnsynced, 1)
	identityIs(t, disk, []byte{})
	for _, f := range files {
		if err := disk.Corrupt("data/journal/"+f, 4, 1); err != nil {
			t.Fatal(err)
		}
	}
	if why := startFails(t, disk); !strings.Contains(why, "data/identity has 0 bytes, not 8, and no file of the journal tells it") || !strings.Contains(why, "weir check") {
		t.Error(why)
	}
	identityIs(t, disk, nil)
	if why := startFails(t, disk); !strings.Contains(why, "data/identity is missing, and no file of the journal tells it") {
		t.Error(why)
	}
	if _, err := disk.Stat("data/identity"); err == nil {
		t.Error("an identity was drawn")
	}
	// One that is whole is never doubted for a journal that is not its own.
	identityIs(t, whole, []byte("12345678"))
	if why := startFails(t, whole); !strings.Contains(why, "weir check") {
		t.Error(why)
	}
	// A disk that cannot be read says nothing about the file.
	whole.Inject(faultfs.OnName("data/identity", faultfs.FailFrom(faultfs.Any, 1, fs.ErrPermission)))
	if why := startFails(t, whole); !strings.Contains(why, "read the identity") || strings.Contains(why, "missing") {
		t.Error(why)
	}
}
