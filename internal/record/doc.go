// Package record owns the formats of what Weir keeps: a record's bytes, the area
// in which one reader stages its records, the frame that admission makes of an
// area, the kinds of entry in a group's log, and the queue in
// which a log keeps frames in memory.
//
// A frame is the unit that goes to the journal, to memory, to segments and, when
// replicated, to other nodes, unchanged. It has two parts so that its bytes need
// be copied only once on their way in: the area, which is built while records
// are staged and before a sequence is known, and the head (header and directory
// of records), which admission writes when it has decided. Each record has a
// checksum of its content alone; the head's checksum covers the records'
// checksums. So one damaged bit costs one record, and a short read verifies only
// what it returns. Small frames are copied once more, by a Packer, into a chunk of their
// log: memory then holds little beside them, and the area serves the next batch at once.
//
// The package knows nothing of protocols: a header block is bytes. It is pure:
// no I/O, no goroutine, no lock, no clock. Values are not safe for concurrent
// writes; a sealed Frame is immutable and may be shared, until its sealer and its
// log both said that they are done with it (see Frame.Applied). Anything may import it
// except wire codecs.
package record
