package partition

import (
	"slices"
)

// maxListed is the largest limit for each subject at which sequences are listed
// in the entry, as key-value histories are.
const maxListed = 64

// maxLoaded is how many unchanged subjects stay in memory, beside the pages that
// the index itself keeps.
const maxLoaded = 8192

// layer is a part of the subject index in memory: the subjects that changed in
// some stretch of the log, those that are gone as entries that count nothing.
type layer struct {
	table
	// whole says that what is not in it has no live record, whatever lies below.
	whole bool
}

// subjects is the index of the tip: for each subject how many live records it
// has and which is the last. What it does not hold is in the layers below, then
// on disk. Guarded by Partition.mu.
type subjects struct {
	limits *Limits
	active *layer
	// frozen are the layers that a checkpoint is about to write, newest first.
	// They say what was applied at it and never change.
	frozen []*layer
	// loaded are subjects that were read and did not change since. None of them
	// is in a layer.
	loaded table
	live   int // subjects with records
	// gen rises when what was known may be known no more, or be told by another
	// run: a look-up of before must not be believed.
	gen  uint64
	told int // of the subjects that are held, see Index.Held
	// stale says that counts are too high by records that could not be read: the
	// index is not saved.
	stale bool
	// closed says that the index is not read any more.
	closed bool
}

func (s *subjects) init(l *Limits) {
	s.limits = l
	s.clear()
}

// clear forgets all subjects.
func (s *subjects) clear() {
	s.active, s.frozen, s.loaded, s.live = &layer{whole: true}, nil, table{}, 0
	s.stale = false
	s.gen++
}

func (s *subjects) listed() bool {
	return s.limits.MaxPerSubject > 0 && s.limits.MaxPerSubject <= maxListed
}

// whole says that memory knows all subjects.
func (s *subjects) whole() bool {
	return s.active.whole || slices.ContainsFunc(s.frozen, func(l *layer) bool { return l.whole })
}

// find returns the subject's entry, nil if it has no live record. If it is not
// known, it must be loaded first. Only entries of the active layer may change.
func (s *subjects) find(name []byte) (e *entry, known bool) {
	e, known = s.seek(name)
	if e != nil && e.count == 0 {
		e = nil
	}
	return e, known
}

// seek is find that gives entries that count nothing, too.
func (s *subjects) seek(name []byte) (*entry, bool) {
	if e := s.active.find(name); e != nil || s.active.whole {
		return e, true
	}
	for _, l := range s.frozen {
		if e := l.find(name); e != nil || l.whole {
			return e, true
		}
	}
	e := s.loaded.find(name)
	return e, e != nil
}

// own returns the subject's entry in the active layer, where it is put if it is
// not there. The subject must be known.
func (s *subjects) own(name []byte) *entry {
	e := s.active.find(name)
	if e != nil {
		return e
	}
	if old, _ := s.seek(name); old != nil {
		c := *old
		c.list = cloneList(old.list)
		e = &c
		s.loaded.remove(name)
	} else {
		e = &entry{name: string(name)}
	}
	s.active.put(e)
	return e
}

// count counts a record into an owned entry, the newest of its subject.
func (s *subjects) count(e *entry, seq uint64) {
	if e.count == 0 {
		s.live++
	}
	e.add(seq, s.listed())
}

// remove counts a record out. Its subject must be known.
func (s *subjects) remove(name []byte, seq uint64) {
	if e := s.counted(name); e != nil {
		s.uncount(e, seq)
	}
}

// counted returns the owned entry of a subject that has live records, nil if it has none.
// It must be known.
func (s *subjects) counted(name []byte) *entry {
	if e := s.active.find(name); e != nil {
		if e.count == 0 {
			return nil
		}
		return e
	}
	if e, _ := s.find(name); e == nil {
		return nil
	}
	return s.own(name)
}

// uncount counts a record out of an owned entry that counts some.
func (s *subjects) uncount(e *entry, seq uint64) {
	e.remove(seq)
	if e.count > 0 {
		return
	}
	s.live--
	if s.active.whole {
		s.active.remove([]byte(e.name)) // there is nothing below that it hides
	}
}

// trimLoaded bounds what is kept of unchanged subjects.
func (s *subjects) trimLoaded() {
	if s.loaded.len() > maxLoaded {
		s.loaded = table{}
		s.gen++
	}
}

// toldEvery is how many subjects are held more, or fewer, before it is told.
const toldEvery = 4096

// heldLocked is how many subjects memory holds until the next checkpoint, and
// whether that is to be told.
func (p *Partition) heldLocked() (n int, tell bool) {
	s := &p.subjects
	n = s.active.len()
	for _, l := range s.frozen {
		n += l.len()
	}
	if p.index == nil || n-s.told < toldEvery && s.told-n < toldEvery {
		return n, false
	}
	s.told = n
	return n, true
}

// tellHeld tells how many subjects are held, if that has changed.
func (p *Partition) tellHeld() {
	if p.index == nil {
		return
	}
	p.mu.Lock()
	n, tell := p.heldLocked()
	p.mu.Unlock()
	if tell {
		p.index.Held(n)
	}
}

// undo says what a subject's last record was before the one at seq, which is not
// committed yet. Undo records are of successive sequences, but for those of a frame
// that keeps its places while it is applied, and their entries are in the active
// layer.
type undo struct {
	seq   uint64
	entry *entry
	last  uint64
}

// committedLocked is how many live records of an entry are committed, and the
// last of them, 0 if it is not known. Those in flight are found one from another.
func (p *Partition) committedLocked(e *entry) (count, last uint64) {
	count, last = e.count, e.last
	for last > p.done.last {
		last = p.undo[last-p.undo[0].seq].last
		count--
	}
	if last != e.last && !p.live(last) {
		last = 0 // removed while later ones are in flight
	}
	return count, last
}

// liveSubjectsLocked is the number of subjects with committed records.
func (p *Partition) liveSubjectsLocked() int {
	n := p.subjects.live
	for i := range p.undo {
		if u := &p.undo[i]; u.seq > p.done.last && u.last <= p.done.last {
			if count, _ := p.committedLocked(u.entry); count == 0 {
				n-- // all it has is in flight
			}
		}
	}
	return n
}

// commitUndoLocked drops the undo records of what is committed now.
func (p *Partition) commitUndoLocked() {
	n := 0
	if len(p.undo) > 0 && p.undo[0].seq <= p.done.last {
		n = int(min(p.done.last-p.undo[0].seq+1, uint64(len(p.undo))))
	}
	clear(p.undo[:n])
	if len(p.undo)-n > n {
		p.undo = p.undo[n:] // moving the rest would cost more than what went
		return
	}
	rest := copy(p.undo, p.undo[n:])
	clear(p.undo[rest:])
	p.undo = p.undo[:rest]
}

// redoLocked counts what is in flight into an index that holds what is committed.
func (p *Partition) redoLocked() {
	keep := p.undo
	p.undo = nil
	for _, u := range keep {
		if u.seq <= p.done.last {
			continue
		}
		e := p.subjects.own([]byte(u.entry.name))
		before := e.last
		p.subjects.count(e, u.seq)
		p.undo = append(p.undo, undo{u.seq, e, before})
	}
}
