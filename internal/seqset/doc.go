// Package seqset keeps sets of sequences, mostly the interior deletes of a log:
// sorted runs in small chunks, so that a set costs 16 bytes a run, however long
// the run is, and an insertion moves at most one chunk.
//
// The package starts no goroutine and holds no lock; a Set belongs to whoever
// holds it. Anyone may use it. Decode is total: it answers any input with a set
// or an error, and uses memory in proportion to the input's length.
package seqset
