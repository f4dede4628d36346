package stream

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/subject"
)

// tally counts the matching live records below a sequence. What is counted in is
// read from the log, what goes is told by events, later. So that each removal is
// counted out if and only if its record was counted in, a tally remembers when it
// read what, until all events of before have come.
type tally struct {
	n     uint64
	next  uint64 // what is below it was read
	walks []walk // rising; what is below next and in none of them was read long ago
}

// walk is one reading of the sequences from one up to another, not included.
type walk struct {
	from, to      uint64
	before, after uint64   // the number of removals when it began and when it ended
	seqs          []uint64 // what it counted; nil where before is after
}

// start begins at a sequence below which n records are live, as of a number of
// removals.
func (t *tally) start(next, n, removals, seen uint64) {
	*t = tally{n: n, walks: t.walks[:0]}
	t.add(walk{to: next, before: removals, after: removals}, 0, seen)
}

// add counts in what a walk found. seen is the number of the last removal that
// an event told of.
func (t *tally) add(w walk, n, seen uint64) {
	t.n += n
	t.next = w.to
	t.walks = slices.DeleteFunc(t.walks, func(o walk) bool { return o.after <= seen })
	if w.after <= seen {
		return
	}
	if i := len(t.walks) - 1; i >= 0 && w.before == w.after {
		if o := &t.walks[i]; o.to == w.from && o.before == w.before && o.after == w.after {
			o.to = w.to
			return
		}
	}
	t.walks = append(t.walks, w)
}

// counted says whether the record that removal number n took is in the count.
func (t *tally) counted(seq, n uint64) bool {
	if seq >= t.next {
		return false
	}
	for i := range t.walks {
		w := &t.walks[i]
		if seq < w.from || seq >= w.to {
			continue
		}
		if n <= w.before {
			return false
		}
		if n <= w.after {
			_, ok := slices.BinarySearch(w.seqs, seq)
			return ok
		}
	}
	return true
}

// removed counts a record out that is gone.
func (t *tally) removed(seq, n uint64) {
	if t.n > 0 && t.counted(seq, n) {
		t.n--
	}
}

// chunk is how many records are read between two looks at the number of removals.
const chunk = 4096

// read counts in the matching records up to a sequence, not included, which is
// visible.
func (t *tally) read(p *partition.Partition, to, seen uint64, filter *subject.Filter) {
	r := p.ReaderOf(filter, t.next)
	defer r.Close()
	for t.next < to {
		w := walk{from: t.next, to: to, before: p.Removals()}
		n := uint64(0)
		for i := 0; ; i++ {
			if i == chunk {
				w.to = min(max(r.Position(), t.next), to)
				break
			}
			v, err := r.Next()
			if errors.Is(err, io.EOF) || v.Seq >= to || r.Position() > to {
				break
			}
			if err == nil && filter.Matches(v.Subject) {
				w.seqs = append(w.seqs, v.Seq)
				n++
			}
		}
		if w.after = p.Removals(); w.after == w.before {
			w.seqs = nil
		}
		t.add(w, n, seen)
	}
}

// filterCount is how many visible records of a stream a filter matches. Equal
// filters share one. Only the shard uses it.
type filterCount struct {
	part    *partition.Partition
	state   *streamState
	filter  *subject.Filter
	all     tally
	sources map[*source]struct{}
}

func filterKey(f *subject.Filter) string { return strings.Join(f.Patterns, "\x00") }

// countOf gives a source its share in the count of its filter.
func (sh *Shard) countOf(s *Stream, src *source) {
	st := sh.state(s)
	key := filterKey(src.filter)
	fc := st.counts[key]
	if fc == nil {
		fc = &filterCount{part: s.part, state: st, filter: src.filter, sources: map[*source]struct{}{}}
		st.counts[key] = fc
		fc.rebuild()
	}
	fc.sources[src] = struct{}{}
	src.count = fc
	src.restart()
}

// forget ends a source's share in its count.
func (sh *Shard) forget(src *source) {
	fc := src.count
	if fc == nil {
		return
	}
	src.count = nil
	delete(fc.sources, src)
	if len(fc.sources) == 0 {
		delete(fc.state.counts, filterKey(fc.filter))
	}
}

// rebuild counts anew with the subject index.
func (fc *filterCount) rebuild() {
	n, committed, removals := fc.part.Count(fc.filter.Patterns)
	fc.all.start(committed+1, n, removals, fc.state.seen)
}

// farBehind is how many new records are counted by the index and not by reading.
const farBehind = 64 << 10

// follow counts the records that were committed since.
func (fc *filterCount) follow() {
	end := fc.part.Committed() + 1
	switch {
	case end <= fc.all.next:
	case end-fc.all.next > farBehind:
		fc.rebuild()
	default:
		fc.all.read(fc.part, end, fc.state.seen, fc.filter)
	}
}

// removed takes a record out that went away.
func (fc *filterCount) removed(seq, n uint64, subj []byte) {
	if !fc.filter.Matches(subj) {
		return
	}
	fc.all.removed(seq, n)
	for s := range fc.sources {
		s.below.removed(seq, n)
	}
}

// cleared starts anew after all records went.
func (fc *filterCount) cleared() {
	fc.rebuild()
	for s := range fc.sources {
		s.restart()
	}
}

// from is the number of matching records at or after a position of a source.
func (fc *filterCount) from(s *source, pos uint64) uint64 {
	fc.follow()
	s.moveTo(pos)
	return fc.all.n - min(fc.all.n, s.below.n)
}

// restart begins to count what is below the position from the first record on.
func (s *source) restart() {
	first := s.part.First()
	s.below.start(first, 0, s.part.Removals(), s.count.state.seen)
}

// moveTo makes below the count of the matching records before pos.
func (s *source) moveTo(pos uint64) {
	pos = min(pos, s.part.Committed()+1)
	if pos < s.below.next {
		s.restart()
	}
	from := s.below.next
	if pos <= from {
		return
	}
	if s.run.from > from || s.reader == nil || s.position() < pos || s.count.state.seen > s.run.since {
		s.below.read(s.part, pos, s.count.state.seen, s.filter)
		s.run.pass(pos, s.part.Removals())
		return
	}
	// Delivering has read it already, and no event of a later removal came since.
	w := walk{from: from, to: pos, before: s.run.since, after: s.part.Removals()}
	seqs := s.run.pass(pos, w.after)
	if w.before != w.after {
		w.seqs = slices.Clone(seqs)
	}
	s.below.add(w, uint64(len(seqs)), s.count.state.seen)
}

// run is what a source found while it read on without a break, beginning at from.
type run struct {
	from   uint64
	since  uint64   // a number of removals from when it began, or later if nothing of it could have gone
	seqs   []uint64 // matches that are not passed
	passed []uint64 // those of the last pass
}

// pass moves the run's begin up to a sequence and returns the matches before it,
// which are borrowed. removals is their number now.
func (r *run) pass(seq, removals uint64) []uint64 {
	n, _ := slices.BinarySearch(r.seqs, seq)
	r.passed = append(r.passed[:0], r.seqs[:n]...)
	r.seqs = append(r.seqs[:0], r.seqs[n:]...)
	r.from = max(r.from, seq)
	if len(r.seqs) == 0 {
		r.since = removals
	}
	return r.passed
}
