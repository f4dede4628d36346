package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// eventOf reads an event's body.
func eventOf(t *testing.T, m streamtest.Msg) map[string]any {
	t.Helper()
	e := map[string]any{}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		t.Fatalf("%s: %v", m.Data, err)
	}
	if e["id"] == "" || e["timestamp"] == "" {
		t.Errorf("%s: id or time is missing", m.Data)
	}
	return e
}

func TestTheSystemAccountIsToldThatTheDiskIsFull(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(32 << 20)
	n := openOn(t, disk, "data")
	in := streamtest.Subscribe(t, n.rooms.space("$SYS"), "$JS.EVENT.ADVISORY.>")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	body := strings.Repeat("x", 60_000)
	for full := false; !full; {
		for n.try("s", body)["error"] == nil {
		}
		full = staysFull(n)
	}
	m := in.Next(t)
	e := eventOf(t, m)
	if m.Subject != "$JS.EVENT.ADVISORY.SERVER.OUT_OF_STORAGE" || e["type"] != "io.nats.jetstream.advisory.v1.server_out_of_space" ||
		e["server"] != n.name || e["server_id"] != n.id {
		t.Errorf("%s: %v", m.Subject, e)
	}
	n.request("$JS.API.STREAM.PURGE.S", "")
	until(t, "space", func() bool { return !n.storage.room.full.Load() })
	n.shut()
}

func TestTheSystemAccountIsToldOfDroppedRequestsOnce(t *testing.T) {
	n := openOn(t, faultfs.New(), "data")
	in := streamtest.Subscribe(t, n.rooms.space("$SYS"), "$JS.EVENT.ADVISORY.>")
	dropped := uint64(3)
	a := &alarms{space: n.rooms.space("$SYS"), server: "n", domain: "hub", full: func() bool { return false }, dropped: func() uint64 { return dropped }}
	a.look()
	a.look()
	dropped = 5
	a.look()
	a.look()
	for _, want := range []float64{3, 2} {
		m := in.Next(t)
		e := eventOf(t, m)
		if m.Subject != "$JS.EVENT.ADVISORY.API.LIMIT_REACHED" || e["type"] != "io.nats.jetstream.advisory.v1.api_limit_reached" ||
			e["server"] != "n" || e["domain"] != "hub" || e["dropped"] != want {
			t.Errorf("%s: %v, want %v dropped", m.Subject, e, want)
		}
	}
	in.None(t)
	n.shut()
}
