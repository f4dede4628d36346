package fb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrMalformed is wrapped by the error for a buffer that is no Flatbuffer of the
// schema, and ErrLimit by that for one that says too much.
var (
	ErrMalformed = errors.New("malformed Flatbuffer")
	ErrLimit     = errors.New("batch too large")
)

// Sizes of what the format is made of, bytes.
const (
	sizeOffset = 4 // of a reference, and of the length of a vector
	sizeField  = 2 // of an entry of a table of fields
	sizeFields = 4 // of what begins a table of fields
)

var le = binary.LittleEndian

// table is a table whose own bytes, and whose table of fields, lie in the buffer.
type table struct {
	b      []byte
	pos    int
	size   int // of its own bytes
	fields []byte
}

func malformed(what string, at int) error {
	return fmt.Errorf("%w: %s at byte %d", ErrMalformed, what, at)
}

// root finds the table with which a buffer begins.
func root(b []byte) (table, error) {
	at, err := follow(b, 0)
	if err != nil {
		return table{}, err
	}
	return tableAt(b, at)
}

// follow reads a reference: where it leads there are at least the four bytes with
// which everything begins.
func follow(b []byte, pos int) (int, error) {
	if pos < 0 || len(b)-pos < sizeOffset {
		return 0, malformed("no reference", pos)
	}
	to := uint64(pos) + uint64(le.Uint32(b[pos:]))
	if to == uint64(pos) || to+sizeOffset > uint64(len(b)) {
		return 0, malformed("a reference out of the buffer", pos)
	}
	return int(to), nil
}

// tableAt opens a table. pos comes from follow.
func tableAt(b []byte, pos int) (table, error) {
	at := int64(pos) - int64(int32(le.Uint32(b[pos:])))
	if at < 0 || at+sizeFields > int64(len(b)) {
		return table{}, malformed("fields out of the buffer, of a table", pos)
	}
	f := b[at:]
	n, size := int(le.Uint16(f)), int(le.Uint16(f[2:]))
	if n < sizeFields || n%sizeField != 0 || n > len(f) || size < sizeOffset || size > len(b)-pos {
		return table{}, malformed("a table of impossible size", pos)
	}
	return table{b, pos, size, f[sizeFields:n]}, nil
}

// field finds a field of a size; 0: it is absent.
func (t *table) field(n, size int) (int, error) {
	if (n+1)*sizeField > len(t.fields) {
		return 0, nil
	}
	off := int(le.Uint16(t.fields[n*sizeField:]))
	if off == 0 {
		return 0, nil
	}
	if off < sizeOffset || off+size > t.size {
		return 0, malformed("a field beyond its table", t.pos)
	}
	return t.pos + off, nil
}

// reader reads fields of a table until one is malformed.
type reader struct {
	table
	err error
}

func (r *reader) find(n, size int) int {
	if r.err != nil {
		return 0
	}
	pos, err := r.field(n, size)
	r.err = err
	return pos
}

// byte is a field of one byte: a boolean or an enumeration's value.
func (r *reader) byte(n int) int8 {
	if pos := r.find(n, 1); pos != 0 {
		return int8(r.b[pos])
	}
	return 0
}

func (r *reader) int32(n int) int32 {
	if pos := r.find(n, 4); pos != 0 {
		return int32(le.Uint32(r.b[pos:]))
	}
	return 0
}

// int64 is a field of eight bytes, otherwise where it is absent.
func (r *reader) int64(n int, otherwise int64) int64 {
	if pos := r.find(n, 8); pos != 0 {
		return int64(le.Uint64(r.b[pos:]))
	}
	return otherwise
}

// vector finds a vector's elements, which are of a size each.
func (r *reader) vector(n, size int) (first, count int) {
	pos := r.find(n, sizeOffset)
	if pos == 0 {
		return 0, 0
	}
	at, err := follow(r.b, pos)
	if err == nil {
		count = int(le.Uint32(r.b[at:]))
		first = at + sizeOffset
		if uint64(count)*uint64(size) > uint64(len(r.b)-first) {
			err = malformed("a vector beyond the buffer", at)
		}
	}
	if err != nil {
		r.err = err
		return 0, 0
	}
	return first, count
}

// bytes is a vector of bytes, which may be of any content.
func (r *reader) bytes(n int) []byte {
	first, count := r.vector(n, 1)
	if count == 0 {
		return nil
	}
	return r.b[first : first+count : first+count]
}

// text is a vector of bytes that is a text.
func (r *reader) text(n int) []byte {
	first, count := r.vector(n, 1)
	switch {
	case first == 0:
		return nil
	case first+count >= len(r.b) || r.b[first+count] != 0:
		r.err = malformed("a text without its end", first)
		return nil
	case !utf8.Valid(r.b[first : first+count]):
		r.err = malformed("a text that is not UTF-8", first)
		return nil
	}
	return r.b[first : first+count : first+count]
}

// element opens a table of a vector of tables. pos is within the vector.
func element(b []byte, pos int) (reader, error) {
	at, err := follow(b, pos)
	if err != nil {
		return reader{}, err
	}
	t, err := tableAt(b, at)
	return reader{table: t}, err
}
