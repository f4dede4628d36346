// Package seglog keeps the committed frames of partitions on disk. It owns the
// directory streams/ of a data directory: one directory a partition, named by
// its numeric identity, with a manifest and segment files. docs/formats/segment.md
// draws the files.
//
// A frame is durable before it comes here: the journal has it. So Append only
// takes a reference; a log writes behind, in large writes, and nothing counts
// until Checkpoint has synced it and replaced the manifest, atomically, together
// with a state of the owner. After a crash a log is as its last checkpoint left
// it; bytes that no manifest covers are ignored, and the journal's replay brings
// the rest again. Frames are readable at once, from memory or from files.
//
// Damage is never taken for absence: a missing or bad manifest fails OpenLog; a
// bad frame or record is an error that names file, offset and sequences, for
// those only; a bad footer is made again from the frames. Nothing is cut or
// removed but what the owner trimmed, resets or drops.
//
// Compression and encryption, package atrest, belong to the files alone: a segment
// then holds its frames in blocks. Frames, offsets and indexes stay what they are
// without; only the writer and blockReader know where a block lies.
//
// Reclaim gives the space of records back that were removed from between others: it
// writes segments anew, a few into one, without those that its caller names. The new
// one takes the place of the old ones at once for readers, who never notice, and
// durably with the next checkpoint. What a checkpoint has alive is never dropped, so a
// crash finds either of them, whole.
//
// Large frames are written once: Log.Extent gives one a place in a file that becomes a
// segment, before it is journalled, and the journal keeps the place only. The file
// stays as long as the journal may name what is in it. Fetch reads it back at recovery.
//
// A sealed segment's footer has a roster of its subjects, package roster. It is gathered
// while frames are written behind, in bounded memory, or read from the segment when that
// is sealed. Skip and SkipBack say by it what readers of some subjects may pass over; a
// roster is a hint, and where there is none they read. Rosters that were read are kept in
// a cache of a fixed size for the volume.
//
// What goes past the page cache on its way to the disk is read past it, too: the first
// reader of such a segment has it read ahead, in a bounded number of pieces.
//
// A failed write is repeated, for the frames are still in memory. A failed sync
// is not: the log is failed for good, and its checkpoints say so.
//
// OpenReadOnly, Rebuild and Remake are for a directory that no server runs on: a
// look that changes nothing, and what a damaged log can be made of.
//
// Goroutines: Volume.Run, which writes behind, and one for each piece that is being
// read ahead, which Run joins. Everything else runs on the caller's.
//
// Locks, in order: Log.reclaiming, held while segments are written anew; Log.turn, which
// makes its holder the only one who changes a log's files that count, and is with
// reclaiming the one lock held during I/O (readers and Append never take them); Log.mu,
// for the tail and the immutable list of segments; then one of files.mu, rosters.mu,
// pieces.mu, Volume.mu and Volume.cacheMu, which are never held together.
//
// Called by partition, through its own interface, by assembly, which opens the
// volume and joins Run, and by check.
package seglog
