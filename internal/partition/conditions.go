package partition

import "github.com/weirmq/weir/internal/record"

// Conditions is what one staged record demands of the log, in neutral terms: a
// door's dialect fills it from whatever its protocol says.
type Conditions struct {
	// Refuse is a refusal that the stager found by itself, before any check:
	// TooLarge or Overload. Such a record has no content.
	Refuse Refusal
	// Pre is a refusal that the dialect found by itself, PreDetail what goes with
	// it; it takes effect at CheckDialect.
	Pre       uint32
	HasLast   bool
	Last      uint64 // expected last sequence of the log
	HasOfSubj bool
	LastOf    uint64 // expected last sequence of OfSubject
	OfSubject string // may have wildcards; empty: the record's own subject
	HasLastID bool
	LastID    record.ID // expected id of the last record
	HasID     bool
	ID        record.ID
	Rollup    record.Rollup
	TTL       int64  // of the record, see record.View
	Marked    bool   // the record is, see record.View
	Header    []byte // takes the place of the record's; nil: it is as it came
}

// Check is one step of admission. A protocol gives them in its own order.
type Check uint8

const (
	CheckDialect       Check = iota // Conditions.Pre
	CheckLastOfSubject              // WrongLastOfSubject
	CheckLast                       // WrongLast
	CheckDuplicate                  // Duplicate
	CheckLastID                     // WrongLastID
	CheckRollup                     // RollupRefused
)

// Refusal says why a record was not stored. Zero is none.
type Refusal uint8

const (
	Accepted           Refusal = iota
	Duplicate                  // Outcome.Seq is the first one's sequence
	Dialect                    // Outcome.Detail is Conditions.Pre
	Sealed                     // the log takes no more records
	WrongLast                  // Outcome.Detail is the real last sequence
	WrongLastOfSubject         // Outcome.Detail is the subject's real last sequence
	WrongLastID                // Outcome.Detail is the last sequence
	RollupRefused              // rollups are not allowed here
	TooLarge                   // Limits.MaxRecord
	MaxRecords                 // Limits.MaxRecords with DiscardNew
	MaxBytes                   // Limits.MaxBytes with DiscardNew
	MaxPerSubject              // Limits.MaxPerSubject with DiscardNewPerSubject
	NoSpace                    // the account's or the server's storage is used up
	TooManyIDs                 // the dedup window is full; see Limits.DedupEntries
	Overload                   // more is in flight than the log's memory may hold
	Dead                       // the log failed: nothing can be stored until a restart
	Deleted                    // the log was deleted
	Unreadable                 // the subject index cannot be read at present, nor the records
)

// Outcome is the fate of one staged record.
type Outcome struct {
	Seq     uint64 // of the stored record, or of the one it duplicates
	Detail  uint64 // depends on Refusal; Accepted: the subject's last before it, 0 if not known
	Refusal Refusal
}

// Batch is what one reader staged for one partition, with the place for what
// becomes of it. The partition owns it from Admit until Committed or Discarded.
type Batch struct {
	Area  record.Area
	Conds []Conditions // one a record, or nil when no record has any
	// InOrder has all records behind one that is refused refused, too, with the same
	// outcome. A duplicate is not refused in this sense.
	InOrder bool
	// Owner is for the stager: it is not looked at.
	Owner any

	// Outcomes has one for each record, from Committed on.
	Outcomes []Outcome
}

// Reset empties the batch for another use. The area's bytes belong to the frame
// now, so they are let go.
func (b *Batch) Reset() {
	b.Area = record.Area{Slots: b.Area.Slots[:0]}
	b.Conds = b.Conds[:0]
	b.InOrder = false
	b.Outcomes = b.Outcomes[:0]
	b.Owner = nil
}
