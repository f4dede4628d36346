// Package journal is the node's one synced log. Entries of many groups gather
// while a batch is on its way to the disk; the next batch takes all of them,
// with one write and one sync, and then tells each group how far it is durable.
//
// Promises. Entries of a group are written, completed and replayed in the order
// of Append. Completer.Durable means that the entry survives a crash (with
// Interval, that it was handed to the operating system). After a failed write or
// sync nothing is acknowledged any more and nothing is tried again: the journal
// is dead until it is opened anew, and what was pending then is unknown, neither
// kept for sure nor lost for sure. Recovery tells a torn tail, which it cuts,
// from damage, which it reports. A block that holds acknowledged entries is not
// written again before all of them are released.
//
// The data of a large entry may be written once, elsewhere, by its owner
// (AppendExtent): the journal then has its place only, and both are written at the
// same time. Such an entry is durable when both are. Recovery asks the owner for the
// data; what is not there as it was written makes its batch a torn one, or damaged,
// by the rule above. To the length of the journal such data counts as if it were in it.
//
// With keys, the data of entries is encrypted as it is written, and never
// compressed. Without the key that it needs Open fails and changes nothing.
//
// Released positions are not durable. After a restart entries may be replayed
// that had been released, from the beginning of any file still there: a group
// knows by its own checkpoint what to skip. The same holds for dropped groups,
// whose owner calls Forget for each id of Unclaimed that exists no more.
//
// Batches are written by who has the pen: the writer, or, one at a time and while that sleeps,
// a goroutine that has appended and helps (Expect, Due, Help), so that nobody need be woken.
//
// Goroutines: the writer, which is kept on a thread of its own and wakes as soon as
// that does (bell); the assistant, which gathers the next batch while the
// writer is busy, and runs completions then (else who writes runs them itself, one
// batch at a time in any case); the preparer, which makes files ahead; the guard,
// which wakes the writer where one who is to help takes long; and eight that
// write extents. Open starts them, Close joins them.
//
// Locks: writer.gathering, the right to put entries into the next batch, and
// Journal.mu, a leaf: neither I/O nor a call out of the package happens with one
// held. Appends may come from any goroutine, also from a completion.
// Rooms of floor 1 and assembly call this package; it never looks into the data
// of an entry.
package journal
