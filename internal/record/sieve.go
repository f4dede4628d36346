package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Sieve gathers some of the records of frames, in order of sequence, into new
// frames in which they keep their sequences and times. The zero value is empty. It
// is used by one goroutine.
type Sieve struct {
	h      Header
	area   Area
	places []Place
}

// Len is about how many bytes the frame of what was gathered has.
func (s *Sieve) Len() int { return HeaderLen + len(s.places)*slotExplicitLen + len(s.area.Buf) }

// Count is how many records were gathered.
func (s *Sieve) Count() int { return len(s.places) }

// Takes says whether records of a frame may follow those that were gathered: a
// frame is of one partition and one term.
func (s *Sieve) Takes(f *Frame) bool {
	return len(s.places) == 0 || s.h.Term == f.Term && s.h.Partition == f.Partition
}

// Add gathers record i of f, of which content are the bytes: it copies them. They
// are verified; an error wraps ErrDamaged, and then nothing is added. Takes has said
// that the frame fits.
func (s *Sieve) Add(f *Frame, i int, content []byte) error {
	sum := f.Sum(i)
	if crc32.Checksum(content, castagnoli) != sum {
		return fmt.Errorf("checksum of record %d: %w", f.Seq(i), ErrDamaged)
	}
	if len(s.places) == 0 {
		s.h = Header{Partition: f.Partition, Term: f.Term}
	}
	s.h.DedupFloor = max(s.h.DedupFloor, f.DedupFloor)
	a := &s.area
	a.Slots = append(a.Slots, Slot{Off: uint32(len(a.Buf)), Len: uint32(len(content)), Sum: sum})
	a.Buf = append(a.Buf, content...)
	s.places = append(s.places, Place{Seq: f.Seq(i), Time: f.TimeOf(i)})
	return nil
}

// Seal gives the frame of what was gathered, and begins anew. There must be
// something.
func (s *Sieve) Seal() *Frame {
	f := SealExplicit(s.h, s.area.Buf, s.area.Slots, s.places)
	*s = Sieve{}
	return f
}

// Sum is the checksum of the content of record i, as the directory says.
func (f *Frame) Sum(i int) uint32 {
	return binary.LittleEndian.Uint32(f.Head[HeaderLen+i*slotSize(f.Flags)+8:])
}

// Content is the content of record i of a frame with its area.
func (f *Frame) Content(i int) ([]byte, error) {
	off, n := f.Span(i)
	if uint64(off)+uint64(n) > uint64(len(f.Area)) {
		return nil, fmt.Errorf("place of record %d in its frame: %w", f.Seq(i), ErrDamaged)
	}
	return f.Area[off:][:n], nil
}
