package liftbridge

import (
	"context"
	"sync"
	"time"
)

// pauser pauses partitions that nothing was published to for long enough.
type pauser struct {
	wake chan struct{}

	mu sync.Mutex
	// began is since when a partition, by its identity, is open without a message;
	// guarded by mu. Partitions that never pause are not in it.
	began map[uint64]int64
}

// look has the loop look again: there may be another partition that pauses.
func (p *pauser) look() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Bounds of how long the loop sleeps while there are partitions to look at.
const (
	shortestPauseLook = 20 * time.Millisecond
	longestPauseLook  = time.Minute
)

// pauseIdle pauses idle partitions until ctx ends.
func (d *Door) pauseIdle(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := d.pauseThoseIdle(ctx)
		timer.Reset(min(max(next, shortestPauseLook), longestPauseLook))
		select {
		case <-ctx.Done():
			return nil
		case <-d.pauser.wake:
		case <-timer.C:
		}
	}
}

// pauseThoseIdle pauses the partitions that are idle for long enough and returns when
// the next one will be.
func (d *Door) pauseThoseIdle(ctx context.Context) time.Duration {
	wait, at := longestPauseLook, now()
	seen := map[uint64]bool{}
	for _, s := range d.dir.List("") {
		set := setOf(s)
		if set == nil || set.AutoPause <= 0 || s.Config().Gate.Paused {
			continue
		}
		seen[s.ID().ID] = true
		// Where it was paused, the last time that the gate has is that of its resumption.
		idle := time.Duration(at - max(d.pauser.since(s.ID().ID, at), s.Partition().Status().LastTime, s.Config().Gate.PausedLast))
		switch {
		case idle < set.AutoPause:
			wait = min(wait, set.AutoPause-idle)
			continue
		case set.AutoPauseUnlessRead && d.readers.count(s) > 0:
			wait = min(wait, max(set.AutoPause/4, 100*time.Millisecond))
			continue
		}
		f := d.find(s.Account(), set.Name)
		if f == nil {
			continue
		}
		d.changing.Lock()
		err := d.pause(ctx, s.Account(), f, []int32{set.Partition}, false)
		d.changing.Unlock()
		if err != nil && ctx.Err() == nil {
			d.log.Warn("idle partition not paused", "stream", set.Name, "partition", set.Partition, "error", err)
			wait = min(wait, time.Second)
		}
	}
	d.pauser.keep(seen)
	return wait
}

// since says since when a partition is looked at.
func (p *pauser) since(id uint64, at int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.began == nil {
		p.began = map[uint64]int64{}
	}
	if t, ok := p.began[id]; ok {
		return t
	}
	p.began[id] = at
	return at
}

// keep forgets all partitions but some: those that come back begin anew.
func (p *pauser) keep(seen map[uint64]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.began {
		if !seen[id] {
			delete(p.began, id)
		}
	}
}
