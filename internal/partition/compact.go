package partition

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"github.com/weirmq/weir/internal/record"
)

// Compaction says of what only the newest record is to be kept.
type Compaction uint8

// Compactions. Records without a key are always kept where keys count. There are no
// tombstones: a record without data is as good as another.
const (
	CompactNone Compaction = iota
	CompactSubjects
	CompactKeys
)

// of is what a record's newer ones have in common with it; empty: it has no newer ones.
func (c Compaction) of(v *record.View) []byte {
	switch c {
	case CompactSubjects:
		return v.Subject
	case CompactKeys:
		return v.Key
	}
	return nil
}

const (
	// defaultCompactDirty is Limits.CompactDirty where that is 0.
	defaultCompactDirty = 50
	// defaultCompactKeys is how many subjects or keys a compaction remembers at once, at about
	// 50 bytes. Of more, the log is read several times.
	defaultCompactKeys = 1 << 18
	// compactBatch is how many records one entry of a compaction removes: the group
	// applies nothing else meanwhile.
	compactBatch = 2048
)

// Compact removes the records that a newer one of their subject or key has replaced,
// if that is configured and enough was stored since the last time; see Limits. It reads
// the log, proposes removals of a few records each, and waits for each to take effect.
// It returns how many records went. What it has seen is logged, so that the next one
// begins behind it. pace is told of bytes that were read, and may wait. One goroutine at
// a time may call it.
func (p *Partition) Compact(ctx context.Context, now int64, pace func(int64)) (removed uint64, err error) {
	mode, end, err := p.compactable(now)
	for err == nil && mode != CompactNone {
		c := compactor{p: p, ctx: ctx, mode: mode, pace: pace, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
		from := p.compactedUpTo(mode) + 1
		if from > end {
			break
		}
		err = c.learn(from, end)
		if err == nil {
			err = c.sweep()
		}
		removed += c.removed
	}
	if err != nil {
		return removed, fmt.Errorf("compact partition %d: %w", p.id.ID, err)
	}
	return removed, nil
}

// compactable says up to where the log is to be compacted now, and how; CompactNone
// where it is not.
func (p *Partition) compactable(now int64) (mode Compaction, end uint64, err error) {
	p.mu.RLock()
	l, records, end, dead := p.limits, p.done.records, p.done.last, p.dead
	subjects := uint64(p.liveSubjectsLocked())
	p.mu.RUnlock()
	nothing := records == 0 || l.Compact == CompactSubjects && records == subjects
	if l.Compact == CompactNone || l.Sealed || dead != nil || nothing {
		return CompactNone, 0, nil
	}
	if l.CompactAge > 0 {
		young, err := p.SeekTime(now - l.CompactAge + 1)
		if err != nil {
			return CompactNone, 0, err
		}
		end = min(end, young-1)
	}
	seen := p.compactedUpTo(l.Compact)
	clean, dirty := p.CountLive(0, min(seen, end)), p.CountLive(seen+1, end)
	ratio := uint64(l.CompactDirty)
	if ratio == 0 {
		ratio = defaultCompactDirty
	}
	if dirty == 0 || dirty*100 < ratio*(clean+dirty) {
		return CompactNone, 0, nil
	}
	return l.Compact, end, nil
}

// compactedUpTo is up to which sequence no two live records have a subject or key in
// common, but for what is too young and what could not be read.
func (p *Partition) compactedUpTo(mode Compaction) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.limits.Compact != mode {
		return p.done.last // it was configured otherwise meanwhile: nothing is to be done
	}
	return p.compacted
}

// compactor compacts a log up to some point: it learns which record is the newest of
// each subject or key of a stretch, then removes what is older, from the log's first
// record on.
type compactor struct {
	p     *Partition
	ctx   context.Context
	mode  Compaction
	pace  func(int64)
	seeds [2]maphash.Seed

	newest  map[[2]uint64]uint64 // by a hash of 128 bits
	upTo    uint64               // what it was learned from ends here
	batch   Removal
	removed uint64
}

func (c *compactor) hash(key []byte) [2]uint64 {
	return [2]uint64{maphash.Bytes(c.seeds[0], key), maphash.Bytes(c.seeds[1], key)}
}

// learn reads from one sequence to another, or until it has learned enough.
func (c *compactor) learn(from, end uint64) error {
	c.newest, c.upTo = make(map[[2]uint64]uint64), end
	return c.each(from, end, func(v *record.View, key []byte) (more bool, err error) {
		c.newest[c.hash(key)] = v.Seq
		if len(c.newest) < c.p.compactKeys {
			return true, nil
		}
		c.upTo = v.Seq
		return false, nil
	})
}

// sweep has removed what is older than what was learned.
func (c *compactor) sweep() error {
	err := c.each(c.p.First(), c.upTo, func(v *record.View, key []byte) (bool, error) {
		if n, known := c.newest[c.hash(key)]; !known || n <= v.Seq {
			return true, nil
		}
		c.batch.Set.Add(v.Seq)
		if c.batch.Set.Count() < compactBatch {
			return true, nil
		}
		return true, c.remove()
	})
	if err != nil {
		return err
	}
	c.batch.Compacted, c.batch.Compaction = c.upTo, c.mode
	return c.remove()
}

// each calls f for the visible records from one sequence to another that may have newer
// ones, until it returns false. A record that cannot be read stays, for what it is of is
// not known.
func (c *compactor) each(from, to uint64, f func(v *record.View, key []byte) (more bool, err error)) error {
	r := c.p.Reader(from)
	defer r.Close()
	for {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		v, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && v.Seq > to:
			return nil
		case errors.Is(err, record.ErrDamaged):
			continue
		case err != nil:
			return err
		}
		c.pace(int64(v.Size()))
		key := c.mode.of(&v)
		if len(key) == 0 {
			continue
		}
		if more, err := f(&v, key); !more || err != nil {
			return err
		}
	}
}

// remove proposes what was gathered, and waits until it has taken effect.
func (c *compactor) remove() error {
	done := make(chan error, 1)
	data := AppendRemoval(nil, &c.batch)
	if err := c.p.Propose(record.KindRemove, false, removalDone(func(err error) { done <- err }), data); err != nil {
		return err
	}
	n := c.batch.Set.Count()
	c.batch = Removal{}
	select {
	case err := <-done:
		if err == nil {
			c.removed += n
		}
		return err
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}
