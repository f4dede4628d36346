package leaf

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/broker"
)

// TestTheOtherSideKnowsWhatIsSubscribedAfterAnyChanges has many goroutines subscribe and
// unsubscribe the same subjects, from before the link is up.
func TestTheOtherSideKnowsWhatIsSubscribedAfterAnyChanges(t *testing.T) {
	h := newHub(t)
	n := join(t, nil, RemoteOptions{URLs: []string{h.url()}})
	var wg sync.WaitGroup
	var mu sync.Mutex
	want := map[string]int{} // members by subject and queue
	for seed := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			var subs []*broker.Subscription
			for range 300 {
				if len(subs) > 0 && rng.IntN(2) == 0 {
					i := rng.IntN(len(subs))
					n.space.Unsubscribe(subs[i])
					subs[i] = subs[len(subs)-1]
					subs = subs[:len(subs)-1]
					continue
				}
				sub := &broker.Subscription{Subject: fmt.Sprintf("s.%d", rng.IntN(10)), Queue: []string{"", "", "q"}[rng.IntN(3)], Sink: &inbox{}}
				n.space.Subscribe(sub)
				subs = append(subs, sub)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, sub := range subs {
				want[strings.TrimSpace(sub.Subject+" "+sub.Queue)]++
			}
		})
	}
	g := h.guest()
	wg.Wait()
	n.subscribe("end", "")
	got := map[string]int{}
	for line := range g.got {
		verb, rest, _ := strings.Cut(line, " ")
		args := strings.Fields(rest)
		key := strings.Join(args[:min(2, len(args))], " ")
		weight := 1
		if len(args) == 3 {
			if _, err := fmt.Sscan(args[2], &weight); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case verb == "LS-" && got[key] == 0:
			t.Errorf("%s ends, and was not announced", key)
		case verb == "LS-":
			delete(got, key)
		case len(args) == 1 && got[key] > 0:
			t.Errorf("%s is announced twice", key)
		default:
			got[key] = weight
		}
		if key == "end" {
			break
		}
	}
	for key, members := range want {
		if !strings.HasSuffix(key, " q") {
			members = 1
		}
		if got[key] != members {
			t.Errorf("%s: %d members are known, not %d", key, got[key], members)
		}
		delete(got, key)
	}
	for key := range got {
		if !strings.HasPrefix(key, "$") && key != "end" {
			t.Errorf("%s is known, and nobody is there", key)
		}
	}
}
