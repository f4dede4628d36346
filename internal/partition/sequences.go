package partition

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// SequencesOf gives the sequences of the visible records whose subject a pattern
// matches, rising; those below a sequence only, unless that is 0. The subject index
// knows those of subjects with few records; for others it reads the log from their
// first record to their last. Of damaged records the subject is not known.
func (p *Partition) SequencesOf(pattern string, below uint64) ([]uint64, error) {
	if below == 0 {
		below = math.MaxUint64
	}
	var g sequences
	committed, _, err := p.survey([]string{pattern}, func() { g = sequences{below: below, from: math.MaxUint64} }, g.add)
	if err != nil {
		return nil, err
	}
	g.below = min(below, committed+1)
	if err := g.read(p, subject.FilterOf(pattern)); err != nil {
		return nil, err
	}
	slices.Sort(g.seqs)
	return slices.DeleteFunc(g.seqs, func(seq uint64) bool { return seq >= g.below || !p.Live(seq) }), nil
}

// sequences gathers the sequences of subjects.
type sequences struct {
	below uint64
	seqs  []uint64

	// Subjects that are to be looked for: how many records they have, the sum of it,
	// and where the first and the last of all may be.
	want     map[string]uint64
	left     uint64
	from, to uint64
}

// add takes a subject that the index knows.
func (g *sequences) add(f found) bool {
	switch {
	case f.first >= g.below:
	case f.seqs != nil:
		g.seqs = append(g.seqs, f.seqs...)
	default:
		if g.want == nil {
			g.want = map[string]uint64{}
		}
		g.want[f.name()] = f.count
		g.left += f.count
		g.from = min(g.from, f.first)
		if f.last == 0 {
			f.last = math.MaxUint64
		}
		g.to = max(g.to, f.last)
	}
	return true
}

// read looks for those that the index does not know; all are of the filter.
func (g *sequences) read(p *Partition, f *subject.Filter) error {
	if g.left == 0 {
		return nil
	}
	r := p.ReaderOf(f, g.from)
	defer r.Close()
	for g.left > 0 {
		v, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) || err == nil && (v.Seq >= g.below || v.Seq > g.to):
			return nil
		case errors.Is(err, record.ErrDamaged):
			continue
		case err != nil:
			return fmt.Errorf("look for the records of subjects: %w", err)
		}
		if n := g.want[string(v.Subject)]; n > 0 {
			g.want[string(v.Subject)] = n - 1
			g.left--
			g.seqs = append(g.seqs, v.Seq)
		}
	}
	return nil
}
