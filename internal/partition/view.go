package partition

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// publishLocked shows readers what is visible now.
func (p *Partition) publishLocked() {
	p.holes.Store(p.deleted.Count() > 0)
	p.first.Store(p.done.first)
	p.committed.Store(p.done.last)
	p.showExpiryLocked()
}

// Status sums up what readers see.
type Status struct {
	First, Last uint64 // First is Last+1 when there are no records
	Records     uint64
	Bytes       uint64 // by record.Size
	Deleted     uint64 // interior deletes between First and Last
	Subjects    int
	LastTime    int64 // of the last record ever stored; 0 if none
}

// Status returns the sum of what is committed.
func (p *Partition) Status() Status {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return Status{
		First: p.done.first, Last: p.done.last, Records: p.done.records, Bytes: p.done.bytes,
		Deleted: p.deleted.Count(), Subjects: p.liveSubjectsLocked(), LastTime: p.done.lastTime,
	}
}

// Committed is the last visible sequence.
func (p *Partition) Committed() uint64 { return p.committed.Load() }

// First is the first sequence that may be live.
func (p *Partition) First() uint64 { return p.first.Load() }

// Live says whether a sequence holds a visible record.
func (p *Partition) Live(seq uint64) bool {
	if seq < p.first.Load() || seq > p.committed.Load() {
		return false
	}
	if !p.holes.Load() {
		return true
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.live(seq)
}

// Get returns a visible record. Its bytes stay valid. The error is ErrNotFound,
// wraps record.ErrDamaged with the place, or is what the disk said: that a record
// can not be read never counts as its absence.
func (p *Partition) Get(seq uint64) (record.View, error) {
	if !p.Live(seq) {
		return record.View{}, ErrNotFound
	}
	v, err := p.store.Get(seq)
	switch {
	case err == nil || errors.Is(err, record.ErrDamaged):
	case errors.Is(err, record.ErrNotFound):
		return v, ErrNotFound // it went between the look and the reading
	default:
		return v, fmt.Errorf("read record %d: %w", seq, err)
	}
	return v, err
}

// Deleted returns the interior deletes in rising order, at most limit.
func (p *Partition) Deleted(limit int) []uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []uint64
	for seq := range p.deleted.All() {
		if len(out) == limit {
			break
		}
		out = append(out, seq)
	}
	return out
}

// CountLive is the number of visible records from one sequence to another, both
// included.
func (p *Partition) CountLive(from, to uint64) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.countLiveLocked(from, to)
}

func (p *Partition) countLiveLocked(from, to uint64) uint64 {
	from, to = max(from, p.done.first), min(to, p.done.last)
	if from > to {
		return 0
	}
	return to - from + 1 - p.deleted.CountRange(from, to)
}

// SubjectCount is one subject with its number of visible records.
type SubjectCount struct {
	Subject string
	Count   uint64
	Last    uint64 // 0 if it must be read (see LastOf)
}

// Subjects returns the subjects that a pattern matches, sorted by name; an empty
// pattern matches all. Where neither the subject index nor the records can be
// read it returns none.
func (p *Partition) Subjects(pattern string) []SubjectCount {
	out, err := p.subjectsOf(pattern)
	if err != nil {
		return nil
	}
	slices.SortFunc(out, func(a, b SubjectCount) int { return cmp.Compare(a.Subject, b.Subject) })
	return out
}

func (p *Partition) subjectsOf(pattern string) (out []SubjectCount, err error) {
	_, _, err = p.survey([]string{pattern}, func() { out = out[:0] }, func(f found) bool {
		out = append(out, SubjectCount{f.name(), f.count, f.last})
		return true
	})
	return out, err
}

// CountMatching is the number of visible records whose subject a pattern matches.
func (p *Partition) CountMatching(pattern string) uint64 {
	n, _, _ := p.Count([]string{pattern})
	return n
}

// Count is the number of visible records whose subject one of some patterns
// matches, as of one moment: committed was the last sequence then, and removals
// what Removals returned. No subject may match two of the patterns. Where neither
// the subject index nor the records can be read nothing is counted.
func (p *Partition) Count(patterns []string) (n, committed, removals uint64) {
	committed, removals, err := p.survey(patterns, func() { n = 0 }, func(f found) bool { n += f.count; return true })
	if err != nil {
		p.mu.RLock()
		defer p.mu.RUnlock()
		return 0, p.done.last, p.removals.Load()
	}
	return n, committed, removals
}

// Removals is the number of removals so far. A record whose removal has this
// number or a lower one is not live any more.
func (p *Partition) Removals() uint64 { return p.removals.Load() }

// LastOf returns the newest visible record whose subject a pattern matches.
func (p *Partition) LastOf(pattern string) (record.View, error) {
	var last uint64
	var unknown []string
	_, _, err := p.survey([]string{pattern}, func() { last, unknown = 0, nil }, func(f found) bool {
		if f.last == 0 {
			unknown = append(unknown, f.name())
		}
		last = max(last, f.last)
		return true
	})
	if err != nil {
		return record.View{}, err
	}
	for _, name := range unknown {
		seq, err := p.findLast(name)
		if err != nil {
			return record.View{}, err
		}
		last = max(last, seq)
	}
	if last == 0 {
		return record.View{}, ErrNotFound
	}
	return p.Get(last)
}

// LastSequences returns the last visible sequence up to a bound of each subject
// that one of the patterns matches, rising; the lowest limit of them. Where later
// records hide some of them it reads the log once.
func (p *Partition) LastSequences(patterns []string, upTo uint64, limit int) []uint64 {
	last := map[string]uint64{}
	hidden := false
	for _, pattern := range patterns {
		for _, s := range p.Subjects(pattern) {
			if s.Last > upTo {
				s.Last = 0
			}
			last[s.Subject] = s.Last
			hidden = hidden || s.Last == 0
		}
	}
	if hidden {
		p.findHidden(last, upTo)
	}
	out := make([]uint64, 0, len(last))
	for _, seq := range last {
		if seq > 0 {
			out = append(out, seq)
		}
	}
	slices.Sort(out)
	return out[:min(limit, len(out))]
}

// findHidden reads the log up to a bound for the last sequences of the subjects
// in the map.
func (p *Partition) findHidden(last map[string]uint64, upTo uint64) {
	r := p.Reader(p.First())
	defer r.Close()
	for r.Position() <= upTo {
		v, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			continue // it cannot be read, and the reader has moved on
		case v.Seq > upTo:
			return
		}
		if seq, ok := last[string(v.Subject)]; ok && v.Seq > seq {
			last[string(v.Subject)] = v.Seq
		}
	}
}

// findLast reads for a subject's last record, whose number was lost when the one
// that was last was deleted, and notes it. What cannot be read is passed over.
func (p *Partition) findLast(name string) (uint64, error) {
	if err := p.lockWith(one([]byte(name))); err != nil {
		return 0, err
	}
	from, count := p.done.first, uint64(0)
	if e, _ := p.subjects.find([]byte(name)); e != nil {
		from, count = max(from, e.first()), e.count
	}
	p.mu.Unlock()
	r := p.Reader(from)
	defer r.Close()
	var last uint64
	for {
		v, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, record.ErrDamaged) {
			return 0, fmt.Errorf("look for the last record of a subject: %w", err)
		}
		if err == nil && string(v.Subject) == name {
			last = v.Seq
		}
	}
	if err := p.lockWith(one([]byte(name))); err != nil {
		return 0, err
	}
	defer p.mu.Unlock()
	if e, _ := p.subjects.find([]byte(name)); e != nil && e.last == 0 && e.count == count && p.live(last) {
		p.subjects.own([]byte(name)).last = last
	}
	return last, nil
}

// NextOf returns the first visible record at or after from whose subject a
// pattern matches; an empty pattern matches all.
func (p *Partition) NextOf(pattern string, from uint64) (record.View, error) {
	if pattern != "" {
		any := false
		_, _, err := p.survey([]string{pattern}, func() {}, func(found) bool { any = true; return false })
		if err != nil {
			return record.View{}, err
		}
		if !any {
			return record.View{}, ErrNotFound
		}
	}
	r := p.Reader(from)
	defer r.Close()
	for {
		v, err := r.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = ErrNotFound
			}
			return record.View{}, err
		}
		if pattern == "" || subject.Match(pattern, string(v.Subject)) {
			return p.Get(v.Seq)
		}
	}
}

// SeekTime returns the first visible sequence with a time of t or later; the one
// after the last if there is none.
func (p *Partition) SeekTime(t int64) (uint64, error) {
	seq, err := p.store.SeekTime(t)
	if err != nil {
		return 0, err
	}
	return min(max(seq, p.First()), p.Committed()+1), nil
}

// Reader walks the visible records in order. It is used by one goroutine.
type Reader struct {
	p    *Partition
	c    Cursor
	next uint64
}

// Reader returns a reader from a sequence on. It must be closed.
func (p *Partition) Reader(from uint64) *Reader {
	from = max(from, p.First())
	return &Reader{p: p, c: p.store.Cursor(from), next: from}
}

// Next returns the next visible record, whose bytes are valid until the next
// call; io.EOF at the end, after which it may be called again. A
// damaged record gives its error once and is passed over then.
func (r *Reader) Next() (record.View, error) {
	for {
		if r.next > r.p.committed.Load() {
			return record.View{}, io.EOF
		}
		if first := r.p.first.Load(); r.next < first {
			r.Seek(first)
			continue
		}
		v, err := r.c.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.Seek(r.next + 1)
			}
			return v, err
		}
		if v.Seq > r.p.committed.Load() {
			r.c.Seek(r.next)
			return record.View{}, io.EOF
		}
		r.next = v.Seq + 1
		if r.p.Live(v.Seq) {
			return v, nil
		}
	}
}

// Position is the sequence from which Next looks.
func (r *Reader) Position() uint64 { return r.next }

// Seek moves the reader.
func (r *Reader) Seek(seq uint64) {
	r.next = seq
	r.c.Seek(seq)
}

// Close ends the use of the reader.
func (r *Reader) Close() { r.c.Close() }

// WatchRemovals turns Observer.Removed on or off.
func (p *Partition) WatchRemovals(on bool) {
	p.mu.Lock()
	p.watch = on
	p.mu.Unlock()
}

// Has says whether the record at a sequence is visible and has this time.
func (p *Partition) Has(seq uint64, time int64) bool {
	v, err := p.Get(seq)
	return err == nil && v.Time == time
}

// MayHold says whether the log may be one that had a record with this time at a
// sequence: it is there, or it is gone.
func (p *Partition) MayHold(seq uint64, time int64) bool {
	if seq > p.Committed() {
		return false
	}
	v, err := p.Get(seq)
	return err != nil || v.Time == time
}
