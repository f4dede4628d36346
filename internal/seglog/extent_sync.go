package seglog

import (
	"sync"

	"github.com/weirmq/weir/internal/vfs"
)

// groupSync makes writes to a file durable that come from several goroutines: one
// syncs for all whose writes ended before it began.
type groupSync struct {
	mu      sync.Mutex
	changed sync.Cond // on mu; set by the first

	// guarded by mu
	wrote  uint64 // writes that ended
	synced uint64 // of them, those that are durable
	busy   bool   // somebody syncs
	err    error  // a sync failed: none is tried again
}

// sync makes a write durable that has ended.
func (g *groupSync) sync(f vfs.File) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed.L = &g.mu
	g.wrote++
	for mine := g.wrote; g.synced < mine && g.err == nil; {
		if g.busy {
			g.changed.Wait()
			continue
		}
		g.busy = true
		upto := g.wrote
		g.mu.Unlock()
		err := f.Datasync()
		g.mu.Lock()
		g.busy = false
		if g.err = err; err == nil {
			g.synced = upto
		}
		g.changed.Broadcast()
	}
	return g.err
}
