package server

import (
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// What a start after a crash has to replay of a few busy streams is little more than one file of
// the journal, and not half of all that the journal may hold.
func TestTheJournalOfAFewBusyStreamsStaysShort(t *testing.T) {
	const messages = 55
	disk := faultfs.New()
	disk.SetCapacity(64 << 20) // the journal's files have 4 MiB, and it may hold 16
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	body := strings.Repeat("x", 4_000)
	for range messages {
		for range 15 {
			n.space.Publish(&broker.Message{Subject: []byte("s"), Data: []byte(body)})
		}
		n.request("s", body)
	}
	streamtest.Await(t, "the oldest files are released", func() bool { return n.storage.journal.Pressure().Files == 1 })
	if n := n.storage.journal.Metrics.Bytes.Load(); n < 4<<20 || n > 8<<20 {
		t.Errorf("%d bytes were written, not more than one file and less than half of what may be", n)
	}
	crashed := disk.CrashClone(faultfs.DropUnsynced, 1)
	n.shut()
	n = openOn(t, crashed, "data")
	defer n.shut()
	if m := n.request("$JS.API.STREAM.INFO.S", ""); m["state"].(map[string]any)["messages"] != float64(16*messages) {
		t.Fatal(m["state"])
	}
}
