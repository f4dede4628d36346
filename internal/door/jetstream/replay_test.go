package jetstream

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/stream/streamtest"
)

// TestAReplayInOriginalTimeKeepsTheGapsOfWhatWasThere: what is stored later is sent
// at once, which the consumer's transcripts show to the nanosecond.
func TestAReplayInOriginalTimeKeepsTheGapsOfWhatWasThere(t *testing.T) {
	const gap = 50 * time.Millisecond
	r := newRig(t)
	r.stream("S", "s.>")
	r.stored(1, "s.a", "1")
	streamtest.Await(t, "time has passed", func() bool {
		return time.Now().UnixNano() > r.Streams.Find("A", "S").Partition().Status().LastTime+int64(gap)
	})
	r.stored(2, "s.a", "2")
	for _, kind := range []string{"push", "pull", "reset"} {
		began := time.Now()
		var in *streamtest.Inbox
		switch kind {
		case "push":
			in = streamtest.Subscribe(t, r.space, "d")
			r.consumer("S", "push", `"deliver_subject":"d","replay_policy":"original"`)
		case "pull":
			r.consumer("S", "pull", `"replay_policy":"original"`)
			in = r.pull("S", "pull", `{"batch":9,"expires":9000000000}`)
		default:
			in = r.pull("S", "pull", `{"batch":9,"expires":9000000000}`)
			r.ok("CONSUMER.RESET.S.pull", `{"seq":1}`)
		}
		wantNext(t, in, "s.a=1", "s.a=2")
		if took := time.Since(began); took < gap {
			t.Errorf("%s: two messages came within %v, which were stored %v apart", kind, took, gap)
		}
		in.Close()
	}
}
