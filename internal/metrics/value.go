package metrics

import (
	"sync/atomic"
	"time"
)

// Counter only rises. The zero value is ready. Any goroutine may use it.
type Counter struct{ n atomic.Uint64 }

// Add counts n.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Load is what was counted.
func (c *Counter) Load() uint64 { return c.n.Load() }

// Gauge rises and falls. The zero value is ready. Any goroutine may use it.
type Gauge struct{ n atomic.Int64 }

// Add changes the value by n, which may be negative.
func (g *Gauge) Add(n int64) { g.n.Add(n) }

// Set replaces the value.
func (g *Gauge) Set(n int64) { g.n.Store(n) }

// Load is the value.
func (g *Gauge) Load() int64 { return g.n.Load() }

// latencyBounds are the upper bounds of a Histogram's buckets: from what memory
// costs to what a person notices. One more bucket counts what is slower.
var latencyBounds = [...]time.Duration{
	10 * time.Microsecond, 20 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second,
}

// Histogram counts durations by size. The zero value is ready. Any goroutine may
// use it.
type Histogram struct {
	counts [len(latencyBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts a duration. A negative one counts as none at all.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Load is what was counted. Durations that are observed meanwhile may be in the
// buckets and not in the sum, or the other way round.
func (h *Histogram) Load() Distribution {
	d := Distribution{Bounds: latencyBounds[:], Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		d.Counts[i] = h.counts[i].Load()
	}
	return d
}

// Distribution is a Histogram at one moment. It may also be put together from
// counts of a room's own.
type Distribution struct {
	Bounds []time.Duration // rising upper bounds
	Counts []uint64        // of each bucket alone, and one more for what is slower
	Sum    time.Duration
}

// Total is how many durations were counted.
func (d Distribution) Total() (n uint64) {
	for _, c := range d.Counts {
		n += c
	}
	return n
}
