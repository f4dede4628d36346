package subjects

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/weirmq/weir/internal/record"
)

// Bounds of what a run holds.
const (
	// MaxSubject is the longest subject, in bytes.
	MaxSubject = 1<<16 - 1
	// MaxInline is the largest number of sequences in an entry.
	MaxInline = 64
)

// Entry is what the index knows of one subject. Count 0 is a tombstone: the
// subject has no live record, whatever older runs say.
type Entry struct {
	// Count is the number of live records.
	Count uint64
	// First is at most the first live sequence: where a search for it starts.
	First uint64
	// Last is the last live sequence, 0 if it must be found by reading.
	Last uint64
	// Seqs are all live sequences, rising, or none if they are not listed.
	Seqs []uint64
}

// Tombstone reports whether the subject is gone.
func (e *Entry) Tombstone() bool { return e.Count == 0 }

// valid says what is wrong with an entry that the caller wants written.
func (e *Entry) valid() error {
	switch {
	case e.Tombstone():
		if e.Last != 0 || len(e.Seqs) != 0 {
			return errors.New("a tombstone with sequences")
		}
	case e.Last != 0 && e.Last < e.First:
		return fmt.Errorf("last sequence %d is before the first, %d", e.Last, e.First)
	case len(e.Seqs) > MaxInline:
		return fmt.Errorf("%d sequences; %d are the most", len(e.Seqs), MaxInline)
	case len(e.Seqs) > 0 && (e.Seqs[0] < e.First || !rising(e.Seqs)):
		return errors.New("sequences that do not rise from the first")
	}
	return nil
}

func rising(s []uint64) bool {
	for i := 1; i < len(s); i++ {
		if s[i] <= s[i-1] {
			return false
		}
	}
	return true
}

// appendEntry encodes a valid entry: a count, 0 for a tombstone, which ends it;
// first; the distance from it to last plus one, 0 if last is not known; the
// number of sequences and their distances, the first one from First. All are
// variable-length numbers.
func appendEntry(dst []byte, e *Entry) []byte {
	dst = binary.AppendUvarint(dst, e.Count)
	if e.Tombstone() {
		return dst
	}
	dst = binary.AppendUvarint(dst, e.First)
	var last uint64
	if e.Last != 0 {
		last = e.Last - e.First + 1
	}
	dst = binary.AppendUvarint(dst, last)
	dst = binary.AppendUvarint(dst, uint64(len(e.Seqs)))
	prev := e.First
	for _, s := range e.Seqs {
		dst = binary.AppendUvarint(dst, s-prev)
		prev = s
	}
	return dst
}

// decodeEntry reads an entry into e, whose Seqs are used again, and gives what
// follows it.
func decodeEntry(b []byte, e *Entry) ([]byte, error) {
	r := reader{b: b}
	*e = Entry{Count: r.number(), Seqs: e.Seqs[:0]}
	if e.Count == 0 {
		return r.b, r.err
	}
	e.First = r.number()
	if last := r.number(); last != 0 {
		e.Last = e.First + last - 1
		if e.Last < e.First {
			r.fail("last sequence")
		}
	}
	n := r.number()
	if n > MaxInline {
		r.fail("number of sequences")
	}
	prev := e.First
	for i := uint64(0); i < n && r.err == nil; i++ {
		d := r.number()
		if prev+d < prev || i > 0 && d == 0 {
			r.fail("order of sequences")
		}
		prev += d
		e.Seqs = append(e.Seqs, prev)
	}
	return r.b, r.err
}

// clone gives an entry that shares nothing.
func (e Entry) clone() Entry {
	if len(e.Seqs) == 0 {
		e.Seqs = nil
	} else {
		e.Seqs = slices.Clone(e.Seqs)
	}
	return e
}

// reader takes numbers and bytes off a slice. After an error it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", what, record.ErrDamaged)
	}
	r.b = nil
}

func (r *reader) number() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // the usual case
		v := uint64(r.b[0])
		r.b = r.b[1:]
		return v
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail("length of a subject")
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
