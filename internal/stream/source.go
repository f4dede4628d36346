package stream

import (
	"errors"
	"io"
	"math"
	"slices"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// scanBudget is how many records that do not match one step may read over: the
// rest waits until the shard has seen to its other consumers.
const scanBudget = 8192

// skipCost is how many such records passing over some parts of the log counts as.
const skipCost = scanBudget / 4

// source is what a consumer reads: the stream's visible records that its filter
// matches. Only the shard uses it.
type source struct {
	part    *partition.Partition
	filter  *subject.Filter   // nil: all
	reader  *partition.Reader // the scout's while that reads ahead
	scout   *scout            // the shard's
	haul    *haul             // the shard's
	peeked  uint64            // what Peek found last; 0: none
	size    int               // its size
	stored  int64             // its time
	scanned uint64            // no match from it on before peeked, or before the reader
	run     run               // what was read in one go, up to the reader's position
	budget  int
	// skip is for last-per-subject: the sequences up to skipTo that count.
	skip   []uint64
	skipTo uint64
	count  *filterCount // nil when all records match
	below  tally        // matching records before the position, if count is there
}

// open makes the source ready for its consumer's configuration.
func (s *source) open(c *Consumer) {
	sh := c.stream.shard
	s.haul, s.scout = &sh.haul, &sh.scout
	s.close()
	sh.forget(s)
	cfg := c.Config()
	s.part = c.stream.part
	if s.filter = subject.FilterOf(cfg.Filter...); len(cfg.Filter) == 1 && cfg.Filter[0] == ">" {
		s.filter = nil
	}
	s.skip, s.skipTo = nil, 0
	if cfg.LastPerSubject && c.core.Next() <= cfg.SkipTo {
		s.skipTo = cfg.SkipTo
		s.skip = s.lastPerSubject()
	}
	if s.filter != nil {
		sh.countOf(c.stream, s)
	}
}

func (s *source) close() {
	s.scout.leave(s)
	if s.reader != nil {
		s.reader.Close()
		s.reader = nil
	}
	s.peeked, s.scanned = 0, 0
	s.run = run{}
}

// lastPerSubject lists the last sequence of each matching subject up to skipTo.
func (s *source) lastPerSubject() []uint64 {
	patterns := []string{">"}
	if s.filter != nil {
		patterns = s.filter.Patterns
	}
	return s.part.LastSequences(patterns, s.skipTo, math.MaxInt)
}

// Peek finds the first record at or after from that is to be delivered.
func (s *source) Peek(from uint64) (consumer.Item, consumer.Answer) {
	if s.haul.full() {
		return consumer.Item{Seq: from}, consumer.Cold
	}
	if from <= s.skipTo {
		if item, ok := s.peekSkip(from); ok {
			return item, consumer.Found
		}
		from = s.skipTo + 1
	}
	if s.peeked != 0 && s.peeked >= from && s.scanned <= from && s.part.Live(s.peeked) {
		return s.item(), consumer.Found
	}
	start := from
	if s.scanned <= from && s.reader != nil && s.position() >= from && s.scanned != 0 {
		start = s.position()
	}
	if s.reader == nil || s.position() != start {
		s.seek(start)
	}
	s.scanned, s.peeked = from, 0
	return s.scan()
}

// position is from where scan goes on.
func (s *source) position() uint64 {
	if s.scout.holder == s {
		return s.scout.at
	}
	return s.reader.Position()
}

// seek has scan go on from elsewhere.
func (s *source) seek(start uint64) {
	s.scout.leave(s)
	s.run = run{from: start, since: s.part.Removals(), seqs: s.run.seqs[:0]}
	if s.reader == nil {
		s.reader = s.part.ReaderOf(s.filter, start)
	} else {
		s.reader.Seek(start)
	}
}

// scan reads on to the next match.
func (s *source) scan() (consumer.Item, consumer.Answer) {
	if f := s.scout.next(s); f != nil {
		return s.matched(f)
	}
	v := &s.haul.view
	if answer := s.trail().next(v, &s.budget); answer != consumer.Found {
		return consumer.Item{Seq: s.reader.Position()}, answer
	}
	return s.matched(s.haul.own.keep(v))
}

// matched notes a record that Peek goes on from.
func (s *source) matched(f *find) (consumer.Item, consumer.Answer) {
	if s.count != nil {
		s.run.seqs = append(s.run.seqs, f.seq)
	}
	return s.found(f), consumer.Found
}

// trail is the way that the source's reader takes.
func (s *source) trail() trail { return trail{s.part, s.filter, s.reader} }

// trail is where records are read that a filter matches.
type trail struct {
	part   *partition.Partition
	filter *subject.Filter
	reader *partition.Reader
}

// next reads on to the next match and makes v that, whose bytes are valid until the next
// call. Cold says that the budget is used up.
func (t trail) next(v *record.View, budget *int) consumer.Answer {
	for {
		if t.reader.Skip() {
			if *budget -= skipCost; *budget <= 0 {
				return consumer.Cold
			}
			continue
		}
		committed := t.part.Committed()
		err := t.reader.NextTo(v)
		if err != nil {
			// The end may be before what is committed: the last records may be gone.
			if t.reader.Position() > t.part.Committed() || errors.Is(err, io.EOF) && committed == t.part.Committed() {
				return consumer.End
			}
			continue // a damaged record: passed over, the reader has moved on
		}
		if t.filter.Matches(v.Subject) {
			return consumer.Found
		}
		if *budget--; *budget <= 0 {
			return consumer.Cold
		}
	}
}

func (s *source) item() consumer.Item {
	return consumer.Item{Seq: s.peeked, Size: s.size, Time: s.stored}
}

// found has the step take a record along.
func (s *source) found(f *find) consumer.Item {
	s.peeked, s.size, s.stored = f.seq, f.size(), f.time
	s.haul.add(f)
	return s.item()
}

// begin starts a step.
func (s *source) begin() {
	s.budget = scanBudget
	s.haul.empty()
}

func (s *source) peekSkip(from uint64) (consumer.Item, bool) {
	i, _ := slices.BinarySearch(s.skip, from)
	for ; i < len(s.skip); i++ {
		if v, err := s.part.Get(s.skip[i]); err == nil {
			item := s.found(s.haul.own.keep(&v))
			s.scanned = s.peeked // others that match may be before it
			return item, true
		}
	}
	return consumer.Item{}, false
}

// Get finds one record again.
func (s *source) Get(seq uint64) (consumer.Item, consumer.Answer) {
	if s.haul.full() {
		return consumer.Item{Seq: seq}, consumer.Cold
	}
	v, err := s.part.Get(seq)
	switch {
	case errors.Is(err, partition.ErrNotFound):
		return consumer.Item{}, consumer.Gone
	case err != nil:
		return consumer.Item{Seq: seq}, consumer.Found // not gone: delivering it says why it fails
	}
	f := s.haul.own.keep(&v)
	s.haul.add(f)
	return consumer.Item{Seq: seq, Size: f.size()}, consumer.Found
}

// record returns a record to be delivered, valid until the next call.
func (s *source) record(seq uint64) (*record.View, error) {
	if v := s.haul.take(seq); v != nil {
		return v, nil
	}
	var err error
	s.haul.view, err = s.part.Get(seq)
	return &s.haul.view, err
}

// Count is the number of records at or after from that are to be delivered.
func (s *source) Count(from uint64) uint64 {
	if from <= s.skipTo {
		i, _ := slices.BinarySearch(s.skip, from)
		n := uint64(0)
		for _, seq := range s.skip[i:] {
			if s.part.Live(seq) {
				n++
			}
		}
		return n + s.countFrom(s.skipTo+1)
	}
	return s.countFrom(from)
}

func (s *source) countFrom(from uint64) uint64 {
	if s.count == nil {
		return s.part.CountLive(from, s.part.Committed())
	}
	return s.count.from(s, from)
}
