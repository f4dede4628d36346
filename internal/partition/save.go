package partition

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/record"
)

// The subjects in a checkpoint's state begin with what follows:
//
//	0  nothing: they are made again from the records
//	1  all of them: their number, then each: the length of the name, the name,
//	   count, first, last, the number of listed sequences, those. All numbers are
//	   of variable length.
//	2  how many there are (8 bytes), then the Index's list
const (
	subjectsLost = 0
	subjectsAll  = 1
	subjectsRuns = 2
)

// maxInState is how many subjects are kept in the state itself, as long as their
// entries are short. They cost no file, and are always in memory.
const (
	maxInState      = 32
	maxInStateBytes = 4 << 10
)

// errNoIndex says why the index is made from the records.
var errNoIndex = errors.New("the checkpoint has no subject index")

// savedSubjects are the subjects of a checkpoint on their way to the disk.
type savedSubjects struct {
	block  []byte   // what the state says of them, if it is known already
	layers []*layer // to be written, newest first
	live   int      // subjects with records
	stale  bool
}

// freezeLocked makes a layer of what is committed, for saveSubjects to write, and
// begins a new one that holds what is in flight. Few subjects it encodes at once.
func (p *Partition) freezeLocked() savedSubjects {
	s := &p.subjects
	out := savedSubjects{live: p.liveSubjectsLocked(), stale: s.stale}
	if out.stale {
		out.block = []byte{subjectsLost}
	} else if b, ok := p.appendAllLocked(); ok {
		out.block = b
		return out
	}
	if p.index == nil {
		out.block = []byte{subjectsLost}
		return out
	}
	if s.active.len() == 0 && !s.active.whole {
		out.layers = s.frozen
		return out
	}
	old, next := s.active, &layer{}
	for i := range p.undo {
		u := &p.undo[i]
		if u.seq <= p.done.last || u.last > p.done.last {
			continue // not the first of its entry that is in flight
		}
		next.put(u.entry)
		c := p.committedEntryLocked(u.entry)
		if c.count == 0 && old.whole {
			old.remove([]byte(c.name))
		} else {
			old.put(c)
		}
	}
	s.active, s.frozen = next, append([]*layer{old}, s.frozen...)
	s.gen++
	out.layers = s.frozen
	return out
}

// committedEntryLocked is what an entry is without what is in flight.
func (p *Partition) committedEntryLocked(e *entry) *entry {
	c := &entry{name: e.name, low: e.low}
	c.count, c.last = p.committedLocked(e)
	if c.count == 0 {
		c.low, c.last = 0, 0
		return c
	}
	if e.list != nil {
		n, _ := slices.BinarySearch(*e.list, p.done.last+1)
		c.setSeqs(slices.Clone((*e.list)[:n]))
	}
	return c
}

// appendAllLocked encodes all subjects if they are few and in memory.
func (p *Partition) appendAllLocked() ([]byte, bool) {
	a := p.subjects.active
	if !a.whole || a.len() > maxInState {
		return nil, false
	}
	b := []byte{subjectsAll}
	var entries []*entry
	for e := range a.matching("") {
		if c := p.committedEntryLocked(e); c.count > 0 {
			entries = append(entries, c)
		}
	}
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	b = binary.AppendUvarint(b, uint64(len(entries)))
	var buf [2]uint64
	for _, e := range entries {
		s := e.state(buf[:0])
		b = binary.AppendUvarint(b, uint64(len(e.name)))
		b = append(b, e.name...)
		b = binary.AppendUvarint(b, s.Count)
		b = binary.AppendUvarint(b, s.First)
		b = binary.AppendUvarint(b, s.Last)
		b = binary.AppendUvarint(b, uint64(len(s.Seqs)))
		for _, seq := range s.Seqs {
			b = binary.AppendUvarint(b, seq)
		}
		if len(b) > maxInStateBytes {
			return nil, false
		}
	}
	return b, true
}

// saveSubjects writes the frozen layers as a run and completes what the state says
// of the subjects. It returns the list that the state names, nil if it names none.
// Where the run cannot be written the checkpoint is taken without an index: that it
// frees space must not depend on space.
func (p *Partition) saveSubjects(s *savedSubjects) (list []byte) {
	if p.index == nil {
		return nil
	}
	if len(s.block) > 0 && s.block[0] == subjectsAll {
		if err := p.index.Write(true, nothing); err != nil {
			return nil
		}
		return p.index.List()
	}
	if err := p.writeRun(s.layers); err != nil {
		s.block = []byte{subjectsLost}
		return nil
	}
	if s.stale {
		return nil
	}
	list = p.index.List()
	s.block = append(binary.LittleEndian.AppendUint64([]byte{subjectsRuns}, uint64(s.live)), list...)
	return list
}

// nothing gives no states.
func nothing(func(string, *SubjectState) bool) {}

// writeRun writes layers that are frozen, unless they were cleared meanwhile: the
// state is of before.
func (p *Partition) writeRun(layers []*layer) error {
	if len(layers) == 0 {
		return nil
	}
	merged := mergeLayers(layers)
	entries := slices.SortedFunc(merged.matching(""), func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	err := p.index.Write(merged.whole, func(yield func(string, *SubjectState) bool) {
		var buf [2]uint64
		for _, e := range entries {
			if e.count == 0 && merged.whole {
				continue // it hides nothing
			}
			if s := e.state(buf[:0]); !yield(e.name, &s) {
				return
			}
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.subjects.frozen) == 0 {
		return err // they were cleared meanwhile
	}
	if err != nil {
		p.subjects.frozen = []*layer{merged}
		return err
	}
	p.subjects.frozen = nil
	p.subjects.gen++
	return nil
}

// mergeLayers makes one layer of several, the newest of which is the first.
func mergeLayers(layers []*layer) *layer {
	if len(layers) == 1 {
		return layers[0]
	}
	m := &layer{}
	for _, l := range layers {
		for e := range l.matching("") {
			if m.find([]byte(e.name)) == nil {
				m.put(e)
			}
		}
		if l.whole {
			m.whole = true
			break
		}
	}
	return m
}

// restoreSubjects comes back to the subjects of a checkpoint. Where that cannot be
// it reads the records, and says so.
func (p *Partition) restoreSubjects(b []byte) error {
	kind := byte(subjectsLost)
	if len(b) > 0 {
		kind = b[0]
	}
	var why error
	switch {
	case kind == subjectsAll:
		if why = p.restoreAll(b[1:]); why == nil {
			return p.openIndex(nil)
		}
	case kind == subjectsRuns && p.index != nil:
		if why = p.restoreRuns(b[1:]); why == nil {
			return nil
		}
	default:
		why = errNoIndex
	}
	if p.index != nil && (p.done.records > 0 || kind != subjectsLost) {
		p.remade.Store(true)
		p.index.Lost(why)
	}
	l, err := p.readSubjects()
	if err != nil {
		return err
	}
	p.subjects.clear()
	p.subjects.active, p.subjects.live = l, l.len()
	return p.openIndex(nil)
}

func (p *Partition) openIndex(list []byte) error {
	if p.index == nil {
		return nil
	}
	return p.index.Open(list)
}

func (p *Partition) restoreRuns(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("list of runs of %d bytes: %w", len(b), record.ErrDamaged)
	}
	if err := p.index.Open(b[8:]); err != nil {
		return err
	}
	p.subjects.active, p.subjects.live = &layer{}, int(binary.LittleEndian.Uint64(b))
	return nil
}

func (p *Partition) restoreAll(b []byte) error {
	entries, err := decodeAll(b)
	if err != nil {
		return err
	}
	for _, e := range entries {
		p.subjects.active.put(e)
	}
	p.subjects.live = p.subjects.active.len()
	return nil
}

// decodeAll reads what appendAllLocked wrote. It is total.
func decodeAll(b []byte) ([]*entry, error) {
	var failed bool
	number := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			failed, b = true, nil
			return 0
		}
		b = b[k:]
		return n
	}
	n := number()
	if n > uint64(len(b)) {
		return nil, fmt.Errorf("%d subjects in %d bytes: %w", n, len(b), record.ErrDamaged)
	}
	entries := make([]*entry, 0, n)
	for range n {
		size := number()
		if failed || size > uint64(len(b)) {
			return nil, fmt.Errorf("name of a subject: %w", record.ErrDamaged)
		}
		name := string(b[:size])
		b = b[size:]
		s := SubjectState{Count: number(), First: number(), Last: number()}
		listed := number()
		if listed > maxListed {
			return nil, fmt.Errorf("%d sequences of a subject: %w", listed, record.ErrDamaged)
		}
		for range listed {
			s.Seqs = append(s.Seqs, number())
		}
		if failed || s.Count == 0 || s.First >= exact || s.Last != 0 && s.Last < s.First || !slices.IsSorted(s.Seqs) {
			return nil, fmt.Errorf("state of a subject: %w", record.ErrDamaged)
		}
		entries = append(entries, entryOf(name, &s))
	}
	if failed || len(b) != 0 {
		return nil, fmt.Errorf("length of the subjects: %w", record.ErrDamaged)
	}
	return entries, nil
}

// readSubjects reads the live records once and counts them by subject. A damaged
// one is left out: whoever reads it is told.
func (p *Partition) readSubjects() (*layer, error) {
	l := &layer{whole: true}
	listed := p.subjects.listed()
	err := p.eachLive(func(v *record.View) error {
		e := l.find(v.Subject)
		if e == nil {
			e = &entry{name: string(v.Subject)}
			l.put(e)
		}
		e.add(v.Seq, listed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}
