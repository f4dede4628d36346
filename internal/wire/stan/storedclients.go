package stan

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// Types of the records of clients.dat.
const (
	storedClient     = 1 // a client that connected
	storedClientGone = 2
)

// StoredClients are the clients that were connected, from the records of clients.dat in
// order.
type StoredClients struct{ byID map[string]*AdoptedSession }

// Apply takes a record over.
func (s *StoredClients) Apply(kind byte, payload []byte) error {
	c := &AdoptedSession{}
	if kind != storedClient && kind != storedClientGone {
		return fmt.Errorf("%w: it has the type %d", ErrStored, kind)
	}
	err := decode(payload, bits(1, 2, 3, 4, 5, 6), func(f field) bool {
		switch f.num {
		case 1:
			return f.text(&c.ID)
		case 2:
			return f.text(&c.HeartbeatInbox)
		case 3:
			return f.borrow(&c.ConnID)
		case 4:
			return f.int32(&c.Protocol)
		case 5:
			return f.int32(&c.PingInterval)
		case 6:
			return f.int32(&c.PingMaxOut)
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStored, err)
	}
	if kind == storedClientGone {
		delete(s.byID, c.ID)
		return nil
	}
	c.ConnID = bytes.Clone(c.ConnID)
	if s.byID == nil {
		s.byID = map[string]*AdoptedSession{}
	}
	s.byID[c.ID] = c
	return nil
}

// All gives the clients that are left, by id.
func (s *StoredClients) All() []*AdoptedSession {
	out := make([]*AdoptedSession, 0, len(s.byID))
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		out = append(out, s.byID[id])
	}
	return out
}
