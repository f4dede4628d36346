// Package roster knows which subjects are in a segment. A roster stands in the
// footer of a sealed segment; docs/formats/segment.md draws it. With it a reader that
// is for some subjects only passes over whole segments.
//
// It has one of two forms. A list names each subject with its first and its last
// sequence, as long as there are few. Else there are two filters of hashes: of whole
// subjects, and of tokens with their places, by which a pattern is tested. Neither
// ever says that a subject is not there which is; a filter may say that one is there
// which is not. What a filter would hold too densely to be worth reading is left out.
//
// The hashes are part of the format: xxHash64 without a seed.
//
// A Builder takes subjects while records go by, in memory that is bounded: a list of
// maxBytes at most, or both filters at their largest. It belongs to one goroutine. A
// Roster does not change and may be used by many. There are no goroutines, locks or
// clocks here, and no file: package seglog reads, writes and keeps rosters, and nobody
// else calls this one.
package roster
