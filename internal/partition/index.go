package partition

import (
	"fmt"
	"iter"

	"github.com/weirmq/weir/internal/subject"
)

// SubjectState is what an Index keeps of one subject. Count 0 is a tombstone: the
// subject has no live record.
type SubjectState struct {
	Count uint64 // of live records
	First uint64 // at most the first live sequence
	Last  uint64 // the last live sequence, 0 if it must be found by reading
	Seqs  []uint64
	// Seqs are all live sequences, rising, if there are few and they are known.
}

// Index keeps the subjects' states on disk, in immutable runs of which a newer
// one hides the older (seglog/subjects). A partition calls all but View from one
// goroutine at a time. An error of reading costs no more than time: the partition
// makes the index again from the records.
type Index interface {
	// Open begins with the runs that a list names, with none where it is nil.
	Open(list []byte) error
	// View is what there is now. It is called with the partition's lock held: it
	// must not wait for a disk.
	View() (IndexView, error)
	// Write adds a run of states, tombstones included, that rise by subject; with
	// clear it is all there is. What it is given is not kept. It tells of errors.
	Write(clear bool, states iter.Seq2[string, *SubjectState]) error
	// List names the runs of now, for the checkpoint's state.
	List() []byte
	// Saved says that the state with list is durable.
	Saved(list []byte)
	// Lost says that the index is made again from the records, and why.
	Lost(why error)
	// Held says about how many subjects are in memory until the next checkpoint: one
	// is asked for so when they are too many. No lock is held.
	Held(n int)
	Close()
}

// IndexView is an index at one moment. It must be closed. It reads the disk.
type IndexView interface {
	Lookup(name []byte) (SubjectState, bool, error)
	// Each calls f for the subjects that a pattern matches, empty for all, until it
	// returns false. What f gets is valid during the call.
	Each(pattern string, f func(name []byte, s *SubjectState) bool) error
	Close()
}

// need are subjects that are to be looked up in the index before the lock is
// taken, as of a generation.
type need struct {
	gen   uint64
	view  IndexView // nil while nothing is missing
	names []string
	found []SubjectState // of names, once fetched
}

// gatherLocked adds a subject, unless it is known.
func (p *Partition) gatherLocked(n *need, name []byte) error {
	if _, known := p.subjects.seek(name); known {
		return nil
	}
	if n.view == nil {
		v, err := p.index.View()
		if err != nil {
			return err
		}
		n.view = v
	}
	n.names = append(n.names, string(name))
	return nil
}

func (n *need) close() {
	if n.view != nil {
		n.view.Close()
	}
}

// fetch reads what is missing, without the lock, and closes the view.
func (n *need) fetch() error {
	defer n.close()
	for _, name := range n.names {
		s, _, err := n.view.Lookup([]byte(name))
		if err != nil {
			return err
		}
		n.found = append(n.found, s)
	}
	return nil
}

// supplyLocked makes known what was fetched. False: it must be fetched anew.
func (p *Partition) supplyLocked(n *need) bool {
	if n.gen != p.subjects.gen {
		return false
	}
	for i, name := range n.names {
		if _, known := p.subjects.seek([]byte(name)); !known {
			p.subjects.loaded.put(entryOf(name, &n.found[i]))
		}
	}
	return true
}

// lockWith takes the lock with the subjects known that each calls for. Where they
// cannot be known it gives an error, and the lock is not held.
func (p *Partition) lockWith(names iter.Seq[[]byte]) error {
	p.mu.Lock()
	for !p.subjects.whole() {
		p.subjects.trimLoaded()
		n := need{gen: p.subjects.gen}
		var err error
		for name := range names {
			if err = p.gatherLocked(&n, name); err != nil {
				break
			}
		}
		if err == nil && n.view == nil {
			return nil
		}
		p.mu.Unlock()
		if err == nil {
			err = n.fetch()
		} else {
			n.close()
		}
		if err != nil {
			return fmt.Errorf("read the subject index: %w", err)
		}
		p.mu.Lock()
		if p.supplyLocked(&n) {
			return nil
		}
	}
	return nil
}

// one is a sequence of one subject.
func one(name []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yield(name) }
}

// found is a subject that a visit comes to.
type found struct {
	raw   []byte // valid during the call
	text  string // where raw is nil
	count uint64 // of visible records, from 1
	last  uint64 // the last of them, 0 if it must be found by reading
	first uint64 // none is below it
	// seqs are all live sequences, those in flight too, if they are known; valid during
	// the call.
	seqs []uint64
}

func (f *found) name() string {
	if f.raw != nil {
		return string(f.raw)
	}
	return f.text
}

// visit calls f for each subject with visible records that one of the patterns
// matches, as of one moment, until it returns false. committed was the last
// sequence then, and removals the number of removals. f may be called under the
// lock. An empty pattern matches all. What is on disk is read without the lock.
func (p *Partition) visit(patterns []string, f func(found) bool) (committed, removals uint64, err error) {
	p.mu.RLock()
	committed, removals = p.done.last, p.removals.Load()
	frozen := p.subjects.frozen
	v := visitor{f: f, hide: !p.subjects.active.whole}
	for _, pattern := range patterns {
		for e := range p.subjects.active.matching(pattern) {
			if count, last := p.committedLocked(e); !v.entry(e, count, last) {
				break
			}
		}
	}
	var view IndexView
	if !v.ended && !p.subjects.whole() {
		view, err = p.index.View()
	}
	p.mu.RUnlock()
	if err != nil || v.ended || !v.hide {
		return committed, removals, err
	}
	return committed, removals, v.lower(patterns, frozen, view)
}

// visitor passes over what a newer layer has told already.
type visitor struct {
	f      func(found) bool
	hide   bool // there is something below
	hidden map[string]struct{}
	ended  bool // f returned false
	buf    [2]uint64
}

// lower goes on with the frozen layers and the index, which it closes; view is nil
// where memory knows all.
func (v *visitor) lower(patterns []string, frozen []*layer, view IndexView) error {
	if view != nil {
		defer view.Close()
	}
	for _, l := range frozen {
		for _, pattern := range patterns {
			for e := range l.matching(pattern) {
				if !v.entry(e, e.count, e.last) {
					return nil
				}
			}
		}
		if l.whole {
			return nil
		}
	}
	for _, pattern := range patterns {
		if _, seen := v.hidden[pattern]; seen && literal(pattern) {
			continue // nothing more matches it
		}
		if err := view.Each(pattern, v.state); err != nil {
			return fmt.Errorf("read the subject index: %w", err)
		}
		if v.ended {
			return nil
		}
	}
	return nil
}

// entry visits an entry of a layer; false: no more is wanted.
func (v *visitor) entry(e *entry, count, last uint64) bool {
	if v.hide {
		if _, seen := v.hidden[e.name]; seen {
			return true
		}
		if v.hidden == nil {
			v.hidden = map[string]struct{}{}
		}
		v.hidden[e.name] = struct{}{}
	}
	if count > 0 && !v.ended {
		v.ended = !v.f(found{text: e.name, count: count, last: last, first: e.first(), seqs: e.seqs(v.buf[:0])})
	}
	return !v.ended
}

// state visits a subject of the index.
func (v *visitor) state(name []byte, s *SubjectState) bool {
	if _, seen := v.hidden[string(name)]; !seen && s.Count > 0 {
		seqs := s.Seqs
		if s.Count == 1 && s.First == s.Last {
			seqs = append(v.buf[:0], s.Last)
		}
		v.ended = !v.f(found{raw: name, count: s.Count, last: s.Last, first: s.First, seqs: seqs})
	}
	return !v.ended
}

// visitTries is how often a visit is begun anew after the index was made again.
const visitTries = 3

// survey is visit that mends the index if it cannot be read. begin is called
// before each try.
func (p *Partition) survey(patterns []string, begin func(), f func(found) bool) (committed, removals uint64, err error) {
	for range visitTries {
		begin()
		if committed, removals, err = p.visit(patterns, f); err == nil {
			return committed, removals, nil
		}
		if err = p.mend(err); err != nil {
			return 0, 0, err
		}
	}
	return 0, 0, err
}

// mend makes the index again from the records after it could not be read.
func (p *Partition) mend(why error) error {
	p.applying.Lock()
	defer p.applying.Unlock()
	return p.remake(why)
}

// remake is mend for who holds p.applying.
func (p *Partition) remake(why error) error {
	p.mu.RLock()
	whole, closed := p.subjects.whole(), p.subjects.closed
	p.mu.RUnlock()
	if whole {
		return nil // somebody else has done so
	}
	if closed {
		return why
	}
	p.remade.Store(true)
	p.index.Lost(why)
	l, err := p.readSubjects()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subjects.clear()
	p.subjects.active, p.subjects.live = l, l.len()
	p.redoLocked()
	return nil
}

// literal says that a pattern matches the subject of its name only.
func literal(pattern string) bool { return pattern != "" && !subject.HasWildcard(pattern) }
