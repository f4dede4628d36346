package partition

import "github.com/weirmq/weir/internal/record"

// savepoint is what the tip was before a batch that is kept whole or not at all.
type savepoint struct {
	tip     position
	undo    int // how many there were
	ids     int // how many of dedup.order there were
	lastID  record.ID
	hasLast bool
	entries []savedEntry // of the subjects that the batch has changed
	// before are the last sequences of the first of entries, as many as were asked for.
	before map[*entry]uint64
}

// savedEntry is a subject as it was.
type savedEntry struct {
	entry *entry
	was   entry
	total total
}

func (p *Partition) saveLocked(s *savepoint) {
	*s = savepoint{tip: p.tip, undo: len(p.undo), ids: len(p.dedup.order), lastID: p.lastID, hasLast: p.hasLast}
}

// keepLocked notes an entry, which is owned, before its first change.
func (p *Partition) keepLocked(s *savepoint, e *entry) {
	was := *e
	was.list = cloneList(e.list)
	s.entries = append(s.entries, savedEntry{e, was, p.totals[e.name]})
}

// lastOf is the last sequence that an entry had before the batch.
func (s *savepoint) lastOf(e *entry) uint64 {
	if len(s.entries) == 0 {
		return e.last
	}
	if s.before == nil {
		s.before = map[*entry]uint64{}
	}
	for _, saved := range s.entries[len(s.before):] {
		s.before[saved.entry] = saved.was.last
	}
	if last, changed := s.before[e]; changed {
		return last
	}
	return e.last
}

// rollBackLocked makes the tip what it was. What was reserved of the budget is
// given back.
func (p *Partition) rollBackLocked(s *savepoint) {
	p.budget.Return(p.tip.bytes - s.tip.bytes)
	p.tip = s.tip
	clear(p.undo[s.undo:])
	p.undo = p.undo[:s.undo]
	p.dedup.cut(s.ids)
	p.lastID, p.hasLast = s.lastID, s.hasLast
	for i := range s.entries {
		p.restoreLocked(&s.entries[i])
	}
}

func (p *Partition) restoreLocked(s *savedEntry) {
	*s.entry = s.was
	if s.total.seq != 0 {
		p.totals[s.was.name] = s.total
	} else {
		delete(p.totals, s.was.name)
	}
	if s.was.count > 0 {
		return
	}
	p.subjects.live--
	if p.subjects.active.whole {
		p.subjects.active.remove([]byte(s.was.name)) // there is nothing below that it hides
	}
}
