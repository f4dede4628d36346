package server

import (
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/monitor"
	"github.com/weirmq/weir/internal/vfs"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// openConfigured opens a server on a disk with a configuration.
func openConfigured(t *testing.T, disk vfs.FS, text, account string) *node {
	t.Helper()
	c, err := loadText(t, text+"\njetstream { store_dir: data }")
	if err != nil {
		t.Fatal(err)
	}
	c.settle()
	r, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.start(context.Background())
	return &node{t, r, r.spaces.Get(account)}
}

// busy has the journal use its files again, as far as it may.
func (n *node) busy() {
	n.t.Helper()
	n.request("$JS.API.STREAM.CREATE.T", `{"name":"T","subjects":["t"],"max_bytes":1000000}`)
	body := strings.Repeat("x", 60_000)
	for range 400 {
		n.request("t", body)
	}
	n.request("$JS.API.STREAM.DELETE.T", "")
}

const withA = `accounts { A { jetstream: enabled, users: [{user: a, password: a}] } }`

// Who forgets an account in the configuration, or names another file, loses nothing of
// its streams, however much of them only the journal had.
func TestAStreamSurvivesAStartWithoutItsAccount(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := openConfigured(t, disk, withA, "A")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	for range 50 {
		n.request("s", "x")
	}
	crashed := disk.CrashClone(faultfs.DropUnsynced, 1)
	n.shut()
	for range 2 {
		without := openConfigured(t, crashed, "", "$G")
		without.busy()
		told := (&source{rooms: without.rooms}).Health(monitor.HealthQuery{})
		if len(told) != 1 || !strings.Contains(told[0].Text, "account A") {
			t.Errorf("the health says %v", told)
		}
		without.shut()
	}
	again := openConfigured(t, crashed, withA, "A")
	defer again.shut()
	if m := again.request("$JS.API.STREAM.INFO.S", ""); m["state"].(map[string]any)["messages"] != 50.0 {
		t.Fatalf("of 50 messages there are %v", m["state"])
	}
	again.request("s", "goes on")
}

// A stream whose files cannot be opened keeps what only the journal has of it.
func TestAStreamThatCannotBeOpenedLosesNothing(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	for range 50 {
		n.request("s", "x")
	}
	crashed := disk.CrashClone(faultfs.DropUnsynced, 1)
	of := n.storage.catalog.Streams()[0]
	dir := n.storage.volume.Dir(of.Identity())
	n.shut()
	crashed.Inject(faultfs.OnName(dir, faultfs.FailFrom(faultfs.Any, 1, fs.ErrPermission)))
	without := openOn(t, crashed, "data")
	without.busy()
	without.shut()
	crashed.Heal()
	again := openOn(t, crashed, "data")
	defer again.shut()
	if m := again.request("$JS.API.STREAM.INFO.S", ""); m["state"].(map[string]any)["messages"] != 50.0 {
		t.Fatalf("of 50 messages there are %v", m["state"])
	}
}
