package server

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// extentNode opens a server on a small disk whose frames of 5,000 bytes and more go to
// extents.
func extentNode(t *testing.T, disk *faultfs.FS, change ...func(*Config)) (*node, error) {
	t.Helper()
	c := defaultConfig()
	c.JetStream.StoreDir = "data"
	c.JetStream.ExtentFrom = 5_000
	for _, f := range change {
		f(c)
	}
	c.settle()
	r, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	r.start(context.Background())
	return &node{t, r, r.spaces.Get("$G")}, nil
}

// largeText is a message for an extent, or between two.
func largeText(i int) string {
	size := 12_000
	if i%4 == 3 {
		size = 10
	}
	return fmt.Sprintf("%d %s", i, strings.Repeat("x", size))
}

// publishTexts publishes so many messages, from one on.
func (n *node) publishTexts(from, to int) {
	n.t.Helper()
	for i := from; i <= to; i++ {
		if a := n.request("s.a", largeText(i)); a["seq"] != float64(i) {
			n.t.Fatalf("message %d is acknowledged with %v", i, a)
		}
	}
}

func (n *node) expectTexts(to int) {
	n.t.Helper()
	p := n.streams.Find("$G", "S").Partition()
	if st := p.Status(); st.Last != uint64(to) || st.Records != uint64(to) {
		n.t.Fatalf("there is %+v, want %d records", st, to)
	}
	for i := 1; i <= to; i++ {
		if v, err := p.Get(uint64(i)); err != nil || string(v.Data) != largeText(i) {
			n.t.Fatalf("record %d is %.10q, %v", i, v.Data, err)
		}
	}
}

// withLarge is a server with messages in extents that no checkpoint has, and their
// number.
func withLarge(t *testing.T) (*node, *faultfs.FS, int) {
	t.Helper()
	disk := faultfs.New()
	disk.SetCapacity(40 << 20)
	disk.SetDirect(true)
	n, err := extentNode(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.*"]}`)
	to := 0
	for deadline := time.Now().Add(20 * time.Second); n.storage.journal.Metrics.Extents.Load() < 8; to += 4 {
		if time.Now().After(deadline) {
			t.Fatal("no extent is made")
		}
		n.publishTexts(to+1, to+4)
	}
	if m := &n.storage.journal.Metrics; m.ExtentBytes.Load() < 8*12_000 {
		t.Errorf("%d extents of %d bytes", m.Extents.Load(), m.ExtentBytes.Load())
	}
	return n, disk, to
}

// shutDown stops a node that may have nothing more to write to.
func (n *node) shutDown() { _ = n.close(context.Background()) }

func TestLargeMessagesSurviveCrashesWithoutACheckpoint(t *testing.T) {
	n, disk, to := withLarge(t)
	for life := range 3 {
		crashed := disk.CrashClone(faultfs.DropUnsynced, uint64(life))
		n.shutDown()
		disk = crashed
		var err error
		if n, err = extentNode(t, disk); err != nil {
			t.Fatal(err)
		}
		n.expectTexts(to)
		n.publishTexts(to+1, to+10)
		to += 10
		if life == 1 {
			if err := n.storage.checkpointAll(); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.shut()
	n, err := extentNode(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	n.expectTexts(to)
	n.shut()
}

func TestAMissingExtentIsDamageUnlessItsStreamIsGone(t *testing.T) {
	n, disk, _ := withLarge(t)
	lost := disk.CrashClone(faultfs.KeepAll, 1)
	ids, err := n.storage.volume.Logs()
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	dir := n.storage.volume.Dir(ids[0])
	n.request("$JS.API.STREAM.DELETE.S", "")
	deleted := disk.CrashClone(faultfs.DropUnsynced, 1)
	n.shutDown()
	names, err := lost.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".seg") {
			if err := lost.Remove(path.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := extentNode(t, lost); err == nil || !strings.Contains(err.Error(), ".seg") {
		t.Errorf("a server starts although acknowledged messages are gone: %v", err)
		n.shutDown()
	}
	n, err = extentNode(t, deleted)
	if err != nil {
		t.Fatal(err)
	}
	if n.streams.Find("$G", "S") != nil {
		t.Error("a deleted stream came back")
	}
	n.shut()
}

// Where acknowledgements do not wait for syncs, one would only make them slower.
func TestARelaxedJournalHasNoExtents(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(40 << 20)
	n, err := extentNode(t, disk, func(c *Config) { c.JetStream.SyncInterval = time.Minute })
	if err != nil {
		t.Fatal(err)
	}
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.*"]}`)
	n.publishTexts(1, 40)
	if m := n.storage.journal.Metrics.Extents.Load(); m != 0 {
		t.Errorf("%d extents", m)
	}
	n.shut()
}
