package partition

import (
	"context"
	"fmt"

	"github.com/weirmq/weir/internal/seqset"
)

// Reclaimer is a Store that gives back the space of records that were removed from
// between others.
type Reclaimer interface {
	// Reclaim makes a part of the log anew that is mostly dead, without the records of
	// dead, which it does not keep. install puts it in place, and says whether a
	// checkpoint has to follow for the space to be free; nil: nothing is worth it. pace
	// is told of bytes read and written, and may wait; without it nothing is written: only
	// what has no live record at all goes. Calls come one at a time.
	Reclaim(ctx context.Context, dead *seqset.Set, pace func(int64)) (install func() bool, err error)
}

// Reclaim has the store give back the space of removed records, as far as it is worth
// the while, and takes a checkpoint after each part. What a checkpoint's replay, or a
// cut that is being read, may still need it keeps. One goroutine at a time calls it.
func (p *Partition) Reclaim(ctx context.Context, pace func(int64)) error {
	store, ok := p.store.(Reclaimer)
	if !ok {
		return nil
	}
	for ctx.Err() == nil {
		dead := p.deadRecords()
		if dead.Count() == 0 {
			return nil
		}
		install, err := store.Reclaim(ctx, &dead, pace)
		if err != nil {
			return fmt.Errorf("reclaim space of partition %d: %w", p.id.ID, err)
		}
		if install == nil {
			return nil
		}
		// A checkpoint that is being taken has a state of before: records may be live
		// in it that are dead now. The next one's state is of after.
		p.saving.Lock()
		settle := install()
		p.saving.Unlock()
		if !settle {
			return nil // or it could not be: another time
		}
		if err := p.Checkpoint(); err != nil {
			return err
		}
	}
	return nil
}

// Vacate has the store let go of parts in which nothing is live. It writes nothing: it
// is for a full disk. The space is free after the next checkpoint.
func (p *Partition) Vacate(ctx context.Context) error {
	store, ok := p.store.(Reclaimer)
	if !ok {
		return nil
	}
	for {
		dead := p.deadRecords()
		install, err := store.Reclaim(ctx, &dead, nil)
		if err != nil {
			return fmt.Errorf("vacate partition %d: %w", p.id.ID, err)
		}
		if install == nil {
			return nil
		}
		p.saving.Lock()
		settle := install()
		p.saving.Unlock()
		if !settle {
			return nil
		}
	}
}

// deadRecords are those that nobody may ask for any more: they are deleted, and were
// when the oldest cut was made.
func (p *Partition) deadRecords() seqset.Set {
	p.applying.Lock()
	defer p.applying.Unlock()
	if len(p.cuts) > 0 {
		return p.cuts[0].deleted.Clone()
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.deleted.Clone()
}
