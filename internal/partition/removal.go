package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

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
	// Compacted says that a compaction of this kind has looked at the log up to there; 0:
	// it is none, or it goes on.
	Compacted  uint64
	Compaction Compaction
}

// Versions of an encoded removal. The second has what a compaction says.
const (
	removalVersion   = 1
	removalCompacted = 2
)

// AppendRemoval encodes r: version (1 byte), Below (8 bytes), in version 2 Compacted (8
// bytes) and Compaction (1 byte), then the set.
func AppendRemoval(dst []byte, r *Removal) []byte {
	if r.Compacted == 0 {
		dst = append(dst, removalVersion)
		dst = binary.LittleEndian.AppendUint64(dst, r.Below)
		return r.Set.Append(dst)
	}
	dst = append(dst, removalCompacted)
	dst = binary.LittleEndian.AppendUint64(dst, r.Below)
	dst = binary.LittleEndian.AppendUint64(dst, r.Compacted)
	return r.Set.Append(append(dst, byte(r.Compaction)))
}

// DecodeRemoval is the inverse of AppendRemoval.
func DecodeRemoval(b []byte) (*Removal, error) {
	if len(b) < 9 || b[0] != removalVersion && b[0] != removalCompacted {
		return nil, fmt.Errorf("removal of %d bytes: %w", len(b), record.ErrDamaged)
	}
	r := &Removal{Below: binary.LittleEndian.Uint64(b[1:])}
	rest := b[9:]
	if b[0] == removalCompacted {
		if len(rest) < 9 {
			return nil, fmt.Errorf("removal of %d bytes: %w", len(b), record.ErrDamaged)
		}
		r.Compacted, r.Compaction = binary.LittleEndian.Uint64(rest), Compaction(rest[8])
		rest = rest[9:]
	}
	var err error
	r.Set, rest, err = seqset.Decode(rest)
	if err != nil {
		return nil, fmt.Errorf("removal: %w", err)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes after a removal: %w", len(rest), record.ErrDamaged)
	}
	return r, nil
}

// applyRemoval makes a decided removal take effect. What is gone already counts
// as removed.
func (p *Partition) applyRemoval(r *Removal) error {
	before := p.done.records
	if r.Below > p.done.first {
		p.trimBelow(r.Below)
		p.continueAt(r.Below)
	}
	if err := p.removeSet(&r.Set); err != nil {
		return err
	}
	p.mu.Lock()
	if r.Compacted > 0 && r.Compaction == p.limits.Compact {
		p.compacted = max(p.compacted, r.Compacted)
	}
	p.mu.Unlock()
	p.trim()
	p.observer.Applied(p.done.last, p.done.records != before)
	return nil
}

// nearby is up to how many sequences a removal reads over to the next one it is for:
// looking for that anew costs more.
const nearby = 64

// removeSet removes the live records of a set. It reads on from one to the next.
func (p *Partition) removeSet(set *seqset.Set) error {
	var c Cursor
	at := uint64(0) // what the cursor gives next
	for seq := range set.All() {
		if !p.live(seq) {
			continue
		}
		if c == nil {
			c, at = p.store.Cursor(seq), seq
			defer c.Close()
		}
		v, err := readTo(c, at, seq)
		at = seq + 1
		switch {
		case errors.Is(err, record.ErrDamaged):
			p.dropDamaged(seq)
			at = math.MaxUint64 // it may be behind more than this one
		case err != nil:
			return fmt.Errorf("remove record %d: %w", seq, err)
		case !p.remove(&v):
			return nil
		}
	}
	return nil
}

// readTo reads the record with a sequence, from a cursor that gives at next.
func readTo(c Cursor, at, seq uint64) (record.View, error) {
	if at > seq || seq-at > nearby {
		c.Seek(seq)
	}
	for {
		v, err := c.Next()
		switch {
		case err == nil && v.Seq < seq:
		case err == nil && v.Seq > seq, errors.Is(err, io.EOF):
			return record.View{}, ErrNotFound
		case err == nil || at == seq || !errors.Is(err, record.ErrDamaged):
			return v, err
		default: // damage before it, or of it
			c.Seek(seq)
			at = seq
		}
	}
}

// dropDamaged removes a record that cannot be read. Its subject's count and the log's
// bytes stay too high, which a restart mends as far as the subject goes: the index is
// not saved any more.
func (p *Partition) dropDamaged(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subjects.stale = true
	p.expiry.forget(seq)
	p.done.records--
	p.tip.records--
	if seq == p.done.first {
		p.done.first++
		p.skipDeletedLocked()
	} else {
		p.deleted.Add(seq)
	}
	p.publishLocked()
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
	p.AdmitGathered()
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
	p.AdmitGathered()
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
