package consumer

import "github.com/weirmq/weir/internal/seqset"

// ledger is the state that is written down: what a live consumer and its replicas
// have in common.
type ledger struct {
	// serial is the number of the last complete change record.
	serial    uint64
	delivered Position
	// floor moves back by a reset only; nothing at or below it is pending.
	floor Position
	// scanned is the first sequence that was not looked at, as far as that was
	// written down.
	scanned uint64
	tab     table
	// exhausted holds the messages that were delivered as often as allowed. They
	// are not pending and never delivered again, but an acknowledgement still
	// counts for retention.
	exhausted seqset.Set
}

func newLedger(st *State) ledger {
	l := ledger{
		serial: st.Serial, delivered: st.Delivered, floor: st.Floor,
		scanned: max(st.Next, st.Delivered.Stream+1), exhausted: st.Exhausted.Clone(),
	}
	if len(st.Pending) > 0 {
		l.tab.ents = make([]entry, 0, len(st.Pending))
	}
	for i := range st.Pending {
		p := &st.Pending[i]
		l.tab.push(p.Seq, p.DSeq, p.Time, max(p.Count, 1), p.Member)
	}
	return l
}

// State gives a copy.
func (l *ledger) State() State {
	st := State{
		Serial: l.serial, Delivered: l.delivered, Floor: l.floor, Next: l.scanned,
		Exhausted: l.exhausted.Clone(),
	}
	if l.tab.live == 0 {
		return st
	}
	st.Pending = make([]Pending, 0, l.tab.live)
	for i := l.tab.head; i < len(l.tab.ents); i++ {
		e := &l.tab.ents[i]
		if e.phase() != phaseDead {
			st.Pending = append(st.Pending, Pending{
				Seq: e.seq, DSeq: e.dseq, Time: e.time, Count: e.count(), Member: e.member,
			})
		}
	}
	return st
}

// purged moves the position behind a purge of everything before first.
func (l *ledger) purged(first uint64) {
	if first > 0 {
		l.delivered.Stream = max(l.delivered.Stream, first-1)
	}
	l.scanned = max(l.scanned, first)
}
