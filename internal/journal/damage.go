package journal

import "fmt"

// DamageError says that bytes which had been durable cannot be read back as
// they were written. It is no torn tail: a later batch says that what is missing
// here had been synced.
type DamageError struct {
	File       string // name in the journal's directory; "" if a whole file is missing
	Generation uint64 // of that file
	Offset     int64  // where the first bad batch begins
	Length     int64  // to the next good batch, or to the end of the file
	From, To   uint64 // the batches that are missing or bad, both included
	// Lost lists entries of them whose directory could be read. Others of the
	// missing batches are not known.
	Lost   []Entry // without Data
	Reason string
}

func (e *DamageError) Error() string {
	where := fmt.Sprintf("%s at offset %d", e.File, e.Offset)
	if e.File == "" {
		where = fmt.Sprintf("missing file of generation %d", e.Generation)
	}
	return fmt.Sprintf("journal damaged: %s: batches %d to %d: %s", where, e.From, e.To, e.Reason)
}

// Recovery tells what Open found.
type Recovery struct {
	Batches int // valid ones that were replayed
	Entries int
	Clean   bool // the journal had been closed
	Torn    bool // a tail was cut
	Damage  []*DamageError
	End     Position // where the good batches end; of Check only
}
