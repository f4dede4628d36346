package consumer

// Answer is what a Source knows of a record.
type Answer uint8

const (
	// Found: the item is there.
	Found Answer = iota
	// End: there is none up to the committed end.
	End
	// Gone: the record was removed.
	Gone
	// Cold: the record is not in memory now. The caller loads it and steps again.
	Cold
)

// Item is a record as far as delivering it is concerned.
type Item struct {
	// Seq is the stream sequence.
	Seq uint64
	// Size is the length of subject, headers and data together.
	Size int
	// Time is when it was stored, Unix nanoseconds. Peek gives it.
	Time int64
}

// Source is what a consumer may read: the live, committed records that match its
// filters. Calls are made within Step only, and must not block.
type Source interface {
	// Peek gives the first record at or after from. It answers Found, End (then
	// Seq is the next sequence to look from) or Cold (then Seq is the one to load;
	// 0 stands for from).
	Peek(from uint64) (Item, Answer)
	// Get gives one record, to be delivered again. It answers Found, Gone or Cold.
	Get(seq uint64) (Item, Answer)
	// Count gives the number of records at or after from.
	Count(from uint64) uint64
}
