package liftbridge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// spoiled restarts the node, which cannot open some streams; their files can be removed.
func (r *rig) spoiled(names ...string) *rig {
	r.t.Helper()
	return r.failing(faultfs.Open, "/manifest", names...)
}

// TestAStreamThatCouldNotBeOpenedIsDeleted, whichever of its partitions could not be, and
// through whichever door it was made: nothing is left of it, and its name is free.
func TestAStreamThatCouldNotBeOpenedIsDeleted(t *testing.T) {
	r := newRig(t)
	for name, partitions := range map[string]int32{"one": 1, "a.b": 2, "many": 3, "all": 2, "well": 2} {
		r.create(name, partitions)
		for n := range partitions {
			r.put(name, n, "old")
		}
	}
	r.jetstream("js", nil)
	r.put("js", 0, "old")
	r.groupOK("JOIN.g", `{"consumer":"a","streams":["many","one","well"]}`)
	r = r.spoiled("one", "a%2Eb:0", "many:1", "all:0", "all:1", "js")
	names := []string{"one", "a.b", "many", "all", "js"}
	for _, name := range names {
		if _, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: name}); err != nil {
			t.Fatal(name, err)
		}
		_, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: name})
		code(t, err, codes.NotFound, "stream does not exist")
		_, err = r.subscribe(&pb.SubscribeRequest{Stream: name})
		code(t, err, codes.NotFound, "No such partition")
	}
	if got := r.Streams.BrokenOf("A"); len(got) != 0 {
		t.Error(got)
	}
	streamtest.Await(t, "the group reads what is left", func() bool {
		return slices.Equal(reads(r.groupOK("ASSIGNMENTS.g", `{"consumer":"a"}`)), []string{"well:0", "well:1"})
	})
	told := r.events()
	if got := strings.Join(told[len(told)-len(names):], ","); got != strings.TrimSuffix(strings.Repeat("DELETE_STREAM ,", len(names)), ",") {
		t.Error(got)
	}
	for _, name := range names {
		r.create(name, 2)
		r.put(name, 1, "new")
	}
	r = r.healed()
	for _, name := range names {
		r.want(name, 0)
		r.want(name, 1, "new")
	}
	r.want("well", 1, "old")
}

// TestAPartitionIsNotDeletedBesideOneThatCouldNotBeOpened: JetStream's clients delete neither
// the one nor the other, nor all of them, as where nothing is wrong.
func TestAPartitionIsNotDeletedBesideOneThatCouldNotBeOpened(t *testing.T) {
	r := newRig(t)
	r.create("many", 3)
	for n := range int32(3) {
		r.put("many", n, "old")
	}
	r = r.spoiled("many:0")
	for _, name := range []string{"many", "many:0", "many:1", "many:2"} {
		var a struct{ Error *struct{ Err_Code int } }
		if r.request("STREAM.DELETE."+name, nil, &a); a.Error == nil || a.Error.Err_Code != jswire.CodeStreamDelete {
			t.Errorf("%s: %+v", name, a.Error)
		}
	}
	r = r.healed()
	for n := range int32(3) {
		r.want("many", n, "old")
	}
}

// TestAStreamIsDeletedOfWhichFilesCannotBeRemoved: the client is told, and all the rest is as
// if they were.
func TestAStreamIsDeletedOfWhichFilesCannotBeRemoved(t *testing.T) {
	r := newRig(t)
	r.create("many", 3)
	for n := range int32(3) {
		r.put("many", n, "old")
	}
	r = r.unreadable("many:1")
	_, err := r.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: "many"})
	if s := status.Convert(err); s.Code() != codes.Internal || !strings.HasPrefix(s.Message(), "stream many: it is deleted, but files of it could not be removed") {
		t.Error(err)
	}
	if told := r.events(); told[len(told)-1] != "DELETE_STREAM " {
		t.Error(told)
	}
	r.create("many", 3)
	r.put("many", 1, "new")
	r = r.healed()
	r.want("many", 0)
	r.want("many", 1, "new")
}

// TestAUserDeletesWhatCouldNotBeOpenedByWhatItMayPublish: the subjects of the door's own streams
// are known, of others who may publish anything may delete them.
func TestAUserDeletesWhatCouldNotBeOpenedByWhatItMayPublish(t *testing.T) {
	var u users
	u.set("root", "A", nil)
	u.set("some", "A", may(t, "s js", "s"))
	u.set("all", "A", may(t, "s s.* js", "s"))
	u.set("any", "A", may(t, ">", ">"))
	r := newRig(t, func(o *Options) { o.Auth = &u })
	root := r.user("root")
	for _, name := range []string{"s", "t"} {
		if _, err := r.CreateStream(root, &pb.CreateStreamRequest{Name: name, Subject: "s", Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		for n := range int32(2) {
			if _, err := r.Publish(root, &pb.PublishRequest{Stream: name, Partition: n, ExpectedOffset: -1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.jetstream("js", nil)
	if _, err := r.Publish(root, &pb.PublishRequest{Stream: "js", ExpectedOffset: -1}); err != nil {
		t.Fatal(err)
	}
	r = r.spoiled("s:0", "s:1", "t:1", "js")
	for _, c := range []struct{ user, name string }{{"some", "s"}, {"some", "t"}, {"some", "js"}, {"all", "js"}} {
		_, err := r.DeleteStream(r.user(c.user), &pb.DeleteStreamRequest{Name: c.name})
		code(t, err, codes.Unknown, fmt.Sprintf("The client is not authorized to call DeleteStream on resource %s", c.name))
	}
	for _, c := range []struct{ user, name string }{{"all", "s"}, {"all", "t"}, {"any", "js"}} {
		if _, err := r.DeleteStream(r.user(c.user), &pb.DeleteStreamRequest{Name: c.name}); err != nil {
			t.Error(c, err)
		}
	}
}

// TestTheDoorKnowsItsOwnStreamsAlsoWhereTheyCouldNotBeOpened, so that no client deletes them.
func TestTheDoorKnowsItsOwnStreamsAlsoWhereTheyCouldNotBeOpened(t *testing.T) {
	r := newRig(t)
	r.create("s", 1)
	r.jetstream("js", nil)
	for name, want := range map[string]bool{groupsStream: true, "s": false} {
		p := stream.Part{Made: r.Streams.Find("A", name).Config()}
		if set := madeWith(&p); set == nil || set.Name != name || set.Internal != want {
			t.Errorf("%s: %+v", name, set)
		}
	}
	if set := madeWith(&stream.Part{Made: r.Streams.Find("A", "js").Config()}); set != nil {
		t.Errorf("%+v", set)
	}
	if set := madeWith(&stream.Part{}); set != nil {
		t.Errorf("%+v", set)
	}
}
