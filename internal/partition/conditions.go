package partition

import "github.com/weirmq/weir/internal/record"

// Conditions is what one staged record demands of the log, in neutral terms: a
// door's dialect fills it from whatever its protocol says.
type Conditions struct {
	// Refuse is a refusal that the stager found by itself, before any check:
	// TooLarge or Overload. Such a record has no content.
	Refuse Refusal
	// Pre is a refusal that the dialect found by itself, PreText what goes with it;
	// it takes effect at the step PreAt.
	Pre       uint32
	PreAt     Check
	PreText   string
	Size      int // of the record's data, bytes
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
	Key       []byte // of the record; nil: what it has
	// Chain is what the record is a link of; nil: of nothing.
	Chain *Chain
	// Amended is what is stored in the record's place, from admission on; nil: what
	// came. See Totals.
	Amended *Amended
}

// Chain is a row of records, in any number of batches, that ends with the first
// one that is refused: those behind it are refused as Broken. A duplicate is not
// refused in this sense. It belongs to one log.
type Chain struct {
	broken bool // guarded by Partition.mu
}

// Check is one step of admission. A protocol gives them in its own order, but for
// CheckHeader, which follows the record's size, and CheckStore, which follows the
// storage that is left; what the limits say comes last.
type Check uint8

const (
	CheckDialect       Check = iota // Conditions.Pre, as in every other step
	CheckLastOfSubject              // WrongLastOfSubject
	CheckLast                       // WrongLast
	CheckDuplicate                  // Duplicate
	CheckLastID                     // WrongLastID
	CheckRollup                     // RollupRefused
	CheckFeature
	CheckHeader
	CheckStore
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
	Broken                     // an earlier record of its Chain was refused
	Repeated                   // Batch.Whole: it duplicates another record
	WrongLastInBatch           // Batch.Whole: a sequence is expected that the batch gives itself
	RollupInBatch              // Batch.Whole: the batch would replace its own; Outcome.Detail is the record.Rollup

	// OwnRefusals and what is above it are for the owner, who finds them before
	// anything reaches the log.
	OwnRefusals Refusal = 128
)

// Outcome is the fate of one staged record.
type Outcome struct {
	Seq     uint64 // of the stored record, or of the one it duplicates
	Detail  uint64 // depends on Refusal; Accepted: the subject's last before it, 0 if not known
	Refusal Refusal
	// Of is what the record demanded, and what came of that; nil: nothing. It belongs
	// to the batch.
	Of *Conditions
}

// Batch is what one reader staged for one partition, with the place for what
// becomes of it. The partition owns it from Admit until Committed or Discarded.
type Batch struct {
	// Area is what was staged. From admission on only its Slots are there.
	Area  record.Area
	Conds []Conditions // one a record, or nil when no record has any
	// InOrder has all records behind one that is refused refused, too, with the same
	// outcome. A duplicate is not refused in this sense, nor what the dialect refuses,
	// which no later try would store.
	InOrder bool
	// Whole keeps all records or none: if one is refused, a duplicate included, all
	// have its outcome.
	Whole bool
	// Early has the outcomes told at admission, before anything is stored. It is
	// called once the batch is durable and visible, or with an error when that will
	// never be known; not at all if nothing is kept.
	Early func(error)
	// Owner is for the stager: it is not looked at.
	Owner any

	// Time is when the records were stored that were, or when all were refused, Unix ns,
	// from admission on.
	Time int64
	// Outcomes has one for each record, from Committed on.
	Outcomes []Outcome
}

// Reset empties the batch for another use. The area's bytes belong to the frame
// now, so they are let go.
func (b *Batch) Reset() {
	b.Area = record.Area{Slots: b.Area.Slots[:0]}
	b.Conds = b.Conds[:0]
	b.InOrder, b.Whole, b.Early = false, false, nil
	b.Outcomes = b.Outcomes[:0]
	b.Owner = nil
}
