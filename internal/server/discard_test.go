package server

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/monitor"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// identityOf is the identity of a stream.
func (n *node) identityOf(name string) record.Identity {
	n.t.Helper()
	for _, spec := range n.storage.catalog.Streams() {
		if spec.Name == name {
			return spec.Identity()
		}
	}
	n.t.Fatal("there is no stream ", name)
	return record.Identity{}
}

// damaged is the disk that a crash leaves, with the manifests of some streams damaged. All
// streams have a checkpoint, and entries that only the journal has.
func damaged(t *testing.T, names ...string) *faultfs.FS {
	t.Helper()
	disk := faultfs.New()
	disk.SetCapacity(64 << 20)
	n := openOn(t, disk, "data")
	n.request("$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a"]}`)
	n.request("$JS.API.STREAM.CREATE.B", `{"name":"B","subjects":["b"]}`)
	n.request("$JS.API.STREAM.CREATE.P", `{"name":"P","subjects":["p.*"],"metadata":{"weir.partitions":"3"}}`)
	n.request("$JS.API.CONSUMER.CREATE.A.c", `{"stream_name":"A","config":{"name":"c","durable_name":"c","ack_policy":"explicit"}}`)
	store := func() {
		n.request("a", "x")
		n.request("b", "x")
		for i := range 12 {
			n.request(fmt.Sprint("p.", i), "x")
		}
	}
	store()
	if err := n.storage.checkpointAll(); err != nil {
		t.Fatal(err)
	}
	store()
	crashed := disk.CrashClone(faultfs.KeepAll, 1)
	for _, name := range names {
		if err := crashed.Corrupt(seglog.ManifestFile(n.storage.volume.Dir(n.identityOf(name))), 20, 1); err != nil {
			t.Fatal(err)
		}
	}
	n.shut()
	return crashed
}

// whole fails if the streams of damaged, but for some, are not as they were.
func (n *node) whole(messages map[string]float64) {
	n.t.Helper()
	for name, want := range messages {
		if got := n.request("$JS.API.STREAM.INFO."+name, "")["state"].(map[string]any)["messages"]; got != want {
			n.t.Errorf("stream %s has %v messages, not %v", name, got, want)
		}
	}
}

// names are what JetStream lists.
func (n *node) names() string { return fmt.Sprint(n.request("$JS.API.STREAM.NAMES", "")["streams"]) }

// dirs are the directories of streams.
func dirs(t *testing.T, disk *faultfs.FS) []string {
	t.Helper()
	names, err := disk.List("data/streams")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// code is the number of an answer's error; 0: it is none.
func code(m map[string]any) float64 {
	e, _ := m["error"].(map[string]any)
	n, _ := e["err_code"].(float64)
	return n
}

// Nothing is left of a stream that could not be opened and was deleted: neither its files nor
// what the journal kept for it, nor its name. The others stay as they are.
func TestAStreamThatCannotBeOpenedIsDeleted(t *testing.T) {
	disk := damaged(t, "A")
	n := openOn(t, disk, "data")
	if n.streams.Find("$G", "A") != nil {
		t.Fatal("it is opened")
	}
	before, others := dirs(t, disk), n.storage.journal.Unclaimed()
	if len(others) != 1 {
		t.Fatalf("the journal is kept for %v", others)
	}
	id := others[0]
	n.request("$JS.API.STREAM.DELETE.A", "")
	if after := dirs(t, disk); len(after) != len(before)-1 || slices.Contains(after, fmt.Sprint(id, "-1")) {
		t.Errorf("%v is left of %v", after, before)
	}
	if kept := n.storage.journal.Unclaimed(); len(kept) != 0 {
		t.Errorf("the journal is kept for %v", kept)
	}
	if p := (&source{rooms: n.rooms}).Health(monitor.HealthQuery{}); len(p) != 0 {
		t.Error(p)
	}
	if got := n.names(); got != "[B P:0 P:1 P:2]" {
		t.Error(got)
	}
	for _, ask := range []string{"STREAM.INFO.A", "STREAM.DELETE.A", "CONSUMER.INFO.A.c"} {
		if m := n.try("$JS.API."+ask, ""); code(m) != 10059 {
			t.Errorf("%s: %v", ask, m)
		}
	}
	n.request("$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a"]}`)
	if m := n.request("a", "new"); m["seq"] != 1.0 {
		t.Error(m)
	}
	if m := n.try("$JS.API.CONSUMER.INFO.A.c", ""); code(m) != 10014 {
		t.Error(m)
	}
	crashed := disk.CrashClone(faultfs.DropUnsynced, 1)
	n.shut()
	for _, disk := range []*faultfs.FS{disk, crashed} {
		n = openOn(t, disk, "data")
		n.whole(map[string]float64{"A": 1, "B": 2, "P": 24})
		if got := n.names(); got != "[A B P:0 P:1 P:2]" {
			t.Error(got)
		}
		n.shut()
	}
}

// The journal may recycle its files again when the stream is deleted that they were kept for.
func TestTheJournalLetsGoOfADeletedStreamThatCouldNotBeOpened(t *testing.T) {
	n := openOn(t, damaged(t, "A"), "data")
	defer n.shut()
	n.busy()
	if p := n.storage.journal.Pressure(); p.Files < 5 {
		t.Fatalf("the journal is not kept: %+v", p)
	}
	n.request("$JS.API.STREAM.DELETE.A", "")
	n.busy()
	streamtest.Await(t, "the journal is short", func() bool {
		n.storage.wantCheckpoint()
		return n.storage.journal.Pressure().Files <= 2
	})
}

// Also what is wrong with the partition's state, and not with the log below it, does not keep
// the log's files.
func TestAStreamWhoseStateCannotBeReadIsDeleted(t *testing.T) {
	disk := damaged(t)
	n := openOn(t, disk, "data")
	id := n.identityOf("A")
	n.shut()
	v, err := seglog.Open(seglog.VolumeOptions{FS: disk, Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := v.OpenLog(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Checkpoint([]byte("no state")); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	n = openOn(t, disk, "data")
	defer n.shut()
	if n.streams.Find("$G", "A") != nil {
		t.Fatal("it is opened")
	}
	before := dirs(t, disk)
	n.request("$JS.API.STREAM.DELETE.A", "")
	if after := dirs(t, disk); len(after) != len(before)-1 {
		t.Errorf("%v is left of %v", after, before)
	}
}

// A stream with partitions is deleted as a whole, whichever of them could not be opened, and
// one of them alone is not.
func TestPartitionsOfWhichSomeCannotBeOpenedAreDeletedTogether(t *testing.T) {
	for _, lost := range [][]string{{"P:0"}, {"P:1"}, {"P:1", "P:2"}, {"P:0", "P:1", "P:2"}} {
		disk := damaged(t, lost...)
		n := openOn(t, disk, "data")
		for k := range 3 {
			name := fmt.Sprint("P:", k)
			if m := n.try("$JS.API.STREAM.DELETE."+name, ""); code(m) != 10050 || !strings.Contains(fmt.Sprint(m), "deleted as a whole") {
				t.Errorf("%v: %s: %v", lost, name, m)
			}
		}
		n.request("$JS.API.STREAM.DELETE.P", "")
		if got := n.names(); got != "[A B]" {
			t.Errorf("%v: %v", lost, got)
		}
		n.request("$JS.API.STREAM.CREATE.P", `{"name":"P","subjects":["p.*"],"metadata":{"weir.partitions":"2"}}`)
		n.request("p.1", "new")
		n.shut()
		if got := dirs(t, disk); len(got) > 4 {
			t.Errorf("%v: directories %v", lost, got)
		}
		n = openOn(t, disk, "data")
		n.whole(map[string]float64{"A": 2, "B": 2, "P": 1})
		n.shut()
	}
}

// Where files cannot be removed the client is told. The stream is gone all the same, for good,
// and a start that can removes the files.
func TestFilesOfADeletedStreamThatCannotBeRemovedAreTold(t *testing.T) {
	for _, kind := range []faultfs.Kind{faultfs.Rename, faultfs.Remove, faultfs.Any} {
		first := 1
		if kind == faultfs.Remove {
			first = 2 // they have another name by then
		}
		disk := damaged(t, "A")
		n := openOn(t, disk, "data")
		dir := fmt.Sprint(n.storage.journal.Unclaimed()[0], "-1")
		disk.Inject(faultfs.OnName(path.Join("data/streams", dir), faultfs.FailFrom(kind, first, fs.ErrPermission)))
		m := n.try("$JS.API.STREAM.DELETE.A", "")
		if code(m) != 10050 || !strings.Contains(fmt.Sprint(m), "files of it could not be removed") {
			t.Errorf("%v: %v", kind, m)
		}
		made := func(n *node, want float64) {
			if got := n.names(); got != "[A B P:0 P:1 P:2]" {
				t.Errorf("%v: %v", kind, got)
			}
			n.whole(map[string]float64{"A": want, "B": 2, "P": 24})
		}
		if m := n.try("$JS.API.STREAM.INFO.A", ""); code(m) != 10059 {
			t.Errorf("%v: %v", kind, m)
		}
		n.request("$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a"]}`)
		n.request("a", "new")
		made(n, 1)
		n.shut()
		n = openOn(t, disk, "data") // they still cannot be removed
		made(n, 1)
		n.shut()
		disk.Heal()
		n = openOn(t, disk, "data")
		made(n, 1)
		n.shut()
		if got := dirs(t, disk); slices.ContainsFunc(got, func(name string) bool { return strings.HasPrefix(name, dir) }) {
			t.Errorf("%v: %v", kind, got)
		}
	}
}

// Whoever puts one stream's files into another's directory loses none of them by deleting the
// other.
func TestFilesOfAnotherStreamAreNotRemoved(t *testing.T) {
	disk := damaged(t)
	n := openOn(t, disk, "data")
	a, b := n.storage.volume.Dir(n.identityOf("A")), n.storage.volume.Dir(n.identityOf("B"))
	n.shut()
	move := func(from, to string) {
		if err := disk.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(a, "data/aside")
	move(b, a)
	n = openOn(t, disk, "data")
	if m := n.try("$JS.API.STREAM.DELETE.A", ""); code(m) != 10050 {
		t.Error(m)
	}
	n.shut()
	openOn(t, disk, "data").shut() // which looks for what deletions left
	if got := everyFile(t, disk); len(got) < 4 {
		t.Error(got)
	}
	if err := disk.RemoveAll(b); err != nil {
		t.Fatal(err)
	}
	move(a, b)
	n = openOn(t, disk, "data")
	n.whole(map[string]float64{"B": 2, "P": 24})
	n.shut()
}

// Whenever the server dies while streams are deleted that could not be opened: each is there
// after the next start as it was, or there is nothing of it. What was answered is done, and
// the others are never touched.
func TestACrashAtAnyStepOfDeletingWhatCannotBeOpened(t *testing.T) {
	image := damaged(t, "A", "P:1")
	files := everyFile(t, image)
	for step := uint64(0); ; step++ {
		disk := image.CrashClone(faultfs.KeepAll, 1)
		n := openOn(t, disk, "data")
		start := disk.Ops()
		disk.StopAfter(start + step)
		answered := [2]bool{n.try("$JS.API.STREAM.DELETE.A", "")["error"] == nil, n.try("$JS.API.STREAM.DELETE.P", "")["error"] == nil}
		whole := disk.Ops() <= start+step
		torn := faultfs.Modes[2+step%uint64(len(faultfs.Modes)-2)] // the first two leave whole writes
		for _, mode := range []faultfs.Mode{faultfs.DropUnsynced, faultfs.KeepAll, torn} {
			what := fmt.Sprintf("stop after %d, %v", step, mode)
			crashed := disk.CrashClone(mode, step)
			if mode == torn {
				checkDeleted(t, what+", and again", crashStart(t, crashed, 7*step%60), files, answered)
			}
			checkDeleted(t, what, crashed, files, answered)
		}
		_ = n.close(context.Background()) // on a disk that stopped
		if whole {
			if !answered[0] || !answered[1] {
				t.Error("they are not deleted")
			}
			if step < 8 {
				t.Errorf("only %d steps", step)
			}
			return
		}
	}
}

// crashStart is what a crash leaves so many operations after a start has begun.
func crashStart(t *testing.T, image *faultfs.FS, after uint64) *faultfs.FS {
	t.Helper()
	disk := image.CrashClone(faultfs.KeepAll, 1)
	disk.StopAfter(disk.Ops() + after)
	c := defaultConfig()
	c.JetStream.StoreDir = "data"
	c.settle()
	r, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if err == nil {
		r.start(context.Background())
		defer func() { _ = r.close(context.Background()) }() // on a disk that may have stopped
	}
	return disk.CrashClone(faultfs.DropUnsynced, after)
}

// everyFile gives the files of streams with their lengths.
func everyFile(t *testing.T, disk *faultfs.FS) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, dir := range dirs(t, disk) {
		names, err := disk.List(path.Join("data/streams", dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			file := path.Join("data/streams", dir, name)
			i, err := disk.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			out[file] = i.Size
		}
	}
	return out
}

// checkDeleted starts a server on what a crash left while A and P were deleted, twice.
func checkDeleted(t *testing.T, what string, disk *faultfs.FS, files map[string]int64, answered [2]bool) {
	t.Helper()
	for range 2 {
		n := openOn(t, disk, "data")
		a := n.streams.Remains("$G", "A") != nil
		p := n.streams.Remains("$G", "P") != nil && n.streams.Find("$G", "P:0") != nil
		if a && answered[0] || p && answered[1] {
			t.Errorf("%s: deleted, and there again: A %v, P %v", what, a, p)
		}
		want := "[B]"
		switch {
		case a && p:
			want = "[B P:0 P:2 A P:1]"
		case a:
			want = "[B A]"
		case p:
			want = "[B P:0 P:2 P:1]"
		}
		streamtest.Await(t, what+": what is half deleted is gone", func() bool { return n.names() == want })
		ids := n.storage.journal.Unclaimed()
		n.whole(map[string]float64{"B": 2})
		if code(n.try("$JS.API.STREAM.INFO.A", "")) != map[bool]float64{true: 10194, false: 10059}[a] {
			t.Errorf("%s: A is told of as if it were not %v", what, a)
		}
		n.shut()
		left := everyFile(t, disk)
		for _, spec := range n.storage.catalog.Streams() {
			dir := n.storage.volume.Dir(spec.Identity())
			for file, size := range files {
				broken := spec.Name == "A" || spec.Name == "P:1"
				if broken && path.Dir(file) == dir && left[file] != size {
					t.Errorf("%s: %s has %d bytes, not %d", what, file, left[file], size)
				}
			}
			if (spec.Name == "A" || spec.Name == "P:1") != slices.Contains(ids, journal.GroupID(spec.ID)) {
				t.Errorf("%s: the journal is kept for %v", what, ids)
			}
		}
		if got, want := len(dirs(t, disk)), len(n.storage.catalog.Streams()); got != want {
			t.Errorf("%s: %v for %d streams", what, dirs(t, disk), want)
		}
	}
}
