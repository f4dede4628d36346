package partition

import (
	"github.com/weirmq/weir/internal/record"
)

// Admit decides over a staged batch at time now and takes the batch over: the
// observer gets it back with its outcomes. Records that are refused are struck,
// the others are numbered and proposed as one frame. It never waits for a write;
// it reads, without the lock, what the subject index does not hold in memory. What
// has gathered before is admitted first.
func (p *Partition) Admit(now int64, b *Batch) {
	g := &p.gather
	if !g.waiting.Load() {
		p.admit(now, b)
		return
	}
	g.mu.Lock()
	p.admitGatheredLocked()
	p.admit(now, b)
	g.mu.Unlock()
}

// admit is Admit where nothing has gathered.
func (p *Partition) admit(now int64, b *Batch) {
	n := b.Area.Len()
	if cap(b.Outcomes) < n {
		b.Outcomes = make([]Outcome, n)
	}
	b.Outcomes = b.Outcomes[:n]
	r, err := p.lockFor(b)
	kept := p.decideLocked(max(now, p.tip.lastTime), b, r, err)
	p.subjects.trimLoaded()
	held, tell := p.heldLocked()
	early := b.Early != nil // afterwards the batch may be another's
	switch {
	case len(kept) > 0:
		p.mu.Unlock()
		p.drain()
		if early {
			p.observer.Committed(b, true)
		}
	case p.last != nil && !early:
		p.last.after = append(p.last.after, b)
		p.mu.Unlock()
	default:
		p.mu.Unlock()
		b.Early = nil
		p.observer.Committed(b, true)
	}
	if tell {
		p.index.Held(held)
	}
}

// decision is a batch being decided over.
type decision struct {
	p    *Partition
	b    *Batch
	r    *ready
	now  int64
	base uint64        // the sequence of the first record that is kept
	kept []record.Slot // of the records so far
	// hint is the entry of the subject of the record before; mine the same if it may
	// change.
	hint, mine *entry
	// area takes the place of the batch's where records are amended; amended is what
	// became of the last record.
	area    record.Area
	amended *Amended
	back    savepoint // of a batch that is kept whole or not at all
	sum     tally     // of the records that are kept, unless they are amended
}

// decideLocked checks, numbers and queues the batch, and returns the slots that
// are kept. With unread, why the subject index cannot be read, it keeps none.
func (p *Partition) decideLocked(now int64, b *Batch, r *ready, unread error) []record.Slot {
	b.Time = now // of the refusals, if nothing is kept
	if unread != nil && p.dead == nil {
		for i := range b.Outcomes {
			b.Outcomes[i] = Outcome{Refusal: Unreadable}
		}
		return nil
	}
	floor := p.dedupFloorLocked(now)
	d := decision{p: p, b: b, r: r, now: now, base: p.tip.last + 1}
	slots := b.Area.Slots
	d.kept = slots[:0]
	if b.Whole {
		p.saveLocked(&d.back)
	}
	d.decideAll(slots)
	b.Area.Slots = slots
	if len(d.kept) == 0 {
		return nil
	}
	area := b.Area.Buf
	if p.limits.Totals {
		area, d.kept = d.area.Buf, d.area.Slots
		p.trimTotalsLocked()
	}
	h := record.Header{Partition: p.id, Term: p.proposer.Term(), Base: d.base, Time: now, DedupFloor: floor}
	f, packed := p.packer.Seal(h, area, d.kept)
	if packed && !p.limits.Totals {
		record.ReuseArea(area)
	}
	b.Area.Buf = nil
	p.tip.lastTime = now
	fl := &Flight{batch: b, frame: f}
	if !p.limits.Totals {
		fl.sum = d.sum
		fl.sum.subject = nil // it is of the area
	}
	if b.Early != nil {
		fl.batch, fl.value = nil, removalDone(b.Early)
	}
	p.enqueueLocked(item{
		kind: record.KindFrame, urgent: true,
		flight: fl, parts: [2][]byte{f.Head, f.Area},
	})
	return d.kept
}

// decideAll decides over the records of the batch, whose slots are given.
func (d *decision) decideAll(slots []record.Slot) {
	var stopped Outcome
	for i, s := range slots {
		if stopped.Refusal != Accepted {
			d.b.Outcomes[i] = stopped
			continue
		}
		o := d.decide(i, s)
		d.b.Outcomes[i] = o
		if o.Refusal != Accepted && d.b.Whole {
			d.p.rollBackLocked(&d.back)
			d.kept, d.area.Slots = nil, nil
			for j := range d.b.Outcomes {
				d.b.Outcomes[j] = o
			}
			return
		}
		if d.b.InOrder && o.Refusal != Duplicate && o.Refusal != Dialect {
			stopped = o
		}
	}
}

// decide decides over record i and, if it is accepted, counts it in.
func (d *decision) decide(i int, s record.Slot) Outcome {
	p := d.p
	var v record.View
	d.b.Area.ViewTo(&v, i)
	var c *Conditions
	if len(d.b.Conds) > 0 {
		c = &d.b.Conds[i]
		if c.Chain != nil && c.Chain.broken {
			return Outcome{Refusal: Broken}
		}
	}
	if d.hint == nil || d.hint.name != string(v.Subject) {
		d.hint, _ = p.subjects.find(v.Subject)
		d.mine = nil
	}
	o := d.check(i, &v, c)
	o.Of = c
	if o.Refusal != Accepted {
		if c != nil && c.Chain != nil && o.Refusal != Duplicate {
			c.Chain.broken = true
		}
		return o
	}
	o.Seq = d.base + uint64(len(d.kept))
	if d.mine == nil {
		d.mine = p.subjects.own(v.Subject)
	}
	o.Detail = d.mine.last
	if d.b.Whole && d.mine.last < d.base {
		p.keepLocked(&d.back, d.mine)
	}
	p.acceptLocked(&v, d.mine, o.Seq, d.now)
	d.sum.add(&v)
	if d.amended != nil {
		p.totals[d.mine.name] = total{seq: o.Seq, value: d.amended.Total}
	}
	d.hint = d.mine
	// The slot's place in the directory moves up over struck ones. It is
	// behind i, so Area.View of what follows is not disturbed.
	d.kept = append(d.kept, s)
	return o
}

// check decides over record i, which is v and is amended where the log keeps totals.
func (d *decision) check(i int, v *record.View, c *Conditions) Outcome {
	if o := d.checkConditions(v, c); o.Refusal != Accepted {
		return o
	}
	if d.p.limits.Totals {
		return d.amend(i, v, c)
	}
	return d.p.limitsLocked(v, c, d.hint)
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

// checkConditions holds a record against the state of the log and against what it
// demands, in the protocol's order.
func (d *decision) checkConditions(v *record.View, c *Conditions) Outcome {
	p := d.p
	if p.dead != nil {
		if p.deletedLog {
			return Outcome{Refusal: Deleted}
		}
		return Outcome{Refusal: Dead}
	}
	if p.limits.Sealed {
		return Outcome{Refusal: Sealed}
	}
	if c == nil {
		return Outcome{}
	}
	if c.Refuse != Accepted {
		return Outcome{Refusal: c.Refuse}
	}
	for _, check := range p.order {
		if o := d.condition(check, v, c); o.Refusal != Accepted {
			return o
		}
	}
	return Outcome{}
}

// condition is one step of a protocol's order.
func (d *decision) condition(check Check, v *record.View, c *Conditions) Outcome {
	p := d.p
	if o := c.preAt(check); o.Refusal != Accepted {
		return o
	}
	switch check {
	case CheckDialect, CheckFeature, CheckHeader, CheckStore:
	case CheckLastOfSubject:
		if c.HasOfSubj {
			last := d.lastOf(c.OfSubject)
			return d.expect(WrongLastOfSubject, last, c.LastOf)
		}
	case CheckLast:
		if c.HasLast {
			if p.tip.last != c.Last {
				return Outcome{Refusal: WrongLast, Detail: p.tip.last}
			}
			return d.expect(WrongLast, p.tip.last, c.Last)
		}
	case CheckDuplicate:
		o := p.duplicateLocked(c)
		if o.Refusal == Duplicate && d.b.Whole {
			o.Refusal = Repeated
		}
		return o
	case CheckLastID:
		if c.HasLastID && (!p.hasLast || p.lastID != c.LastID) {
			return Outcome{Refusal: WrongLastID, Detail: p.tip.last}
		}
	case CheckRollup:
		if v.Rollup != record.RollupNone && !p.limits.Rollups {
			return Outcome{Refusal: RollupRefused}
		}
		if !d.mayReplace(v) {
			return Outcome{Refusal: RollupInBatch, Detail: uint64(v.Rollup)}
		}
	}
	return Outcome{}
}

// preAt is the dialect's refusal, if it takes effect at this step. c may be nil.
func (c *Conditions) preAt(check Check) Outcome {
	if c != nil && c.Pre != 0 && c.PreAt == check {
		return Outcome{Refusal: Dialect, Detail: uint64(c.Pre)}
	}
	return Outcome{}
}

// expect holds an expected last sequence against the real one. In a batch that is
// kept whole nobody can know one that the batch itself gives.
func (d *decision) expect(r Refusal, last, want uint64) Outcome {
	switch {
	case d.b.Whole && last >= d.base:
		return Outcome{Refusal: WrongLastInBatch}
	case last != want:
		return Outcome{Refusal: r, Detail: last}
	}
	return Outcome{}
}

// lastOf is the last admitted sequence of a subject, of the record's own if pattern is
// empty, or of those that a pattern matches: in a batch that is kept whole, of these what
// was there before it. Who sends such a batch says for each record what he had seen.
func (d *decision) lastOf(pattern string) uint64 {
	e := d.hint
	switch {
	case pattern == "":
	case literal(pattern):
		e, _ = d.p.subjects.find([]byte(pattern))
	default:
		return d.p.lastMatchingLocked(pattern, d.r, &d.back)
	}
	if e == nil {
		return 0
	}
	return e.last
}

// mayReplace says that a rollup replaces nothing of the batch that it is in, which
// is kept whole.
func (d *decision) mayReplace(v *record.View) bool {
	if !d.b.Whole {
		return true
	}
	switch v.Rollup {
	case record.RollupAll:
		return len(d.kept) == 0
	case record.RollupSubject:
		return d.hint == nil || d.hint.last < d.base
	}
	return true
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
func (p *Partition) limitsLocked(v *record.View, c *Conditions, e *entry) Outcome {
	if l := p.limits.MaxRecord; l > 0 && int64(len(v.Header)+len(v.Data)) > l {
		return Outcome{Refusal: TooLarge}
	}
	if o := c.preAt(CheckHeader); o.Refusal != Accepted {
		return o
	}
	size := v.Size()
	if !p.budget.Reserve(size) {
		return Outcome{Refusal: NoSpace}
	}
	o := c.preAt(CheckStore)
	if o.Refusal == Accepted {
		o = p.roomLocked(v, size, e)
	}
	if o.Refusal != Accepted {
		p.budget.Return(size)
	}
	return o
}

// roomLocked says whether the log takes a record where it does not discard old ones
// for it.
func (p *Partition) roomLocked(v *record.View, size uint64, e *entry) Outcome {
	l := &p.limits
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
		if l.MaxBytes > 0 && p.tip.bytes+size > uint64(l.MaxBytes) {
			return Outcome{Refusal: MaxBytes}
		}
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
