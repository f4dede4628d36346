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
// # Tip and committed
//
// The index holds the tip: everything admitted. Readers see what is committed;
// where a subject's last record is above that, an undo list resolves it.
//
// # Concurrency
//
// The package starts no goroutine and reads no clock. mu guards the index, the
// queue and the positions. Apply, Restore and Failed are called by one goroutine
// at a time, that of the group; only they change what is live, so they may read
// the store without the lock. Everything else may be called from anywhere. With
// mu held no other room is called.
//
// Only stream creates partitions; assembly supplies Store and Proposer.
package partition
