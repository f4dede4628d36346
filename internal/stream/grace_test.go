package stream

import (
	"testing"
	"time"

	"github.com/weirmq/weir/internal/consumer"
)

// Clients rely on both: a push consumer goes when it says, a pull consumer a little
// later.
func TestOnlyAPullConsumerOutlivesItsInactiveThreshold(t *testing.T) {
	for range 1000 {
		pull := consumer.Config{InactiveThreshold: 50 * time.Millisecond}
		if g := grace(&pull); g < leastGrace || g >= mostGrace {
			t.Fatalf("a pull consumer stays for %v longer", g)
		}
	}
	for what, c := range map[string]consumer.Config{
		"push":       {InactiveThreshold: time.Second, Push: &consumer.Push{}},
		"for ever":   {},
		"push, ever": {Push: &consumer.Push{}},
	} {
		if g := grace(&c); g != 0 {
			t.Errorf("%s: %v", what, g)
		}
	}
}
