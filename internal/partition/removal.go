package partition

import (
	"encoding/binary"
	"fmt"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// Removal is a decision to remove records, taken once by the leader and logged.
type Removal struct {
	// Below removes all before this sequence; 0 none. It may be beyond the last:
	// then the log continues with it.
	Below uint64
	// Set removes single records.
	Set seqset.Set
}

const removalVersion = 1

// AppendRemoval encodes r: version (1 byte), Below (8 bytes), the set.
func AppendRemoval(dst []byte, r *Removal) []byte {
	dst = append(dst, removalVersion)
	dst = binary.LittleEndian.AppendUint64(dst, r.Below)
	return r.Set.Append(dst)
}

// DecodeRemoval is the inverse of AppendRemoval.
func DecodeRemoval(b []byte) (*Removal, error) {
	if len(b) < 9 || b[0] != removalVersion {
		return nil, fmt.Errorf("removal of %d bytes: %w", len(b), record.ErrDamaged)
	}
	set, rest, err := seqset.Decode(b[9:])
	if err != nil {
		return nil, fmt.Errorf("removal: %w", err)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes after a removal: %w", len(rest), record.ErrDamaged)
	}
	return &Removal{Below: binary.LittleEndian.Uint64(b[1:]), Set: set}, nil
}

// applyRemoval makes a decided removal take effect. What is gone already counts
// as removed.
func (p *Partition) applyRemoval(r *Removal) error {
	before := p.done.records
	if r.Below > p.done.first {
		p.trimBelow(r.Below)
		p.continueAt(r.Below)
	}
	for seq := range r.Set.All() {
		if !p.live(seq) {
			continue
		}
		v, err := p.store.Get(seq)
		if err != nil {
			return fmt.Errorf("remove record %d: %w", seq, err)
		}
		if !p.remove(&v) {
			break
		}
	}
	p.trim()
	p.observer.Applied(p.done.last, p.done.records != before)
	return nil
}

// continueAt makes an emptied log go on with a higher sequence. Where records
// were admitted in the meantime their numbers are given, and nothing changes.
func (p *Partition) continueAt(next uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done.records != 0 || next <= p.done.last+1 || p.tip.last != p.done.last {
		return
	}
	p.done.last, p.done.first = next-1, next
	p.tip.last = next - 1
	p.publishLocked()
}

// Trim proposes the removal of all below first and returns how many committed
// records that is now. done is called on the group's goroutine once it has taken
// effect, or with an error when that will never be known.
func (p *Partition) Trim(first uint64, done func(error)) (uint64, error) {
	p.mu.RLock()
	n := p.done.records
	if first <= p.done.last {
		n = p.countLiveLocked(p.done.first, first-1)
	}
	p.mu.RUnlock()
	return n, p.ProposeRemoval(&Removal{Below: first}, done)
}

// TrimAll proposes the removal of all that is admitted now.
func (p *Partition) TrimAll(done func(error)) (uint64, error) {
	p.mu.Lock()
	n := p.tip.records
	first := p.tip.last + 1
	p.mu.Unlock()
	return n, p.ProposeRemoval(&Removal{Below: first}, done)
}

// ProposeRemoval proposes a removal; done is called once it has taken effect, or
// with an error when that will never be known.
func (p *Partition) ProposeRemoval(r *Removal, done func(error)) error {
	return p.Propose(record.KindRemove, true, removalDone(done), AppendRemoval(nil, r))
}

type removalDone func(error)

// Barrier calls done once all that was proposed before has taken effect, or with
// an error when that will never be known.
func (p *Partition) Barrier(done func(error)) error {
	p.mu.Lock()
	dead, idle := p.dead, p.inflight == 0
	p.mu.Unlock()
	if dead != nil {
		return dead
	}
	if idle {
		done(nil)
		return nil
	}
	return p.ProposeRemoval(&Removal{}, done)
}
