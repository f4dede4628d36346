package partition

import (
	"fmt"
	"slices"
	"testing"
)

// TestTheLastIDIsThatOfTheLastRecordThatIsThere: a checkpoint that is taken while
// records are in flight has the id of the last applied one, which is the last one after
// a crash that loses what was in flight.
func TestTheLastIDIsThatOfTheLastRecordThatIsThere(t *testing.T) {
	for _, inFlight := range []string{"", "none", "other"} {
		r := newRig(t, Limits{})
		r.publish(1, msg{subject: "s", id: "first"})
		r.publish(1, msg{subject: "s"})
		r.publish(1, msg{subject: "s"}, msg{subject: "s", id: "last"})
		r.sync()
		switch inFlight {
		case "none":
			r.publish(2, msg{subject: "s"})
		case "other":
			r.publish(2, msg{subject: "s", id: "lost"})
		}
		if err := r.p.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		after := openRig(t, Limits{}, r.store.saved.clone())
		after.solo.StartAt(after.p.Index())
		wants := func(id string) Conditions {
			c := Conditions{HasLastID: true}
			copy(c.LastID[:], id)
			return c
		}
		after.publish(3, msg{subject: "s", cond: wants("lost")})
		after.publish(3, msg{subject: "s", cond: wants("last")})
		after.sync()
		if want := []string{fmt.Sprintf("%d/0/4 local", WrongLastID), "0/5/4"}; !slices.Equal(after.told, want) {
			t.Errorf("with %q in flight: told %q, want %q", inFlight, after.told, want)
		}
	}
}
