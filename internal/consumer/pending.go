package consumer

// none is the end of a list.
const none = ^uint32(0)

// phase says what a pending entry waits for.
type phase uint8

const (
	// phaseLoose: in no list. Its deadline, if it has one, is in the heap.
	phaseLoose phase = iota
	// phaseTimed: in the list of its wait, until acknowledged or late.
	phaseTimed
	// phaseQueued: in the redelivery queue.
	phaseQueued
	// phaseDead: not pending any more; the place will be used again.
	phaseDead
)

const (
	phaseBits = 2
	maxCount  = 1<<(32-phaseBits) - 1
)

// entry is one pending message, in 40 bytes.
type entry struct {
	seq uint64
	// dseq is the consumer sequence of the first delivery.
	dseq uint64
	// time is when its present wait began.
	time int64
	// prev and next are indexes into the table, within the list of its phase.
	prev, next uint32
	// mark holds the number of deliveries and the phase.
	mark uint32
	// member is who has it; 0 where a policy tells no members apart.
	member uint32
}

func (e *entry) count() uint32 { return e.mark >> phaseBits }
func (e *entry) phase() phase  { return phase(e.mark & (1<<phaseBits - 1)) }

func (e *entry) setPhase(p phase) { e.mark = e.mark&^(1<<phaseBits-1) | uint32(p) }

func (e *entry) setCount(n uint32) {
	e.mark = min(n, maxCount)<<phaseBits | e.mark&(1<<phaseBits-1)
}

type list struct {
	head, tail uint32
}

// table keeps pending entries in the order of their sequences. Acknowledged ones
// stay as dead places until the table is compacted, which happens only in push.
// Indexes hold until then.
type table struct {
	ents []entry
	// head is the first place that may be alive; ents[head] is, if live > 0.
	head int
	live int
	// redelivered counts the live entries with two deliveries or more.
	redelivered int
	// lists[0] is the redelivery queue, lists[1+i] holds the timed entries with the
	// i-th wait. Made by whoever uses them; a replica has none.
	lists  []list
	queued int
	// holders are the members that have something, and those that may get something; nil
	// where members are not told apart. recent is the one that was asked for last, which
	// most often is asked for again.
	holders map[uint32]*holder
	recent  *holder
}

// holder is a member as the table knows it.
type holder struct {
	id    uint32
	class int // its list
	held  int // how many live entries it has
}

// holder gives the member of an id. One who is not a member any more is made one whose
// entries belong in the queue.
func (t *table) holder(id uint32) *holder {
	if h := t.recent; h != nil && h.id == id {
		return h
	}
	h := t.holders[id]
	if h == nil {
		h = &holder{id: id}
		t.holders[id] = h
	}
	t.recent = h
	return h
}

// heldBy is how many live entries a member has. One that was not met since members are
// told apart (nil) has none.
func (t *table) heldBy(h *holder) int {
	if t.holders == nil || h == nil {
		return 0
	}
	return h.held
}

// tellApart begins to tell members apart. Nobody has anything yet.
func (t *table) tellApart(members int) {
	t.holders, t.recent = make(map[uint32]*holder, members), nil
}

const queue = 0

// class gives the list for the entry's number of deliveries, or for its member.
func (t *table) class(e *entry) int {
	if t.holders != nil {
		return t.holder(e.member).class
	}
	return min(int(e.count()), len(t.lists)-1)
}

// listOf gives the list that the entry is in; -1 none.
func (t *table) listOf(e *entry) int {
	switch e.phase() {
	case phaseTimed:
		return t.class(e)
	case phaseQueued:
		return queue
	}
	return -1
}

// push adds an entry, whose sequence is higher than every other's, and gives its
// index. It is made where it stays: to copy what was just made stalls the processor.
func (t *table) push(seq, dseq uint64, time int64, count, member uint32) uint32 {
	if len(t.ents) == cap(t.ents) {
		t.makeRoom()
	}
	t.ents = t.ents[:len(t.ents)+1]
	e := &t.ents[len(t.ents)-1]
	e.seq, e.dseq, e.time, e.member = seq, dseq, time, member
	e.prev, e.next, e.mark = none, none, uint32(phaseLoose)
	e.setCount(count)
	t.live++
	if count > 1 {
		t.redelivered++
	}
	if t.holders != nil {
		t.holder(member).held++
	}
	return uint32(len(t.ents) - 1)
}

// makeRoom compacts the table if a quarter is dead, and lets it grow by half
// otherwise: then append copies it and indexes stay.
func (t *table) makeRoom() {
	if dead := len(t.ents) - t.live; dead > 0 && dead >= len(t.ents)/4 {
		t.compact()
		return
	}
	grown := make([]entry, len(t.ents), max(16, cap(t.ents)+cap(t.ents)/2))
	copy(grown, t.ents)
	t.ents = grown
}

// compact moves the live entries to the front and repairs the lists on the way.
// An entry only moves down, so its neighbours' indexes are always current.
func (t *table) compact() {
	to := uint32(0)
	for i := t.head; i < len(t.ents); i++ {
		e := &t.ents[i]
		if e.phase() == phaseDead {
			continue
		}
		if uint32(i) != to {
			t.ents[to] = *e
			t.moved(to)
		}
		to++
	}
	t.ents = t.ents[:to]
	t.head = 0
}

// moved repairs the links to the entry that is now at i.
func (t *table) moved(i uint32) {
	e := &t.ents[i]
	l := t.listOf(e)
	if l < 0 || l >= len(t.lists) {
		return
	}
	if e.prev != none {
		t.ents[e.prev].next = i
	} else {
		t.lists[l].head = i
	}
	if e.next != none {
		t.ents[e.next].prev = i
	} else {
		t.lists[l].tail = i
	}
}

// find gives the index of seq and whether it is pending. dseq is a hint, 0 if
// unknown: the consumer sequence of its first delivery, as most acknowledgements
// name it, is found at once.
func (t *table) find(seq, dseq uint64) (uint32, bool) {
	if t.live == 0 {
		return 0, false
	}
	lo, hi := t.head, len(t.ents) // the place is in [lo, hi)
	if first := t.ents[lo].dseq; dseq >= first && dseq-first < uint64(hi-lo) {
		// Consumer sequences have gaps, so the place is here or before.
		hi = lo + int(dseq-first) + 1
		if t.ents[hi-1].seq < seq {
			hi = len(t.ents)
		}
	}
	if t.ents[hi-1].seq == seq {
		return uint32(hi - 1), t.ents[hi-1].phase() != phaseDead
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if t.ents[mid].seq < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(t.ents) || t.ents[lo].seq != seq || t.ents[lo].phase() == phaseDead {
		return 0, false
	}
	return uint32(lo), true
}

// seek gives the index of the first pending entry at or after seq and whether
// there is one.
func (t *table) seek(seq uint64) (uint32, bool) {
	if t.live == 0 {
		return 0, false
	}
	lo, hi := t.head, len(t.ents)
	if t.ents[lo].seq >= seq {
		return uint32(lo), true
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if t.ents[mid].seq < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for lo < len(t.ents) && t.ents[lo].phase() == phaseDead {
		lo++
	}
	return uint32(lo), lo < len(t.ents)
}

// kill ends the entry, which must be in no list, and says whether it was the
// lowest.
func (t *table) kill(i uint32) bool {
	e := &t.ents[i]
	if e.count() > 1 {
		t.redelivered--
	}
	e.setPhase(phaseDead)
	t.live--
	if t.holders != nil {
		t.holder(e.member).held--
	}
	lowest := int(i) == t.head
	if t.live == 0 {
		t.ents, t.head = t.ents[:0], 0
		return lowest
	}
	for t.ents[t.head].phase() == phaseDead {
		t.head++
	}
	return lowest
}

// redeliver counts another delivery of the entry, which must be in no list.
func (t *table) redeliver(i, count uint32, now int64, member uint32) {
	e := &t.ents[i]
	if e.count() < 2 && count >= 2 {
		t.redelivered++
	}
	e.setCount(count)
	if t.holders != nil {
		t.holder(e.member).held--
		t.holder(member).held++
	}
	e.time, e.member = now, member
}

// lowest gives the first pending entry; nil if there is none.
func (t *table) lowest() *entry {
	if t.live == 0 {
		return nil
	}
	return &t.ents[t.head]
}

// link puts the entry, which must be in no list, at the end of one.
func (t *table) link(i uint32, l int) {
	e, to := &t.ents[i], &t.lists[l]
	e.prev, e.next = to.tail, none
	if to.tail != none {
		t.ents[to.tail].next = i
	} else {
		to.head = i
	}
	to.tail = i
	if l == queue {
		e.setPhase(phaseQueued)
		t.queued++
	} else {
		e.setPhase(phaseTimed)
	}
}

// unlink takes the entry out of its list, if it is in one.
func (t *table) unlink(i uint32) {
	e := &t.ents[i]
	l := t.listOf(e)
	if l < 0 {
		return
	}
	from := &t.lists[l]
	if e.prev != none {
		t.ents[e.prev].next = e.next
	} else {
		from.head = e.next
	}
	if e.next != none {
		t.ents[e.next].prev = e.prev
	} else {
		from.tail = e.prev
	}
	e.prev, e.next = none, none
	e.setPhase(phaseLoose)
	if l == queue {
		t.queued--
	}
}

// release gives the memory of an empty table back.
func (t *table) release() {
	if t.live == 0 && cap(t.ents) > 64 {
		t.ents, t.head = nil, 0
	}
}
