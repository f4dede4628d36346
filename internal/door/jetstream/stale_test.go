package jetstream

import (
	"context"
	"errors"
	"testing"

	"github.com/weirmq/weir/internal/stream"
)

// TestErrorIsNotAbsence: an update or a deletion that is about a consumer which was
// deleted meanwhile does not touch the one that has its name now.
func TestErrorIsNotAbsence(t *testing.T) {
	r := newRig(t)
	r.stream("S", "s.>")
	r.fill(3)
	r.consumer("S", "c")
	s := r.Streams.Find("A", "S")
	old := s.Consumer("c")
	r.ok("CONSUMER.DELETE.S.c", "")
	r.consumer("S", "c", `"max_ack_pending":7`)
	msgs := r.fetch("S", "c", 2)
	r.ack(msgs[0], "+ACK")
	before := string(r.info("S", "c").Config)
	ctx := context.Background()
	if _, err := s.UpdateConsumer(ctx, old, *old.Config()); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("the late update: %v", err)
	}
	// That it is gone is what a deletion wants, so a late one may succeed.
	if err := s.DeleteConsumer(ctx, old); err != nil && !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("the late deletion: %v", err)
	}
	for range 2 {
		i := r.info("S", "c")
		if got := string(i.Config); got != before || i.AckFloor.StreamSeq != 1 || i.NumAckPending != 1 || i.NumPending != 1 {
			t.Fatalf("the consumer is now %s, %+v", got, i)
		}
		r = r.restart()
	}
	r.ack(msgs[1], "+ACK")
	r.wantFetch("S", "c", 9, "s.2=3")
}
