package metrics

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCountsAreExactUnderConcurrency(t *testing.T) {
	var c Counter
	var g Gauge
	var h Histogram
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				c.Add(2)
				g.Add(1)
				g.Add(-1)
				h.Observe(time.Millisecond)
			}
		})
	}
	wg.Wait()
	if d := h.Load(); c.Load() != 16000 || g.Load() != 0 || d.Total() != 8000 || d.Sum != 8*time.Second {
		t.Errorf("%d, %d, %+v", c.Load(), g.Load(), d)
	}
}

func TestADurationIsCountedInTheFirstBucketThatHoldsIt(t *testing.T) {
	for i, bound := range latencyBounds {
		for d, bucket := range map[time.Duration]int{bound: i, bound + 1: i + 1} {
			var h Histogram
			h.Observe(d)
			if got := slices.Index(h.Load().Counts, 1); got != bucket {
				t.Errorf("%v is counted in bucket %d instead of %d", d, got, bucket)
			}
		}
	}
	var h Histogram
	h.Observe(-time.Hour)
	if d := h.Load(); d.Counts[0] != 1 || d.Sum != 0 {
		t.Errorf("a negative duration: %+v", d)
	}
	if !slices.IsSorted(latencyBounds[:]) {
		t.Error("the bounds do not rise")
	}
}

func TestASetGivesItsMetricsInOrder(t *testing.T) {
	var s Set
	var c Counter
	var h Histogram
	c.Add(3)
	h.Observe(time.Second)
	s.Counter("a_total", "A.", c.Load)
	s.Gauge("b", "B.", func() float64 { return 1.5 })
	s.Histogram("c_seconds", "C.", h.Load)
	s.Labelled(KindCounter, "d_total", "D.", []string{"k"}, func(emit func(float64, ...string)) {
		emit(1, "x")
		emit(2, "y")
	})
	var got []string
	s.Read(func(m Sample) {
		got = append(got, m.Desc.Name+strings.Join(m.Labels, ""))
		if len(m.Labels) != len(m.Desc.Labels) {
			t.Errorf("%s: labels %q", m.Desc.Name, m.Labels)
		}
		if m.Desc.Name == "a_total" && m.Value != 3 || m.Desc.Name == "c_seconds" && m.Distribution.Total() != 1 {
			t.Errorf("%s: %+v", m.Desc.Name, m)
		}
	})
	if want := []string{"a_total", "b", "c_seconds", "d_totalx", "d_totaly"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestEveryMetricIsNamedOnceAndExplained(t *testing.T) {
	for what, add := range map[string]func(s *Set){
		"twice":                   func(s *Set) { s.Gauge("a", "A.", nil); s.Gauge("a", "A.", nil) },
		"without a help text":     func(s *Set) { s.Gauge("a", "", nil) },
		"a labelled distribution": func(s *Set) { s.Labelled(KindHistogram, "a", "A.", nil, nil) },
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it is taken")
				}
			}()
			add(new(Set))
		})
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	var c Counter
	var g Gauge
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { c.Add(1); g.Set(2); h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
