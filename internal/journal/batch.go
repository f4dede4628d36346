package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A batch, little-endian, padded with zeros to a multiple of 4 KiB:
//
//	 0  4  magic "WJNL"
//	 4  2  format version, 1
//	 6  2  flags: 1 the journal was closed after this batch, 2 the data begins at
//	       the next block behind the directory and the envelope, 4 the data is
//	       encrypted
//	 8  8  identity of the data directory
//	16  8  generation of the file
//	24  8  number of the batch, from 1, without gaps over all files
//	32  8  durable_upto: batches known durable when this one was written
//	40  8  first_live: the oldest generation that was still needed then
//	48  4  checksum of the previous batch (0 for the first)
//	52  4  count of entries
//	56  4  bytes of data
//	60  4  checksum over bytes 0 to 59, the directory and the envelope
//	64     directory: one record of 36 bytes an entry
//	       0 8 group · 8 8 term · 16 8 index · 24 4 length · 28 4 checksum of the
//	       data, 0 where it is encrypted · 32 1 kind · 33 1 flags: 1 the data is the
//	       place of an extent · 34 2 zero
//	       envelope of encrypted data, see package atrest
//	       data of the entries, one after the other
//
// Checksums are CRC-32C. That of the batch starts from a value made of
// generation and identity, so that the bytes of another life of the file, or of
// another directory, do not pass.
const (
	blockSize     = 4096
	headerSize    = 64
	recordSize    = 36
	formatVersion = 1
	// highestVersion is the highest that a format will have: above is garbage, which a
	// crash may leave behind a magic.
	highestVersion = 64
	magic          = "WJNL"

	flagClosed    = 1
	flagApart     = 2
	flagEncrypted = 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// Why bytes are no batch.
var (
	errNoBatch   = errors.New("no batch")
	errChecksum  = errors.New("checksum differs")
	errTruncated = errors.New("batch is longer than its file")
	errNewer     = errors.New("format is newer than this program")
)

// header is the fixed part of a batch.
type header struct {
	flags       uint16
	identity    uint64
	generation  uint64
	number      uint64
	durableUpto uint64
	firstLive   uint64
	prev        uint32
	count       uint32
	dataLen     uint32
	checksum    uint32
}

// headLen is the length of header, directory and envelope.
func (h *header) headLen() int64 { return headerSize + h.directoryLen() + h.envelopeLen() }

func (h *header) directoryLen() int64 { return int64(h.count) * recordSize }

// dataOff is where the data begins.
func (h *header) dataOff() int64 {
	if h.flags&flagApart != 0 {
		return padded(h.headLen())
	}
	return h.headLen()
}

// len is the length of the batch on disk.
func (h *header) len() int64 { return padded(h.dataOff() + int64(h.dataLen)) }

func padded(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }

func (h *header) seed() uint32 {
	x := h.generation*0x9e3779b97f4a7c15 ^ h.identity
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return uint32(x >> 32)
}

// put writes the header, but for its checksum.
func (h *header) put(head []byte) {
	copy(head, magic)
	le.PutUint16(head[4:], formatVersion)
	le.PutUint16(head[6:], h.flags)
	le.PutUint64(head[8:], h.identity)
	le.PutUint64(head[16:], h.generation)
	le.PutUint64(head[24:], h.number)
	le.PutUint64(head[32:], h.durableUpto)
	le.PutUint64(head[40:], h.firstLive)
	le.PutUint32(head[48:], h.prev)
	le.PutUint32(head[52:], h.count)
	le.PutUint32(head[56:], h.dataLen)
}

// seal writes the checksum of a header that is put in front of a directory. head
// covers header, directory and envelope.
func (h *header) seal(head []byte) {
	h.checksum = h.sum(head)
	le.PutUint32(head[60:], h.checksum)
}

func (h *header) sum(head []byte) uint32 {
	c := crc32.Update(h.seed(), castagnoli, head[:60])
	return crc32.Update(c, castagnoli, head[headerSize:])
}

// parseHeader reads the fixed part; room is how many bytes the file has from
// here. The checksum is not looked at. Its errors are those above.
func parseHeader(b []byte, room int64) (header, error) {
	if len(b) < headerSize || string(b[:4]) != magic {
		return header{}, errNoBatch
	}
	switch v := le.Uint16(b[4:]); {
	case v == 0 || v > highestVersion:
		return header{}, errChecksum
	case v != formatVersion:
		return header{}, fmt.Errorf("%w: version %d", errNewer, v)
	}
	h := header{
		flags:       le.Uint16(b[6:]),
		identity:    le.Uint64(b[8:]),
		generation:  le.Uint64(b[16:]),
		number:      le.Uint64(b[24:]),
		durableUpto: le.Uint64(b[32:]),
		firstLive:   le.Uint64(b[40:]),
		prev:        le.Uint32(b[48:]),
		count:       le.Uint32(b[52:]),
		dataLen:     le.Uint32(b[56:]),
		checksum:    le.Uint32(b[60:]),
	}
	if h.len() > room {
		return header{}, errTruncated
	}
	return h, nil
}

// record is one line of a batch's directory.
type record struct {
	group  GroupID
	term   uint64
	index  uint64
	length uint32
	sum    uint32
	kind   lineKind
}

func (r *record) put(b []byte) {
	le.PutUint64(b, uint64(r.group))
	le.PutUint64(b[8:], r.term)
	le.PutUint64(b[16:], r.index)
	le.PutUint32(b[24:], r.length)
	le.PutUint32(b[28:], r.sum)
	le.PutUint32(b[32:], uint32(r.kind))
}

func parseRecord(b []byte) record {
	return record{
		group:  GroupID(le.Uint64(b)),
		term:   le.Uint64(b[8:]),
		index:  le.Uint64(b[16:]),
		length: le.Uint32(b[24:]),
		sum:    le.Uint32(b[28:]),
		kind:   lineKind(le.Uint16(b[32:])),
	}
}

// batch is a decoded batch; it points into the bytes it was read from.
type batch struct {
	header
	head      []byte // header, directory and envelope
	directory []byte
	envelope  []byte
	data      []byte
	lost      []int // pieces of decrypted data that are damaged
}

// parseHead checks header, directory and envelope. b holds at least them.
func parseHead(b []byte, room int64) (batch, error) {
	h, err := parseHeader(b, room)
	if err != nil {
		return batch{}, err
	}
	if int64(len(b)) < h.headLen() {
		return batch{}, errTruncated
	}
	head := b[:h.headLen()]
	if h.sum(head) != h.checksum {
		return batch{}, errChecksum
	}
	dir := headerSize + h.directoryLen()
	bt := batch{header: h, head: head, directory: head[headerSize:dir], envelope: head[dir:]}
	var total uint64
	for i := range bt.entries() {
		total += uint64(bt.record(i).length)
	}
	if total != uint64(h.dataLen) {
		return batch{}, errChecksum
	}
	return bt, nil
}

// parseBatch reads a batch at the beginning of b, with its data. Data whose
// checksum differs is found by visit.
func parseBatch(b []byte) (batch, error) {
	bt, err := parseHead(b, int64(len(b)))
	if err != nil {
		return batch{}, err
	}
	bt.data = b[bt.dataOff():][:bt.dataLen]
	return bt, nil
}

func (b *batch) entries() int { return int(b.count) }

func (b *batch) record(i int) record { return parseRecord(b.directory[i*recordSize:]) }

// visit calls f for each entry in order; ok says whether its data is what was
// written. Encrypted data has been decrypted before. An error of f ends it.
func (b *batch) visit(f func(r record, data []byte, ok bool) error) error {
	rest := b.data
	for i := range b.entries() {
		r := b.record(i)
		data := rest[:r.length]
		rest = rest[r.length:]
		var ok bool
		if b.flags&flagEncrypted == 0 {
			ok = crc32.Checksum(data, castagnoli) == r.sum
		} else {
			ok = b.keeps(len(b.data)-len(rest)-len(data), len(data))
		}
		if err := f(r, data, ok); err != nil {
			return err
		}
	}
	return nil
}

// intact says whether all data is what was written.
func (b *batch) intact() bool {
	return b.visit(func(_ record, _ []byte, ok bool) error {
		if !ok {
			return errChecksum
		}
		return nil
	}) == nil
}
