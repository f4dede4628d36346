package liftbridge

import (
	"fmt"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/protobuf/proto"
)

// events are what the activity stream tells, each as its operation and stream.
func (r *rig) events() (out []string) {
	r.t.Helper()
	var last uint64
	for _, m := range r.read(activityStream, 0) {
		var e pb.ActivityStreamEvent
		if err := proto.Unmarshal(m.Value, &e); err != nil {
			r.t.Fatal(err)
		}
		if e.Id <= last {
			r.t.Fatalf("event %d behind %d", e.Id, last)
		}
		last = e.Id
		name := e.CreateStreamOp.GetStream() + e.PauseStreamOp.GetStream() + e.ResumeStreamOp.GetStream() + e.SetStreamReadonlyOp.GetStream()
		out = append(out, fmt.Sprint(e.Op, " ", name))
	}
	return out
}

func TestAnEventResumesAPausedActivityStream(t *testing.T) {
	r := newRig(t)
	before := r.events()
	for range 2 { // its own pause is an event, too
		if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: activityStream}); err != nil {
			t.Fatal(err)
		}
	}
	r.create("s", 1)
	want := []string{"PAUSE_STREAM __activity", "RESUME_STREAM __activity", "PAUSE_STREAM __activity", "RESUME_STREAM __activity", "CREATE_STREAM s"}
	if got := r.events()[len(before):]; !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

func TestAReadOnlyActivityStreamFailsNoCall(t *testing.T) {
	r := newRig(t)
	set := func(readonly bool) {
		if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: activityStream, Readonly: readonly}); err != nil {
			t.Fatal(err)
		}
	}
	before := r.events()
	set(true)
	r.create("s", 1)
	if got := r.events(); !slices.Equal(got, before) {
		t.Fatal(got)
	}
	set(false)
	if got := r.events()[len(before):]; !slices.Equal(got, []string{"SET_STREAM_READONLY __activity"}) {
		t.Fatal(got)
	}
}
