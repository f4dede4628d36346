package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/weirmq/weir/internal/record"
)

// Magic begins every backup.
const Magic = "WEIRBAK1"

// ErrForeign says that bytes do not begin as a backup does.
var ErrForeign = errors.New("not a backup that weir wrote")

// ErrVersion says that a later version of weir wrote the backup.
var ErrVersion = errors.New("a backup of a format that this version does not know")

// Kinds of item, in the order in which they come.
const (
	kindHead     = 1
	kindConsumer = 2
	kindRecord   = 3
	kindEnd      = 4
)

// An item, little endian. The checksum is CRC-32C over all items up to this one, the
// magic before them included, but for their checksums.
//
//	offset size
//	0      1    kind
//	1      4    length of the body
//	5      ..   body
//	..     4    checksum
const (
	itemHead = 5
	itemSum  = 4
)

// Bounds of a body in bytes.
const (
	maxHead     = 4 << 20
	maxConsumer = 256 << 20
	maxRecord   = 16 + 64 + record.MaxContent + record.MaxSubject + record.MaxReply
)

// version of the format, which the head tells.
const version = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Head says what is in a backup. Its body is JSON.
type Head struct {
	// Version of the format; a Writer sets it.
	Version int `json:"version"`
	// Made is when the backup was begun, Server by whom: for people.
	Made   int64  `json:"made,omitempty"` // Unix ns
	Server string `json:"server,omitempty"`
	// Stream is the configuration, as the package stream has it.
	Stream  json.RawMessage `json:"stream"`
	Created int64           `json:"created"` // Unix ns
	// First and Last are the sequences of the first record and the last one ever
	// given; First is Last+1 where there are no records.
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	LastTime int64  `json:"last_time"` // of Last, Unix ns; 0: there never was one
	Records  uint64 `json:"records"`
	Bytes    uint64 `json:"bytes"` // by record.Size
	// Consumers is how many consumers follow.
	Consumers int `json:"consumers"`
	// Foreign: the records were taken over from another server. What storing them
	// derives from their headers (ids, times to live, marks) is to be derived anew.
	Foreign bool `json:"foreign,omitempty"`
}

// sound holds the relations between the fields.
func (h *Head) sound() bool {
	if h.First == 0 || h.Last == 1<<64-1 || h.First > h.Last+1 || h.Consumers < 0 {
		return false
	}
	return h.Records <= h.Last+1-h.First
}

// Item is one consumer or one record.
type Item struct {
	// Spec and State are those of a consumer; nil for a record.
	Spec, State []byte
	// Record is valid if Spec is nil.
	Record record.View
}

// DamageError says where a backup is damaged. It wraps record.ErrDamaged.
type DamageError struct {
	// Offset is that of the damaged item; all before it is whole.
	Offset int64
	// After is the last sequence that was read whole; 0 for none.
	After  uint64
	Detail string
}

func (e *DamageError) Error() string {
	where := "before the first record"
	if e.After > 0 {
		where = fmt.Sprintf("after record %d", e.After)
	}
	return fmt.Sprintf("damaged at offset %d, %s: %s", e.Offset, where, e.Detail)
}

// Unwrap makes the error one of damage.
func (e *DamageError) Unwrap() error { return record.ErrDamaged }
