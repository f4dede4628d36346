package record

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrDamaged says that bytes do not have the checksum they were written with, or
// are not of the format at all.
var ErrDamaged = errors.New("damaged")

// ErrNotFound says that a log does not hold a record: it never did, or it was
// trimmed. It is never the answer where reading failed.
var ErrNotFound = errors.New("no such record")

// View is one record. Its slices point into the bytes it was decoded from and
// live as long as those.
type View struct {
	Seq     uint64
	Time    int64 // Unix nanoseconds
	Subject []byte
	Header  []byte
	Data    []byte
	Reply   []byte
	Key     []byte
	Attrs   []byte
	ID      ID
	HasID   bool
	Rollup  Rollup
	// TTL is how long the record lives, nanoseconds; 0: as long as the log's limits
	// say; Forever: also longer than the log's maximum age.
	TTL int64
	// Marked: whoever captured it has to do something about it as long as it lives.
	Marked bool
}

// Forever is the TTL of a record that no age ends.
const Forever int64 = -1

// Stored overhead of a record as JetStream's file store counts it, so that limits
// in bytes mean the same to its users: 22 bytes and an 8-byte checksum, and 4
// bytes for the length of headers where there are any.
const (
	sizeOverhead  = 30
	sizeHasHeader = 4
)

// Size is the number of bytes that the record counts against a limit.
func (v *View) Size() uint64 { return Size(len(v.Subject), len(v.Header), len(v.Data)) }

// Size is what a record with parts of these lengths counts against a limit.
func Size(subject, header, data int) uint64 {
	n := uint64(subject) + uint64(header) + uint64(data) + sizeOverhead
	if header > 0 {
		n += sizeHasHeader
	}
	return n
}

// decode reads a record's content. The lengths must add up exactly.
func decode(b []byte) (v View, err error) {
	err = decodeTo(&v, b)
	return v, err
}

// decodeTo is decode into v, all of which it sets unless it fails: a View is too
// large to be handed from call to call by value on the way of each record.
func decodeTo(v *View, b []byte) error {
	if len(b) < recordPrefix || b[0] != recordVersion || b[1]&^flagsAll != 0 {
		return fmt.Errorf("record prefix: %w", ErrDamaged)
	}
	flags := b[1]
	subject := int(binary.LittleEndian.Uint16(b[2:]))
	header := int(binary.LittleEndian.Uint32(b[4:]))
	data := int(binary.LittleEndian.Uint32(b[8:]))
	rest := b[recordPrefix:]
	if flags == 0 {
		if subject+header+data != len(rest) {
			return fmt.Errorf("record lengths: %w", ErrDamaged)
		}
		// A whole View would be made elsewhere first, and copied.
		*v = View{}
		v.Subject = rest[:subject:subject]
		v.Header = rest[subject : subject+header : subject+header]
		v.Data = rest[subject+header:]
		return nil
	}
	var err error
	*v, err = decodeExtended(flags, subject, header, data, rest)
	return err
}

// decodeExtended reads a record with any of the optional parts.
func decodeExtended(flags byte, subject, header, data int, rest []byte) (View, error) {
	var v View
	v.Marked = flags&flagMarked != 0
	var reply, key, attrs int
	switch flags & (flagRollupSubject | flagRollupAll) {
	case flagRollupSubject:
		v.Rollup = RollupSubject
	case flagRollupAll:
		v.Rollup = RollupAll
	case flagRollupSubject | flagRollupAll:
		return v, fmt.Errorf("record rollup: %w", ErrDamaged)
	}
	short := func(n int) bool { return len(rest) < n }
	if flags&flagReply != 0 {
		if short(2) {
			return v, fmt.Errorf("record reply length: %w", ErrDamaged)
		}
		reply, rest = int(binary.LittleEndian.Uint16(rest)), rest[2:]
	}
	if flags&flagKey != 0 {
		if short(4) {
			return v, fmt.Errorf("record key length: %w", ErrDamaged)
		}
		key, rest = int(binary.LittleEndian.Uint32(rest)), rest[4:]
	}
	if flags&flagAttrs != 0 {
		if short(4) {
			return v, fmt.Errorf("record attributes length: %w", ErrDamaged)
		}
		attrs, rest = int(binary.LittleEndian.Uint32(rest)), rest[4:]
	}
	if flags&flagID != 0 {
		if short(len(v.ID)) {
			return v, fmt.Errorf("record id: %w", ErrDamaged)
		}
		v.HasID = true
		rest = rest[copy(v.ID[:], rest):]
	}
	if flags&flagTTL != 0 {
		if short(8) {
			return v, fmt.Errorf("record time to live: %w", ErrDamaged)
		}
		v.TTL, rest = int64(binary.LittleEndian.Uint64(rest)), rest[8:]
		if v.TTL == 0 || v.TTL < Forever {
			return v, fmt.Errorf("record time to live of %d: %w", v.TTL, ErrDamaged)
		}
	}
	if subject+header+data+reply+key+attrs != len(rest) {
		return v, fmt.Errorf("record lengths: %w", ErrDamaged)
	}
	next := func(n int) []byte {
		p := rest[:n:n]
		rest = rest[n:]
		return p
	}
	v.Subject, v.Header, v.Data = next(subject), next(header), next(data)
	v.Reply, v.Key, v.Attrs = next(reply), next(key), next(attrs)
	return v, nil
}
