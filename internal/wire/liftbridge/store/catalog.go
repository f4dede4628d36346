package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"google.golang.org/protobuf/encoding/protowire"
)

// Stream is what a server knows of one.
type Stream struct {
	// Settings but for Partition. What the stream does not say itself is zero.
	wire.Settings
	// What is nil the server's own settings say.
	MaxBytes, MaxMessages *int64
	MaxAge                *time.Duration
	Compacts              *bool
	Created               int64 // Unix ns
	Paused, ReadOnly      map[int32]bool
}

// Catalog is the streams that a server knows, by name.
type Catalog map[string]*Stream

// DecodeCatalog reads what a server knows: a snapshot, which may be nil, and the entries of
// Raft's log behind its index, in the file db.
func DecodeCatalog(snapshot []byte, index uint64, db []byte) (Catalog, error) {
	c := Catalog{}
	if snapshot != nil {
		if err := c.restore(snapshot); err != nil {
			return nil, fmt.Errorf("read the snapshot: %w", err)
		}
	}
	t, err := openTree(db)
	if err != nil {
		return nil, err
	}
	err = t.bucket("logs", func(e element) error {
		if len(e.key) != 8 || binary.BigEndian.Uint64(e.key) <= index {
			return nil
		}
		op, err := command(e.value)
		if err == nil && op != nil {
			err = c.apply(op)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", binary.BigEndian.Uint64(e.key), err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Names lists the streams.
func (c Catalog) Names() []string { return slices.Sorted(maps.Keys(c)) }

// fields gives the fields of a protobuf message: a number, or bytes.
func fields(b []byte, each func(field protowire.Number, n uint64, b []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrDamaged, protowire.ParseError(n))
		}
		b = b[n:]
		var number uint64
		var body []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrDamaged, protowire.ParseError(n))
		}
		if err := each(num, number, body); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// restore reads a snapshot.
func (c Catalog) restore(b []byte) error {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) != uint64(len(b)-4) {
		return fmt.Errorf("%w: it has another length than it says", ErrDamaged)
	}
	return fields(b[4:], func(f protowire.Number, _ uint64, b []byte) error {
		if f == 1 {
			return c.create(b)
		}
		return nil // groups, whose members are gone
	})
}

// Operations, and the fields that they stand in.
const (
	opCreate   = 2
	opDelete   = 6
	opPause    = 7
	opResume   = 8
	opReadOnly = 10
)

// apply takes an entry of the log over. What is about a stream that is not there is
// ignored, as the server did.
func (c Catalog) apply(op []byte) error {
	return fields(op, func(f protowire.Number, _ uint64, b []byte) error {
		if f == opCreate {
			return fields(b, func(f protowire.Number, _ uint64, b []byte) error {
				if f == 1 {
					return c.create(b)
				}
				return nil
			})
		}
		if f != opDelete && f != opPause && f != opResume && f != opReadOnly {
			return nil
		}
		var a about
		if err := a.decode(b); err != nil {
			return err
		}
		s := c[a.stream]
		if s == nil {
			return nil
		}
		switch f {
		case opDelete:
			delete(c, a.stream)
		case opPause, opResume:
			a.set(s, s.Paused, f == opPause)
		default:
			a.set(s, s.ReadOnly, a.flag)
		}
		return nil
	})
}

// about says what an operation is about.
type about struct {
	stream     string
	partitions []int32 // none: all
	flag       bool
}

func (a *about) decode(b []byte) error {
	return fields(b, func(f protowire.Number, n uint64, b []byte) error {
		switch f {
		case 1:
			a.stream = string(b)
		case 2:
			if b == nil {
				a.partitions = append(a.partitions, int32(n))
			}
			for len(b) > 0 {
				v, n := protowire.ConsumeVarint(b)
				if n < 0 {
					return fmt.Errorf("%w: %w", ErrDamaged, protowire.ParseError(n))
				}
				a.partitions = append(a.partitions, int32(v))
				b = b[n:]
			}
		case 3:
			a.flag = n != 0
		}
		return nil
	})
}

func (a *about) set(s *Stream, flags map[int32]bool, on bool) {
	if len(a.partitions) == 0 {
		for k := range s.Partitions {
			flags[k] = on
		}
	}
	for _, k := range a.partitions {
		if k >= 0 && k < s.Partitions {
			flags[k] = on
		}
	}
}

// create takes a stream over.
func (c Catalog) create(b []byte) error {
	s := &Stream{Paused: map[int32]bool{}, ReadOnly: map[int32]bool{}}
	err := fields(b, func(f protowire.Number, n uint64, b []byte) error {
		switch f {
		case 1:
			s.Name = string(b)
		case 2:
			s.Subject = string(b)
		case 3:
			return s.partition(b)
		case 4:
			return s.config(b)
		case 5:
			s.Created = int64(n)
		}
		return nil
	})
	if err == nil && s.Partitions == 0 {
		err = fmt.Errorf("%w: the stream %q has no partitions", ErrDamaged, s.Name)
	}
	if err == nil {
		c[s.Name] = s
	}
	return err
}

// partition takes one of a stream's over. They come in the order of their numbers.
func (s *Stream) partition(b []byte) error {
	s.Partitions++
	id, paused, readOnly := uint64(0), false, false
	err := fields(b, func(f protowire.Number, n uint64, b []byte) error {
		switch f {
		case 3:
			id = n
		case 4:
			s.Group = string(b)
		case 11:
			paused = n != 0
		case 12:
			readOnly = n != 0
		}
		return nil
	})
	if k := int32(id); paused || readOnly {
		s.Paused[k], s.ReadOnly[k] = paused, readOnly
	}
	return err
}

// longest bounds a duration in milliseconds: a hundred years.
const longest = 100 * 365 * 24 * 3600 * 1000

// config takes what a stream says of itself over.
func (s *Stream) config(b []byte) error {
	return fields(b, func(f protowire.Number, _ uint64, b []byte) error {
		var v int64
		err := fields(b, func(f protowire.Number, n uint64, _ []byte) error {
			if f == 1 {
				v = int64(n)
			}
			return nil
		})
		v = max(v, 0)
		ms := time.Duration(min(v, longest)) * time.Millisecond
		on := v != 0
		switch f {
		case 1:
			s.MaxBytes = &v
		case 2:
			s.MaxMessages = &v
		case 3:
			s.MaxAge = &ms
		case 4:
			s.CleanerInterval = ms.Milliseconds()
		case 5:
			s.SegmentMaxBytes = v
		case 6:
			s.SegmentMaxAge = ms.Milliseconds()
		case 7:
			s.CompactGoroutines = int32(min(v, 1<<20))
		case 8:
			s.Compacts = &on
		case 9:
			s.AutoPause = ms
		case 10:
			s.AutoPauseUnlessRead = on
		case 12:
			s.OCC = on
		case 13:
			s.Encryption = on
		}
		return err
	})
}
