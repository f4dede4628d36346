package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"
)

// Identity names a partition for good: an id is given once, and the incarnation
// counts how often its content was begun anew.
type Identity struct {
	ID          uint64
	Incarnation uint32
}

// Flags of a frame.
const (
	// FlagExplicit says that the directory holds each record's own sequence and
	// time (mirrors, restores, compaction) instead of deltas.
	FlagExplicit = 1 << iota
	// FlagContinues and FlagLast are for chains of frames that become visible
	// together: every frame of a chain but the last has FlagContinues.
	FlagContinues
	FlagLast

	flagsFrame = FlagExplicit | FlagContinues | FlagLast
)

// Header is what a frame says of itself.
type Header struct {
	Partition  Identity
	Flags      uint8
	Term       uint64 // of the leader that admitted it
	Base       uint64 // sequence of the first record
	Time       int64  // of the first record, Unix nanoseconds
	DedupFloor uint64 // ids of records below it no longer count as duplicates
	Count      uint32
	AreaLen    uint32
}

// Frame header, little endian:
//
//	offset size
//	0      4    magic "WFR1"
//	4      4    checksum of the head from offset 8 to the end of the directory
//	8      1    version (1)
//	9      1    flags
//	10     2    0
//	12     4    count of records
//	16     4    length of the directory in bytes
//	20     4    length of the area in bytes
//	24     8    partition id
//	32     4    partition incarnation
//	36     4    0
//	40     8    term
//	48     8    base sequence
//	56     8    base time
//	64     8    dedup floor
//	72          directory, then the area
//
// Directory, one for each record:
//
//	0      4    offset in the area
//	4      4    length
//	8      4    checksum of the content
//	12     4    time after the base time, ns
//	16     8    sequence, if FlagExplicit
//	24     8    time, if FlagExplicit
const (
	// Magic begins every frame.
	Magic = "WFR1"

	magic     = Magic
	version   = 1
	HeaderLen = 72

	slotLen         = 16
	slotExplicitLen = 32

	// MaxRecords and MaxArea bound a frame.
	MaxRecords = 1 << 20
	MaxArea    = 128 << 20
)

// Frame is a sealed frame: the head (header and directory) and the area. Both
// are immutable. Frames may be shared between goroutines.
type Frame struct {
	Header
	Head []byte
	Area []byte

	use    use
	packed bool // it lies in a chunk with others
}

func slotSize(flags uint8) int {
	if flags&FlagExplicit != 0 {
		return slotExplicitLen
	}
	return slotLen
}

// Seal makes a frame of the area's records named by slots, in that order, with
// dense sequences from h.Base and one time. It takes the area over. Count and
// AreaLen of h are set here; FlagExplicit may not be.
func Seal(h Header, area []byte, slots []Slot) *Frame {
	if h.Flags&FlagExplicit != 0 {
		panic("record: Seal cannot write explicit sequences")
	}
	h.Count, h.AreaLen = uint32(len(slots)), uint32(len(area))
	f := &Frame{Header: h, Area: area, Head: make([]byte, HeaderLen+slotLen*len(slots))}
	f.seal(slots)
	return f
}

// Place is a record's own sequence and time, in frames that keep them.
type Place struct {
	Seq  uint64
	Time int64
}

// SealExplicit makes a frame whose records keep their own sequences and times.
// Places must rise in sequence; h.Base and h.Time are taken from the first.
func SealExplicit(h Header, area []byte, slots []Slot, places []Place) *Frame {
	h.Flags |= FlagExplicit
	h.Count, h.AreaLen = uint32(len(slots)), uint32(len(area))
	h.Base, h.Time = places[0].Seq, places[0].Time
	f := &Frame{Header: h, Area: area, Head: make([]byte, HeaderLen+slotExplicitLen*len(slots))}
	for i, s := range slots {
		d := f.Head[HeaderLen+i*slotExplicitLen:]
		binary.LittleEndian.PutUint32(d, s.Off)
		binary.LittleEndian.PutUint32(d[4:], s.Len)
		binary.LittleEndian.PutUint32(d[8:], s.Sum)
		binary.LittleEndian.PutUint64(d[16:], places[i].Seq)
		binary.LittleEndian.PutUint64(d[24:], uint64(places[i].Time))
	}
	f.writeHeader()
	return f
}

func (f *Frame) writeHeader() {
	b := f.Head
	copy(b, magic)
	b[8], b[9] = version, f.Flags
	binary.LittleEndian.PutUint32(b[12:], f.Count)
	binary.LittleEndian.PutUint32(b[16:], uint32(len(b)-HeaderLen))
	binary.LittleEndian.PutUint32(b[20:], f.AreaLen)
	binary.LittleEndian.PutUint64(b[24:], f.Partition.ID)
	binary.LittleEndian.PutUint32(b[32:], f.Partition.Incarnation)
	binary.LittleEndian.PutUint64(b[40:], f.Term)
	binary.LittleEndian.PutUint64(b[48:], f.Base)
	binary.LittleEndian.PutUint64(b[56:], uint64(f.Time))
	binary.LittleEndian.PutUint64(b[64:], f.DedupFloor)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
}

// Len is the frame's length in bytes: head and area.
func (f *Frame) Len() int { return len(f.Head) + len(f.Area) }

// Last is the sequence of the last record; Base - 1 if there is none.
func (f *Frame) Last() uint64 {
	if f.Count == 0 {
		return f.Base - 1
	}
	return f.Seq(int(f.Count) - 1)
}

// Seq is the sequence of record i.
func (f *Frame) Seq(i int) uint64 {
	if f.Flags&FlagExplicit == 0 {
		return f.Base + uint64(i)
	}
	return binary.LittleEndian.Uint64(f.Head[HeaderLen+i*slotExplicitLen+16:])
}

// Find returns the index of the first record with a sequence of seq or more;
// Count if there is none.
func (f *Frame) Find(seq uint64) int {
	if seq <= f.Base {
		return 0
	}
	if f.Flags&FlagExplicit == 0 {
		return int(min(seq-f.Base, uint64(f.Count)))
	}
	return sort.Search(int(f.Count), func(i int) bool { return f.Seq(i) >= seq })
}

// Record decodes record i without verifying its checksum: for frames that never
// left memory since they were sealed or verified.
func (f *Frame) Record(i int) (v View, err error) {
	err = f.RecordTo(&v, i)
	return v, err
}

// RecordTo is Record into v, which is not to be used if it fails.
func (f *Frame) RecordTo(v *View, i int) error {
	off, n := f.Span(i)
	if uint64(off)+uint64(n) > uint64(len(f.Area)) {
		return fmt.Errorf("place of record %d in its frame: %w", f.Seq(i), ErrDamaged)
	}
	return f.viewTo(v, i, f.Area[off:][:n])
}

// Span is the place of record i in the area, as the directory says: it may be
// outside.
func (f *Frame) Span(i int) (off, n uint32) {
	d := f.Head[HeaderLen+i*slotSize(f.Flags):]
	return binary.LittleEndian.Uint32(d), binary.LittleEndian.Uint32(d[4:])
}

// TimeOf is the time of record i.
func (f *Frame) TimeOf(i int) int64 {
	d := f.Head[HeaderLen+i*slotSize(f.Flags):]
	if f.Flags&FlagExplicit != 0 {
		return int64(binary.LittleEndian.Uint64(d[24:]))
	}
	return f.Time + int64(binary.LittleEndian.Uint32(d[12:]))
}

// OpenTo verifies and decodes record i into v from its content, the bytes at its
// span, which were read apart from the frame: Area need not be there. v is not
// to be used if it fails.
func (f *Frame) OpenTo(v *View, i int, content []byte) error {
	d := f.Head[HeaderLen+i*slotSize(f.Flags):]
	if crc32.Checksum(content, castagnoli) != binary.LittleEndian.Uint32(d[8:]) {
		return fmt.Errorf("checksum of record %d: %w", f.Seq(i), ErrDamaged)
	}
	return f.viewTo(v, i, content)
}

func (f *Frame) viewTo(v *View, i int, content []byte) error {
	if err := decodeTo(v, content); err != nil {
		return fmt.Errorf("record %d: %w", f.Seq(i), err)
	}
	v.Seq, v.Time = f.Seq(i), f.TimeOf(i)
	return nil
}

// Verify checks the checksum of record i.
func (f *Frame) Verify(i int) error {
	d := f.Head[HeaderLen+i*slotSize(f.Flags):]
	off, n := binary.LittleEndian.Uint32(d), binary.LittleEndian.Uint32(d[4:])
	if uint64(off)+uint64(n) > uint64(len(f.Area)) {
		return fmt.Errorf("place of record %d in its frame: %w", f.Seq(i), ErrDamaged)
	}
	if crc32.Checksum(f.Area[off:][:n], castagnoli) != binary.LittleEndian.Uint32(d[8:]) {
		return fmt.Errorf("checksum of record %d: %w", f.Seq(i), ErrDamaged)
	}
	return nil
}

// Parse reads the frame at the start of b and returns it and its length. The
// head is verified, records are not (see Verify). The frame points into b.
func Parse(b []byte) (*Frame, int, error) {
	h, dir, err := ParseHeader(b)
	if err != nil {
		return nil, 0, err
	}
	head := HeaderLen + dir
	total := head + int(h.AreaLen)
	if len(b) < total {
		return nil, 0, fmt.Errorf("frame of %d bytes in %d: %w", total, len(b), ErrDamaged)
	}
	if err := VerifyHead(h, b[:head]); err != nil {
		return nil, 0, err
	}
	return &Frame{Header: h, Head: b[:head:head], Area: b[head:total:total]}, total, nil
}

// VerifyHead checks a whole head (header and directory) of which h was read by
// ParseHeader: its checksum, and that explicit sequences rise.
func VerifyHead(h Header, head []byte) error {
	if crc32.Checksum(head[8:], castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return fmt.Errorf("checksum of the frame at sequence %d: %w", h.Base, ErrDamaged)
	}
	if h.Flags&FlagExplicit == 0 {
		return nil
	}
	f := Frame{Header: h, Head: head}
	for i := 1; i < int(h.Count); i++ {
		if f.Seq(i) <= f.Seq(i-1) {
			return fmt.Errorf("order of sequences in the frame at %d: %w", h.Base, ErrDamaged)
		}
	}
	return nil
}

// ParseHeader reads the fixed part of a frame, and the length of its directory,
// from at least HeaderLen bytes. Lengths are plausible but not yet proven: the
// checksum covers the directory too.
func ParseHeader(b []byte) (h Header, dir int, err error) {
	if len(b) < HeaderLen || string(b[:4]) != magic {
		return h, 0, fmt.Errorf("frame magic: %w", ErrDamaged)
	}
	if b[8] != version {
		return h, 0, fmt.Errorf("frame version %d: %w", b[8], ErrDamaged)
	}
	h = Header{
		Flags:      b[9],
		Count:      binary.LittleEndian.Uint32(b[12:]),
		AreaLen:    binary.LittleEndian.Uint32(b[20:]),
		Partition:  Identity{binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint32(b[32:])},
		Term:       binary.LittleEndian.Uint64(b[40:]),
		Base:       binary.LittleEndian.Uint64(b[48:]),
		Time:       int64(binary.LittleEndian.Uint64(b[56:])),
		DedupFloor: binary.LittleEndian.Uint64(b[64:]),
	}
	d := binary.LittleEndian.Uint32(b[16:])
	plausible := h.Flags&^uint8(flagsFrame) == 0 && h.Count <= MaxRecords && h.AreaLen <= MaxArea &&
		uint64(d) == uint64(h.Count)*uint64(slotSize(h.Flags)) && h.Base+uint64(h.Count) >= h.Base
	if !plausible {
		return h, 0, fmt.Errorf("frame header: %w", ErrDamaged)
	}
	return h, int(d), nil
}
