// Package stream owns streams as their users know them: names, configuration,
// what of an account's messages they capture, their consumers, and the shards on
// which deliveries happen. It speaks no protocol. What a message demands, in
// which order it is checked and how its acknowledgement is written is a Dialect;
// how a delivery reaches a client is an Outlet; doors supply both.
//
// # Who does what
//
//   - A Directory holds the streams of all accounts by name. It creates them
//     through group 0 (meta) and is told by it what exists.
//   - A Stream subscribes an ingest at its subjects. Readers of connections stage
//     their messages there, each in an area of its own, and hand the area to the
//     partition once a read buffer.
//   - Outcomes come back on the journal's goroutine, which writes the replies
//     with a publisher of its own, an account each. Where nothing had to be
//     stored, the stream's shard writes them.
//   - All consumers of a stream run on its shard: one goroutine of a fixed pool,
//     one timing wheel each. Whoever has something for a consumer posts it to the
//     shard's box and never waits.
//
// # Locks
//
// Directory.mu guards the names, Stream.mu a stream's configuration and
// consumers, Shard.mu its box. None is held while another is taken or while
// another room is called, except that a stream's removal from the names happens
// under Directory.mu alone. Consumer cores and their sources belong to the
// shard's goroutine.
package stream
