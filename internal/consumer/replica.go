package consumer

// Replica is a consumer's state without its life: it applies the change records
// of the live one, on this node or another. What follows from removing records is
// derived by it, as by the live consumer.
type Replica struct {
	ledger
	resets int
}

// NewReplica makes a replica with a copy of st.
func NewReplica(st State) *Replica {
	return &Replica{ledger: newLedger(&st)}
}

// AppendState appends the encoded state to dst.
func (r *Replica) AppendState(dst []byte) []byte {
	st := r.State()
	return AppendState(dst, &st)
}

// Progress gives the last delivery and the floor.
func (r *Replica) Progress() (delivered, floor Position) { return r.delivered, r.floor }

// Needs says whether the consumer may still want the record: it was not delivered
// yet, or is pending, or was given up without an acknowledgement. Whether it
// matches the filters is the caller's knowledge.
func (r *Replica) Needs(seq uint64) bool {
	if seq > r.delivered.Stream || r.exhausted.Contains(seq) {
		return true
	}
	_, ok := r.tab.find(seq, 0)
	return ok
}

// Apply makes a change record take effect and reports each message that was
// acknowledged (or delivered, where no acknowledgement is wanted), in no
// particular order. A record that is in the state already is ignored. A damaged
// one changes nothing and gives an error that wraps ErrDamaged.
func (r *Replica) Apply(change []byte, acked func(seq uint64)) error {
	serial, f, err := readChange(change)
	if err != nil {
		return err
	}
	if serial <= r.serial {
		return nil
	}
	if err := checkChange(f); err != nil {
		return err
	}
	var x fact
	for f.next(&x) {
		r.apply(&x, acked)
	}
	r.serial = serial
	return nil
}

func (r *Replica) apply(x *fact, acked func(uint64)) {
	switch x.kind {
	case factDelivered, factDone:
		r.deliveredRun(x, acked)
	case factRedelivered:
		r.redelivered(x)
	case factAcked:
		r.acked(x.seq, x.seq+x.n-1, acked)
	case factAckedThrough:
		r.acked(0, x.seq, acked)
	case factWaits:
		if i, ok := r.tab.find(x.seq, 0); ok {
			r.tab.ents[i].time = x.time
		}
	case factExhausted:
		r.drop(x.seq)
		if x.seq <= r.delivered.Stream {
			r.exhausted.Add(x.seq)
		}
	case factDropped:
		r.drop(x.seq)
	case factDroppedBelow:
		r.dropBelow(x.seq)
	case factPurged:
		r.dropBelow(x.seq)
		r.purged(x.seq)
	case factScanned:
		r.scanned = max(r.scanned, x.seq)
	case factFloor:
		r.raiseTo(Position{x.dseq, x.seq})
	case factReset:
		r.reset(x.seq)
		r.resets++
	}
}

// raiseTo moves the floor, as far as that is possible: after a gap in the records
// something below it may be pending still.
func (r *Replica) raiseTo(at Position) {
	e := r.tab.lowest()
	if e != nil && (e.seq <= at.Stream || e.dseq <= at.Consumer) {
		return
	}
	if r.floor.within(at) && at.within(r.delivered) {
		r.floor = at
	}
}

func (r *Replica) deliveredRun(x *fact, acked func(uint64)) {
	for i := range x.n {
		seq, dseq := x.seq+i, x.dseq+i
		if dseq <= r.delivered.Consumer || seq <= r.delivered.Stream {
			continue
		}
		r.delivered = Position{dseq, seq}
		if x.kind == factDone {
			r.raiseTo(r.delivered)
			acked(seq)
			continue
		}
		r.tab.push(seq, dseq, x.time, 1, x.member)
	}
	r.scanned = max(r.scanned, r.delivered.Stream+1)
}

func (r *Replica) redelivered(x *fact) {
	if x.dseq <= r.delivered.Consumer {
		return
	}
	r.delivered.Consumer = x.dseq
	if i, ok := r.tab.find(x.seq, 0); ok {
		r.tab.redeliver(i, x.count, x.time, x.member)
	}
}

// acked ends everything from first to last.
func (r *Replica) acked(first, last uint64, acked func(uint64)) {
	for from := first; from <= last; {
		i, ok := r.tab.seek(from)
		if !ok || r.tab.ents[i].seq > last {
			break
		}
		seq := r.tab.ents[i].seq
		r.tab.kill(i)
		acked(seq)
		from = seq + 1
	}
	r.ackExhausted(first, last, acked)
}

func (r *Replica) ackExhausted(first, last uint64, acked func(uint64)) {
	for r.exhausted.Count() > 0 {
		seq, ok := r.exhausted.NextPresent(first)
		if !ok || seq > last {
			return
		}
		r.exhausted.Remove(seq)
		acked(seq)
	}
}

func (r *Replica) drop(seq uint64) {
	if i, ok := r.tab.find(seq, 0); ok {
		r.tab.kill(i)
	}
	r.exhausted.Remove(seq)
}

func (r *Replica) dropBelow(seq uint64) {
	for e := r.tab.lowest(); e != nil && e.seq < seq; e = r.tab.lowest() {
		r.tab.kill(uint32(r.tab.head))
	}
	r.exhausted.RemoveBelow(seq)
}

// Removed says that records went away: everything before first, and seqs.
func (r *Replica) Removed(first uint64, seqs ...uint64) {
	r.dropBelow(first)
	for _, seq := range seqs {
		if r.tab.live == 0 && r.exhausted.Count() == 0 {
			return
		}
		r.drop(seq)
	}
}
