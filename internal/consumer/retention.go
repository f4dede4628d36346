package consumer

// What is kept of a stream may depend on its consumers. A Replica says what it
// still has to do with a record.

// Position is the first sequence that was not looked at, as far as that is written
// down: what is below it will not be delivered for the first time any more.
func (r *Replica) Position() uint64 { return r.scanned }

// Resets counts the resets since NewReplica. After one the consumer holds nothing of
// what it held, also where Position went up.
func (r *Replica) Resets() int { return r.resets }

// Holds says whether the record was delivered and is not acknowledged: it is
// pending, or was delivered as often as allowed.
func (r *Replica) Holds(seq uint64) bool {
	if r.exhausted.Contains(seq) {
		return true
	}
	_, ok := r.tab.find(seq, 0)
	return ok
}

// Held gives the sequences of which Holds is true.
func (r *Replica) Held() []uint64 {
	held := make([]uint64, 0, r.tab.live+int(r.exhausted.Count()))
	for i := r.tab.head; i < len(r.tab.ents); i++ {
		if e := &r.tab.ents[i]; e.phase() != phaseDead {
			held = append(held, e.seq)
		}
	}
	for seq := range r.exhausted.All() {
		held = append(held, seq)
	}
	return held
}
