package roster

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// A roster, little endian:
//
//	offset size
//	0      4    magic "WSR1"
//	4      4    checksum of the context and of the roster from offset 8
//	8      1    version (1)
//	9      1    form: 1 a list, 2 filters
//	10     2    0
//	12     4    of a list: count of subjects; else length of the filter of subjects
//	16     4    of a list: 0; else length of the filter of tokens
//	20     4    0
//	24          the subjects, or the two filters
//
// A subject of a list; they rise, and none is there twice:
//
//	0      2    length of the subject
//	2      8    sequence of its first record in the segment
//	10     8    sequence of its last one
//	18          the subject
//
// A filter has a power of two of 64 bytes, or is not there and has 0.
const (
	magic     = "WSR1"
	version   = 1
	headLen   = 24
	entryHead = 18

	formList    = 1
	formFilters = 2

	// MaxLen is the longest roster, in bytes.
	MaxLen = headLen + 2*mostFilter
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum writes the checksum of a roster.
func sum(b, context []byte) { binary.LittleEndian.PutUint32(b[4:], sumOf(b, context)) }

func sumOf(b, context []byte) uint32 {
	return crc32.Update(crc32.Checksum(context, castagnoli), castagnoli, b[8:])
}

// Entry is a subject of a segment, with the sequences of its first and last record.
type Entry struct {
	Subject     string
	First, Last uint64
}

// Roster says which subjects are in a segment.
type Roster struct {
	list             []Entry // rising; nil: the filters count
	subjects, tokens []byte  // nil: everything may be there
	size             int64
}

// Parse reads a roster. It keeps b. Errors wrap record.ErrDamaged, but for those of a
// version or form that is not known.
func Parse(b, context []byte) (*Roster, error) {
	switch {
	case len(b) < headLen || len(b) > MaxLen || string(b[:4]) != magic:
		return nil, fmt.Errorf("magic of the roster: %w", record.ErrDamaged)
	case sumOf(b, context) != binary.LittleEndian.Uint32(b[4:]):
		return nil, fmt.Errorf("checksum of the roster: %w", record.ErrDamaged)
	case b[8] != version:
		return nil, fmt.Errorf("roster version %d is not known", b[8])
	}
	n, m, body := binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint32(b[16:]), b[headLen:]
	switch b[9] {
	case formList:
		return parseList(body, n)
	case formFilters:
		return parseFilters(body, n, m)
	}
	return nil, fmt.Errorf("roster form %d is not known", b[9])
}

func parseList(b []byte, n uint32) (*Roster, error) {
	if n == 0 || uint64(n) > uint64(len(b)/entryHead) {
		return nil, fmt.Errorf("count of the roster: %w", record.ErrDamaged)
	}
	text := string(b)
	list := make([]Entry, n)
	at := 0
	for i := range list {
		if len(b)-at < entryHead {
			return nil, fmt.Errorf("subject %d of the roster: %w", i, record.ErrDamaged)
		}
		size := int(binary.LittleEndian.Uint16(b[at:]))
		e := Entry{First: binary.LittleEndian.Uint64(b[at+2:]), Last: binary.LittleEndian.Uint64(b[at+10:])}
		if at += entryHead; len(b)-at < size {
			return nil, fmt.Errorf("subject %d of the roster: %w", i, record.ErrDamaged)
		}
		e.Subject = text[at : at+size]
		if at += size; e.First > e.Last || i > 0 && e.Subject <= list[i-1].Subject {
			return nil, fmt.Errorf("order of the roster: %w", record.ErrDamaged)
		}
		list[i] = e
	}
	if at != len(b) {
		return nil, fmt.Errorf("bytes behind the roster: %w", record.ErrDamaged)
	}
	return &Roster{list: list, size: int64(len(text)) + int64(n)*32}, nil
}

func parseFilters(b []byte, n, m uint32) (*Roster, error) {
	if uint64(n)+uint64(m) != uint64(len(b)) || !fits(n) || !fits(m) || len(b) == 0 {
		return nil, fmt.Errorf("length of the roster's filters: %w", record.ErrDamaged)
	}
	return &Roster{subjects: b[:n:n], tokens: b[n:], size: int64(len(b))}, nil
}

// fits says that a filter may have this length.
func fits(n uint32) bool {
	return n == 0 || n >= blockBytes && n <= mostFilter && n&(n-1) == 0
}

// Size is about how many bytes of memory the roster takes.
func (r *Roster) Size() int64 { return r.size + headLen }

// Range narrows a range of sequences, both included, to where records may be that the
// filter stands for; ok is false if there are none. No such record is outside.
func (r *Roster) Range(f *subject.Filter, from, to uint64) (first, last uint64, ok bool) {
	switch {
	case f == nil:
		return from, to, true
	case r.list == nil:
		return from, to, r.may(f)
	}
	first = to
	take := func(e *Entry) {
		if e.Last < from || e.First > to {
			return
		}
		first, last, ok = min(first, max(from, e.First)), max(last, min(to, e.Last)), true
	}
	rest := r.takeNamed(f, take)
	if rest == nil {
		return first, last, ok
	}
	for i := range r.list {
		if rest.MatchesString(r.list[i].Subject) {
			take(&r.list[i])
		}
	}
	return first, last, ok
}

// takeNamed looks for single subjects, where that is quicker, and gives what is left of
// the filter; nil if that is nothing.
func (r *Roster) takeNamed(f *subject.Filter, take func(*Entry)) (rest *subject.Filter) {
	look := func(name string) {
		if i, is := slices.BinarySearchFunc(r.list, name, compareNames); is {
			take(&r.list[i])
		}
	}
	left := subject.Filter{Names: f.Names}
	if len(f.Names) <= len(r.list) {
		for _, name := range f.Names {
			look(name)
		}
		left.Names = nil
	}
	for i, p := range f.Patterns {
		if subject.HasWildcard(p) {
			left.Patterns = f.Patterns[i:] // those that were looked for are so again: it costs little
			break
		}
		look(p)
	}
	if left.Names == nil && left.Patterns == nil {
		return nil
	}
	return &left
}

// may says whether the filters have what f stands for.
func (r *Roster) may(f *subject.Filter) bool {
	if len(r.subjects) == 0 && len(f.Names) > 0 {
		return true
	}
	for _, name := range f.Names {
		if hasHash(r.subjects, hashOf(name)) {
			return true
		}
	}
	return slices.ContainsFunc(f.Patterns, r.mayMatch)
}

func (r *Roster) mayMatch(pattern string) bool {
	if !subject.HasWildcard(pattern) && len(r.subjects) > 0 {
		return hasHash(r.subjects, hashOf(pattern))
	}
	if len(r.tokens) == 0 {
		return true
	}
	may := true
	eachToken(pattern, func(token string, at int) bool {
		may = token == subject.AnyToken || token == subject.AnyRest || hasHash(r.tokens, hashAt(hashOf(token), at))
		return may
	})
	return may
}
