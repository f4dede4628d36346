package partition

import (
	"github.com/weirmq/weir/internal/record"
)

// Admit decides over a staged batch at time now and takes the batch over: the
// observer gets it back with its outcomes. Records that are refused are struck,
// the others are numbered and proposed as one frame. It never waits for a write;
// it reads, without the lock, what the subject index does not hold in memory.
func (p *Partition) Admit(now int64, b *Batch) {
	n := b.Area.Len()
	if cap(b.Outcomes) < n {
		b.Outcomes = make([]Outcome, n)
	}
	b.Outcomes = b.Outcomes[:n]
	r, err := p.lockFor(b)
	kept := p.decideLocked(max(now, p.tip.lastTime), b, r, err)
	p.subjects.trimLoaded()
	held, tell := p.heldLocked()
	switch {
	case len(kept) > 0:
		p.mu.Unlock()
		p.drain()
	case p.last != nil:
		p.last.after = append(p.last.after, b)
		p.mu.Unlock()
	default:
		p.mu.Unlock()
		p.observer.Committed(b, true)
	}
	if tell {
		p.index.Held(held)
	}
}

// decideLocked checks, numbers and queues the batch, and returns the slots that
// are kept. With unread, why the subject index cannot be read, it keeps none.
func (p *Partition) decideLocked(now int64, b *Batch, r *ready, unread error) []record.Slot {
	if unread != nil && p.dead == nil {
		for i := range b.Outcomes {
			b.Outcomes[i] = Outcome{Refusal: Unreadable}
		}
		return nil
	}
	floor := p.dedupFloorLocked(now)
	base := p.tip.last + 1
	slots := b.Area.Slots
	kept := slots[:0]
	var hint, mine *entry // of the record before; mine if it may change
	var stopped Outcome
	for i, s := range slots {
		if stopped.Refusal != Accepted {
			b.Outcomes[i] = stopped
			continue
		}
		v := b.Area.View(i)
		var c *Conditions
		if len(b.Conds) > 0 {
			c = &b.Conds[i]
		}
		if hint == nil || hint.name != string(v.Subject) {
			hint, _ = p.subjects.find(v.Subject)
			mine = nil
		}
		o := p.checkLocked(&v, c, hint, r)
		if o.Refusal == Accepted {
			o.Seq = base + uint64(len(kept))
			if mine == nil {
				mine = p.subjects.own(v.Subject)
			}
			o.Detail = mine.last
			p.acceptLocked(&v, mine, o.Seq, now)
			hint = mine
			// The slot's place in the directory moves up over struck ones. It is
			// behind i, so Area.View of what follows is not disturbed.
			kept = append(kept, s)
		}
		b.Outcomes[i] = o
		if b.InOrder && o.Refusal != Duplicate {
			stopped = o
		}
	}
	b.Area.Slots = slots
	if len(kept) == 0 {
		return nil
	}
	h := record.Header{Partition: p.id, Term: p.proposer.Term(), Base: base, Time: now, DedupFloor: floor}
	f := record.Seal(h, b.Area.Buf, kept)
	p.tip.lastTime = now
	p.enqueueLocked(item{
		kind: record.KindFrame, urgent: true,
		flight: &Flight{batch: b, frame: f}, parts: [2][]byte{f.Head, f.Area},
	})
	return kept
}

// dedupFloorLocked moves the window on to now.
func (p *Partition) dedupFloorLocked(now int64) uint64 {
	if p.limits.DedupWindow <= 0 || p.dedup.len() == 0 {
		return 0
	}
	floor := p.dedup.floor(now, p.limits.DedupWindow, p.tip.last+1)
	p.dedup.evict(floor)
	return floor
}

// checkLocked decides over one record.
func (p *Partition) checkLocked(v *record.View, c *Conditions, e *entry, r *ready) Outcome {
	if p.dead != nil {
		if p.deletedLog {
			return Outcome{Refusal: Deleted}
		}
		return Outcome{Refusal: Dead}
	}
	if p.limits.Sealed {
		return Outcome{Refusal: Sealed}
	}
	if c != nil {
		if c.Refuse != Accepted {
			return Outcome{Refusal: c.Refuse}
		}
		for _, check := range p.order {
			if o := p.conditionLocked(check, v, c, e, r); o.Refusal != Accepted {
				return o
			}
		}
	}
	return p.limitsLocked(v, e)
}

// conditionLocked is one step of a protocol's order.
func (p *Partition) conditionLocked(check Check, v *record.View, c *Conditions, e *entry, r *ready) Outcome {
	switch check {
	case CheckDialect:
		if c.Pre != 0 {
			return Outcome{Refusal: Dialect, Detail: uint64(c.Pre)}
		}
	case CheckLastOfSubject:
		if c.HasOfSubj {
			if last := p.tipLastLocked(c.OfSubject, e, r); last != c.LastOf {
				return Outcome{Refusal: WrongLastOfSubject, Detail: last}
			}
		}
	case CheckLast:
		if c.HasLast && p.tip.last != c.Last {
			return Outcome{Refusal: WrongLast, Detail: p.tip.last}
		}
	case CheckDuplicate:
		return p.duplicateLocked(c)
	case CheckLastID:
		if c.HasLastID && (!p.hasLast || p.lastID != c.LastID) {
			return Outcome{Refusal: WrongLastID, Detail: p.tip.last}
		}
	case CheckRollup:
		if v.Rollup != record.RollupNone && !p.limits.Rollups {
			return Outcome{Refusal: RollupRefused}
		}
	}
	return Outcome{}
}

func (p *Partition) duplicateLocked(c *Conditions) Outcome {
	if !c.HasID || p.limits.DedupWindow <= 0 {
		return Outcome{}
	}
	if seq := p.dedup.find(c.ID); seq != 0 {
		return Outcome{Refusal: Duplicate, Seq: seq}
	}
	if p.dedup.len() >= p.limits.dedupEntries() {
		return Outcome{Refusal: TooManyIDs}
	}
	return Outcome{}
}

// limitsLocked holds a record against the limits of the log and the budget.
func (p *Partition) limitsLocked(v *record.View, e *entry) Outcome {
	l := &p.limits
	if l.MaxRecord > 0 && int64(len(v.Header)+len(v.Data)) > l.MaxRecord {
		return Outcome{Refusal: TooLarge}
	}
	size := v.Size()
	if l.DiscardNew {
		full := e != nil && l.MaxPerSubject > 0 && e.count >= uint64(l.MaxPerSubject)
		if full && l.DiscardNewPerSubject && v.Rollup == record.RollupNone {
			return Outcome{Refusal: MaxPerSubject}
		}
		// A record that replaces the oldest of its full subject needs no place of
		// its own in the count.
		if l.MaxRecords > 0 && p.tip.records >= uint64(l.MaxRecords) && !full {
			return Outcome{Refusal: MaxRecords}
		}
		if l.MaxBytes > 0 && p.tip.bytes+size > uint64(l.MaxBytes) && v.Rollup == record.RollupNone {
			return Outcome{Refusal: MaxBytes}
		}
	}
	if !p.budget.Reserve(size) {
		return Outcome{Refusal: NoSpace}
	}
	return Outcome{}
}

// acceptLocked counts an accepted record into the tip. e is its subject's entry,
// which is owned.
func (p *Partition) acceptLocked(v *record.View, e *entry, seq uint64, now int64) {
	p.undo = append(p.undo, undo{seq: seq, entry: e, last: e.last})
	p.subjects.count(e, seq)
	p.tip.last = seq
	p.tip.records++
	p.tip.bytes += v.Size()
	p.hasLast, p.lastID = v.HasID, v.ID
	if v.HasID && p.limits.DedupWindow > 0 {
		p.dedup.add(v.ID, seq, now)
	}
}
