package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/weirmq/weir/internal/record"
)

// step is how much of a body is read before more memory is taken for it.
const step = 1 << 20

// Reader reads a backup and verifies it on the way: what it returned is whole. It
// is total; its memory is that of the largest item that is really there.
type Reader struct {
	r         io.Reader
	sum       uint32
	offset    int64 // of the item being read
	next      int64 // of the one after it
	head      Head
	last      uint64 // sequence of the last record
	records   uint64
	bytes     uint64
	consumers int
	buf       []byte
	done      bool
}

// NewReader reads the head of a backup, or of one that is packed as Packer does. Then
// offsets are those of what is unpacked. The error is ErrForeign, wraps ErrVersion, is a
// *DamageError, or is what r gave.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{r: r, next: int64(len(Magic))}
	magic := make([]byte, len(Magic))
	if err := d.begin(magic); err != nil {
		return nil, err
	}
	if string(magic) == packedMagic {
		d.r = s2.NewReader(io.MultiReader(bytes.NewReader(magic), r))
		if err := d.begin(magic); err != nil {
			return nil, err
		}
	}
	if string(magic) != Magic {
		return nil, ErrForeign
	}
	d.sum = crc32.Checksum(magic, castagnoli)
	kind, body, err := d.item()
	if err != nil {
		return nil, err
	}
	if kind != kindHead {
		return nil, d.damage("the first item is no head")
	}
	if err := json.Unmarshal(body, &d.head); err != nil {
		return nil, d.damage("the head: %v", err)
	}
	if d.head.Version != version {
		return nil, fmt.Errorf("version %d: %w", d.head.Version, ErrVersion)
	}
	if !d.head.sound() {
		return nil, d.damage("the head is contradictory")
	}
	return d, nil
}

// begin reads the first bytes.
func (d *Reader) begin(magic []byte) error {
	_, err := io.ReadFull(d.r, magic)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrForeign
	}
	return d.failed(err)
}

// Head is what the backup says of itself.
func (d *Reader) Head() *Head { return &d.head }

// Offset is how many bytes were read.
func (d *Reader) Offset() int64 { return d.next }

// Next returns the next item, whose bytes are valid until the next call, and io.EOF
// when all was read and found whole.
func (d *Reader) Next() (Item, error) {
	if d.done {
		return Item{}, io.EOF
	}
	kind, body, err := d.item()
	if err != nil {
		return Item{}, err
	}
	switch kind {
	case kindConsumer:
		return d.consumer(body)
	case kindRecord:
		return d.record(body)
	case kindEnd:
		if err := d.end(body); err != nil {
			return Item{}, err
		}
		d.done = true
		return Item{}, io.EOF
	}
	return Item{}, d.damage("an item of kind %d", kind)
}

func (d *Reader) consumer(body []byte) (Item, error) {
	if d.records > 0 || len(body) < 4 || uint64(binary.LittleEndian.Uint32(body)) > uint64(len(body)-4) {
		return Item{}, d.damage("a consumer of %d bytes", len(body))
	}
	if d.consumers++; d.consumers > d.head.Consumers {
		return Item{}, d.damage("more than %d consumers", d.head.Consumers)
	}
	n := 4 + binary.LittleEndian.Uint32(body)
	return Item{Spec: body[4:n:n], State: body[n:]}, nil
}

func (d *Reader) record(body []byte) (Item, error) {
	if len(body) < 16 {
		return Item{}, d.damage("a record of %d bytes", len(body))
	}
	seq := binary.LittleEndian.Uint64(body)
	switch {
	case d.consumers != d.head.Consumers:
		return Item{}, d.damage("%d consumers where %d should be", d.consumers, d.head.Consumers)
	case seq <= d.last || seq < d.head.First || seq > d.head.Last || d.records == 0 && seq != d.head.First:
		return Item{}, d.damage("sequence %d does not follow %d", seq, d.last)
	}
	v, err := record.Decode(body[16:])
	if err != nil {
		return Item{}, d.damage("record %d: %v", seq, err)
	}
	v.Seq, v.Time = seq, int64(binary.LittleEndian.Uint64(body[8:]))
	d.last = seq
	d.records++
	d.bytes += v.Size()
	return Item{Record: v}, nil
}

// end holds what came against what was announced, and makes sure that nothing
// follows.
func (d *Reader) end(body []byte) error {
	h := &d.head
	switch {
	case len(body) != 8 || binary.LittleEndian.Uint64(body) != d.records || d.records != h.Records:
		return d.damage("%d records where %d should be", d.records, h.Records)
	case d.bytes != h.Bytes:
		return d.damage("records of %d bytes where %d should be", d.bytes, h.Bytes)
	case d.consumers != h.Consumers:
		return d.damage("%d consumers where %d should be", d.consumers, h.Consumers)
	}
	var more [1]byte
	_, err := io.ReadFull(d.r, more[:])
	if errors.Is(err, io.EOF) {
		return nil
	}
	d.offset = d.next
	if err != nil {
		return d.failed(err)
	}
	return d.damage("bytes follow the end")
}

// item reads one item and verifies its checksum.
func (d *Reader) item() (kind byte, body []byte, err error) {
	d.offset = d.next
	var head [itemHead]byte
	if err := d.fill(head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if uint64(n) > bound(head[0]) {
		return 0, nil, d.damage("an item of kind %d with %d bytes", head[0], n)
	}
	d.buf = d.buf[:0]
	for left := int(n) + itemSum; left > 0; {
		k := min(left, step)
		at := len(d.buf)
		d.buf = append(d.buf, make([]byte, k)...)
		if err := d.fill(d.buf[at:]); err != nil {
			return 0, nil, err
		}
		left -= k
	}
	body = d.buf[:n:n]
	d.sum = crc32.Update(crc32.Update(d.sum, castagnoli, head[:]), castagnoli, body)
	if binary.LittleEndian.Uint32(d.buf[n:]) != d.sum {
		return 0, nil, d.damage("the checksum is another one")
	}
	return head[0], body, nil
}

func bound(kind byte) uint64 {
	switch kind {
	case kindHead:
		return maxHead
	case kindConsumer:
		return maxConsumer
	case kindRecord:
		return maxRecord
	case kindEnd:
		return 8
	}
	return 0
}

func (d *Reader) fill(b []byte) error {
	n, err := io.ReadFull(d.r, b)
	d.next += int64(n)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return d.damage("it ends there, at byte %d, before its end", d.next)
	}
	return d.failed(err)
}

// failed puts an error of what is read from into our words: that packed bytes cannot
// be unpacked is damage.
func (d *Reader) failed(err error) error {
	for _, bad := range []error{s2.ErrCorrupt, s2.ErrCRC, s2.ErrUnsupported, s2.ErrTooLarge} {
		if errors.Is(err, bad) {
			return d.damage("what is packed there does not unpack: %v", err)
		}
	}
	return fmt.Errorf("read a backup: %w", err)
}

func (d *Reader) damage(format string, args ...any) error {
	return &DamageError{Offset: d.offset, After: d.last, Detail: fmt.Sprintf(format, args...)}
}
