package stan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// The old server's file store begins each file with a version, then come records: a
// head of eight bytes and a payload.
//
//	0  4  size of the payload; where records have types: the type in the high byte
//	4  4  CRC-32 (IEEE) of the payload
//
// Integers are little-endian. msgs.N.dat and server.dat have no types, their payloads
// are a Msg and a ServerInfo; subs.dat has.
const (
	StoreVersion = 1
	StoredHead   = 8 // bytes
)

// Types of the records of subs.dat.
const (
	storedSub    = 1 // a subscription
	storedUpdate = 2 // what it is now
	storedDelete = 3
	storedAck    = 4
	storedSent   = 5
)

// ErrStored says that what the old server stored is damaged.
var ErrStored = errors.New("damaged record")

// ParseStoredVersion reads what a file begins with.
func ParseStoredVersion(b []byte) error {
	if len(b) < 4 {
		return fmt.Errorf("%w: the file has no version", ErrStored)
	}
	if v := binary.LittleEndian.Uint32(b); v != StoreVersion {
		return fmt.Errorf("%w: the file has the version %d", ErrStored, v)
	}
	return nil
}

// ParseStoredHead reads a head of StoredHead bytes. Where none is true the file ends
// here: what follows was reserved and never written.
func ParseStoredHead(b []byte, typed bool) (kind byte, size, sum uint32, none bool) {
	if len(b) < StoredHead {
		return 0, 0, 0, true
	}
	size, sum = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if size == 0 && sum == 0 {
		return 0, 0, 0, true
	}
	if typed {
		kind, size = byte(size>>24), size&0xFFFFFF
	}
	return kind, size, sum, false
}

// CheckStored holds a payload against the sum of its head.
func CheckStored(payload []byte, sum uint32) error {
	if have := crc32.ChecksumIEEE(payload); have != sum {
		return fmt.Errorf("%w: its checksum is %08x instead of %08x", ErrStored, have, sum)
	}
	return nil
}

// DecodeServerInfo reads the payload of server.dat and gives the cluster's id.
func DecodeServerInfo(b []byte) (cluster string, err error) {
	err = decode(b, bits(1), func(f field) bool { return f.num == 1 && f.text(&cluster) })
	return cluster, err
}

// StoredSub is a subscription as the old server stored it.
type StoredSub struct {
	ID                   uint64
	Client               string // empty: a durable queue group without members
	Queue                string // of a durable queue group "durable:group"
	Durable              string // of a durable that is no queue group
	Inbox, AckInbox      string // where messages and acknowledgements go
	MaxInFlight, AckWait int32
	LastSent             uint64
	IsDurable, IsClosed  bool
	Pending              map[uint64]struct{} // sent and not acknowledged
}

func (s *StoredSub) decode(b []byte) error {
	var durable, closed uint64
	err := decode(b, bits(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), func(f field) bool {
		switch f.num {
		case 1:
			return f.uint(&s.ID)
		case 2:
			return f.text(&s.Client)
		case 3:
			return f.text(&s.Queue)
		case 4:
			return f.text(&s.Inbox)
		case 5:
			return f.text(&s.AckInbox)
		case 6:
			return f.int32(&s.MaxInFlight)
		case 7:
			return f.int32(&s.AckWait)
		case 8:
			return f.text(&s.Durable)
		case 9:
			return f.uint(&s.LastSent)
		case 10:
			return f.uint(&durable)
		case 11:
			return f.uint(&closed)
		}
		return false
	})
	s.IsClosed = closed != 0
	s.IsDurable = durable != 0 || s.Durable != ""
	return err
}

// StoredSubs are the subscriptions of a channel, from the records of its subs.dat in
// order.
type StoredSubs struct{ byID map[uint64]*StoredSub }

// Apply takes a record over. What is about a subscription that is not there is ignored.
func (s *StoredSubs) Apply(kind byte, payload []byte) error {
	switch kind {
	case storedSub, storedUpdate:
		n := &StoredSub{Pending: map[uint64]struct{}{}}
		if err := n.decode(payload); err != nil {
			return fmt.Errorf("%w: %w", ErrStored, err)
		}
		if old := s.byID[n.ID]; old != nil && kind == storedUpdate {
			n.Pending, n.LastSent = old.Pending, max(n.LastSent, old.LastSent)
		}
		if s.byID == nil {
			s.byID = map[uint64]*StoredSub{}
		}
		s.byID[n.ID] = n
		return nil
	case storedDelete, storedAck, storedSent:
	default:
		return fmt.Errorf("%w: it has the type %d", ErrStored, kind)
	}
	var id, seq uint64
	err := decode(payload, bits(1, 2), func(f field) bool {
		return f.num == 1 && f.uint(&id) || f.num == 2 && f.uint(&seq)
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStored, err)
	}
	sub := s.byID[id]
	switch {
	case sub == nil:
	case kind == storedDelete:
		delete(s.byID, id)
	case kind == storedAck:
		delete(sub.Pending, seq)
	default:
		sub.Pending[seq] = struct{}{}
		sub.LastSent = max(sub.LastSent, seq)
	}
	return nil
}

// All gives the subscriptions that are left, by id.
func (s *StoredSubs) All() []*StoredSub {
	out := make([]*StoredSub, 0, len(s.byID))
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		out = append(out, s.byID[id])
	}
	return out
}
