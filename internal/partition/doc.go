// Package partition owns one totally ordered log: the state machine of one
// group. It decides what is admitted (limits, duplicates, expected positions),
// numbers it, proposes it, and applies what came back committed: derived
// removals, the subject index, the view that readers see.
//
// # Order of fate
//
// A batch that one reader staged is admitted under one lock: its records are
// checked in the order that their protocol demands, struck where refused,
// numbered and sealed as one frame, and queued. The first goroutine to queue
// drains the queue to the Proposer, so that entries leave in the order in which
// they were numbered and nothing is called with the lock held. When the entry is
// committed, Apply makes it visible, and only then is the batch's outcome told:
// an acknowledgement never precedes stable storage. A refusal, too, may rest on
// records that are not committed yet, so it waits for the entry before it.
//
// Small batches that a publisher brings to many logs at once may gather before they are
// admitted (Gather): one frame takes them all. Every other call that adds to the log's
// order admits what has gathered first.
//
// Three kinds of batches are special. One that is Whole is kept whole or not at all:
// a savepoint gives back what its records had changed of the tip. One with Early is
// told its outcomes at admission; what it is told may be lost in a crash. In a log
// with totals each record is stored with the sum of what it says and what the last of
// its subject said, which is made under the same lock.
//
// # Tip and committed
//
// The subject index holds the tip: everything admitted. Readers see what is
// committed; where a subject's last record is above that, an undo list resolves
// it.
//
// # Subjects in memory and on disk
//
// Memory holds the subjects that changed since a checkpoint, at most 100 bytes
// each beside the name, those that are gone included; the others are in the runs
// of an Index, which assembly supplies. A checkpoint freezes what is committed,
// writes it as a run, and names the run in its state; then memory forgets it. Few
// subjects are kept in the state itself, and in memory. What a batch needs of the
// runs is read before the lock is taken, and holds unless the generation has
// changed by then. A clean start reads no record. Where runs cannot be read, the
// records are, once; Index.Lost tells of it.
//
// # Removal
//
// What follows from the entries is derived when they are applied; what needs a clock or
// a look at the whole log is decided once and proposed as sequences: age, and
// compaction (Compact), which reads the log in the background and remembers in the
// state what it has seen. The store is told what is gone only after it: at the
// beginning by Trim, in between by Reclaim, which never takes what a checkpoint's
// replay or an open cut may still read.
//
// # Looking for subjects
//
// Readers of some subjects (ReaderOf, NextOf, LastOf, LastSequences, SequencesOf) pass over
// parts of the log that the store knows to be without them, if it is a Skipper. Who reads
// back for the last record of a subject begins at the end. What is found is the same.
//
// # Concurrency
//
// The package starts no goroutine and reads no clock. Locks, in order: saving,
// held by the one checkpoint that is being taken and by Close and Drop; gather.mu, held
// while batches gather and while what has gathered is admitted; applying,
// held while an entry takes effect, while a checkpoint freezes its state, and
// while the index is made again; mu, which guards the index, the queue and the
// positions. Apply, Restore and Failed are called by one goroutine at a time,
// that of the group; only they change what is live, so they may read the store
// without the lock. Everything else may be called from anywhere, but from within
// Apply nothing that looks subjects up. With mu held no other room is called but
// Budget and Index.View, which only count.
//
// Only stream creates partitions; assembly supplies Store, Index and Proposer.
package partition
