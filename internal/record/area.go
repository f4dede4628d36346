package record

import (
	"encoding/binary"
	"hash/crc32"
)

// Limits of a single record. Longer input is refused by Fits before it is staged.
const (
	MaxSubject = 1<<16 - 1 // bytes
	MaxReply   = 1<<16 - 1 // bytes
	MaxContent = 64 << 20  // bytes of all parts together
)

// castagnoli is the polynomial of every checksum in this package: processors
// compute it in hardware.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ID is the keyed hash of a message id, by which duplicates are found without
// keeping or parsing the id itself.
type ID [16]byte

// Parts is what a record is made of. All but Subject may be empty. The slices
// are borrowed: Append copies them.
type Parts struct {
	Subject []byte
	Header  []byte // the protocol's header block as it came
	Data    []byte
	Reply   []byte
	Key     []byte
	Attrs   []byte // binary attributes, encoded by their door
	ID      ID     // valid if HasID
	HasID   bool
	Rollup  Rollup
	TTL     int64 // see View
	Marked  bool  // see View
}

// Rollup says which earlier records a record replaces once it is stored.
type Rollup uint8

const (
	RollupNone    Rollup = iota
	RollupSubject        // those of its subject
	RollupAll            // all
)

// Fits says whether the parts are within the format's limits.
func (p *Parts) Fits() bool {
	total := len(p.Header) + len(p.Data) + len(p.Key) + len(p.Attrs)
	return len(p.Subject) <= MaxSubject && len(p.Reply) <= MaxReply && total <= MaxContent
}

// Record content, little endian:
//
//	offset size
//	0      1    version (1)
//	1      1    flags: 1 reply, 2 key, 4 attributes, 8 id, 16 rollup of the
//	            subject, 32 rollup of all, 64 time to live, 128 marked
//	2      2    subject length
//	4      4    header length
//	8      4    data length
//	12     2    reply length, if flag 1
//	..     4    key length, if flag 2
//	..     4    attributes length, if flag 4
//	..     16   id, if flag 8
//	..     8    time to live, if flag 64: nanoseconds, or -1 for ever
//	..          subject, header, data, reply, key, attributes
const (
	recordVersion = 1
	recordPrefix  = 12

	flagReply         = 1
	flagKey           = 2
	flagAttrs         = 4
	flagID            = 8
	flagRollupSubject = 16
	flagRollupAll     = 32
	flagTTL           = 64
	flagMarked        = 128
	flagsAll          = flagReply | flagKey | flagAttrs | flagID | flagRollupSubject | flagRollupAll | flagTTL | flagMarked
)

// Slot is the place of one record in an area, with the checksum of its content.
type Slot struct {
	Off, Len uint32
	Sum      uint32
}

// Area is what one reader staged for one partition. The zero value is empty and
// ready. It is used by one goroutine until it is sealed.
type Area struct {
	Buf   []byte
	Slots []Slot
}

// Len is the number of records.
func (a *Area) Len() int { return len(a.Slots) }

// Append copies the parts into the area as one record, which must fit.
func (a *Area) Append(p *Parts) {
	off := len(a.Buf)
	b := append(a.Buf, recordVersion, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint16(b[off+2:], uint16(len(p.Subject)))
	binary.LittleEndian.PutUint32(b[off+4:], uint32(len(p.Header)))
	binary.LittleEndian.PutUint32(b[off+8:], uint32(len(p.Data)))
	var flags byte
	if len(p.Reply) > 0 {
		flags |= flagReply
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.Reply)))
	}
	if len(p.Key) > 0 {
		flags |= flagKey
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Key)))
	}
	if len(p.Attrs) > 0 {
		flags |= flagAttrs
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Attrs)))
	}
	if p.HasID {
		flags |= flagID
		b = append(b, p.ID[:]...)
	}
	if p.TTL != 0 {
		flags |= flagTTL
		b = binary.LittleEndian.AppendUint64(b, uint64(max(p.TTL, Forever)))
	}
	switch p.Rollup {
	case RollupSubject:
		flags |= flagRollupSubject
	case RollupAll:
		flags |= flagRollupAll
	}
	if p.Marked {
		flags |= flagMarked
	}
	b[off+1] = flags
	b = append(b, p.Subject...)
	b = append(b, p.Header...)
	b = append(b, p.Data...)
	b = append(b, p.Reply...)
	b = append(b, p.Key...)
	b = append(b, p.Attrs...)
	a.Buf = b
	a.Slots = append(a.Slots, Slot{
		Off: uint32(off),
		Len: uint32(len(b) - off),
		Sum: crc32.Checksum(b[off:], castagnoli),
	})
}

// Join puts the records of o behind those of a. The buffer of o is used again by
// others.
func (a *Area) Join(o *Area) {
	off := uint32(len(a.Buf))
	if len(a.Buf)+len(o.Buf) > cap(a.Buf) {
		b := append(NewArea(max(SmallArea, len(a.Buf)+len(o.Buf))), a.Buf...)
		ReuseArea(a.Buf)
		a.Buf = b
	}
	a.Buf = append(a.Buf, o.Buf...)
	for _, s := range o.Slots {
		s.Off += off
		a.Slots = append(a.Slots, s)
	}
	ReuseArea(o.Buf)
	o.Buf, o.Slots = nil, o.Slots[:0]
}

// Subject returns the subject of record i, pointing into the area.
func (a *Area) Subject(i int) []byte {
	v, err := decode(a.Buf[a.Slots[i].Off:][:a.Slots[i].Len])
	if err != nil {
		panic("record: an area holds a record that it did not encode: " + err.Error())
	}
	return v.Subject
}

// View decodes record i of the area: sequence and time are not known yet.
func (a *Area) View(i int) View {
	var v View
	a.ViewTo(&v, i)
	return v
}

// ViewTo is View into v, all of which it sets.
func (a *Area) ViewTo(v *View, i int) {
	if err := decodeTo(v, a.Buf[a.Slots[i].Off:][:a.Slots[i].Len]); err != nil {
		panic("record: an area holds a record that it did not encode: " + err.Error())
	}
}
