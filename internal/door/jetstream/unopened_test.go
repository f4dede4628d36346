package jetstream

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// spoiled restarts the node, which cannot open some streams; their files can be removed.
func (r *rig) spoiled(names ...string) *rig {
	r.t.Helper()
	for _, name := range names {
		for _, spec := range r.Catalog.Streams() {
			if spec.Name == name {
				dir := fmt.Sprintf("data/streams/%d-%d", spec.ID, spec.Incarnation)
				r.FS.Inject(faultfs.OnName(dir+"/manifest", faultfs.FailFrom(faultfs.Open, 1, fs.ErrPermission)))
			}
		}
	}
	return r.restart()
}

// The deletion of a stream that could not be opened is announced, with the consumers of those
// of its partitions that could be.
func TestTheDeletionOfWhatCouldNotBeOpenedIsAnnounced(t *testing.T) {
	r := partitioned(t)
	r.stream("S", "s.>")
	for _, name := range []string{"S", "O:0", "O:2"} {
		r.consumer(name, "c")
	}
	r = r.spoiled("S", "O:2")
	if got := r.Streams.BrokenOf("A"); len(got) != 2 {
		t.Fatal(got)
	}
	in := streamtest.Subscribe(t, r.space, "$JS.EVENT.ADVISORY.*.>")
	r.ok("STREAM.DELETE.S", "")
	if e := told(t, in, "ADVISORY.STREAM.DELETED.S", "advisory.v1.stream_action"); e.Action != "delete" {
		t.Errorf("%+v", e)
	}
	r.ok("STREAM.DELETE.O", "")
	for _, want := range []string{"CONSUMER.DELETED.O:0.c", "STREAM.DELETED.O"} {
		if m := in.Next(t); m.Subject != "$JS.EVENT.ADVISORY."+want {
			t.Errorf("%s: %s, want %s", m.Subject, m.Data, want)
		}
	}
	in.None(t)
}

// A partition that could not be opened goes, too, where the deletion of its stream was not
// finished.
func TestAFamilyThatWasNotFinishedIsRemovedAlsoWhereItCouldNotBeOpened(t *testing.T) {
	r := partitioned(t)
	if err := r.Streams.Drop(t.Context(), r.Streams.Find("A", "O:0")); err != nil {
		t.Fatal(err)
	}
	r.stream("S", "s.>")
	r = r.spoiled("O:2", "S")
	streamtest.Await(t, "the partitions to be gone", func() bool {
		return r.Streams.Usage("A").Streams == 0 && len(r.Streams.BrokenOf("A")) == 1
	})
	r.stream("O", "o.>", four)
	if r.Streams.BrokenOf("A")["S"] == nil {
		t.Error("another stream is gone")
	}
}

// Who deletes what could not be opened does not wait forever for its files to go.
func TestADeletionIsOverAlsoWhereFilesTakeTheirTime(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r = r.spoiled("S")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	removal := make(chan struct{})
	release := sync.OnceFunc(func() { close(removal) })
	defer release()
	r.FS.Inject(faultfs.Func("slow removal", func(op faultfs.Op) *faultfs.Fault {
		if op.Kind == faultfs.Remove && strings.HasPrefix(op.Name, "data/streams/") && strings.HasSuffix(op.Name, ".dropped") {
			cancel()
			<-removal
		}
		return nil
	}))
	if err := r.Streams.DropRemains(ctx, r.Streams.Remains("A", "S")); err != nil {
		t.Error(err)
	}
	r.stream("S", "s.>")
	release()
	r.stored(1, "s.a", "x")
}
