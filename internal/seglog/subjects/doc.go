// Package subjects keeps the subject index of a log on disk: for each subject
// how many live records it has and which is the last. It owns the run files
// <n>.run of a log's directory; docs/formats/subjects.md draws them.
//
// A run is immutable and sorted by subject. A Set is the list of a log's runs,
// oldest first: an entry in a newer run hides the older ones, and a tombstone
// says that a subject is gone. WriteRun adds a run with what changed, Merge
// makes one run of several; both sync the file and its name before they return.
// Clear takes all runs away. The list counts only once the caller has stored
// List in its checkpoint; Saved then removes the files that no list names any
// more. After a crash Open takes the list of the last checkpoint and removes
// every other run: nothing of an index that no checkpoint names is ever read.
//
// Open reads the head of each run, nothing else. Block indexes and blocks are
// read when needed and kept in a Cache, which all sets of a process share and
// which bounds their memory.
//
// Everything on disk is under a checksum. What does not verify is an error that
// wraps record.ErrDamaged and names file and offset; it is never taken for an
// absent subject. The index follows from the records: its owner makes it again
// from them.
//
// A View is the set at one moment, which later writes and merges do not change;
// files that it needs stay until it is closed.
//
// A Set is safe for concurrent use, but for WriteRun, of which only one may run
// at a time. No goroutines: Merge runs on the caller's, which paces it. Locks,
// in order: Set.merging, held by Merge during its I/O; Set.mu and Cache.mu,
// which are never held together nor during I/O.
//
// Called by assembly (internal/server), which gives it to the partitions behind
// partition.Index.
package subjects
