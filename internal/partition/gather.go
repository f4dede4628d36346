package partition

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
)

// Whoever writes to very many logs at once brings each of them little at a time. An
// entry for each record costs several times what the record costs. So what comes is
// not admitted at once but by another goroutine, and not while a frame of the log is on
// its way: what has come until then is one batch. Nothing waits for longer than one
// frame takes, and the more there is to do the larger the batches become.

// Bounds of what gathers, in bytes of areas: all of it, which becomes one small frame,
// and one batch of it. Larger batches are worth a frame of their own.
const (
	gatherMost = record.SmallArea
	gatherEach = gatherMost / 4
)

// Gatherer is an Observer whose batches may be admitted together.
type Gatherer interface {
	// Gathered says that the records of b follow those of into from now on. b is the
	// observer's again. It is called with a lock held and must only do that.
	Gathered(into, b *Batch)
	// Due asks for a call of AdmitGathered, on another goroutine. It does not wait.
	Due()
}

// gather is what waits to be admitted together.
type gather struct {
	frames  atomic.Int32 // in flight
	waiting atomic.Bool  // there is a batch; written under mu

	mu sync.Mutex // held, too, while the batch is admitted
	// Guarded by mu.
	batch *Batch
	now   int64 // when the last of it came
}

// Gather is Admit for a batch of those that are brought to many logs at once: a small
// one waits for AdmitGathered, and others may join it. It keeps its place before
// everything that is admitted or proposed later.
func (p *Partition) Gather(now int64, b *Batch) {
	g := &p.gather
	if p.gatherer == nil || !b.gathers() {
		p.Admit(now, b)
		return
	}
	g.mu.Lock()
	first := false
	switch {
	case g.batch == nil && !p.simple():
		p.admit(now, b)
	case g.batch == nil:
		g.batch, first = b, true
	case len(g.batch.Area.Buf)+len(b.Area.Buf) > gatherMost:
		p.admit(g.now, g.batch)
		g.batch = b
	default:
		g.batch.join(b)
		p.gatherer.Gathered(g.batch, b)
	}
	g.now = now
	g.waiting.Store(g.batch != nil)
	g.mu.Unlock()
	if first && g.frames.Load() == 0 {
		p.gatherer.Due() // else whichever frame lands last asks for it
	}
}

// gathers says whether the batch is one that may wait for others: a small one whose
// records are decided over one by one, and without a look at the log's records.
func (b *Batch) gathers() bool {
	return len(b.Area.Buf) <= gatherEach && !b.InOrder && !b.Whole && b.Early == nil &&
		!slices.ContainsFunc(b.Conds, func(c Conditions) bool { return c.HasOfSubj || c.Chain != nil })
}

// join puts the records of another batch behind its own.
func (b *Batch) join(o *Batch) {
	if len(b.Conds)+len(o.Conds) > 0 {
		b.Conds = append(b.Conds, make([]Conditions, b.Area.Len()-len(b.Conds))...)
		b.Conds = append(b.Conds, o.Conds...)
		b.Conds = append(b.Conds, make([]Conditions, o.Area.Len()-len(o.Conds))...)
	}
	b.Area.Join(&o.Area)
}

// simple says that admission needs to read nothing: who admits what has gathered has
// more to do than to wait for a disk.
func (p *Partition) simple() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.subjects.active.whole && !p.limits.Totals
}

// AdmitGathered admits what waits, if anything does.
func (p *Partition) AdmitGathered() {
	g := &p.gather
	if !g.waiting.Load() {
		return
	}
	g.mu.Lock()
	p.admitGatheredLocked()
	g.mu.Unlock()
}

// admitGatheredLocked is AdmitGathered with gather.mu held.
func (p *Partition) admitGatheredLocked() {
	g := &p.gather
	if b := g.batch; b != nil {
		g.batch = nil
		p.admit(g.now, b)
	}
	g.waiting.Store(false)
}

// due has what waits admitted when the last frame before it has landed.
func (p *Partition) due(fl *Flight) {
	if fl.frame != nil && p.gather.waiting.Load() && p.gather.frames.Load() == 0 {
		p.gatherer.Due()
	}
}
