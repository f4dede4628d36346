package stan

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed says that bytes are not an encoded message.
var ErrMalformed = errors.New("malformed streaming message")

// The wire types of protobuf.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// A field is one tag with its value.
type field struct {
	num   uint64
	kind  byte
	n     uint64 // of a varint
	bytes []byte // borrowed
}

// decode calls take for each field. take says whether it knows a field of this
// number and wire type: a known number of another type is malformed.
func decode(b []byte, known uint64, take func(f field) bool) error {
	var f field
	for len(b) > 0 {
		n := next(b, &f)
		if n <= 0 {
			return ErrMalformed
		}
		b = b[n:]
		if !take(f) && f.num < 64 && known&(1<<f.num) != 0 {
			return ErrMalformed
		}
	}
	return nil
}

// next reads a field from the start of b, which is not empty, and gives its length; 0 if
// there is none.
func next(b []byte, f *field) int {
	tag, n := uint64(b[0]), 1
	if tag >= 0x80 {
		tag, n = binary.Uvarint(b)
	}
	if n <= 0 || tag>>3 == 0 || tag>>32 != 0 {
		return 0
	}
	f.num, f.kind, f.bytes, f.n = tag>>3, byte(tag&7), nil, 0
	switch f.kind {
	case wireVarint:
		v, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return 0
		}
		f.n = v
		return n + m
	case wireBytes:
		size, m := binary.Uvarint(b[n:])
		if m <= 0 || size > uint64(len(b)-n-m) {
			return 0
		}
		n += m
		f.bytes = b[n : n+int(size) : n+int(size)]
		return n + int(size)
	case wire64:
		return fixed(b, n, 8)
	case wire32:
		return fixed(b, n, 4)
	}
	return 0
}

// short is next for what most fields of a message are: bytes whose tag and length take
// one byte each. 0: it is something else, or malformed.
func short(b []byte, f *field) int {
	if len(b) < 2 || b[0] < 8 || b[0]&0x87 != wireBytes || b[1] >= 0x80 {
		return 0
	}
	n := 2 + int(b[1])
	if n > len(b) {
		return 0
	}
	f.num, f.kind, f.bytes, f.n = uint64(b[0]>>3), wireBytes, b[2:n:n], 0
	return n
}

func fixed(b []byte, n, size int) int {
	if len(b)-n < size {
		return 0
	}
	return n + size
}

func (f field) text(to *string) bool {
	if f.kind == wireBytes {
		*to = string(f.bytes)
	}
	return f.kind == wireBytes
}

func (f field) borrow(to *[]byte) bool {
	if f.kind == wireBytes {
		*to = f.bytes
	}
	return f.kind == wireBytes
}

func (f field) uint(to *uint64) bool {
	if f.kind == wireVarint {
		*to = f.n
	}
	return f.kind == wireVarint
}

// int32 reads what protobuf calls an int32: the low half of the varint.
func (f field) int32(to *int32) bool {
	if f.kind == wireVarint {
		*to = int32(uint32(f.n))
	}
	return f.kind == wireVarint
}

func (f field) int64(to *int64) bool {
	if f.kind == wireVarint {
		*to = int64(f.n)
	}
	return f.kind == wireVarint
}

// bits is the set of the field numbers.
func bits(nums ...uint) uint64 {
	var m uint64
	for _, n := range nums {
		m |= 1 << n
	}
	return m
}

func appendTag(dst []byte, num uint64, kind byte) []byte {
	return binary.AppendUvarint(dst, num<<3|uint64(kind))
}

func appendUint(dst []byte, num, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(appendTag(dst, num, wireVarint), v)
}

// appendInt writes an int32 or int64: a negative one takes ten bytes.
func appendInt(dst []byte, num uint64, v int64) []byte { return appendUint(dst, num, uint64(v)) }

func appendBytes[T string | []byte](dst []byte, num uint64, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(appendTag(dst, num, wireBytes), uint64(len(v)))
	return append(dst, v...)
}
