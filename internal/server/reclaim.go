package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultReclaimRate is in bytes a second that are read or written: a share of what
	// any disk does.
	defaultReclaimRate = 16 << 20
	minReclaimRate     = 64_000
	// reclaimEvery is how often the streams are looked at.
	reclaimEvery = 5 * time.Second
	// reclaimAgain is after how long a stream is looked at from which nothing more was
	// removed: what was dead in memory then may be in its files now.
	reclaimAgain = time.Minute
	// reclaimStep is the shortest wait: a timer for each read would cost more than it.
	reclaimStep = 10 * time.Millisecond
)

// reclaimer compacts the streams that are to be, and gives the space of messages back
// that were removed from between others. It works on one stream at a time and at a
// rate, so that those who publish and read do not notice.
type reclaimer struct {
	// Set at construction.
	s    *storage
	rate float64 // bytes a second

	worked    atomic.Uint64 // bytes read and written
	compacted atomic.Uint64 // messages that a compaction removed

	busy sync.Mutex // held during a round
	// Guarded by busy.
	seen map[uint64]looked // by partition
	owed time.Duration
}

// looked is how a stream was when it was looked at.
type looked struct {
	removals, last uint64
	at             time.Time
}

func newReclaimer(s *storage, rate int64) *reclaimer {
	return &reclaimer{s: s, rate: float64(max(rate, 1)), seen: map[uint64]looked{}}
}

// run works until ctx ends.
func (r *reclaimer) run(ctx context.Context) {
	t := time.NewTicker(reclaimEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.round(ctx, time.Now())
		}
	}
}

// round looks at all streams.
func (r *reclaimer) round(ctx context.Context, now time.Time) {
	r.busy.Lock()
	defer r.busy.Unlock()
	r.s.mu.Lock()
	groups := make([]*group, 0, len(r.s.groups))
	for _, g := range r.s.groups {
		groups = append(groups, g)
	}
	for id := range r.seen {
		if r.s.groups[id] == nil {
			delete(r.seen, id)
		}
	}
	r.s.mu.Unlock()
	pace := func(n int64) { r.pace(ctx, n) }
	for _, g := range groups {
		if ctx.Err() != nil {
			return
		}
		if g.part.Err() == nil {
			r.compact(ctx, g, now, pace)
			r.reclaim(ctx, g, now, pace)
		}
	}
}

func (r *reclaimer) compact(ctx context.Context, g *group, now time.Time, pace func(int64)) {
	n, err := g.part.Compact(ctx, now.UnixNano(), pace)
	r.compacted.Add(n)
	if n > 0 {
		r.s.log.Debug("stream compacted", "stream", g.spec.Name, "account", g.spec.Account, "removed", n)
	}
	if err != nil && ctx.Err() == nil && g.part.Err() == nil {
		r.s.log.Warn("stream not compacted", "stream", g.spec.Name, "account", g.spec.Account, "error", err)
	}
}

// reclaim gives the space of a stream's removed messages back, unless nothing was
// removed since the last look. On a full disk there is no room to write anew.
func (r *reclaimer) reclaim(ctx context.Context, g *group, now time.Time, pace func(int64)) {
	is, was := looked{g.part.Removals(), g.part.Committed(), now}, r.seen[g.spec.ID]
	same := is.removals == was.removals
	if same && (is.last == was.last || now.Sub(was.at) < reclaimAgain) || r.s.room.full.Load() && !g.memory {
		return
	}
	r.seen[g.spec.ID] = is
	err := g.part.Reclaim(ctx, pace)
	if err != nil && ctx.Err() == nil && g.part.Err() == nil {
		r.s.log.Warn("space of removed messages not given back", "stream", g.spec.Name, "account", g.spec.Account, "error", err)
	}
}

// pace counts bytes that were read or written, and waits for the rate.
func (r *reclaimer) pace(ctx context.Context, n int64) {
	r.worked.Add(uint64(n))
	r.owed += time.Duration(float64(n) / r.rate * float64(time.Second))
	if r.owed < reclaimStep {
		return
	}
	timer := time.NewTimer(r.owed)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	r.owed = 0
}
