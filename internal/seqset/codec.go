package seqset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrDamaged says that bytes are not an encoded set.
var ErrDamaged = errors.New("damaged sequence set")

const version = 1

// Append appends the encoded set to dst. Equal sets have equal encodings:
//
//	version  1 byte
//	runs     uvarint
//	then for each run, ascending:
//	  gap    uvarint: first sequence - last sequence of the run before - 2;
//	         for the first run its first sequence
//	  more   uvarint: last - first
func (s *Set) Append(dst []byte) []byte {
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(s.Runs()))
	var from uint64
	for first, last := range s.Ranges() {
		dst = binary.AppendUvarint(dst, first-from)
		dst = binary.AppendUvarint(dst, last-first)
		from = last + 2
	}
	return dst
}

// Decode reads a set from the start of b and gives what follows it. It uses at
// most 16 bytes of memory for each 2 bytes that it reads, and little more.
func Decode(b []byte) (s Set, rest []byte, err error) {
	if len(b) == 0 || b[0] != version {
		return Set{}, nil, fmt.Errorf("read version: %w", ErrDamaged)
	}
	n, b, ok := uvarint(b[1:])
	if !ok || n > uint64(len(b))/2 {
		return Set{}, nil, fmt.Errorf("read number of runs: %w", ErrDamaged)
	}
	var from uint64
	for i := range n {
		var gap, more uint64
		var okGap, okMore bool
		gap, b, okGap = uvarint(b)
		more, b, okMore = uvarint(b)
		first := from + gap
		last := first + more
		// A run that ends within 2 of the top has none after it.
		wraps := first < from || last < first || (i+1 < n && last > math.MaxUint64-2)
		if !okGap || !okMore || wraps {
			return Set{}, nil, fmt.Errorf("read run %d: %w", i, ErrDamaged)
		}
		s.insert(place{len(s.chunks), 0}, run{first, last})
		from = last + 2
	}
	return s, b, nil
}

// uvarint reads a number in its shortest encoding.
func uvarint(b []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || (n > 1 && b[n-1] == 0) {
		return 0, nil, false
	}
	return v, b[n:], true
}
