package server

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// unreadable has the files of the streams of which it says so fail.
func unreadable(n *node, disk *faultfs.FS, which func(name string) bool) {
	for _, spec := range n.storage.catalog.Streams() {
		if which(spec.Name) {
			disk.Inject(faultfs.OnName(n.storage.volume.Dir(spec.Identity()), faultfs.FailFrom(faultfs.Any, 1, fs.ErrPermission)))
		}
	}
}

// A partition that cannot be opened is no partition that was never made: the others stay.
func TestPartitionsStayWhereTheFirstCannotBeOpened(t *testing.T) {
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s.*"],"metadata":{"weir.partitions":"3"}}`)
	for i := range 30 {
		n.request(fmt.Sprint("s.", i), "x")
	}
	n.shut()
	unreadable(n, disk, func(name string) bool { return name == "S:0" })
	n = openOn(t, disk, "data")
	if n.streams.Find("$G", "S:0") != nil {
		t.Fatal("it is opened")
	}
	n.request("$JS.API.STREAM.CREATE.T", `{"name":"T","subjects":["t"]}`)
	n.request("$JS.API.STREAM.DELETE.T", "") // what is to be removed is removed by then
	n.shut()
	disk.Heal()
	n = openOn(t, disk, "data")
	defer n.shut()
	if m := n.request("$JS.API.STREAM.INFO.S", ""); m["state"].(map[string]any)["messages"] != 30.0 {
		t.Fatal(m["state"])
	}
}

// Streams that groups and cursors are kept in may be damaged like others: the server
// serves what it can, answers with errors what it cannot, and begins nothing anew.
func TestTheServerStartsWithoutTheStreamsOfGroupsAndCursors(t *testing.T) {
	const conf = "liftbridge { activity.stream.enabled: true, cursors.stream.partitions: 2 }"
	const cursor, join = "$WEIR.API.CURSOR.", "$WEIR.API.GROUP.JOIN.g"
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	prepared := func() *node {
		n := openConfigured(t, disk, conf, "$G")
		if err := n.lift.Prepare(context.Background()); err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := prepared()
	n.request("$JS.API.STREAM.CREATE.S", `{"name":"S","subjects":["s"]}`)
	n.request(cursor+"SET", `{"stream":"S","cursor":"c","offset":7}`)
	n.request(join, `{"consumer":"a","streams":["S"]}`)
	n.shut()
	unreadable(n, disk, func(name string) bool { return strings.HasPrefix(name, "__") && name != "__cursors:1" })
	n = prepared()
	n.request("s", "x")
	for _, ask := range [][2]string{
		{cursor + "GET", `{"stream":"S","cursor":"c"}`}, {cursor + "SET", `{"stream":"S","cursor":"c","offset":1}`},
		{join, `{"consumer":"b","streams":["S"]}`},
	} {
		if m := n.try(ask[0], ask[1]); m["error"] == nil {
			t.Errorf("%s: %v", ask[0], m)
		}
	}
	n.shut()
	disk.Heal()
	n = prepared()
	defer n.shut()
	if m := n.request(cursor+"GET", `{"stream":"S","cursor":"c"}`); m["offset"] != 7.0 {
		t.Error(m)
	}
	if m := n.try(join, `{"consumer":"a","streams":["S"]}`); m["error"] == nil {
		t.Error("the group has forgotten its member: ", m)
	}
}

// What JetStream's clients are told of a stream that could not be opened: it is there, and
// offline. Nobody takes it for one that is to be made.
func TestAStreamThatCannotBeOpenedIsOffline(t *testing.T) {
	const reason = "it could not be opened, the server's log says why"
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a"]}`)
	n.request("$JS.API.STREAM.CREATE.B", `{"name":"B","subjects":["b"]}`)
	n.request("$JS.API.STREAM.CREATE.P", `{"name":"P","subjects":["p.*"],"metadata":{"weir.partitions":"2"}}`)
	n.shut()
	unreadable(n, disk, func(name string) bool { return name == "A" || name == "P:1" })
	n = openOn(t, disk, "data")
	for _, ask := range [][2]string{
		{"STREAM.INFO.A", ""}, {"STREAM.UPDATE.A", `{"name":"A","subjects":["a"]}`}, {"STREAM.PURGE.A", ""},
		{"STREAM.MSG.GET.A", `{"seq":1}`}, {"CONSUMER.INFO.A.c", ""}, {"CONSUMER.LIST.A", ""}, {"STREAM.INFO.P:1", ""}, {"STREAM.INFO.P", ""},
		{"CONSUMER.CREATE.A.c", `{"stream_name":"A","config":{"name":"c","ack_policy":"explicit"}}`},
	} {
		m, _ := n.try("$JS.API."+ask[0], ask[1])["error"].(map[string]any)
		if m["err_code"] != 10194.0 || m["code"] != 500.0 || m["description"] != "stream is offline: "+reason {
			t.Errorf("%s: %v", ask[0], m)
		}
	}
	if m := n.try("$JS.API.STREAM.INFO.none", "")["error"].(map[string]any); m["err_code"] != 10059.0 {
		t.Error(m)
	}
	if m := n.request("$JS.API.STREAM.NAMES", ""); fmt.Sprint(m["streams"]) != "[B P:0 A P:1]" || m["total"] != 4.0 {
		t.Error(m)
	}
	m := n.request("$JS.API.STREAM.LIST", "")
	offline, _ := m["offline"].(map[string]any)
	if fmt.Sprint(m["missing"]) != "[A P:1]" || offline["A"] != reason || offline["P:1"] != reason || len(m["streams"].([]any)) != 2 {
		t.Error(m)
	}
	n.shut()
	disk.Heal()
	n = openOn(t, disk, "data")
	defer n.shut()
	if m := n.request("$JS.API.STREAM.LIST", ""); m["offline"] != nil || m["missing"] != nil || m["total"] != 4.0 {
		t.Error(m)
	}
}
