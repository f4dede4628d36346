package server

import (
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/monitor"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// until waits for a condition that other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// staysFull says whether a full disk is one after it was looked at again, too.
func staysFull(n *node) bool {
	for end := time.Now().Add(2 * tightEvery); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if !n.storage.room.full.Load() {
			return false
		}
	}
	return true
}

// A purge on a full disk frees space, and publishing goes on by itself.
func TestAPurgeEndsAFullDisk(t *testing.T) {
	purgeFull(t, 60_000, func(disk *faultfs.FS) (*node, error) { return openOn(t, disk, "data"), nil })
}

// Nor does it matter that the messages are in extents.
func TestAPurgeOfExtentsEndsAFullDisk(t *testing.T) {
	purgeFull(t, 200_000, func(disk *faultfs.FS) (*node, error) { return extentNode(t, disk) })
}

func purgeFull(t *testing.T, size int, open func(*faultfs.FS) (*node, error)) {
	t.Helper()
	disk := faultfs.New()
	disk.SetCapacity(32 << 20)
	n, err := open(disk)
	if err != nil {
		t.Fatal(err)
	}
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	n.request("$JS.API.STREAM.CREATE.T", `{"name":"T","subjects":["t"]}`)
	n.request("t", "kept")
	body := strings.Repeat("x", size)
	stored := 0
	for full := false; !full; {
		for n.try("s", body)["error"] == nil {
			if stored++; stored > 2000 {
				t.Fatal("the disk does not fill")
			}
		}
		full = staysFull(n)
	}
	if stored*size < 3_000_000 {
		t.Fatalf("the disk is full after %d messages", stored)
	}
	source := &source{rooms: n.rooms}
	if p := source.Health(monitor.HealthQuery{}); len(p) != 1 || !strings.Contains(p[0].Text, "no space") {
		t.Errorf("health says %+v", p)
	}
	if st := n.streams.Find("$G", "S").Partition().Status(); st.Records != uint64(stored) {
		t.Fatalf("%d are stored, %d were acknowledged", st.Records, stored)
	}
	if n.try("t", "x")["error"] == nil {
		t.Error("another stream takes messages on a full disk")
	}
	n.request("$JS.API.STREAM.PURGE.S", "")
	until(t, "space", func() bool { return !n.storage.room.full.Load() })
	for range 20 {
		n.request("s", body)
	}
	if p := source.Health(monitor.HealthQuery{}); len(p) != 0 {
		t.Errorf("health says %+v", p)
	}
	n.shut()
	if n, err = open(disk.CrashClone(faultfs.DropUnsynced, 1)); err != nil {
		t.Fatal(err)
	}
	if got := n.streams.Find("$G", "S").Partition().Status(); got.Records != 20 {
		t.Errorf("after a restart there are %d records", got.Records)
	}
	if got := n.streams.Find("$G", "T").Partition().Status(); got.Records != 1 {
		t.Errorf("after a restart the other stream has %d records", got.Records)
	}
	n.shut()
}

func TestTheReserveIsGivenUpAndKeptAgain(t *testing.T) {
	disk := faultfs.New()
	if err := makeDir(disk, "data"); err != nil {
		t.Fatal(err)
	}
	r := newRoom(disk, "data")
	for range 2 {
		if err := r.keep(); err != nil {
			t.Fatal(err)
		}
		if info, err := disk.Stat("data/reserve"); err != nil || info.Size < minReserve || info.Size > maxReserve {
			t.Fatalf("reserve %+v, %v", info, err)
		}
		again := newRoom(disk, "data")
		if err := again.keep(); err != nil || !again.held {
			t.Fatalf("a reserve that is there: %v", err)
		}
		if err := r.give(); err != nil {
			t.Fatal(err)
		}
	}
	disk.SetCapacity(100)
	if err := r.keep(); err == nil || r.held {
		t.Fatal("there is a reserve on a full disk")
	}
	if _, err := disk.Stat("data/reserve"); err == nil {
		t.Error("half a reserve is left")
	}
}

// A log that has failed cannot say that something was purged.
func TestAPurgeOfAFailedLogIsAnError(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	n.request("s", "x")
	disk.StopAfter(disk.Ops())
	if n.try("$JS.API.STREAM.MSG.DELETE.S", `{"seq":1}`)["error"] == nil {
		t.Fatal("a deletion that is not durable is confirmed")
	}
	for _, body := range []string{"", `{"filter":"s"}`, `{"filter":"t"}`, `{"seq":2}`} {
		if m := n.try("$JS.API.STREAM.PURGE.S", body); m["error"] == nil {
			t.Errorf("purge %s: %v", body, m)
		}
	}
	_ = n.close(t.Context()) // fails, like the disk
}

// So does a purge of some subjects, where what it leaves lies before it.
func TestAFilteredPurgeEndsAFullDisk(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(32 << 20)
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.>"]}`)
	n.request("s.kept", "this one stays")
	body := strings.Repeat("x", 60_000)
	stored := 0
	for full := false; !full; {
		for n.try("s.filled", body)["error"] == nil {
			if stored++; stored > 2000 {
				t.Fatal("the disk does not fill")
			}
		}
		full = staysFull(n)
	}
	n.request("$JS.API.STREAM.PURGE.S", `{"filter":"s.filled"}`)
	until(t, "space", func() bool { return !n.storage.room.full.Load() })
	for range 20 {
		n.request("s.again", body)
	}
	n.shut()
	n = openOn(t, disk.CrashClone(faultfs.DropUnsynced, 1), "data")
	defer n.shut()
	if st := n.streams.Find("$G", "S").Partition().Status(); st.Records != 21 || st.First != 1 {
		t.Errorf("after a restart: %+v", st)
	}
}
