package liftbridge

import (
	"fmt"
	"testing"

	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
)

// TestACursorNeverGoesBack sets cursors over and over, so that old places of them are let
// go, while the server stops and crashes, and their stream is paused. What was set last is
// read.
func TestACursorNeverGoesBack(t *testing.T) {
	r := newRig(t)
	r.create("s", 4)
	const cursors = 8
	var at [cursors]int64
	for round := range 6 {
		for i := range 40 * cursors {
			c := i % cursors
			at[c] += int64(c) - 2 // some go down, as they are told to
			if _, err := r.SetCursor(r.ctx(), &pb.SetCursorRequest{Stream: "s", Partition: int32(c) % 4, CursorId: fmt.Sprint("c", c), Offset: at[c]}); err != nil {
				t.Fatal(err)
			}
		}
		switch round % 3 {
		case 0:
			r = r.crash(uint64(round) + 1)
		case 1:
			r = r.restart()
		case 2:
			if _, err := r.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: cursorsStream}); err != nil {
				t.Fatal(err)
			}
		}
		for c := range cursors {
			got, err := r.FetchCursor(r.ctx(), &pb.FetchCursorRequest{Stream: "s", Partition: int32(c) % 4, CursorId: fmt.Sprint("c", c)})
			if err != nil || got.Offset != at[c] {
				t.Fatalf("round %d, cursor %d: %v, %v, not %d", round, c, got, err, at[c])
			}
		}
	}
	for _, s := range r.Streams.List("A") {
		if m := s.Config().Member; m != nil && m.Family == cursorsStream && s.Partition().Status().Records > cursors {
			t.Error(s.Name(), " keeps more than the last places")
		}
	}
}

// TestACursorThatIsNotTakenIsRefusedAsAPublish, and the one of before stays.
func TestACursorThatIsNotTakenIsRefusedAsAPublish(t *testing.T) {
	r := newRig(t)
	set := func(offset int64) error {
		_, err := r.SetCursor(r.ctx(), &pb.SetCursorRequest{Stream: "s", CursorId: "c", Offset: offset})
		return err
	}
	code(t, set(5), codes.OK, "")
	if _, err := r.SetStreamReadonly(r.ctx(), &pb.SetStreamReadonlyRequest{Name: cursorsStream, Readonly: true}); err != nil {
		t.Fatal(err)
	}
	n := wire.CursorPartition(wire.CursorKey("c", "s", 0), 3)
	code(t, set(6), codes.Internal, fmt.Sprintf("rpc error: code = FailedPrecondition desc = readonly partition: %d", n))
	if got, err := r.FetchCursor(r.ctx(), &pb.FetchCursorRequest{Stream: "s", CursorId: "c"}); err != nil || got.Offset != 5 {
		t.Error(got, err)
	}
}
