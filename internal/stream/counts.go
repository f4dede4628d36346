package stream

import (
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/subject"
)

// filterCount is how many visible records of a stream a filter matches. Equal
// filters share one; it is kept by reading each new record once for all of them,
// and by what the partition tells of removals. Only the shard uses it.
type filterCount struct {
	stream  *Stream
	filter  []string
	total   uint64 // matching live records up to upto
	upto    uint64
	sources []*source // whose before must follow removals
}

func filterKey(filter []string) string { return strings.Join(filter, "\x00") }

// countOf returns the shared count of a filter, built from the subject index.
func (sh *Shard) countOf(s *Stream, filter []string) *filterCount {
	m := sh.counts[s]
	if m == nil {
		m = map[string]*filterCount{}
		sh.counts[s] = m
	}
	key := filterKey(filter)
	fc := m[key]
	if fc == nil {
		fc = &filterCount{stream: s, filter: slices.Clone(filter)}
		m[key] = fc
		fc.rebuild()
	}
	return fc
}

// rebuild counts anew. Records that are committed while it counts are counted by
// follow.
func (fc *filterCount) rebuild() {
	p := fc.stream.part
	fc.total, fc.upto = 0, 0
	r := p.Reader(p.First())
	defer r.Close()
	if seq := p.Committed(); fc.indexed(seq) {
		return
	}
	fc.follow(r)
}

// indexed takes the count from the subject index, if nothing was committed in
// the meantime.
func (fc *filterCount) indexed(seq uint64) bool {
	p := fc.stream.part
	var n uint64
	for _, f := range fc.filter {
		n += p.CountMatching(f)
	}
	if p.Committed() != seq {
		return false
	}
	fc.total, fc.upto = n, seq
	return true
}

// follow counts the records that were committed since.
func (fc *filterCount) follow(r *partition.Reader) {
	for {
		v, err := r.Next()
		if err != nil {
			if r.Position() > fc.stream.part.Committed() {
				break
			}
			continue
		}
		if v.Seq > fc.upto && fc.matches(v.Subject) {
			fc.total++
		}
	}
	fc.upto = r.Position() - 1
}

func (fc *filterCount) matches(subj []byte) bool {
	for _, f := range fc.filter {
		if subject.Match(f, string(subj)) {
			return true
		}
	}
	return false
}

// removed takes a record out that went away.
func (fc *filterCount) removed(seq uint64, subj []byte) {
	if seq > fc.upto || !fc.matches(subj) {
		return
	}
	fc.total--
	for _, s := range fc.sources {
		if seq < s.at && s.before > 0 {
			s.before--
		}
	}
}

// cleared starts anew after all records went.
func (fc *filterCount) cleared() {
	fc.rebuild()
	for _, s := range fc.sources {
		s.before, s.at = 0, fc.stream.part.First()
	}
}

// from is the number of matching records at or after a position of a source.
func (fc *filterCount) from(s *source, pos uint64) uint64 {
	if !slices.Contains(fc.sources, s) {
		fc.sources = append(fc.sources, s)
		s.at, s.before = s.part.First(), 0
	}
	if fc.upto < s.part.Committed() {
		r := s.part.Reader(fc.upto + 1)
		fc.follow(r)
		r.Close()
	}
	s.moveTo(pos)
	return fc.total - min(fc.total, s.before)
}

// moveTo counts the matching records between where before stands and pos.
func (s *source) moveTo(pos uint64) {
	if pos == s.at {
		return
	}
	if pos < s.at {
		s.at, s.before = s.part.First(), 0
	}
	if s.peeked != 0 && s.peeked+1 == pos && s.scanned <= s.at && s.at <= s.peeked {
		// Peek went from at to the record before pos and met no other match.
		s.before++
		s.at = pos
		return
	}
	pos = min(pos, s.part.Committed()+1)
	if pos <= s.at {
		return
	}
	r := s.part.Reader(s.at)
	defer r.Close()
	for {
		v, err := r.Next()
		if err != nil {
			if r.Position() > s.part.Committed() {
				break
			}
			continue
		}
		if v.Seq >= pos {
			break
		}
		if s.matches(v.Subject) {
			s.before++
		}
	}
	s.at = pos
}

// forget ends a source's share in its count.
func (sh *Shard) forget(st *Stream, s *source) {
	fc := s.count
	if fc == nil {
		return
	}
	fc.sources = slices.DeleteFunc(fc.sources, func(o *source) bool { return o == s })
	if len(fc.sources) == 0 {
		delete(sh.counts[st], filterKey(fc.filter))
		if len(sh.counts[st]) == 0 {
			delete(sh.counts, st)
		}
	}
}
