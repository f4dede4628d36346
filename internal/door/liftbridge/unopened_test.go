package liftbridge

import (
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/vfs/faultfs"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
)

// unreadable restarts the node on a disk that fails where some streams lie, by their names
// as JetStream knows them.
func (r *rig) unreadable(names ...string) *rig {
	r.t.Helper()
	return r.failing(faultfs.Any, "", names...)
}

// failing is unreadable by the failure of one kind of operation, where below the streams'
// directories one ends so.
func (r *rig) failing(kind faultfs.Kind, where string, names ...string) *rig {
	r.t.Helper()
	r.end()
	r.Stop()
	for _, name := range names {
		found := false
		for _, spec := range r.Catalog.Streams() {
			if spec.Name == name {
				r.FS.Inject(faultfs.OnName(fmt.Sprintf("data/streams/%d-%d%s", spec.ID, spec.Incarnation, where), faultfs.FailFrom(kind, 1, fs.ErrPermission)))
				found = true
			}
		}
		if !found {
			r.t.Fatal("there is no stream", name)
		}
	}
	r = r.anew()
	for _, name := range names {
		if r.Streams.Find("A", name) != nil {
			r.t.Fatal(name, "is opened")
		}
	}
	return r
}

// healed restarts the node on a disk that is well.
func (r *rig) healed() *rig {
	r.end()
	r.Stop()
	r.FS.Heal()
	return r.anew()
}

// anew starts a node on the disk of one that was stopped.
func (r *rig) anew() *rig {
	n := nodeOptions(&r.o, r.at)
	n.FS = r.FS
	return serve(r.t, streamtest.Start(r.t, n), r.o, r.at)
}

// TestAStreamThatCouldNotBeOpenedIsNotOneThatNeverWas: whoever asks for it is told that it is
// there and cannot be used, and nobody makes it anew.
func TestAStreamThatCouldNotBeOpenedIsNotOneThatNeverWas(t *testing.T) {
	r := newRig(t)
	r.create("one", 1)
	r.create("many", 3)
	r.create("well", 1)
	r.jetstream("js", nil)
	for _, name := range []string{"one", "many", "well", "js"} {
		r.put(name, 0, "x")
	}
	r = r.unreadable("one", "many:1", "js")
	for _, name := range []string{"one", "many", "js"} {
		text := "stream " + name + " could not be opened: the server's log says why"
		part := map[string]int32{"many": 1}[name]
		_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: name, Partition: part})
		code(t, err, codes.Internal, text)
		if e := one(t, r, &pb.PublishRequest{Stream: name, Partition: part}).AsyncError; e.GetCode() != pb.PublishAsyncError_INTERNAL || e.GetMessage() != text {
			t.Errorf("%s: %v", name, e)
		}
		_, err = r.subscribe(&pb.SubscribeRequest{Stream: name, Partition: part})
		code(t, err, codes.Internal, text)
		_, err = r.FetchPartitionMetadata(r.ctx(), &pb.FetchPartitionMetadataRequest{Stream: name, Partition: part})
		code(t, err, codes.Internal, text)
		_, err = r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: name})
		code(t, err, codes.Internal, text)
		_, err = r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: name, Partitions: []int32{0}})
		code(t, err, codes.Internal, text)
		for _, partitions := range []int32{1, 3} {
			_, err = r.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: name, Subject: "other", Partitions: partitions})
			code(t, err, codes.AlreadyExists, "stream already exists")
		}
	}
	_, err := r.subscribe(&pb.SubscribeRequest{Stream: "none"})
	code(t, err, codes.NotFound, "No such partition")
	r.want("well", 0, "x")
	r = r.healed()
	for _, name := range []string{"one", "many", "well", "js"} {
		r.want(name, 0, "x")
	}
}

// TestPartitionsServeBesideOneThatCouldNotBeOpened: what is wrong with one of them is no reason
// to keep the messages of the others from anybody.
func TestPartitionsServeBesideOneThatCouldNotBeOpened(t *testing.T) {
	for _, lost := range []int32{0, 1} {
		r := newRig(t)
		r.create("many", 3)
		for n := range int32(3) {
			r.put("many", n, "before")
		}
		if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "many", Partitions: []int32{2}, ResumeAll: true}); err != nil {
			t.Fatal(err)
		}
		r = r.unreadable(fmt.Sprint("many:", lost))
		a := r.async()
		for n := range int32(3) {
			resp := exchange(t, a, &pb.PublishRequest{Stream: "many", Partition: n, Value: []byte("async")})
			_, err := r.Publish(r.ctx(), &pb.PublishRequest{Stream: "many", Partition: n, Value: []byte("unary")})
			if n == lost {
				code(t, err, codes.Internal, "stream many could not be opened: the server's log says why")
				if resp.AsyncError.GetCode() != pb.PublishAsyncError_INTERNAL {
					t.Error(resp)
				}
				continue
			}
			code(t, err, codes.OK, "")
			if resp.AsyncError != nil || resp.Ack.Offset != 1 {
				t.Error(resp)
			}
			r.want("many", n, "before", "async", "unary")
			if _, err := r.FetchPartitionMetadata(r.ctx(), &pb.FetchPartitionMetadataRequest{Stream: "many", Partition: n}); err != nil {
				t.Error(err)
			}
		}
		if resp := exchange(t, a, &pb.PublishRequest{Stream: "many", Partition: 3}); resp.AsyncError.GetMessage() != "no such partition: 3" {
			t.Error(resp)
		}
		r = r.healed()
		for n := range int32(3) {
			if n == lost {
				r.want("many", n, "before")
			} else {
				r.want("many", n, "before", "async", "unary")
			}
		}
	}
}

// TestTheMetadataHasAStreamThatCouldNotBeOpened, so that its clients ask for it and are told.
func TestTheMetadataHasAStreamThatCouldNotBeOpened(t *testing.T) {
	r := newRig(t)
	r.create("one", 1)
	r.create("many", 3)
	r.create("all", 2)
	r = r.unreadable("one", "many:0", "all:0", "all:1")
	asked := []string{"one", "many", "all", "none"}
	for _, names := range [][]string{asked, nil} {
		m, err := r.FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{Streams: names})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, s := range m.StreamMetadata {
			got[s.Name] = len(s.Partitions)
			if want := s.Name == "none"; (s.Error == pb.StreamMetadata_UNKNOWN_STREAM) != want {
				t.Errorf("%v", s)
			}
			for n, p := range s.Partitions {
				if p.Id != n || p.Leader != m.Brokers[0].Id {
					t.Errorf("%s: %v", s.Name, p)
				}
			}
		}
		if got["one"] != 1 || got["many"] != 3 || got["all"] != 2 {
			t.Errorf("asked for %v: partitions %v", names, got)
		}
	}
}

// TestTheNameOfAStreamThatCouldNotBeOpenedIsTaken, also for a stream that would have it with
// a number, or without.
func TestTheNameOfAStreamThatCouldNotBeOpenedIsTaken(t *testing.T) {
	r := newRig(t)
	r.create("whole", 1)
	r.create("parts", 2)
	r = r.unreadable("whole", "parts:0")
	for _, name := range []string{"whole", "parts"} {
		for _, more := range []map[string]any{nil, {"metadata": map[string]string{"weir.partitions": "2"}}} {
			c := map[string]any{"name": name, "subjects": []string{"y"}}
			for k, v := range more {
				c[k] = v
			}
			var made struct{ Error *struct{ Err_Code int } }
			if r.request("STREAM.CREATE."+name, c, &made); made.Error == nil || made.Error.Err_Code != 10058 {
				t.Errorf("%s %v: %+v", name, more, made.Error)
			}
		}
	}
	if _, err := r.Streams.CreateFamily(t.Context(), "A", (&newStream{set: settings{Name: "parts", Subject: "z", Partitions: 1}}).configs()); err != stream.ErrExists {
		t.Error(err)
	}
}

// TestAGroupKeepsAStreamThatCouldNotBeOpened: its members are told why they cannot read it, and
// go on when it is there again.
func TestAGroupKeepsAStreamThatCouldNotBeOpened(t *testing.T) {
	r := newRig(t)
	r.create("s", 2)
	r.jetstream("js", nil)
	r.create("well", 1)
	r.groupOK("JOIN.g", `{"consumer":"a","streams":["s","js","well"]}`)
	r = r.unreadable("s:1", "js")
	if got := reads(r.groupOK("ASSIGNMENTS.g", `{"consumer":"a"}`)); !slices.Equal(got, []string{"js", "s:0", "s:1", "well"}) {
		t.Error(got)
	}
	r.groupOK("INFO.g", "")
	for _, name := range []string{"s", "js"} {
		a := r.group("JOIN.h", `{"consumer":"a","streams":["`+name+`"]}`)
		if a.Error == nil || a.Error.Err_code != jswire.CodeGroupNotCommitted {
			t.Errorf("%s: %+v", name, a.Error)
		}
	}
	r.groupRefused(jswire.CodeGroupUnknownStream, "JOIN.h", `{"consumer":"a","streams":["none"]}`)
	r = r.healed()
	if got := reads(r.groupOK("ASSIGNMENTS.g", `{"consumer":"a"}`)); !slices.Equal(got, []string{"js", "s:0", "s:1", "well"}) {
		t.Error(got)
	}
}
