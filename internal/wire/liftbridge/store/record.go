package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	wire "github.com/weirmq/weir/internal/wire/liftbridge"
)

// ErrDamaged says that what a server stored is damaged.
var ErrDamaged = errors.New("damaged")

// HeadSize is the size of what stands before a record's body.
const HeadSize = 28

// MaxBody bounds a record's body, bytes: servers take no longer messages.
const MaxBody = 256 << 20

// leastBody is the length of a body without key, value and headers.
const leastBody = 4 + 2 + 4 + 4 + 2

// Head is what stands before a record's body.
type Head struct {
	Offset int64
	Time   int64 // Unix ns
	Size   int   // of the body, bytes
}

// ParseHead reads a head of HeadSize bytes. What no record can have is damage.
func ParseHead(b []byte) (Head, error) {
	if len(b) < HeadSize {
		return Head{}, fmt.Errorf("%w: it ends in its head", ErrDamaged)
	}
	offset, at, size := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[24:])
	if offset >= math.MaxInt64 || at > math.MaxInt64 || size < leastBody || size > MaxBody {
		return Head{}, fmt.Errorf("%w: its head says offset %d, time %d, %d bytes", ErrDamaged, offset, at, size)
	}
	return Head{Offset: int64(offset), Time: int64(at), Size: int(size)}, nil
}

// Record is a body's content. A key or value that is nil is null, which is not empty.
type Record struct {
	Key, Value []byte
	Headers    []wire.Header
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sound says whether a body has the checksum that it says.
func Sound(body []byte) bool {
	return len(body) >= leastBody && crc32.Checksum(body[4:], castagnoli) == binary.BigEndian.Uint32(body)
}

// DecodeRecord reads a body into r, whose Headers it uses again.
func DecodeRecord(body []byte, r *Record) error {
	if !Sound(body) {
		return fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	if body[4] != 1 || body[5] != 0 {
		return fmt.Errorf("%w: it is of the kind %d, attributes %d", ErrDamaged, body[4], body[5])
	}
	in := cursor{rest: body[6:]}
	*r = Record{Key: in.nullable(), Value: in.nullable(), Headers: r.Headers[:0]}
	for range in.number(2) {
		h := wire.Header{Name: in.bytes(in.number(2)), Value: in.bytes(in.number(4))}
		if in.short {
			break
		}
		r.Headers = append(r.Headers, h)
	}
	if in.short || len(in.rest) > 0 {
		return fmt.Errorf("%w: the lengths of its parts do not add up", ErrDamaged)
	}
	return nil
}

// cursor takes bytes from the front; short says that there were too few.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) bytes(n uint64) []byte {
	if c.short || n > uint64(len(c.rest)) {
		c.short = true
		return nil
	}
	out := c.rest[:n:n]
	c.rest = c.rest[n:]
	return out
}

// number reads an integer of so many bytes.
func (c *cursor) number(size uint64) (n uint64) {
	for _, b := range c.bytes(size) {
		n = n<<8 | uint64(b)
	}
	return n
}

// nullable reads a length and so many bytes; nil where the length is -1.
func (c *cursor) nullable() []byte {
	n := c.number(4)
	if n == math.MaxUint32 {
		return nil
	}
	return c.bytes(n)
}
