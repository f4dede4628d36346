// Package stream owns streams as their users know them: names, configuration,
// what of an account's messages they capture, their consumers, and the shards on
// which deliveries happen. It speaks no protocol. What a message demands, in
// which order it is checked and how its acknowledgement is written is a Dialect;
// how a delivery reaches a client is an Outlet; doors supply both.
//
// # Who does what
//
//   - A Directory holds the streams of all accounts by name. It creates them
//     through group 0 (meta) and is told by it what exists. Which subjects are taken
//     it finds in a tree of them, so a creation costs the same among many streams.
//   - A Stream subscribes an ingest at its subjects. Readers of connections stage
//     their messages there, each in an area of its own, and hand the area to the
//     partition once a read buffer. Those that share a broker.Round stage in one area,
//     and the replies know where each one's begin. What a publisher brings to many
//     streams at once the shards admit, so that it can gather meanwhile (gather.go).
//   - Outcomes come back on the journal's goroutine, which writes the replies
//     with a publisher of its own, an account each. Where nothing had to be
//     stored, the stream's shard writes them.
//   - All consumers of a stream run on its shard: one goroutine of a fixed pool,
//     one timing wheel each. Whoever has something for a consumer posts it to the
//     shard's box and never waits.
//   - Each shard has a scout, a goroutine that reads on for a consumer with much to send
//     while the shard sends (scout.go). While it does the consumer's reader is the
//     scout's; what it found goes back and forth in lots.
//   - Who makes a stream or consumer of an account with a limit is promised a place
//     first (places.go), and the bytes that the stream may grow to, so that creations
//     and updates at once stay within it.
//   - A few goroutines of the Directory carry transfers: backups that are sent or
//     received and wait for a client now and then. Each ends with the Directory.
//   - A stream that copies others, as a mirror or with sources, has a copier for
//     each on its shard. It reads the origin's log and is woken when that grows.
//   - One goroutine of the Directory removes the files of deleted streams, once
//     nothing of them is in flight, and of those that could not be opened (unopened.go).
//   - The members of a family are streams that are one to its users. Where they have
//     their subjects together the first one subscribes for all, and its sink deals each
//     message to the member that the dialect names (family_deal.go).
//   - Messages of an atomic batch are gathered beside the log, whoever sends them,
//     until it is complete; then they are handed over as one. Messages of a fast batch
//     are stored as others are; the shard tells it how far it is.
//
// # Locks
//
// Directory.mu guards the names, Stream.mu a stream's configuration,
// consumers and batches, Shard.mu its box. None is held while another room is called, and
// none while another is taken, with one exception: who makes a consumer or ends
// the last one posts to the shard and tells the partition whether to name
// removals, both under Stream.mu. Consumer cores and their sources belong to the
// shard's goroutine.
//
// # Order and races
//
// The log decides. Creations of one name wait for one another, so that equal
// requests at the same time get the same answer; what comes through the log all
// the same is checked again when it is applied, alike on every replay. Removals
// are told to the shard later than they happen and are numbered, so that the
// counts of pending messages come out right whatever was read in between.
package stream
