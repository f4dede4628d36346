package meta

import (
	"encoding/json"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// FirstID is the lowest identity of a stream; smaller numbers are groups of the
// node itself.
const FirstID = 16

// Spec is a stream as group 0 knows it.
type Spec struct {
	ID          uint64 `json:"id"`
	Incarnation uint32 `json:"incarnation"`
	Account     string `json:"account"`
	Name        string `json:"name"`
	Created     int64  `json:"created"` // Unix ns
	// Config is the configuration at creation, in the encoding of the room that
	// reads it. Later ones are entries of the stream's own group, but for a stream
	// in memory: there it is the last one.
	Config json.RawMessage `json:"config"`
}

// Identity is the record.Identity of the stream's partition.
func (s *Spec) Identity() record.Identity {
	return record.Identity{ID: s.ID, Incarnation: s.Incarnation}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("meta: a value does not encode: " + err.Error())
	}
	return b
}

// decodeSpec reads the entry that creates a stream.
func decodeSpec(b []byte) (Spec, error) {
	var s Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("stream entry: %w: %w", record.ErrDamaged, err)
	}
	if s.ID < FirstID || s.Name == "" {
		return s, fmt.Errorf("stream entry %d %q: %w", s.ID, s.Name, record.ErrDamaged)
	}
	return s, nil
}

// reconfiguration is the entry that replaces a configuration.
type reconfiguration struct {
	ID     uint64          `json:"id"`
	Config json.RawMessage `json:"config"`
}

func decodeReconfiguration(b []byte) (r reconfiguration, err error) {
	if err = json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("configuration entry: %w: %w", record.ErrDamaged, err)
	}
	if r.ID < FirstID || len(r.Config) == 0 {
		return r, fmt.Errorf("configuration entry of stream %d: %w", r.ID, record.ErrDamaged)
	}
	return r, nil
}
