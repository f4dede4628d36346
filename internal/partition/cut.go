package partition

import (
	"errors"
	"fmt"
	"io"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// Cut is the log as it was at one moment, for reading while it goes on: each record
// that was live then, and none else. Until it is closed the store keeps what it may
// still read, so that neither trims nor purges take anything from it. It is used by
// one goroutine.
type Cut struct {
	Status
	// Ledger is the ledger's snapshot of the same moment.
	Ledger []byte

	p       *Partition
	deleted seqset.Set
	cursor  Cursor
	read    uint64 // records that Next gave
}

// Cut returns the log as it is now. It must be closed.
func (p *Partition) Cut() *Cut {
	p.applying.Lock()
	defer p.applying.Unlock()
	c := &Cut{Status: p.Status(), Ledger: p.ledger.Snapshot(nil), p: p}
	p.mu.RLock()
	c.deleted = p.deleted.Clone()
	p.mu.RUnlock()
	c.cursor = p.store.Cursor(c.First)
	p.cuts = append(p.cuts, c)
	return c
}

// Next returns the next record, whose bytes are valid until the next call; io.EOF
// after the last one. Any other error says that the cut cannot be read whole.
func (c *Cut) Next() (record.View, error) {
	for {
		v, err := c.cursor.Next()
		switch {
		case errors.Is(err, io.EOF), err == nil && v.Seq > c.Last:
			if c.read != c.Records {
				return record.View{}, fmt.Errorf("%d records are missing: %w", int64(c.Records)-int64(c.read), record.ErrDamaged)
			}
			return record.View{}, io.EOF
		case err != nil:
			return record.View{}, fmt.Errorf("read the log: %w", err)
		}
		if v.Seq >= c.First && !c.deleted.Contains(v.Seq) {
			c.read++
			return v, nil
		}
	}
}

// Close lets the store forget what was removed meanwhile.
func (c *Cut) Close() {
	c.cursor.Close()
	p := c.p
	p.applying.Lock()
	defer p.applying.Unlock()
	for i, o := range p.cuts {
		if o == c {
			p.cuts = append(p.cuts[:i], p.cuts[i+1:]...)
			p.trim()
			return
		}
	}
}

// keptFrom is the lowest sequence that somebody may still read.
func (p *Partition) keptFrom() uint64 {
	first := p.first.Load()
	for _, c := range p.cuts {
		first = min(first, c.First)
	}
	return first
}
